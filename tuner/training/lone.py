"""Trains one run after the other behind the common seam: what algorithms without a stack share."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from numpy.typing import NDArray

from tuner.errors import DivergedError
from tuner.training.lane import describe
from tuner.training.types import DONE, Dispatcher, EvalPoint, Outcome, OutcomeKind, RunObserver, RunSpec


class LoneRun(Protocol):
    """One run in progress.

    Attributes:
        clock: How far it is, in the unit of its grid.
    """

    clock: int

    def points(self, started: float) -> Iterator[EvalPoint]:
        """Train, and yield each evaluation; ``started`` is the reading of the clock that times the run."""
        ...

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        """Return what has been learned so far, as a file would hold it."""
        ...

    def close(self) -> None:
        """Release the environments."""
        ...


class LoneTrainer:
    """Trains one run at a time.

    Args:
        begin: From a run's spec and the observer to the run.
        observer: Watches single runs, or None.
    """

    def __init__(self, begin: Callable[[RunSpec, RunObserver | None], LoneRun], observer: RunObserver | None) -> None:
        self._begin = begin
        self._observer = observer

    def train(self, dispatcher: Dispatcher) -> None:
        """Take, train and finish until there is nothing more."""
        while True:
            spec = dispatcher.take({}, block=True)
            if spec is DONE:
                return
            assert isinstance(spec, RunSpec)
            dispatcher.finish(self._train_one(spec, dispatcher))

    def _train_one(self, spec: RunSpec, dispatcher: Dispatcher) -> Outcome:
        started = time.perf_counter()
        run: LoneRun | None = None
        kind: OutcomeKind = "completed"
        reason = detail = ""
        reporting = False
        try:
            run = self._begin(spec, self._observer)
            for point in run.points(started):
                reporting = True  # what the dispatcher raises is no failure of this run
                stop = dispatcher.report([point])
                reporting = False
                if spec.run_id in stop and point.step < spec.n_timesteps:
                    kind = "stopped"
                    break
        except DivergedError as error:
            if reporting:
                raise
            kind, reason = "diverged", str(error)
        except Exception as error:
            if reporting:
                raise
            kind, reason, detail = "failed", describe(error), "".join(traceback.format_exception(error))
        finally:
            if run is not None:
                run.close()
        if run is not None and self._observer is not None:
            self._observer.on_end(spec.run_id, run.arrays())
        clock = run.clock if run is not None else 0
        return Outcome(spec.run_id, kind, clock, time.perf_counter() - started, reason, detail)
