"""Who trains an algorithm, what it leaves, and what it holds: the one place that goes from names to code.

An algorithm with a trainer of our own has an entry here. One that only Stable-Baselines3 has needs none: its dataclass
of hyperparameters names the class. Heavy libraries are imported only once they are asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tuner.errors import InputError
from tuner.hyperparameters import Hyperparameters, algorithm_class

if TYPE_CHECKING:
    from tuner.contract.roles import RunObserver, Trainer
    from tuner.envs.make import EnvFacts
    from tuner.training.cost.footprint import Footprint
    from tuner.training.run_checkpoint import RunCheckpoints

Array = NDArray[Any]
Precision = type[np.floating[Any]]


class GreedyPolicy(Protocol):
    """What was learned, out of a file."""

    @property
    def input_size(self) -> int:
        """Length of the input vector."""
        ...

    @property
    def n_actions(self) -> int:
        """Number of actions."""
        ...

    def act(self, inputs: Array) -> Array:
        """Return greedy action indices ``[...]`` (from 0) for network inputs ``[..., input_size]``."""
        ...


class Registered(Protocol):
    """The code of one algorithm; each method imports what it needs.

    Attributes:
        precision: Type of the numbers in a file.
    """

    precision: Precision

    def trainer(self, lanes: int, observer: RunObserver | None, files: RunCheckpoints | None) -> Trainer:
        """Return a trainer of our own."""
        ...

    def policy(self, arrays: Mapping[str, Array], hyperparameters: Any, seed: int) -> GreedyPolicy:
        """Return what a run with this seed has learned, from the arrays of its file.

        Raises:
            KeyError: An array is missing.
            ValueError: The arrays do not fit the hyperparameters.
        """
        ...

    def footprint(self, hyperparameters: Any, facts: EnvFacts, n_timesteps: int, backend: str) -> Footprint:
        """Return what a run holds."""
        ...


class _DQN:
    precision: Precision = np.float32

    def trainer(self, lanes: int, observer: RunObserver | None, files: RunCheckpoints | None) -> Trainer:
        from tuner.training.stack.trainer import NativeTrainer

        return NativeTrainer(lanes, observer, checkpoints=files)

    def policy(self, arrays: Mapping[str, Array], hyperparameters: Any, seed: int) -> GreedyPolicy:
        from tuner.training.saved.network_policy import network_policy

        return network_policy(arrays, hyperparameters)

    def footprint(self, hyperparameters: Any, facts: EnvFacts, n_timesteps: int, backend: str) -> Footprint:
        from tuner.training.cost.footprint import of_dqn

        return of_dqn(hyperparameters, facts, n_timesteps, backend)


class _QLearning:
    precision: Precision = np.float64  # so that equal values stay equal

    def trainer(self, lanes: int, observer: RunObserver | None, files: RunCheckpoints | None) -> Trainer:
        from tuner.training.lone.tabular import TabularRun
        from tuner.training.lone.trainer import LoneTrainer

        return LoneTrainer(TabularRun, observer, files)

    def policy(self, arrays: Mapping[str, Array], hyperparameters: Any, seed: int) -> GreedyPolicy:
        from tuner.training.saved.table_policy import table_policy

        return table_policy(arrays, hyperparameters.bins)

    def footprint(self, hyperparameters: Any, facts: EnvFacts, n_timesteps: int, backend: str) -> Footprint:
        from tuner.training.cost.footprint import of_table

        return of_table(hyperparameters, facts)


class _FQI:
    precision: Precision = np.float64

    def trainer(self, lanes: int, observer: RunObserver | None, files: RunCheckpoints | None) -> Trainer:
        from tuner.training.lone.fitted import FittedRun
        from tuner.training.lone.trainer import LoneTrainer

        return LoneTrainer(FittedRun, observer, files)

    def policy(self, arrays: Mapping[str, Array], hyperparameters: Any, seed: int) -> GreedyPolicy:
        from tuner.training.saved.fitted_policy import fitted_policy

        return fitted_policy(arrays, hyperparameters, seed)

    def footprint(self, hyperparameters: Any, facts: EnvFacts, n_timesteps: int, backend: str) -> Footprint:
        from tuner.training.cost.footprint import of_data

        return of_data(hyperparameters, facts)


class _OnlySB3:
    precision: Precision = np.float32

    def trainer(self, lanes: int, observer: RunObserver | None, files: RunCheckpoints | None) -> Trainer:
        raise NotImplementedError("only Stable-Baselines3 trains it")

    def policy(self, arrays: Mapping[str, Array], hyperparameters: Any, seed: int) -> GreedyPolicy:
        from tuner.training.sb3.saved import sb3_policy

        return sb3_policy(arrays, hyperparameters)

    def footprint(self, hyperparameters: Any, facts: EnvFacts, n_timesteps: int, backend: str) -> Footprint:
        from tuner.training.cost.footprint import of_sb3

        return of_sb3(hyperparameters, facts, n_timesteps)


#: Algorithms with a trainer of our own.
_OWN: Mapping[str, Registered] = {"dqn": _DQN(), "q_learning": _QLearning(), "fqi": _FQI()}


def registered(algorithm: str) -> Registered:
    """Return the code of an algorithm."""
    return _OWN.get(algorithm, _OnlySB3())


def make_trainer(
    backend: str, algorithm: str, lanes: int, observer: RunObserver | None = None, checkpoints: Path | None = None
) -> Trainer:
    """Return the trainer of an algorithm.

    ``functools.partial(make_trainer, backend, algorithm, lanes)`` is what executors take: it can be sent to a worker.

    Args:
        backend: ``native`` or ``sb3``.
        algorithm: Name of the algorithm.
        lanes: Runs trained side by side; only the native deep Q-network trains more than one.
        observer: Watches single runs, or None.
        checkpoints: Folder where long runs are saved, and go on from; None where they start over, as
            Stable-Baselines3's always do.

    Raises:
        InputError: Nobody of that name trains that algorithm.
    """
    if backend not in algorithm_class(algorithm).backends():
        raise InputError(f"--backend must be native or sb3, and able to train {algorithm}; got '{backend}'.")
    if backend == "sb3":
        from tuner.training.sb3.trainer import SB3Trainer

        return SB3Trainer(observer)
    files = None
    if checkpoints is not None:
        from tuner.training.run_checkpoint import RunCheckpoints

        files = RunCheckpoints(checkpoints)
    return registered(algorithm).trainer(lanes, observer, files)


def check_trainable(backend: str, hyperparameters: Hyperparameters) -> None:
    """Find out that a backend trains these hyperparameters, before any work.

    Raises:
        InputError: An option is on that Stable-Baselines3 does not have.
    """
    if backend == "sb3":
        from tuner.training.sb3.inputs import constructor_arguments

        constructor_arguments(hyperparameters, 1)


def footprint(hyperparameters: Hyperparameters, facts: EnvFacts, n_timesteps: int, backend: str) -> Footprint:
    """Return what one run holds.

    Args:
        hyperparameters: The run's.
        facts: Its environment.
        n_timesteps: Its budget in environment steps; a replay memory is never larger.
        backend: ``native`` or ``sb3``.

    Raises:
        UnusableEnvironmentError: No encoder reads the observations.
    """
    return registered(hyperparameters.algorithm).footprint(hyperparameters, facts, n_timesteps, backend)
