"""Compiling the native update: once on a machine, whoever needs it first, and with a line that says so."""

from __future__ import annotations

import contextlib
import fcntl
import sys
from collections.abc import Iterator
from pathlib import Path

from tuner.agents.dqn import training_call


@contextlib.contextmanager
def compiling() -> Iterator[None]:
    """Let one process compile where Numba's cache is cold, while others wait and then read what it wrote."""
    if _cached():
        yield
        return
    folder = Path(str(training_call.training_call.stats.cache_path))
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "compiling.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _cached():
            print("Compiling the native update for this processor: once, in some seconds.", file=sys.stderr)
        yield


def _cached() -> bool:
    """Return whether the cache holds what was compiled from these files as they are."""
    folder, here = Path(str(training_call.training_call.stats.cache_path)), Path(__file__).parent
    found = [path.stat().st_mtime for path in folder.glob("training_call.training_call-*.nbi")]
    names = ("products", "kernels", "pictures", "training_call")
    return bool(found) and max(found) > max((here / f"{name}.py").stat().st_mtime for name in names)
