"""How many cores there are for workers: those that the process may run on, and no more than its container's time."""

from __future__ import annotations

import math
import os
from pathlib import Path

#: Files in which Linux keeps the processor time that a container may take, for both versions of control groups:
#: microseconds in each period, and the period's.
_QUOTAS = (
    ("/sys/fs/cgroup/cpu.max",),
    ("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "/sys/fs/cgroup/cpu/cpu.cfs_period_us"),
)


def available_cores() -> int:
    """Return the cores that this process may use.

    A container with the time of two cores sees all of its machine's: a worker for each would only take memory.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [found for names in _QUOTAS if (found := _quota(names)) is not None]
    return min([cores, *(max(math.ceil(quota), 1) for quota in quotas)])


def _quota(names: tuple[str, ...]) -> float | None:
    """Return how many cores' time a container may take; None without a limit."""
    try:
        words = " ".join(Path(name).read_text(encoding="ascii") for name in names).split()
        quota, period = (float(word) for word in words[:2])  # "max" is no number
    except (OSError, ValueError):
        return None
    return quota / period if quota > 0 and period > 0 else None
