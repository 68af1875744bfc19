"""The shared objective: from a trial's evaluations to its score. Every backend goes through it.

Notation: a run is evaluated at grid steps ``g[1] < ... < g[n]`` with mean returns ``m[1..n]``; ``g[0] = 0``.

========  =========================================================  ==========================================
score     formula                                                    meaning
========  =========================================================  ==========================================
late      mean of ``m`` over the last ``ceil(n / 3)`` grid points    how good the policy is, robust to one dip
final     ``m[n]``                                                   what the last policy does
best      ``max(m)``                                                 the best policy seen
auc       ``sum(m[i] * (g[i] - g[i-1])) / g[n]``                     how fast it learns (area under the curve)
worst     as ``late``                                                likewise; the confirm stage chooses the winner by
                                                                     the mean of the worst quarter of its seeds
========  =========================================================  ==========================================

A trial trained with several seeds scores the mean of its runs' scores.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from tuner.contract.grid import late_points
from tuner.errors import DivergedError

if TYPE_CHECKING:
    from tuner.contract.outcome import EvalPoint


def late(steps: Sequence[int], means: Sequence[float]) -> float:
    """Return the mean over the last third (rounded up) of the evaluations."""
    last = means[-late_points(len(means)) :]
    return sum(last) / len(last)


def final(steps: Sequence[int], means: Sequence[float]) -> float:
    """Return the last evaluation."""
    return means[-1]


def best(steps: Sequence[int], means: Sequence[float]) -> float:
    """Return the highest evaluation."""
    return max(means)


def auc(steps: Sequence[int], means: Sequence[float]) -> float:
    """Return the area under the learning curve over the budget; an evaluation stands for the steps before it."""
    starts = [0, *steps[:-1]]
    return sum(m * (end - start) for m, start, end in zip(means, starts, steps, strict=True)) / steps[-1]


#: Name (as ``--objective`` takes it) to the function from steps and mean returns to a score.
OBJECTIVES: dict[str, Callable[[Sequence[int], Sequence[float]], float]] = {
    "late": late,
    "final": final,
    "best": best,
    "auc": auc,
    "worst": late,
}


def run_score(objective: str, points: Sequence[EvalPoint]) -> float:
    """Return the score of one run.

    Args:
        objective: A key of :data:`OBJECTIVES`.
        points: Evaluations at every grid step, in order of steps; at least one.

    Raises:
        DivergedError: An evaluation, or the score, is not finite.
    """
    for point in points:
        if not math.isfinite(point.mean_return):
            raise DivergedError(f"mean return {point.mean_return} at step {point.step} is not finite.")
    score = OBJECTIVES[objective]([p.step for p in points], [p.mean_return for p in points])
    if not math.isfinite(score):
        raise DivergedError(f"score '{objective}' is {score}, which is not finite.")
    return score


def trial_score(objective: str, curves: Mapping[int, Sequence[EvalPoint]]) -> float:
    """Return the score of a trial: the mean of its runs' scores.

    Args:
        objective: A key of :data:`OBJECTIVES`.
        curves: Evaluations by replicate; at least one replicate.

    Raises:
        DivergedError: Something is not finite.
    """
    scores = [run_score(objective, points) for _, points in sorted(curves.items())]
    return sum(scores) / len(scores)


def rank(score: float, curve_mean: float, number: int) -> tuple[float, float, int]:
    """Return what trials are sorted by, the best first: the one rule for "best", ties included.

    The higher score; of equals the higher mean of the whole curve, which learned sooner; then the earlier trial.

    Args:
        score: The trial's score.
        curve_mean: Mean return over all evaluations of all its seeds.
        number: Its number.
    """
    return (-score, -curve_mean, number)


def value_at(step: int, curves: Mapping[int, Sequence[EvalPoint]]) -> float:
    """Return what the pruner sees at a grid step: the mean return over the seeds that have reached it.

    Raises:
        ValueError: No seed has reached ``step``.
    """
    means = [p.mean_return for _, points in sorted(curves.items()) for p in points if p.step == step]
    if not means:
        raise ValueError(f"no run has an evaluation at step {step}.")
    return sum(means) / len(means)
