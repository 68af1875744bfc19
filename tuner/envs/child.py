"""One call in a child process: what an environment does to its process (exits, threads, hangs) ends with the child."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from tuner.envs.registration import one_line
from tuner.errors import TunerError, UnusableEnvironmentError
from tuner.parent_death import end_with

#: Seconds that may pass between two words of the child.
CALL_LIMIT_S = 120.0

#: ... once it has told an answer that stands.
KEPT_LIMIT_S = 20.0

T = TypeVar("T")

_START = "import sys; sys.path[:] = {path!r}; from tuner.envs.child import _child; _child({fd}, {parent})"


@dataclass(frozen=True)
class Kept:
    """What a child tells when it knows an answer and looks on: the answer stands, however the child ends.

    Attributes:
        answer: What is returned unless another one follows.
    """

    answer: Any


def call_in_child(function: Callable[..., T], *arguments: Any, subject: str, first: str) -> T:
    """Return ``function(*arguments, tell)``, called in a new process that ends with it.

    Args:
        function: A function that a new process can import. It says what it is about to do with ``tell("step(1)")``,
            and what is known already with ``tell(Kept(answer))``.
        arguments: Plain data.
        subject: Whose code runs, for messages.
        first: What it does before it says anything.

    Raises:
        TunerError: What the function raised; anything else that it raised, and how it ended without an answer, is an
            UnusableEnvironmentError.
    """
    if os.name != "posix":
        return function(*arguments, lambda word: None)
    connection, theirs = Pipe()
    with connection, theirs:
        start = _START.format(path=[p for p in sys.path if p], fd=theirs.fileno(), parent=os.getpid())
        child = subprocess.Popen(
            [sys.executable, "-P", "-c", start],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(),),
            start_new_session=True,
        )
        theirs.close()  # or its end would never be seen
        try:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.send((function, arguments, subject))
            answer: T | TunerError = _answer(connection, child, subject, first)
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, signal.SIGKILL)  # and whatever it has started
            child.wait()
    if isinstance(answer, TunerError):
        raise answer
    return answer


def _answer(connection: Connection[Any, Any], child: subprocess.Popen[bytes], subject: str, call: str) -> Any:
    """Return what the child found, or how it ended without finding anything."""
    since, kept = time.monotonic(), None
    while True:
        ended = child.poll() is not None  # before looking for words: the last ones may have come in between
        if connection.poll(0 if ended else 0.1):
            try:
                said = connection.recv()
            except (EOFError, OSError):
                child.wait()
                ended = True
            else:
                if isinstance(said, Kept):
                    kept = said
                elif not isinstance(said, str):
                    return said
                else:
                    call = said
                since = time.monotonic()
                continue
        if kept is not None and (ended or time.monotonic() - since > KEPT_LIMIT_S):
            return kept.answer
        if ended:
            status = child.returncode
            how = f"signal {-status}" if status < 0 else f"exit status {status}"
            return UnusableEnvironmentError(f"{subject}: {call} ended its process ({how}). It must return or raise.")
        if time.monotonic() - since > CALL_LIMIT_S:
            return UnusableEnvironmentError(f"{subject}: {call} did not come back within {CALL_LIMIT_S:g} s.")


def _child(fd: int, parent: int) -> None:
    """Call, answer and leave at once: threads and exit handlers of the environment are not waited for."""
    end_with(parent)  # or what an environment does would go on for nobody, for ever
    os.set_inheritable(fd, False)
    connection: Connection[Any, Any] = Connection(fd)
    function, arguments, subject = connection.recv()
    try:
        connection.send(function(*arguments, connection.send))
    except TunerError as error:
        connection.send(error)
    except BaseException as error:  # whatever it is: said, not swallowed
        connection.send(UnusableEnvironmentError(f"{subject}: {one_line(error)}"))
    os._exit(0)
