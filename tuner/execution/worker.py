"""What runs inside a spawned worker: one trainer, and a dispatcher that speaks through a pipe.

A worker keeps nothing and touches no storage: killing it at any moment loses only the runs it was training.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from typing import Any

from tuner.contract.outcome import EvalPoint, Outcome, bounded
from tuner.contract.roles import Signal, Trainer
from tuner.contract.spec import RunId, RunSpec
from tuner.execution.memory import offer_to_oom_killer
from tuner.execution.messages import Answer, Crashed, Finish, Message, Report, Take
from tuner.parent_death import end_with
from tuner.streams import outlive_readers


def serve(connection: Connection[Any, Any], make_trainer: Callable[[], Trainer], parent: int) -> None:
    """Train whatever the executor hands out, until it says DONE or is gone.

    Args:
        connection: Duplex pipe to the executor.
        make_trainer: Makes the trainer, here, so that only workers import what training needs.
        parent: The executor's process id.
    """
    _detach(parent)
    try:
        make_trainer().train(PipeDispatcher(connection))
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        with contextlib.suppress(OSError):
            connection.send(Crashed(bounded(reason), bounded(traceback.format_exc())))
        sys.exit(1)
    finally:
        connection.close()


class PipeDispatcher:
    """The dispatcher a worker's trainer sees.

    Args:
        connection: Duplex pipe to the executor.
    """

    def __init__(self, connection: Connection[Any, Any]) -> None:
        self._connection = connection
        self._pid = os.getpid()

    def take(self, open_shapes: Mapping[tuple[object, ...], int], *, block: bool) -> RunSpec | Signal:
        """Ask the executor for a run."""
        answer = self._ask(Take(dict(open_shapes), block))
        assert isinstance(answer, RunSpec | Signal)
        return answer

    def report(self, points: Sequence[EvalPoint]) -> frozenset[RunId]:
        """Hand evaluations over and wait for which runs to stop."""
        answer = self._ask(Report(tuple(points)))
        assert isinstance(answer, frozenset)
        return answer

    def finish(self, outcome: Outcome) -> None:
        """Say how a run ended."""
        self._tell(Finish(outcome))

    def _ask(self, message: Message) -> Answer:
        self._tell(message)
        try:
            answer: Answer = self._connection.recv()
        except (EOFError, OSError):
            sys.exit(1)  # the executor is gone: nobody waits for these runs
        return answer

    def _tell(self, message: Message) -> None:
        if os.getpid() != self._pid:  # what an environment has forked, and what comes back out of it, is no worker
            os._exit(1)
        try:
            self._connection.send(message)
        except OSError:
            sys.exit(1)


def _detach(parent: int) -> None:
    """Leave the terminal's process group, ignore Ctrl-C (the supervisor decides), and die with the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    outlive_readers()  # an environment that prints is no failure where nobody reads
    if os.name != "posix":
        return
    with contextlib.suppress(PermissionError):  # already a leader
        os.setsid()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # blocked by whoever spawned us, until here
    os.dup2(2, 1)  # standard output is the command's answer; what environments print goes to standard error
    if sys.platform == "linux":
        offer_to_oom_killer()
    end_with(parent)
