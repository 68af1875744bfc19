"""Whether a score reaches the return at which an environment counts as solved."""

from __future__ import annotations

from tuner.core.statistics import ROUNDING


def reaches(score: float, threshold: float) -> bool:
    """Return whether a score is the threshold or above, the rounding of means aside: that of three 0.7 is below 0.7.

    Args:
        score: A run's or a trial's.
        threshold: The environment's own 'solved' return.
    """
    return score >= threshold - ROUNDING * abs(threshold)
