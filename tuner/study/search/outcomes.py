"""When it is certain that a trial will not complete: the outcome table's rules for one evaluation and one run's end."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tuner.contract.outcome import EvalPoint, Outcome

#: (outcome, reason) of a trial.
Verdict = tuple[str, str]


def of_point(point: EvalPoint, *, last_step: int, time_limit: float | None) -> Verdict | None:
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


def of_outcome(outcome: Outcome, points: Sequence[EvalPoint], grid: Sequence[int], *, ending: bool) -> Verdict | None:
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
