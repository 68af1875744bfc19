"""A process that somebody else has started for itself ends with them, also where they are killed."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

#: Linux: prctl's option that sends a signal to a process whose parent dies.
PR_SET_PDEATHSIG = 1

#: Seconds between looks for the parent, where the system does not tell of its death.
LOOK_S = 1.0


def end_with(parent: int) -> None:
    """Let the system kill this process once its parent has died, whatever code runs in it (POSIX).

    Elsewhere than on Linux a thread looks for the parent, which code that never lets other threads run keeps from it.

    Args:
        parent: Its process id, as it knows itself.
    """
    if os.name != "posix":
        return
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    else:
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()
    if os.getppid() != parent:  # it died before the lines above
        os._exit(1)


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_S)
    os._exit(1)
