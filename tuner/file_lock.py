"""Locks on open files, as each system has them. They end with their process, however that dies."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import time

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

#: The byte that is locked on Windows, where nobody reads what another has locked: far behind all content.
_FAR_BYTE = 1 << 30

#: Seconds between two tries where the system itself waits for ten seconds only.
_PAUSE_S = 0.05


def take_lock(handle: int, *, wait: bool = True, shared: bool = False) -> None:
    """Lock an open file until it is closed.

    Args:
        handle: A file descriptor.
        wait: Wait for whoever has it.
        shared: Others may have it at the same time who ask for a shared one too (on Windows: nobody).

    Raises:
        BlockingIOError: Somebody else has it, and ``wait`` is false.
        OSError: The file system, or the system, has no locks.
    """
    if sys.platform == "win32":
        _lock_byte(handle, wait)
    elif fcntl is None:
        raise OSError(errno.ENOLCK, "no file locks on this system")
    else:
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))


def _lock_byte(handle: int, wait: bool) -> None:
    import msvcrt

    at = os.lseek(handle, 0, os.SEEK_CUR)
    try:
        os.lseek(handle, _FAR_BYTE, os.SEEK_SET)
        while True:
            with contextlib.suppress(PermissionError):  # somebody else has it
                msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
                return
            if not wait:
                raise BlockingIOError(errno.EAGAIN, "locked by another process")
            time.sleep(_PAUSE_S)
    finally:
        os.lseek(handle, at, os.SEEK_SET)
