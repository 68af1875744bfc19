"""Ctrl-C and SIGTERM: the first ends a search gently, the second at once, whatever the process waits for."""

from __future__ import annotations

import _thread
import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn, Protocol

#: Seconds that ending at once may take. A driver that waits for a database's answer hears no ``KeyboardInterrupt``.
AT_ONCE_S = 1.7


class Interruptible(Protocol):
    """A supervisor that can be asked to stop."""

    def interrupt(self) -> None:
        """Stop soon, keeping everything that is finished. Called from a signal handler."""
        ...


class Interrupts:
    """How often this process has been told to end, and whether it may be ended from here.

    Attributes:
        exit_code: Of the process where it is a command's; None: a program's that calls this package is left alone.
    """

    def __init__(self) -> None:
        self.exit_code: int | None = None
        self._told = 0

    def note(self) -> None:
        """Count one; from the second on the process ends soon, if it is a command's."""
        self._told += 1
        if self.exit_code is not None and self._told == 2:
            # Not by a threading.Thread, whose locks may be in the hands of what the signal has interrupted.
            _thread.start_new_thread(_leave, (self.exit_code,))

    def end_command(self, number: int, frame: FrameType | None) -> NoReturn:
        """Handle a signal outside a search: raise ``KeyboardInterrupt``."""
        self.note()
        raise KeyboardInterrupt


INTERRUPTS = Interrupts()


def own_process(exit_code: int) -> None:
    """Say that this process is a command's: told twice to end, it is gone within :data:`AT_ONCE_S`, with this code."""
    INTERRUPTS.exit_code = exit_code
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is signal.default_int_handler:
            signal.signal(number, INTERRUPTS.end_command)


@contextlib.contextmanager
def interruptible(supervisor: Interruptible) -> Iterator[None]:
    """Let the first Ctrl-C or SIGTERM end the search gently and the second at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    asked = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        INTERRUPTS.note()
        if asked:
            raise KeyboardInterrupt
        asked = True
        supervisor.interrupt()

    for number in before:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave(exit_code: int) -> NoReturn:
    """End this process and those below it, as a kill does: the next command finds what was not written down."""
    time.sleep(AT_ONCE_S)
    import psutil  # which most commands do without

    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            child.kill()
    with contextlib.suppress(OSError):
        os.write(2, b"tune: interrupted\n")
    os._exit(exit_code)
