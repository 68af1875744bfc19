"""Compiling the native update: once on a machine, whoever needs it first, and with a line that says so."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

import numba

from tuner.agents.dqn import training_call
from tuner.durable import replace_file

#: The compiled files. Numba looks at one alone, and would go on with what others that it calls held before.
COMPILED = ("products", "kernels", "pictures", "training_call")


@contextlib.contextmanager
def compiling() -> Iterator[None]:
    """Let one process compile where the cache is cold or of other files, while others wait and then read it."""
    folder = cache_folder()
    if _is_cached(folder):
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "compiling.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _is_cached(folder):
            yield
            return
        print("Compiling the native update for this processor: once, in some seconds.", file=sys.stderr)
        for path in folder.glob("*.nb[ic]"):
            if path.name.split(".")[0] in COMPILED:
                path.unlink(missing_ok=True)
        yield
        replace_file(_stamp(folder), sources().encode())


def cache_folder() -> Path:
    """Return where Numba keeps what it compiles."""
    return Path(str(training_call.training_call.stats.cache_path))


def sources(folder: Path = Path(__file__).parent) -> str:
    """Return what tells one state of the compiled files, and of Numba, from all others."""
    found = hashlib.sha256(numba.__version__.encode())
    for name in COMPILED:
        found.update((folder / f"{name}.py").read_bytes())
    return found.hexdigest()


def _stamp(folder: Path) -> Path:
    return folder / "compiled_from.txt"


def _is_cached(folder: Path) -> bool:
    try:
        return _stamp(folder).read_text() == sources()
    except OSError:
        return False
