"""A worker seen from outside: how it is spawned, spoken to and ended."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import time
import types
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

from tuner.contract.outcome import LossCause
from tuner.contract.roles import Trainer
from tuner.contract.spec import RunId
from tuner.execution.memory import oom_kills
from tuner.execution.messages import Answer, Message, Take
from tuner.execution.pool import LEAVE_S
from tuner.execution.worker import serve

#: One thread per worker: libraries read these when they are loaded, so they must stand before the worker starts.
ONE_THREAD = dict.fromkeys(
    (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "NUMEXPR_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
    ),
    "1",
)

#: Seconds between asking workers to terminate and killing them.
TERMINATE_S = 1.0

#: Seconds between the closing of a dying process's pipes and its end, at most.
DYING_S = 1.0

#: Ends a process at once; Windows knows no other signal.
_KILL = signal.SIGKILL if os.name == "posix" else signal.SIGTERM

#: Signals that come from somebody else: what crashes gets others.
_FROM_OUTSIDE = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL) if os.name == "posix" else ()

_SPAWN = multiprocessing.get_context("spawn")


class WorkerProcess:
    """One spawned worker in its own process group; see :class:`~tuner.execution.pool.Worker`.

    Args:
        slot: Its place among the workers; a replacement takes over the slot.
        make_trainer: Sent to the worker.

    Attributes:
        killed: Why the executor has killed it (cause, in words), if it has.
    """

    def __init__(self, slot: int, make_trainer: Callable[[], Trainer]) -> None:
        self.slot = slot
        self.held: dict[RunId, None] = {}
        self.parked: Take | None = None
        self.started = True
        self.served = False
        self.told_done = False
        self.leave_by: float | None = None
        self.crash: str | None = None
        self.heard = time.monotonic()
        self.killed: tuple[LossCause, str] | None = None
        self._oom_kills = oom_kills()
        self.connection: Connection[Any, Any]
        self.connection, theirs = _SPAWN.Pipe()
        self.process: SpawnProcess = _SPAWN.Process(
            target=serve, args=(theirs, make_trainer, os.getpid()), name=f"tune-worker-{slot}"
        )
        try:
            with _environment(ONE_THREAD), _main_hidden(), _interrupt_blocked():
                self.process.start()
        except BaseException:
            self.connection.close()
            raise
        finally:
            theirs.close()  # or its end would never be seen

    def send(self, answer: Answer) -> None:
        """Answer its question; one that has died meanwhile is found by its sentinel."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.connection.send(answer)

    def alive(self) -> bool:
        """Whether its process lives; a sentinel stays silent while something that it has forked lives on."""
        return self.process.is_alive()

    def words(self) -> Iterator[Message]:
        """Yield its next message; nothing when it will never speak again, and is to leave."""
        if self.connection.closed:
            return
        try:
            message: Message = self.connection.recv()
        except (EOFError, OSError):
            self.connection.close()
            self.parked = None
            self.leave_by = time.monotonic() + LEAVE_S
            return
        yield message

    def last_words(self) -> Iterator[Message]:
        """Yield what it said before it died."""
        while not self.connection.closed and self.connection.poll():
            yield from self.words()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it and to all it has started."""
        pid = self.process.pid
        assert pid is not None
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.name != "posix":
                self.process.kill()
            elif not _is_a_strangers(pid):
                (os.killpg if _leads_group(pid) else os.kill)(pid, number)

    def terminate(self, waited_s: float) -> None:
        """Ask it to end; a second later make it."""
        self.signal(signal.SIGTERM if waited_s < TERMINATE_S else _KILL)

    def kill(self, cause: LossCause, reason: str) -> None:
        """End it with all it has started, for a reason; the first one counts."""
        self.killed = self.killed or (cause, reason)
        self.signal(_KILL)

    def _leaves_by(self, deadline: float) -> bool:
        while self.process.is_alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.005)
        return True

    def bury(self) -> tuple[LossCause, str]:
        """End whatever is left of it, release its resources and return how it ended: the cause, and in words."""
        if self.killed is None and not self._leaves_by(time.monotonic() + DYING_S):
            # Its end of the pipes is closed and it lives: our own signal must not look like a stranger's.
            self.killed = "died", "worker closed its connection, killed"
        self.signal(_KILL)
        self.process.join(5)
        code = self.process.exitcode
        self.connection.close()
        if code is not None:
            self.process.close()
        if self.killed is not None:
            return self.killed
        if self.crash is not None:
            return "died", self.crash
        if code == -_KILL and oom_kills() > self._oom_kills:
            return "memory", "worker killed by the system, which had run out of memory"
        if code is not None and code < 0:
            return "killed" if -code in _FROM_OUTSIDE else "died", f"worker killed by {_signal_name(-code)}"
        return "died", f"worker ended with exit code {code}"


def _leads_group(pid: int) -> bool:
    """Whether the process group ``pid`` is the worker's own: it is not until the worker has got that far."""
    try:
        return os.getpgid(pid) == pid
    except ProcessLookupError:  # gone; what it has started may not be
        return True


def _is_a_strangers(pid: int) -> bool:
    """Whether the number of a worker that was reaped is another process's.

    Then nothing that the worker started lives either: the system gives out no number that a group still has.
    """
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return _exists(pid)
    return False


def _exists(pid: int) -> bool:
    try:
        os.getpgid(pid)
    except ProcessLookupError:
        return False
    return True


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _main_hidden() -> Iterator[None]:
    """Keep spawned interpreters from importing the caller's main module again.

    Workers need nothing from it, and a script without an ``if __name__ == "__main__"`` guard would start itself anew.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextlib.contextmanager
def _interrupt_blocked() -> Iterator[None]:
    """Let the child inherit a blocked SIGINT: until it has its own group, Ctrl-C would kill it half-started."""
    if os.name != "posix":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
