"""The outcome table: what an evaluation, a run's end, a worker's death and all runs together mean for a trial.

A worker's death charges no run unless it was alone in the worker: one bad run must not charge its neighbours, nor take
workers down for ever. Runs that were there at two deaths among neighbours go again alone, each in a worker of its own,
where the guilty one shows itself. A silent worker, or one that took too much memory, is proof that one of its runs is
guilty, so its runs go alone at once.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Sequence

from tuner.contract.objective import trial_score
from tuner.contract.outcome import EvalPoint, LossCause, Outcome
from tuner.errors import DivergedError, StudyFailedError
from tuner.result.study import StudyData
from tuner.study.search.open_trials import OpenTrial, Run
from tuner.study.search.trial import TrialEnd

#: (outcome, reason) of a trial whose end is certain.
Decision = tuple[str, str]

#: Deaths at one place, between the same two evaluations, before a run is given up. A run is a pure function of its
#: spec: one that kills its worker does so at the same step every time, a stranger's kill comes anywhere.
MAX_CHARGES = 3

#: Deaths anywhere, or by a signal that no run sends itself, before a run is given up.
MAX_DEATHS_ALONE = 10

#: Deaths among neighbours, wherever in its training, after which a run goes alone.
MAX_DEATHS_IN_COMPANY = 2


def of_point(point: EvalPoint, *, last_step: int, time_limit: float | None) -> Decision | None:
    """Return why an evaluation ends its trial, or None.

    Args:
        point: The evaluation.
        last_step: The run's budget. A run that got there is complete, in time or not.
        time_limit: Training seconds a run may take, or None.
    """
    if not math.isfinite(point.mean_return):
        return ("diverged", f"mean return {point.mean_return} at step {point.step} is not finite")
    if time_limit is not None and point.elapsed_s > time_limit and point.step < last_step:
        return ("timed_out", f"{point.elapsed_s:.0f} s of training by step {point.step}, limit {time_limit:g} s")
    return None


def of_outcome(outcome: Outcome, points: Sequence[EvalPoint], grid: Sequence[int], *, ending: bool) -> Decision | None:
    """Return what a run's end means for its trial; None when the trial may still complete.

    Args:
        outcome: How the run ended.
        points: Its evaluations.
        grid: Where it was to be evaluated.
        ending: The study is ending: a stopped run is then given up, and its trial's successor trains again.
    """
    if outcome.kind == "completed":
        if [p.step for p in points] == list(grid):
            return None
        return ("failed", f"the trainer reported {len(points)} of {len(grid)} evaluations")
    if outcome.kind == "stopped":
        return None if ending else ("failed", "the trainer stopped the run without being asked to")
    return (outcome.kind, outcome.reason)


def charge(run: Run, *, alone: bool, cause: LossCause, reason: str) -> Decision | None:
    """Note a death that ``run`` was present at, and return why its trial is given up, or None: it goes again.

    Args:
        run: A run that its worker held.
        alone: Whether it was the only one.
        cause: What ended the worker.
        reason: In words.
    """
    if cause == "stopped":
        return None
    if not alone:
        run.deaths += 1
        if cause in ("silent", "memory") or run.deaths >= MAX_DEATHS_IN_COMPANY:
            run.spec = dataclasses.replace(run.spec, alone=True)
        return None
    if cause == "silent":
        return ("timed_out", reason)
    if cause == "memory":
        return ("failed", f"out of memory: {reason}")
    run.charges[run.last_step] += 1
    at_one_place = cause == "died" and run.charges[run.last_step] >= MAX_CHARGES
    if at_one_place or run.charges.total() >= MAX_DEATHS_ALONE:
        return ("failed", f"its worker died {run.charges.total()} times: {reason}")
    return None


def end_of_trial(trial: OpenTrial, objective: str) -> TrialEnd | None:
    """Return how a trial ended; None when its runs were stopped before their end before anything was decided.

    Args:
        trial: None of its runs trains or waits.
        objective: Name of the score.
    """
    score, decided, runs = None, trial.decided, trial.runs.values()
    if decided is None:
        if any(run.last_step < run.spec.n_timesteps for run in runs):
            return None
        try:
            score = trial_score(objective, trial.curves)
        except DivergedError as error:
            decided = ("diverged", str(error))
    outcome, reason = decided or ("completed", "")
    means = [point.mean_return for run in runs for point in run.points]
    curve_mean = sum(means) / len(means) if means else -math.inf
    steps, seconds = sum(run.steps for run in runs), sum(run.elapsed_s for run in runs)
    evaluating = sum(point.evaluation_s for run in runs for point in run.points)
    return TrialEnd(outcome, score, steps, seconds, reason, curve_mean, evaluating)


def nothing_learned(data: StudyData) -> StudyFailedError | None:
    """Return why no trial was of any use, or None."""
    ended = [t for t in data.trials if t.outcome in ("completed", "pruned", "diverged", "timed_out", "failed")]
    if not ended or any(t.outcome in ("completed", "pruned") for t in ended):
        return None
    reasons = Counter(f"{t.outcome}: {t.reason}" for t in ended).most_common(3)
    listed = "; ".join(f"{count} x {reason}" for reason, count in reasons)
    return StudyFailedError(f"No trial has completed ({listed}).")
