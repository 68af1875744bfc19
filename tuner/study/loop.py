"""The supervisor: hands runs to trainers, judges their evaluations, and settles every trial exactly once.

A small state machine over trials in flight. It knows outcomes, not databases (that is ``record.py``) and not processes
(that is ``tuner.execution``). New trials are asked for inside :meth:`StudySupervisor.take` only, so with one worker the
whole study is reproducible.
"""

from __future__ import annotations

import math
import re
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tuner.errors import DivergedError, StudyFailedError
from tuner.study.objective import trial_score, value_at
from tuner.study.plan import StudyPlan
from tuner.study.progress import BestTrial, NoProgress, ProgressListener, RunningTrial, Snapshot
from tuner.study.record import AskedTrial, Settled, StudyRecord, TrialEnd
from tuner.training.types import DONE, WAIT, EvalPoint, Outcome, RunId, RunSpec, Signal

#: Equal failures in a row that end the study.
FAILURES_IN_A_ROW = 10

#: Times a run may lose its worker before it is taken for the cause.
MAX_LOSSES = 3

Ending = Literal["done", "timeout", "interrupted", "failed"]


@dataclass
class _Run:
    """One seed of a trial."""

    spec: RunSpec
    state: Literal["queued", "running", "ended"] = "queued"
    points: list[EvalPoint] = field(default_factory=list)
    steps: int = 0
    elapsed_s: float = 0.0
    losses: int = 0

    @property
    def last_step(self) -> int:
        return self.points[-1].step if self.points else 0


@dataclass
class _Trial:
    """A trial in flight."""

    asked: AskedTrial
    runs: dict[int, _Run]
    verdict: tuple[str, str] | None = None  # (outcome, reason) once it is certain that it will not complete
    judged_step: int = 0

    @property
    def curves(self) -> dict[int, list[EvalPoint]]:
        return {replicate: run.points for replicate, run in self.runs.items() if run.points}

    @property
    def training(self) -> bool:
        return any(run.state == "running" for run in self.runs.values())


class StudySupervisor:
    """Implements :class:`tuner.training.types.Supervisor` for one study.

    Args:
        plan: The complete study.
        record: Its rows in the database.
        settled: What the database held at the start.
        progress: Draws it.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        plan: StudyPlan,
        record: StudyRecord,
        settled: Settled,
        *,
        progress: ProgressListener | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._plan = plan
        self._record = record
        self._progress = progress or NoProgress()
        self._clock = clock
        self._start = clock()
        self._changed = threading.Condition(threading.RLock())
        self._trials: dict[int, _Trial] = {}
        self._queue: deque[RunId] = deque()
        self._counts: Counter[str] = Counter(settled.counts)
        self._resumed = sum(settled.counts.values())
        self._best = None if settled.best is None else BestTrial(settled.best[1], settled.best[0], settled.best[2])
        self._steps = 0
        self._failures: deque[str] = deque(maxlen=FAILURES_IN_A_ROW)
        self._ending: Ending | None = None
        self._interrupted = False  # set by a signal handler, which must not wait for the lock

    # What executors and trainers call.

    def take(self, open_shapes: Mapping[tuple[object, ...], int], *, block: bool) -> RunSpec | Signal:
        """Return the next run, preferably of an open shape; ask for new trials up to the in-flight limit."""
        with self._changed:
            while True:
                self._check_ending()
                self._ask_ahead()
                if self._ending is not None:
                    return DONE
                if self._queue:
                    return self._dispatch(open_shapes)
                if not self._trials:
                    return DONE
                if not block:
                    return WAIT
                self._changed.wait(0.1)

    def report(self, points: Sequence[EvalPoint]) -> frozenset[RunId]:
        """Judge evaluations, and return which of their runs to stop."""
        with self._changed:
            self._check_ending()
            for point in points:
                self._learn(point)
            return frozenset(point.run_id for point in points if self._is_to_stop(point))

    def finish(self, outcome: Outcome) -> None:
        """Take note of a run's end, and settle its trial when it was the last."""
        with self._changed:
            run = self._running(outcome.run_id)
            if run is None:
                return  # it was lost and goes again; this is the late news of the first attempt
            trial = self._trials[outcome.run_id.trial]
            run.state, run.steps, run.elapsed_s = "ended", outcome.steps, outcome.elapsed_s
            self._record.write_curve(outcome.run_id.trial, outcome.run_id.replicate, run.points)
            if trial.verdict is None:
                trial.verdict = self._verdict(outcome, run)
            self._settle(trial)
            self._changed.notify_all()

    def lost(self, run_ids: Sequence[RunId], reason: str) -> None:
        """A worker died: its runs go again from the start."""
        with self._changed:
            for run_id in run_ids:
                run = self._running(run_id)
                if run is None:
                    continue
                trial = self._trials[run_id.trial]
                run.losses += 1
                run.steps = run.last_step
                if trial.verdict is None and run.losses >= MAX_LOSSES:
                    trial.verdict = ("failed", f"its worker died {MAX_LOSSES} times: {reason}")
                if trial.verdict is not None:
                    run.state = "ended"
                    self._settle(trial)
                else:
                    run.state, run.points = "queued", []
                    self._queue.appendleft(run_id)
            self._changed.notify_all()

    def tick(self) -> bool:
        """Draw progress; return False when workers are to stop now (time is up, interrupted, or failing)."""
        with self._changed:
            self._check_ending()
            self._progress.update(self.snapshot())
            return self._ending is None

    # What the study's owner calls.

    def interrupt(self) -> None:
        """Stop soon, keeping everything that is finished. Safe to call from a signal handler."""
        self._interrupted = True

    def close(self) -> Ending:
        """Settle whatever is still in flight once no worker trains any more, and return how the search ended."""
        with self._changed:
            self._check_ending()
            for number, trial in list(self._trials.items()):
                for run in trial.runs.values():
                    run.steps = run.steps or run.last_step
                    run.state = "ended"
                if trial.verdict is None:
                    self._record.give_up(number, f"interrupted ({self._ending or 'its workers have ended'})")
                    del self._trials[number]
                else:
                    self._settle(trial)
            self._queue.clear()
            return self._ending or "done"

    @property
    def failure(self) -> StudyFailedError | None:
        """Why no trial can succeed, or None."""
        if self._ending == "failed":
            return StudyFailedError(
                f"{FAILURES_IN_A_ROW} trials in a row failed in the same way: {self._failures[-1]} "
                "Mend that and run the same command again."
            )
        return None

    @property
    def finished(self) -> int:
        """Trials that count, stored ones included."""
        return self._counts.total()

    def snapshot(self) -> Snapshot:
        """Return the study at this moment."""
        with self._changed:
            elapsed = self._clock() - self._start
            fresh = self.finished - self._resumed
            left = max(self._plan.recipe.trials - self.finished, 0)
            return Snapshot(
                name=self._plan.name,
                trials=self._plan.recipe.trials,
                counts=dict(self._counts),
                resumed=self._resumed,
                running=tuple(self._show(n, t) for n, t in sorted(self._trials.items()) if t.training),
                best=self._best,
                steps=self._steps,
                elapsed_s=elapsed,
                eta_s=elapsed / fresh * left if fresh else None,
            )

    # Work to hand out.

    def _ask_ahead(self) -> None:
        plan = self._plan
        while (
            self._ending is None
            and len(self._trials) < plan.trials_in_flight
            and self._runs_in_flight() < plan.runs_in_flight
            and self.finished + len(self._trials) < plan.recipe.trials
        ):
            asked = self._record.ask()
            trial = _Trial(asked, {})
            self._trials[asked.number] = trial
            if asked.hyperparameters is None:
                trial.verdict = ("failed", asked.problem)
                self._settle(trial)
                continue
            for replicate, seed in enumerate(asked.seeds):
                run_id = RunId(asked.number, replicate)
                trial.runs[replicate] = _Run(plan.run_spec(run_id, asked.hyperparameters, seed))
                self._queue.append(run_id)

    def _dispatch(self, open_shapes: Mapping[tuple[object, ...], int]) -> RunSpec:
        chosen = next((i for i in self._queue if open_shapes.get(self._run(i).spec.shape, 0) > 0), self._queue[0])
        self._queue.remove(chosen)
        run = self._run(chosen)
        run.state = "running"
        return run.spec

    def _run(self, run_id: RunId) -> _Run:
        return self._trials[run_id.trial].runs[run_id.replicate]

    def _runs_in_flight(self) -> int:
        return sum(run.state != "ended" for trial in self._trials.values() for run in trial.runs.values())

    def _running(self, run_id: RunId) -> _Run | None:
        trial = self._trials.get(run_id.trial)
        run = trial.runs.get(run_id.replicate) if trial is not None else None
        return run if run is not None and run.state == "running" else None

    # What evaluations mean.

    def _learn(self, point: EvalPoint) -> None:
        run = self._running(point.run_id)
        if run is None or point.step <= run.last_step:
            return
        self._steps += point.step - run.last_step
        run.points.append(point)
        trial = self._trials[point.run_id.trial]
        if trial.verdict is not None:
            return
        limit = self._plan.recipe.trial_timeout
        if not math.isfinite(point.mean_return):
            trial.verdict = ("diverged", f"mean return {point.mean_return} at step {point.step} is not finite")
        elif limit is not None and point.elapsed_s > limit and point.step < self._plan.grid[-1]:
            trial.verdict = (
                "timed_out",
                f"{point.elapsed_s:.0f} s of training by step {point.step}, limit {limit:g} s",
            )
        else:
            self._judge(trial, point.step)

    def _judge(self, trial: _Trial, step: int) -> None:
        """Report a grid step once all seeds in training have reached it, and ask the pruner.

        The value is the mean over the seeds so far. Seeds that come later (they waited for a free lane) correct the
        stored value; the trial has passed that step already.
        """
        number = trial.asked.number
        waiting_for = [r for r in trial.runs.values() if r.state == "running" and r.last_step < step]
        if step > trial.judged_step:
            if waiting_for:
                return
            trial.judged_step = step
            self._record.report(number, step, value_at(step, trial.curves))
            if self._record.stops(number, step):
                trial.verdict = ("pruned", "")
        elif len(trial.runs) > 1:
            self._record.report(number, step, value_at(step, trial.curves))

    def _is_to_stop(self, point: EvalPoint) -> bool:
        run = self._running(point.run_id)
        if run is None:
            return True
        if self._trials[point.run_id.trial].verdict is not None:
            return True
        # A run at its last grid point is complete: stopping it would throw it away.
        return self._ending is not None and point.step < self._plan.grid[-1]

    # How runs and trials end.

    def _verdict(self, outcome: Outcome, run: _Run) -> tuple[str, str] | None:
        if outcome.kind == "completed":
            if [p.step for p in run.points] == list(self._plan.grid):
                return None
            return ("failed", f"the trainer reported {len(run.points)} of {len(self._plan.grid)} evaluations")
        if outcome.kind == "stopped":
            if self._ending is not None or self._interrupted:
                return None  # close() gives the trial up, and its successor trains again
            return ("failed", "the trainer stopped the run without being asked to")
        return (outcome.kind, outcome.reason)

    def _settle(self, trial: _Trial) -> None:
        """Tell the database when nothing of the trial trains any more and its outcome is certain."""
        if trial.verdict is not None:
            self._cancel(trial)
        if trial.training or any(run.state == "queued" for run in trial.runs.values()):
            return
        score = None
        if trial.verdict is None:
            if any(run.last_step < self._plan.grid[-1] for run in trial.runs.values()):
                return  # stopped because the study is ending
            try:
                score = trial_score(self._plan.recipe.objective, trial.curves)
            except DivergedError as error:
                trial.verdict = ("diverged", str(error))
        outcome, reason = trial.verdict or ("completed", "")
        runs = trial.runs.values()
        steps, seconds = sum(run.steps for run in runs), sum(run.elapsed_s for run in runs)
        self._record.tell(trial.asked.number, TrialEnd(outcome, score, steps, seconds, reason))
        del self._trials[trial.asked.number]
        self._count(trial, outcome, score, reason)

    def _cancel(self, trial: _Trial) -> None:
        for replicate, run in trial.runs.items():
            if run.state == "queued":
                run.state = "ended"
                self._queue.remove(RunId(trial.asked.number, replicate))

    def _count(self, trial: _Trial, outcome: str, score: float | None, reason: str) -> None:
        self._counts[outcome] += 1
        if score is not None and (self._best is None or score > self._best.score):
            self._best = BestTrial(trial.asked.number, score, trial.asked.params)
        if outcome != "failed":
            self._failures.clear()
            return
        if self._failures and _kind_of(self._failures[-1]) != _kind_of(reason):
            self._failures.clear()
        self._failures.append(reason)
        if len(self._failures) == FAILURES_IN_A_ROW and self._ending is None:
            self._ending = "failed"

    def _check_ending(self) -> None:
        if self._ending is not None:
            return
        limit = self._plan.recipe.timeout
        if self._interrupted:
            self._ending = "interrupted"
        elif limit is not None and self._clock() - self._start >= limit and self.finished < self._plan.recipe.trials:
            self._ending = "timeout"

    def _show(self, number: int, trial: _Trial) -> RunningTrial:
        step = max((run.last_step for run in trial.runs.values()), default=0)
        value = value_at(step, trial.curves) if step else None
        return RunningTrial(number, step, self._plan.grid[-1], value, trial.asked.params)


def _kind_of(reason: str) -> str:
    """Return a failure without its numbers: the same error at another step is the same error."""
    return re.sub(r"\d+", "#", reason)
