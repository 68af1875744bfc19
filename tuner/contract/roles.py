"""Who takes part: dispatchers, trainers, observers, supervisors, executors.

A trainer pulls: it takes a run, reports evaluations, and says how the run ended.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Final, Protocol, runtime_checkable

import numpy as np

from tuner.contract.outcome import EvalPoint, LossCause, Outcome
from tuner.contract.spec import RunId, RunSpec


class Signal(Enum):
    """Answers to ``take`` that are not a run."""

    WAIT = "wait"
    DONE = "done"


WAIT: Final = Signal.WAIT
DONE: Final = Signal.DONE


class Dispatcher(Protocol):
    """Where a trainer gets its work and leaves its results."""

    def take(self, open_shapes: Mapping[tuple[object, ...], int], *, block: bool) -> RunSpec | Signal:
        """Return the next run for this worker.

        Args:
            open_shapes: Free lanes by stack shape in stacks that are training now; a run of such a shape is preferred.
                Empty: the caller trains nothing, and may get a run that must go alone.
            block: Wait until there is a run or nothing will ever come (the caller has nothing to train). Then the
                answer is never ``WAIT``.

        Returns:
            A run, ``WAIT`` (nothing now, perhaps after the next report) or ``DONE`` (nothing will ever come).
        """
        ...

    def report(self, points: Sequence[EvalPoint]) -> frozenset[RunId]:
        """Hand over evaluations, and return which of these runs to stop now."""
        ...

    def finish(self, outcome: Outcome) -> None:
        """Say how a run ended. Every run taken is finished exactly once, also when ``report`` stopped it."""
        ...


class EndObserver(Protocol):
    """Watches what single runs come to: what keeps their models."""

    def on_evaluated(self, point: EvalPoint, weights: Callable[[], Mapping[str, np.ndarray]]) -> None:
        """An evaluation ended; ``weights`` returns what was evaluated, in arrays that may change with the next step."""
        ...

    def on_end(self, run_id: RunId, weights: Mapping[str, np.ndarray]) -> None:
        """The run ended; ``weights`` are named and shaped as in Stable-Baselines3's Q-network
        (``q_net.0.weight`` is [out, in]), whichever backend trained it.
        """
        ...


@runtime_checkable
class RunObserver(EndObserver, Protocol):
    """Watches single runs closely: what ``tune train`` plots and saves. Studies do without, as it takes time."""

    def on_episode(self, run_id: RunId, step: int, episode_return: float, length: int) -> None:
        """A training episode ended at environment step ``step``."""
        ...

    def on_update(self, run_id: RunId, step: int, loss: float, q_value: float, epsilon: float) -> None:
        """A training call ended; means over its gradient steps, NaN where an algorithm has none."""
        ...


def close_observer(observer: EndObserver | None) -> RunObserver | None:
    """Return an observer that watches closely, or None."""
    return observer if isinstance(observer, RunObserver) else None


class Trainer(Protocol):
    """Trains whatever a dispatcher hands out until it says DONE."""

    def train(self, dispatcher: Dispatcher) -> None:
        """Loop over take, train, report, finish. An exception inside one run ends that run as ``failed`` only."""
        ...


class Supervisor(Dispatcher, Protocol):
    """What an executor needs beyond a dispatcher: it hosts trainers, and workers can die.

    One thread of the executor calls it, and waits itself for whoever may wait: ``take`` answers at once, with ``WAIT``
    where there is nothing now, whatever ``block`` says.
    """

    def lost(self, run_ids: Sequence[RunId], reason: str, cause: LossCause = "died") -> None:
        """A worker ended while it held these runs, all of its runs: they go again, or are given up."""
        ...

    def overdue(self, run_ids: Sequence[RunId], silent_s: float) -> bool:
        """Whether a worker that holds these runs is to be killed, silent for ``silent_s`` seconds as it is."""
        ...

    def slept(self, seconds: float) -> None:
        """This process did nothing for so long (stopped, suspended, waiting for a disk): no run's fault."""
        ...

    def tick(self) -> bool:
        """Called at least four times a second; returns False when workers are to be told to stop now."""
        ...


class Executor(Protocol):
    """Hosts trainers: in this process, in spawned processes, on a cluster."""

    def run(self, supervisor: Supervisor) -> None:
        """Serve workers until all have been told DONE, or until ``tick`` returns False."""
        ...
