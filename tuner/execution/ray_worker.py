"""A Ray actor seen from the driver: how it is spoken to and ended, and why it died."""

from __future__ import annotations

import contextlib
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any

from tuner.contract.outcome import LossCause
from tuner.contract.spec import RunId
from tuner.execution.messages import Answer, Take
from tuner.execution.ray_actor import Word


class RayWorker:
    """One actor.

    Args:
        handle: Ray's handle of a :class:`~tuner.execution.ray_actor.TrainerActor`.
        inbox: Where its words, or the error that it died with, are put.

    Attributes:
        held: Runs it has taken and not finished.
        parked: Its unanswered blocking question.
        told_done: Whether it knows that nothing will come.
        spoke: Whether it ever said anything.
        heard: When it spoke last, or got a run (monotonic seconds).
        missing_since: Since when it cannot be reached (monotonic seconds); None while it can.
        node: Identifier of its node; empty before it has started.
        leave_by: When it is killed unless it has left by itself (monotonic seconds).
        crash: What its trainer raised, if it did.
    """

    def __init__(self, handle: Any, inbox: Inbox) -> None:
        self.handle = handle
        self.held: dict[RunId, None] = {}
        self.parked: Take | None = None
        self.told_done = False
        self.spoke = False
        self.heard = 0.0
        self.leave_by: float | None = None
        self.crash: str | None = None
        self._inbox = inbox
        self.missing_since: float | None = None
        self.node = ""
        self._asked = handle.node.remote()
        self._asked.future().add_done_callback(self._settle)
        self.send(None)

    def _settle(self, future: Future[str]) -> None:
        if future.exception() is None:
            self.node = future.result()

    def send(self, answer: Answer | None) -> None:
        """Answer its question, if there was one, and listen for its next words or its death."""
        self._call = self.handle.exchange.remote(answer)
        self._call.future().add_done_callback(lambda future: self._inbox.put((self, future)))

    def end(self, ray: Any) -> None:
        """Kill it, whatever it does."""
        with contextlib.suppress(Exception):  # the cluster itself may be gone, and its actors with it
            ray.kill(self.handle)


WorkerNotice = tuple[RayWorker, Future[list[Word]]]
Inbox = SimpleQueue[WorkerNotice]


def out_of_reach(error: BaseException) -> bool:
    """Whether Ray cannot say if the actor is dead: its process died with its whole node, or the network did."""
    return type(error).__name__ == "ActorUnavailableError" or "node has died" in str(error)


def lost_nodes(ray: Any) -> set[str]:
    """Return the identifiers of the nodes that the cluster has lost."""
    return {node["NodeID"] for node in ray.nodes() if not node["Alive"]}


def why(error: BaseException) -> tuple[str, LossCause]:
    """Return how an actor died, in one line without addresses and identifiers, and what ended it."""
    text = str(error)
    if type(error).__name__ == "OutOfMemoryError":
        return "its node ran out of memory, and Ray killed its actor", "died"  # which run was greedy is not known
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if "creation task" in text or "runtime_env" in text:
        return f"its actor did not start: {lines[-1][:200]}", "died"
    return "its actor died", "died"
