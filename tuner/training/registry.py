"""Who trains an algorithm, what it leaves, and what it holds: the one place that goes from names to code.

An algorithm with a trainer of our own has an entry here. One that only Stable-Baselines3 has needs none: its dataclass
of hyperparameters names the class. Heavy libraries are imported only once they are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from tuner.errors import InputError
from tuner.hyperparameters import Hyperparameters, algorithm_class
from tuner.training.cost.footprint import Footprint, of_data, of_dqn, of_pairs, of_sb3, of_table
from tuner.training.saved.fitted_policy import fitted_policy
from tuner.training.saved.network_policy import network_policy
from tuner.training.saved.sampled_policy import sampled_policy
from tuner.training.saved.table_policy import table_policy

if TYPE_CHECKING:
    from tuner.contract.roles import EndObserver, Trainer
    from tuner.envs.make import EnvFacts
    from tuner.training.run_checkpoint import Checkpoints

Array = NDArray[Any]


class GreedyPolicy(Protocol):
    """What was learned, out of a file."""

    @property
    def input_size(self) -> int:
        """Length of the input vector."""
        ...

    @property
    def n_actions(self) -> int:
        """Number of actions, or of numbers in a continuous one."""
        ...

    def act(self, inputs: Array) -> Array:
        """Return greedy actions for network inputs ``[..., input_size]``.

        Indices ``[...]`` from 0, or continuous actions ``[..., *shape of one]``.
        """
        ...


class Registered(NamedTuple):
    """The code of one algorithm.

    Attributes:
        trainer: From (lanes, observer, checkpoints) to a trainer of our own.
        policy: From the arrays of a file, the hyperparameters and the run's seed to what was learned; raises KeyError
            or ValueError where they do not fit.
        footprint: From hyperparameters, environment, steps of a run and backend to what a run holds.
        precision: Type of the numbers in a file.
    """

    trainer: Callable[[int, EndObserver | None, Checkpoints | None], Trainer]
    policy: Callable[[Mapping[str, Array], Any, int], GreedyPolicy]
    footprint: Callable[[Any, EnvFacts, int, str], Footprint]
    precision: type[np.floating[Any]]


def _stack(lanes: int, observer: EndObserver | None, files: Checkpoints | None) -> Trainer:
    from tuner.training.stack.trainer import NativeTrainer

    return NativeTrainer(lanes, observer, checkpoints=files)


def _tabular(lanes: int, observer: EndObserver | None, files: Checkpoints | None) -> Trainer:
    from tuner.training.lone.tabular import TabularRun
    from tuner.training.lone.trainer import LoneTrainer

    return LoneTrainer(TabularRun, observer, files)


def _fitted(lanes: int, observer: EndObserver | None, files: Checkpoints | None) -> Trainer:
    from tuner.training.lone.fitted import FittedRun
    from tuner.training.lone.trainer import LoneTrainer

    return LoneTrainer(FittedRun, observer, files)


def _sampled(lanes: int, observer: EndObserver | None, files: Checkpoints | None) -> Trainer:
    from tuner.training.lone.sampled import SampledRun
    from tuner.training.lone.trainer import LoneTrainer

    return LoneTrainer(SampledRun, observer, files)


def _nobody(lanes: int, observer: EndObserver | None, files: Checkpoints | None) -> Trainer:
    raise NotImplementedError("only Stable-Baselines3 trains it")


def _sb3_policy(arrays: Mapping[str, Array], hyperparameters: Any, seed: int) -> GreedyPolicy:
    from tuner.training.sb3.saved import sb3_policy

    return sb3_policy(arrays, hyperparameters)


#: Algorithms with a trainer of our own. A table keeps its precision, so that equal values stay equal.
_OWN = {
    "dqn": Registered(_stack, network_policy, of_dqn, np.float32),
    "q_learning": Registered(_tabular, table_policy, of_table, np.float64),
    "fqi": Registered(_fitted, fitted_policy, of_data, np.float64),
    "sampled_dqn": Registered(_sampled, sampled_policy, of_pairs, np.float32),
}
_ONLY_SB3 = Registered(_nobody, _sb3_policy, of_sb3, np.float32)


def registered(algorithm: str) -> Registered:
    """Return the code of an algorithm."""
    return _OWN.get(algorithm, _ONLY_SB3)


def make_trainer(
    backend: str,
    algorithm: str,
    lanes: int,
    observer: EndObserver | None = None,
    checkpoints: Path | Checkpoints | None = None,
) -> Trainer:
    """Return the trainer of an algorithm.

    ``functools.partial(make_trainer, backend, algorithm, lanes)`` is what executors take: it can be sent to a worker.

    Args:
        backend: ``native`` or ``sb3``.
        algorithm: Name of the algorithm.
        lanes: Runs trained side by side; only the native deep Q-network trains more than one.
        observer: Watches single runs, or None.
        checkpoints: Where long runs are saved, and go on from, or the folder for it; None where they start over, as
            Stable-Baselines3's always do.

    Raises:
        InputError: Nobody of that name trains that algorithm.
    """
    if backend not in algorithm_class(algorithm).backends():
        raise InputError(f"--backend must be native or sb3, and able to train {algorithm}; got '{backend}'.")
    if backend == "sb3":
        from tuner.training.sb3.trainer import SB3Trainer

        return SB3Trainer(observer)
    if isinstance(checkpoints, Path):
        from tuner.training.run_checkpoint import RunCheckpoints

        checkpoints = RunCheckpoints(checkpoints)
    return registered(algorithm).trainer(lanes, observer, checkpoints)


def check_trainable(backend: str, hyperparameters: Hyperparameters) -> None:
    """Find out that a backend trains these hyperparameters, before any work.

    Raises:
        InputError: An option is on that Stable-Baselines3 does not have.
    """
    if backend == "sb3":
        from tuner.training.sb3.arguments import constructor_arguments

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
