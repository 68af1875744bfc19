"""Compiling the native update: each kind once on a machine, by whoever needs it first, and with a line that says so."""

from __future__ import annotations

import contextlib
import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

import numba

from tuner.agents.dqn import training_call
from tuner.durable import replace_file
from tuner.file_lock import take_lock

#: The compiled files. Numba looks at one alone, and would go on with what others that it calls held before.
COMPILED = (
    "products", "kernels", "pictures", "quantile_pairs", "quantile_kernels", "noise_kernels", "acting_kernels",
    "training_call",
)  # fmt: skip

#: Files that say from which sources a kind was compiled.
STAMPS = "compiled_*.txt"


@contextlib.contextmanager
def compiling(kind: str) -> Iterator[None]:
    """Let one process compile where the cache is cold or of other files, while others wait and then read it.

    Args:
        kind: What is compiled by itself, since its arguments have types of their own: ``vectors_float32``, say.
    """
    folder = cache_folder()
    if _is_cached(folder, kind):
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "compiling.lock").open("wb") as lock:
        with contextlib.suppress(OSError):  # where there are no locks, two compile the same
            take_lock(lock.fileno())
        if _is_cached(folder, kind):
            yield
            return
        print("Compiling the native update for this processor: once, in some seconds.", file=sys.stderr)
        if not any(_is_current(stamp) for stamp in folder.glob(STAMPS)):
            files = [path for path in folder.glob("*.nb[ic]") if path.name.split(".")[0] in COMPILED]
            for path in (*files, *folder.glob(STAMPS)):
                path.unlink(missing_ok=True)
        yield
        replace_file(folder / STAMPS.replace("*", kind), sources().encode())


def cache_folder() -> Path:
    """Return where Numba keeps what it compiles."""
    return Path(str(training_call.training_call.stats.cache_path))


def sources(folder: Path = Path(__file__).parent) -> str:
    """Return what tells one state of the compiled files, and of Numba, from all others."""
    found = hashlib.sha256(numba.__version__.encode())
    for name in COMPILED:
        found.update((folder / f"{name}.py").read_bytes())
    return found.hexdigest()


def _is_cached(folder: Path, kind: str) -> bool:
    return _is_current(folder / STAMPS.replace("*", kind))


def _is_current(stamp: Path) -> bool:
    try:
        return stamp.read_text(encoding="ascii") == sources()
    except OSError:
        return False
