"""Whether a score reaches the return at which an environment counts as solved."""

from __future__ import annotations

#: Share of the threshold that a score may lack by the rounding of means: three evaluations of 0.7 have a mean below it.
ROUNDING = 1e-10


def reaches(score: float, threshold: float) -> bool:
    """Return whether a score is the threshold or above, the rounding of means aside.

    Args:
        score: A run's or a trial's.
        threshold: The environment's own 'solved' return.
    """
    return score >= threshold - ROUNDING * abs(threshold)
