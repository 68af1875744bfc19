"""A command that trains in its own process runs in a child, so that an environment cannot end it without a word."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from types import FrameType

from tuner.cli.console import INTERRUPTED, answers, say
from tuner.execution.interrupts import own_process

#: Commands that make and play environments themselves, without workers.
COMMANDS = ("train", "evaluate", "record", "enjoy", "export", "replay")


def run_apart(run: Callable[[], int]) -> int:
    """Return the exit code of ``run``, called in a forked child; 2, with a line, where the child ended without one.

    SIGTERM interrupts it as Ctrl-C does, and a second of either ends it at once.

    Nothing heavy may be loaded and no thread running yet.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # keeps what Ctrl-C keeps
        own_process(INTERRUPTED)
        try:
            code = run()
        except SystemExit as left:  # the environment's
            os._exit(left.code if isinstance(left.code, int) else 1)
        except BaseException:
            traceback.print_exc()
            code = 1
        answers().flush()
        sys.stderr.flush()
        os.write(writing, b"%d" % code)
        os._exit(code)
    os.close(writing)
    heard: list[int] = []

    def forward(number: int, frame: FrameType | None) -> None:
        heard.append(number)
        if number == signal.SIGTERM:  # a terminal sends the other to the child as well
            os.kill(pid, number)

    signal.signal(signal.SIGTERM, forward)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, forward)
    _, status = os.waitpid(pid, 0)
    told = _rest(reading)
    if told:
        return int(told)
    code = os.waitstatus_to_exitcode(status)
    if heard and code == INTERRUPTED:  # it has said so itself
        return code
    how = f"signal {-code}" if code < 0 else f"exit status {code}"
    say(
        f"tune: error: The environment, or a library below it, ended the process ({how}). What was saved before stays.",
        stderr=True,
    )
    return 2


def leave_threads(code: int) -> None:
    """End the process where an environment that lived in it (``--executor inline``) left a thread."""
    if any(not thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread()):
        for stream in (answers(), sys.stdout, sys.stderr):
            if stream is not None:
                with contextlib.suppress(OSError, ValueError):
                    stream.flush()
        os._exit(code)


def _rest(handle: int) -> bytes:
    """Return what the child has told: once it is gone nothing more can come, whoever else holds the pipe."""
    os.set_blocking(handle, False)
    try:
        return os.read(handle, 16)
    except BlockingIOError:
        return b""
