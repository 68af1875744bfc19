"""The supervisor: hands runs to trainers, reports their evaluations, and settles every trial exactly once.

A small state machine over trials in flight (``open_trials.py``). It knows outcomes, not databases (``ledger.py``) and
not processes (``tuner.execution``). New trials are asked for inside :meth:`StudySupervisor.take` only, so with one
worker the whole study is reproducible.
"""

from __future__ import annotations

import dataclasses
import functools
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Literal

from tuner.contract.objective import value_at
from tuner.contract.outcome import EvalPoint, LossCause, Outcome
from tuner.contract.roles import DONE, WAIT, Signal
from tuner.contract.spec import RunId, RunSpec
from tuner.errors import StorageLostError, StudyFailedError
from tuner.plan.resolve import StudyPlan
from tuner.study.search import outcomes
from tuner.study.search.ledger import Ledger
from tuner.study.search.open_trials import OpenTrial, OpenTrials, Run
from tuner.study.search.outage import Outage
from tuner.study.search.progress import NoProgress, PacedDrawing, ProgressListener, Snapshot, warn
from tuner.study.search.run_events import RunEvents
from tuner.study.search.tally import Tally
from tuner.study.search.trial import Settled
from tuner.training.run_checkpoint import RunCheckpoints

#: Said once after the first Ctrl-C: nothing else is to be seen until the runs in training reach an evaluation.
STOPPING = "Stopping: runs end at their next evaluation; Ctrl-C again stops at once."

Ending = Literal["done", "timeout", "interrupted", "failed"]


class StudySupervisor:
    """Implements :class:`tuner.contract.roles.Supervisor` for one study.

    Args:
        plan: The complete study.
        ledger: Its rows in the database.
        settled: What the database held at the start.
        progress: Draws it.
        events: Writes its runs for TensorBoard.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        plan: StudyPlan,
        ledger: Ledger,
        settled: Settled,
        *,
        progress: ProgressListener | None = None,
        events: RunEvents | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._plan = plan
        self._objective, self._trial_timeout = plan.recipe.objective, plan.recipe.trial_timeout
        self._ledger = ledger
        self._progress = progress or NoProgress()
        self._events = events
        self._drawing = PacedDrawing(self._progress)
        self._checkpoints = RunCheckpoints(plan.checkpoints)
        self._clock = clock
        self._start = clock()
        self._open = OpenTrials()
        self._outage = Outage(clock, functools.partial(warn, self._progress))
        self._tally = Tally(settled, plan.trials)
        self._steps = 0
        self._began: dict[RunId, float] = {}
        #: Seconds from the start to the end of each completed run, beside its neighbours.
        self._took_s: list[float] = []
        self._told_of_stop = self._refused_to_close = False
        self._ending: Ending | None = None
        self._interrupted = False  # set by a signal handler

    # What executors and trainers call.

    def take(self, open_shapes: Mapping[tuple[object, ...], int], *, block: bool) -> RunSpec | Signal:
        """Return the next run, preferably of an open shape; ask for new trials up to the in-flight limit."""
        self._check_ending()
        self._ask_ahead()
        if self._ending is not None or not (self._open or self._outage.on or self._comes_back):
            return DONE
        if self._leaves_to_others(open_shapes):
            return WAIT
        # A schedule has an order of its own, in which costs are mixed: shapes do not count.
        spec = self._open.dispatch(open_shapes, by_shape=self._ledger.left is None)
        if spec is not None:
            self._began[spec.run_id] = self._clock()
        return spec or WAIT

    def report(self, points: Sequence[EvalPoint]) -> frozenset[RunId]:
        """Take in evaluations, and return which of their runs to stop."""
        self._check_ending()
        for point in points:
            self._take_in_evaluation(point)
        return frozenset(point.run_id for point in points if self._is_to_stop(point))

    def finish(self, outcome: Outcome) -> None:
        """Take note of a run's end, and settle its trial when it was the last."""
        run = self._open.running(outcome.run_id)
        if run is None:
            return  # it was lost and goes again; this is the late end of the first attempt
        trial = self._open.trial(outcome.run_id)
        run.state, run.steps, run.elapsed_s = "ended", outcome.steps, outcome.elapsed_s
        took_s = self._clock() - self._began.pop(outcome.run_id)
        if outcome.kind == "completed":
            self._took_s.append(took_s)
        self._ledger.write_curve(outcome.run_id.trial, outcome.run_id.replicate, run.points)
        if trial.decided is None:
            ending = self._ending is not None or self._interrupted
            trial.decided = outcomes.of_outcome(outcome, run.points, run.spec.grid, ending=ending)
        self._settle(trial)

    def lost(self, run_ids: Sequence[RunId], reason: str, cause: LossCause = "died") -> None:
        """A worker ended: its runs go again from the start, unless one is charged (``outcomes.py``)."""
        for run_id in run_ids:
            run = self._open.running(run_id)
            if run is None:
                continue
            trial = self._open.trial(run_id)
            run.steps = run.last_step
            if trial.decided is None:
                trial.decided = outcomes.charge(run, alone=len(run_ids) == 1, cause=cause, reason=reason)
            if trial.decided is not None:
                run.state = "ended"
                self._settle(trial)
            else:
                self._open.again(run_id)

    def overdue(self, run_ids: Sequence[RunId], silent_s: float) -> bool:
        """Whether a worker has been silent for longer than all its runs together may still train.

        Then one of them is beyond its limit, whichever it is: lanes share their worker's time.
        """
        limit = self._trial_timeout
        return limit is not None and silent_s > self._open.time_left(run_ids, limit)

    def slept(self, seconds: float) -> None:
        """Give runs in training the seconds in which they may have waited for this process."""
        for trial in self._open:
            for run in trial.runs.values():
                if run.state == "running":
                    run.grace_s += seconds

    def tick(self) -> bool:
        """Draw progress; return False when workers are to stop now (time is up, interrupted, or failing)."""
        self._check_ending()
        if self._ending == "interrupted" and not self._told_of_stop:
            self._told_of_stop = True
            self._progress.note(STOPPING)
        self._outage.save(self._ledger)
        self._recount()
        self._drawing.draw(self.snapshot)
        return self._ending is None

    # What the study's owner calls.

    def interrupt(self) -> None:
        """Stop soon, keeping everything that is finished. Safe to call from a signal handler."""
        self._interrupted = True

    def close(self) -> Ending:
        """Settle whatever is still in flight once no worker trains any more, and return how the search ended."""
        self._check_ending()
        refused: StorageLostError | None = None
        try:
            for trial in self._open:
                try:
                    self._close(trial)
                except StorageLostError as error:  # neither told nor kept: it goes again; the next may be kept
                    refused = error
            self._open.clear_queue()
            if refused is not None:
                raise refused
            self._outage.save_all(self._ledger, patiently=self._ending != "interrupted")
        finally:
            self._ledger.close()
        return self._ending or "done"

    def _close(self, trial: OpenTrial) -> None:
        end = outcomes.end_of_trial(trial, self._objective) if trial.ended else None
        for run in trial.runs.values():
            run.steps = run.steps or run.last_step
            run.state = "ended"
        if trial.decided is None and end is None:  # an end of an open trial: the database has refused it
            why = "the time is up" if self._ending == "done" else self._ending or "its workers have ended"
            if not self._refused_to_close:
                try:
                    self._ledger.give_up(trial.asked.number, f"interrupted ({why})")
                except StorageLostError:  # the study's next run settles it, and the others: each may take ten seconds
                    self._refused_to_close = True
            self._open.remove(trial)
        else:
            self._settle(trial)

    @property
    def failure(self) -> StudyFailedError | None:
        """Why no trial can succeed, or None."""
        return StudyFailedError(self._tally.why_hopeless) if self._ending == "failed" else None

    @property
    def finished(self) -> int:
        """Trials that count, stored ones included."""
        return self._tally.finished

    def snapshot(self) -> Snapshot:
        """Return the study at this moment."""
        running = tuple(t.show() for t in self._open.by_number() if t.training)
        elapsed = self._clock() - self._start
        seen = self._tally.snapshot(self._plan.name, running, self._steps, elapsed, self._plan.unit, self._plan.clock)
        left = self._ledger.seconds_left({trial.asked.number: trial.elapsed_s for trial in self._open})
        seen = dataclasses.replace(seen, standing=self._ledger.standing)
        return seen if left is None else dataclasses.replace(seen, eta_s=left.mean, eta_range_s=(left.low, left.high))

    # Work to hand out.

    def _leaves_to_others(self, open_shapes: Mapping[tuple[object, ...], int]) -> bool:
        """Whether a worker that trains gets no more of a schedule that comes to an end.

        What cannot fill the lanes of all workers once more goes, one run at a time, to those that have nothing to do:
        then they end within a run's length of each other.
        """
        plan, left = self._plan, self._ledger.left
        lanes = plan.workers * plan.lanes
        return left is not None and plan.workers > 1 and bool(open_shapes) and left + self._open.queued <= lanes

    @property
    def _comes_back(self) -> bool:
        """Whether there may be work again: results are still to be told, or others may give trials back."""
        self._recount()
        return bool(self._ledger.unwritten) or self._ledger.others_have(self.finished)

    def _recount(self) -> None:
        counts = self._outage.recount(self._ledger)
        if counts is not None:
            self._tally.counts = Counter(counts)

    def _ask_ahead(self) -> None:
        plan = self._plan
        while (
            self._ending is None
            and not self._outage.waits
            and not self._ledger.unwritten  # results come before new work
            and len(self._open) < plan.trials_in_flight
            and self._open.runs < plan.runs_in_flight
            and (self.finished + len(self._open) < plan.trials or self._ledger.others_have(self.finished))
            and self._is_time_for_another()
        ):
            asked = self._outage.ask(self._ledger)
            if asked is None:
                return  # what comes next depends on trials in flight
            trial = OpenTrial(asked, {})
            if asked.hyperparameters is None:
                trial.decided = ("failed", asked.problem)
                self._open.add(trial)
                self._settle(trial)
                continue
            specs = asked.specs or plan.run_specs(asked.number, asked.hyperparameters, asked.seeds)
            trial.runs.update((spec.run_id.replicate, Run(spec)) for spec in specs)
            self._open.add(trial)

    def _is_time_for_another(self) -> bool:
        """Return whether a run that began now would end before the deadline, as half of those so far would."""
        deadline = self._plan.deadline
        return deadline is None or self._clock() + median(self._took_s or [0.0]) <= deadline

    # What evaluations mean.

    def _take_in_evaluation(self, point: EvalPoint) -> None:
        run = self._open.running(point.run_id)
        if run is None or point.step <= run.last_step:
            return
        self._steps += point.step - run.last_step
        run.points.append(point)
        trial = self._open.trial(point.run_id)
        if self._events is not None:
            self._events.evaluated(trial, run, point)
        if trial.decided is not None:
            return
        limit = None if self._trial_timeout is None else self._trial_timeout + run.grace_s
        trial.decided = outcomes.of_point(point, last_step=run.spec.n_timesteps, time_limit=limit)
        if trial.decided is None:
            self._report_and_prune(trial, point.step)

    def _report_and_prune(self, trial: OpenTrial, step: int) -> None:
        """Report a grid step once all seeds in training have reached it, and ask the pruner.

        The value is the mean over the seeds so far. Seeds that come later (they waited for a free lane) correct the
        stored value; the trial has passed that step already.
        """
        number = trial.asked.number
        waiting_for = [r for r in trial.runs.values() if r.state == "running" and r.last_step < step]
        if step > trial.reported_step:
            if waiting_for:
                return
            trial.reported_step = step
            self._ledger.report(number, step, value_at(step, trial.curves))
            if self._outage.stops(self._ledger, number, step):
                trial.decided = ("pruned", "")
        elif len(trial.runs) > 1:
            self._ledger.report(number, step, value_at(step, trial.curves))

    def _is_to_stop(self, point: EvalPoint) -> bool:
        run = self._open.running(point.run_id)
        if run is None or self._open.trial(point.run_id).decided is not None:
            return True
        # A run at its last grid point is complete: stopping it would throw it away.
        return self._ending is not None and point.step < run.spec.n_timesteps

    # How runs and trials end.

    def _settle(self, trial: OpenTrial) -> None:
        """Tell the database when nothing of the trial trains any more and its outcome is certain."""
        if trial.decided is not None:
            self._open.cancel(trial)
        if not trial.ended:
            return
        end = outcomes.end_of_trial(trial, self._objective)
        if end is None:
            return  # stopped because the study is ending
        self._ledger.tell(trial.asked.number, end)
        if self._events is not None:
            self._events.ended(trial, end)
        self._open.remove(trial)
        self._checkpoints.discard(run.spec for run in trial.runs.values())
        if self._ledger.was_taken_away(trial.asked.number):  # what counts is what becomes of it there
            self._recount()
        else:
            self._tally.add(trial.asked, end)
        if self._tally.hopeless and self._ending is None:
            self._ending = "failed"

    def _check_ending(self) -> None:
        if self._ending is not None:
            return
        limit, deadline = self._plan.timeout, self._plan.deadline
        if self._interrupted:
            self._ending = "interrupted"
        elif deadline is not None and self._clock() >= deadline:
            self._ending = "done"
        elif limit is not None and self._clock() - self._start >= limit and self.finished < self._plan.trials:
            self._ending = "timeout"
