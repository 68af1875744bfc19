"""The fixed environment steps at which every run of a study is evaluated."""

from __future__ import annotations

import math
from collections.abc import Sequence


def late_points(n: int) -> int:
    """Return how many of ``n`` grid points are the last third, rounded up."""
    return math.ceil(n / 3)


def evaluation_grid(n_timesteps: int, evaluations: int) -> tuple[int, ...]:
    """Return ``evaluations`` evenly spaced steps that end at ``n_timesteps``."""
    return tuple(round(n_timesteps * (i + 1) / evaluations) for i in range(evaluations))


def warmup_steps(grid: Sequence[int]) -> int:
    """Return the first environment step at which a run may be pruned: the grid point after a third of the grid.

    The earliest decision falls on grid point ``floor(n / 3) + 1`` of n: of 10 evaluations the first 3 are safe.
    """
    return grid[min(len(grid) // 3, len(grid) - 1)]


def first_pruned(pruner: str, grid: Sequence[int], version: int) -> int:
    """Return the first environment step at which ``--pruner`` may stop a run.

    Args:
        pruner: Its name.
        grid: The study's.
        version: The study's ``pruning``. From 3 on the median rule may stop after a tenth of the grid: its gate lets
            no rung stop that does not tell.
    """
    if pruner == "hyperband":
        return grid[0]  # brackets begin there, and decide upon it themselves
    if pruner == "median" and version >= 3:
        return grid[min(max(len(grid) // 10, 1), len(grid) - 1)]
    return warmup_steps(grid)
