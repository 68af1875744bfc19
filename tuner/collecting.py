"""Python's cycle collector: of no use while plain data is only built up, and a quarter of the time then."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def no_collecting() -> Iterator[None]:
    """Leave cycles of garbage alone meanwhile: of a large study there are millions of objects to look through."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()
