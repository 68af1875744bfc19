"""From the names of a backend and an algorithm to a trainer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tuner.errors import InputError
from tuner.hyperparameters import algorithm_class

if TYPE_CHECKING:
    from tuner.contract.roles import RunObserver, Trainer


def make_trainer(
    backend: str, algorithm: str, lanes: int, observer: RunObserver | None = None, checkpoints: Path | None = None
) -> Trainer:
    """Return the trainer of an algorithm; heavy libraries are imported only now.

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
    algorithm_class(algorithm)
    files = None
    if checkpoints is not None:
        from tuner.training.run_checkpoint import RunCheckpoints

        files = RunCheckpoints(checkpoints)
    if (backend, algorithm) == ("native", "dqn"):
        from tuner.training.stack.trainer import NativeTrainer

        return NativeTrainer(lanes, observer, checkpoints=files)
    if (backend, algorithm) == ("sb3", "dqn"):
        from tuner.training.sb3.trainer import SB3Trainer

        return SB3Trainer(observer)
    if (backend, algorithm) == ("native", "q_learning"):
        from tuner.training.lone.tabular import TabularRun
        from tuner.training.lone.trainer import LoneTrainer

        return LoneTrainer(TabularRun, observer, files)
    if (backend, algorithm) == ("native", "fqi"):
        from tuner.training.lone.fitted import FittedRun
        from tuner.training.lone.trainer import LoneTrainer

        return LoneTrainer(FittedRun, observer, files)
    raise InputError(f"--backend must be native or sb3, and able to train {algorithm}; got '{backend}'.")
