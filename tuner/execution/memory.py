"""Memory of workers: what one takes, what it may take, and whether the system has killed for want of it."""

from __future__ import annotations

import contextlib
from pathlib import Path

import psutil

#: Part of the machine's memory that all workers together may take.
WORKERS_PART = 0.95

_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
_COUNTERS = (Path("/proc/vmstat"), Path("/sys/fs/cgroup/memory.events"))


def share_of_memory(workers: int) -> int:
    """Return the bytes one of ``workers`` workers may take: an even share of the machine, or of its container."""
    total = psutil.virtual_memory().total
    with contextlib.suppress(OSError, ValueError):
        total = min(total, int(_CGROUP_LIMIT.read_text(encoding="ascii")))  # "max" where there is no limit
    return int(total * WORKERS_PART) // workers


def memory_of(pid: int | None) -> int:
    """Return the resident bytes of a process; 0 when it is gone."""
    with contextlib.suppress(psutil.Error):
        return int(psutil.Process(pid).memory_info().rss)
    return 0


def oom_kills() -> int:
    """Return how many processes the system has killed for want of memory so far; 0 where it does not say."""
    count = 0
    for path in _COUNTERS:
        with contextlib.suppress(OSError, ValueError):
            for line in path.read_text(encoding="ascii").splitlines():
                name, _, value = line.partition(" ")
                if name == "oom_kill":
                    count += int(value)
    return count


def offer_to_oom_killer() -> None:
    """Let the system take this process rather than its supervisor when memory runs out (Linux)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500", encoding="ascii")
