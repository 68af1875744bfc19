"""One trainer in this process: for debugging, and for anything too small to be worth a worker."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from tuner.contract.outcome import EvalPoint, Outcome
from tuner.contract.roles import DONE, WAIT, Signal, Supervisor, Trainer
from tuner.contract.spec import RunId, RunSpec
from tuner.surroundings import Surroundings

#: Seconds between two looks for work while there is none.
POLL_S = 0.05


class InlineExecutor:
    """Hosts one trainer in the calling thread. What the trainer raises comes through, with its traceback.

    The supervisor's ``tick`` is called at every take, report and finish, so no more often than training comes by.

    Args:
        make_trainer: Makes the trainer.
    """

    def __init__(self, make_trainer: Callable[[], Trainer]) -> None:
        self._make_trainer = make_trainer

    def run(self, supervisor: Supervisor) -> None:
        """Train until the supervisor says DONE, or its ``tick`` says stop."""
        own = Surroundings.of_this_process()
        try:
            self._make_trainer().train(_TickingDispatcher(supervisor, own))
        finally:
            own.restore()


class _TickingDispatcher:
    def __init__(self, supervisor: Supervisor, own: Surroundings) -> None:
        self._supervisor = supervisor
        self._own = own
        self._stopping = False

    def take(self, open_shapes: Mapping[tuple[object, ...], int], *, block: bool) -> RunSpec | Signal:
        with self._own.back():
            while self._goes_on():
                answer = self._supervisor.take(open_shapes, block=False)
                if answer is not WAIT or not block:
                    return answer
                time.sleep(POLL_S)
            return DONE

    def report(self, points: Sequence[EvalPoint]) -> frozenset[RunId]:
        with self._own.back():
            stop = self._supervisor.report(points)
            return stop if self._goes_on() else stop | {point.run_id for point in points}

    def finish(self, outcome: Outcome) -> None:
        with self._own.back():
            self._supervisor.finish(outcome)
            self._goes_on()

    def _goes_on(self) -> bool:
        # Once stopping, always stopping; ticks go on, since they also keep the display and the storage alive.
        self._stopping = not self._supervisor.tick() or self._stopping
        return not self._stopping
