"""A Ray actor seen from the driver: how it is spoken to and ended, and why it died."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterator
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any

from tuner.contract.outcome import LossCause
from tuner.contract.spec import RunId, RunSpec
from tuner.execution.messages import Answer, Crashed, Message, Report, Take
from tuner.execution.ray_actor import Left, Word


class Abroad:
    """The environment's module, which goes by another name where actors find it.

    Args:
        module: That name; None where nothing was sent.
    """

    def __init__(self, module: str | None) -> None:
        self._module = module
        self._homes: dict[object, object] = {}  # environments as actors know them -> as the supervisor does

    def there(self, answer: Answer | None) -> Answer | None:
        """Return a run as actors find it."""
        if not isinstance(answer, RunSpec) or answer.env.module in (None, self._module):
            return answer
        env = dataclasses.replace(answer.env, module=self._module)
        self._homes[env] = answer.env
        return dataclasses.replace(answer, env=env)

    def here(self, question: Take) -> Take:
        """Return a question whose stack shapes, which begin with the environment, are as the supervisor knows them."""
        shapes = {(self._homes.get(s[0], s[0]), *s[1:]): free for s, free in question.open_shapes.items() if s}
        return dataclasses.replace(question, open_shapes=shapes)


class RayWorker:
    """One actor; see :class:`~tuner.execution.pool.Worker`.

    Args:
        slot: Its place among the workers.
        ray: The module.
        handle: Ray's handle of a :class:`~tuner.execution.ray_actor.TrainerActor`.
        inbox: Where its words, or the error that it died with, are put.
        abroad: Where actors find the environment's module.

    Attributes:
        missing_since: Since when it cannot be reached (monotonic seconds); None while it can.
        node: Identifier of its node; empty before it has started.
    """

    def __init__(self, slot: int, ray: Any, handle: Any, inbox: Inbox, abroad: Abroad) -> None:
        self.slot = slot
        self.held: dict[RunId, None] = {}
        self.parked: Take | None = None
        self.started = self.served = self.told_done = False
        self.leave_by: float | None = None
        self.crash: str | None = None
        self.heard = time.monotonic()
        self.missing_since: float | None = None
        self.node = ""
        self._ray, self._handle, self._inbox, self._abroad = ray, handle, inbox, abroad
        self._said: list[Word] = []
        self._ended: tuple[LossCause, str] | None = None
        self._asked = handle.node.remote()
        self._asked.future().add_done_callback(self._settle)
        self._exchange(None)

    def _settle(self, future: Future[str]) -> None:
        if future.exception() is None:
            self.node = future.result()

    def send(self, answer: Answer) -> None:
        """Answer its question."""
        self._exchange(self._abroad.there(answer))

    def _exchange(self, answer: Answer | None) -> None:
        """Pass on an answer, if there is one, and listen for its next words or its death."""
        self._call = self._handle.exchange.remote(answer)
        self._call.future().add_done_callback(lambda future: self._inbox.put((self, future)))

    def arrived(self, future: Future[list[Word]]) -> None:
        """Take in what a call to it has brought; one that is out of reach may have lost its node, which shows later."""
        error = future.exception()
        if error is None:
            self._said = future.result()
        elif self.held and out_of_reach(error):
            self.missing_since = time.monotonic()
        else:
            self._ended = self._ended or why(error)

    def alive(self) -> bool:
        """Whether nothing is known of its end."""
        return self._ended is None

    def words(self) -> Iterator[Message]:
        """Yield what it has said; only the last can be a question."""
        said, self._said = self._said, []
        for word in said:
            if isinstance(word, Left):
                self._ended = ("died", "its trainer has ended")
                return
            self.started = self.started or not isinstance(word, Crashed)
            yield self._abroad.here(word) if isinstance(word, Take) else word
        if said and not isinstance(said[-1], Take | Report):
            self._exchange(None)

    def last_words(self) -> Iterator[Message]:
        """Yield nothing: what it says comes with the call that it dies in, or not at all."""
        return iter(())

    def terminate(self, waited_s: float) -> None:
        """End it at once."""
        self.kill("stopped", "stopped")

    def kill(self, cause: LossCause, reason: str) -> None:
        """End it, whatever it does; the first reason counts."""
        self._ended = self._ended or (cause, reason)
        with contextlib.suppress(Exception):  # the cluster itself may be gone, and its actors with it
            self._ray.kill(self._handle)

    def bury(self) -> tuple[LossCause, str]:
        """End whatever is left of it and return how it ended."""
        self.kill("died", "its actor died")
        assert self._ended is not None
        return ("died", self.crash) if self.crash is not None else self._ended


WorkerNotice = tuple[RayWorker, Future[list[Word]]]
Inbox = SimpleQueue[WorkerNotice]


def out_of_reach(error: BaseException) -> bool:
    """Whether Ray cannot say if the actor is dead: its process died with its whole node, or the network did."""
    return type(error).__name__ == "ActorUnavailableError" or "node has died" in str(error)


def lost_nodes(ray: Any) -> set[str]:
    """Return the identifiers of the nodes that the cluster has lost."""
    return {node["NodeID"] for node in ray.nodes() if not node["Alive"]}


def why(error: BaseException) -> tuple[LossCause, str]:
    """Return what ended an actor, and how in one line without addresses and identifiers."""
    text = str(error)
    if type(error).__name__ == "OutOfMemoryError":
        return "died", "its node ran out of memory, and Ray killed its actor"  # which run was greedy is not known
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if "creation task" in text or "runtime_env" in text:
        return "died", f"its actor did not start: {lines[-1][:200]}"
    return "died", "its actor died"
