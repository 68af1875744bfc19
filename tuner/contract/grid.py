"""The fixed environment steps at which every run of a study is evaluated."""

from __future__ import annotations

import math


def late_points(n: int) -> int:
    """Return how many of ``n`` grid points are the last third, rounded up."""
    return math.ceil(n / 3)


def evaluation_grid(n_timesteps: int, evaluations: int) -> tuple[int, ...]:
    """Return ``evaluations`` evenly spaced steps that end at ``n_timesteps``."""
    return tuple(round(n_timesteps * (i + 1) / evaluations) for i in range(evaluations))
