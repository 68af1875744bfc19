"""How reliable a setting is on the verdict's seeds: worst seed, worst quarter, how often the threshold is reached."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tuner.core.confidence_sequence import betting_interval
from tuner.core.reliability import worst_quarter
from tuner.core.statistics import share_interval
from tuner.result.confirmation import Confirmation, ConfirmRun, Contestant
from tuner.result.threshold import reaches

#: How a run ended that learned, and did not get to its last step.
ENDED = ("diverged", "timed_out")


def reliability(confirmation: Confirmation, contestant: Contestant, threshold: float | None) -> dict[str, Any] | None:
    """Return a contestant's reliability; None without a score of the verdict.

    Args:
        confirmation: The stage.
        contestant: One of its settings.
        threshold: The environment's own 'solved' return.

    Returns:
        ``worst`` (``seed``, ``score`` or None, ``outcome``: a run that diverged is worse than any score),
        ``worst_quarter`` and ``reached``: None without a threshold, else ``threshold``, ``runs``, ``n`` (a run that
        diverged has not reached it, one that failed does not count), the ``share`` with its interval ``low``, ``high``
        and whether that holds at every look (``sequence``).
    """
    scores = confirmation.scores(contestant, "verdict")
    runs = [run for run in contestant.phase("verdict") if run.outcome != "failed"]
    if not scores or not runs:
        return None
    by_run = [run.score(confirmation.objective) for run in runs]
    worst = min(range(len(runs)), key=lambda i: (by_run[i] is not None, by_run[i]))
    found: dict[str, Any] = {
        "worst": {"seed": runs[worst].seed, "score": by_run[worst], "outcome": runs[worst].outcome},
        "worst_quarter": worst_quarter(scores),
        "reached": None,
    }
    if threshold is not None:
        reached = [float(score is not None and reaches(score, threshold)) for score in by_run]
        hits, n, until = int(sum(reached)), len(reached), confirmation.until
        low, high = share_interval(hits, n) if until is None else betting_interval(reached, (0.0, 1.0), until.level)
        found["reached"] = {
            "threshold": threshold, "runs": hits, "n": n, "share": hits / n, "low": low, "high": high,
            "sequence": until is not None,
        }  # fmt: skip
    return found


def evaluations_by_step(runs: Sequence[ConfirmRun], floor: float | None) -> dict[int, list[float]]:
    """Return the mean return of each run at each step that one of them has reached.

    A run that diverged or ran out of time counts on as the worst there, and as the floor at most: a curve of those that
    are left would rise where the others fall away. One that failed, or is still in training, counts as far as it got.

    Args:
        runs: Of one setting.
        floor: What a run that diverged counts as at most; None: it is left out, as it is where that is not stored.
    """
    reached = [[point for point in run.curve if math.isfinite(point.mean)] for run in runs]
    found: dict[int, list[float]] = {}
    for step, mean in sorted((point.step, point.mean) for curve in reached for point in curve):
        found.setdefault(step, []).append(mean)
    ended = [curve[-1].step if curve else 0 for run, curve in zip(runs, reached, strict=True) if run.outcome in ENDED]
    if floor is not None:
        for step, means in found.items():
            means += [min(floor, *means)] * sum(last < step for last in ended)
    return found


def worst_quarter_by_step(runs: Sequence[ConfirmRun], floor: float | None) -> list[float]:
    """Return the mean of the lowest quarter of :func:`evaluations_by_step` at each of its steps."""
    return [worst_quarter(means) for means in evaluations_by_step(runs, floor).values()]
