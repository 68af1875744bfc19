"""How freed memory is kept for the next allocation."""

from __future__ import annotations

import contextlib
import ctypes
import functools

#: Parameters of glibc's ``mallopt`` (malloc.h).
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3

#: Bytes; what is larger (replay memories) still comes from the system and goes back to it.
LARGEST_KEPT = 32 * 2**20

#: Bytes of free memory at the heap's end before it is handed back.
MOST_KEPT = 256 * 2**20


@functools.cache
def keep_freed_memory() -> bool:
    """Tell the C library to keep what minibatches of images leave free, once per process.

    Torch allocates and frees megabytes for each gradient step. Left alone, glibc may hand them back to the system every
    time, and every page of them is then zeroed and mapped again.

    Returns:
        Whether the C library took it: only glibc does.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):
        set_option = ctypes.CDLL(None).mallopt
        return bool(set_option(M_MMAP_THRESHOLD, LARGEST_KEPT) and set_option(M_TRIM_THRESHOLD, MOST_KEPT))
    return False
