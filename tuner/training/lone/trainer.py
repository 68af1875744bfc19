"""Trains one run after the other behind the common seam: what algorithms without a stack share."""

from __future__ import annotations

import itertools
import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tuner.contract.outcome import (
    EvalPoint,
    Outcome,
    OutcomeKind,
    describe,
    described,
    points_from_plain,
    points_to_plain,
)
from tuner.contract.roles import DONE, Dispatcher, EndObserver, RunObserver, close_observer
from tuner.contract.spec import RunSpec
from tuner.errors import DivergedError
from tuner.training.run_checkpoint import Checkpoints

logger = logging.getLogger(__name__)


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

    def keep_journal(self) -> None:
        """Be ready for :meth:`snapshot`; called before training begins."""
        ...

    def snapshot(self) -> Mapping[str, NDArray[Any]]:
        """Return all that the run has become, at an evaluation."""
        ...

    def restore(self, saved: Mapping[str, NDArray[Any]]) -> None:
        """Go on from the snapshot of the same run; this one is ready for its own, and has not begun.

        Raises:
            Exception: It cannot.
        """
        ...

    def close(self) -> None:
        """Release the environments."""
        ...


class LoneTrainer:
    """Trains one run at a time.

    Args:
        begin: From a run's spec and the observer to the run.
        observer: Watches single runs, or None.
        checkpoints: Where long runs are saved, and go on from; None where every run starts over.
    """

    def __init__(
        self,
        begin: Callable[[RunSpec, RunObserver | None], LoneRun],
        observer: EndObserver | None,
        checkpoints: Checkpoints | None = None,
    ) -> None:
        self._begin = begin
        self._observer = observer
        self._checkpoints = checkpoints

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
        saved_at = time.monotonic()
        try:
            run, points = self._start(spec)
            started -= points[-1].elapsed_s if points else 0.0
            for latest in itertools.chain([points] if points else [], self._observed(run, started)):
                reporting = True  # what the dispatcher raises is no failure of this run
                stop = dispatcher.report(latest)
                reporting = False
                ends = latest[-1].step == spec.n_timesteps
                stopped = spec.run_id in stop and not ends
                if latest is not points:
                    points += latest
                    saved_at = self._save(run, spec, points, saved_at, last=ends or stopped)
                if stopped:
                    kind = "stopped"
                    break
        except DivergedError as error:
            if reporting:
                raise
            kind, reason = "diverged", str(error)
        except Exception as error:
            if reporting:
                raise
            kind, (reason, detail) = "failed", described(error)
        finally:
            try:
                if run is not None:
                    run.close()
            except Exception as error:
                kind, (reason, detail) = "failed", described(error)
        if run is not None and self._observer is not None:
            self._observer.on_end(spec.run_id, run.arrays())
        files = self._checkpoints
        if files is not None and kind != "stopped" and not (files.keeps_ended and kind == "completed"):
            files.discard([spec])  # an interrupted one will go on
        clock = run.clock if run is not None else 0
        return Outcome(spec.run_id, kind, clock, time.perf_counter() - started, reason, detail)

    def _observed(self, run: LoneRun, started: float) -> Iterator[list[EvalPoint]]:
        for point in run.points(started):
            if self._observer is not None:
                self._observer.on_evaluated(point, run.arrays)
            yield [point]

    def _save(self, run: LoneRun, spec: RunSpec, points: list[EvalPoint], saved_at: float, *, last: bool) -> float:
        """Save a run where that is due, and return when it was saved last (monotonic seconds)."""
        files = self._checkpoints
        if files is None or not (files.keeps_ended if last else files.due(saved_at)):
            return saved_at
        files.save(spec, {**run.snapshot(), "points": np.array(json.dumps(points_to_plain(points)))})
        return time.monotonic()

    def _start(self, spec: RunSpec) -> tuple[LoneRun, list[EvalPoint]]:
        """Return a run that begins, or goes on from its file, and its evaluations so far."""
        run = self._begin(spec, close_observer(self._observer))
        if self._checkpoints is None:
            return run, []
        try:
            run.keep_journal()
            saved = self._checkpoints.load(spec)
            if saved is None:
                return run, []
        except BaseException:
            run.close()
            raise
        try:
            points = points_from_plain(spec.run_id, json.loads(str(saved["points"])))
            run.restore(saved)
        except Exception as error:  # a file may hold anything, and an environment's own code raise anything
            logger.info("Run %s cannot go on: %s.", tuple(spec.run_id), describe(error))
            run.close()
            self._checkpoints.refused(spec)
            run = self._begin(spec, close_observer(self._observer))
            run.keep_journal()
            return run, []
        return run, points
