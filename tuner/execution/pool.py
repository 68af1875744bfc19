"""Workers served one message at a time by one loop that owns no training and no storage, wherever they live.

One thread answers what trainers ask, and it alone talks to the supervisor. Where workers come from, how they are spoken
to and how they die is a :class:`Host`'s business: :mod:`tuner.execution.processes`, :mod:`tuner.execution.ray`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from typing import Generic, Protocol, TypeVar

from tuner.contract.outcome import LossCause
from tuner.contract.roles import DONE, WAIT, Supervisor
from tuner.contract.spec import RunId, RunSpec
from tuner.errors import StudyFailedError
from tuner.execution.messages import Answer, Crashed, Finish, Message, Report, Take

logger = logging.getLogger(__name__)

#: Seconds between two ticks of the supervisor.
TICK_S = 0.1

#: Seconds between two looks at workers beyond which this process was stopped or held up, and runs with it.
ASLEEP_S = 2.0

#: Seconds a worker has to leave once it has nothing to do, before it is killed.
LEAVE_S = 10.0

#: Workers of one slot that may die one after the other without ever getting a run.
MAX_EARLY_DEATHS = 3


class Worker(Protocol):
    """One worker seen from outside.

    Attributes:
        slot: Its place among the workers; a replacement takes over the slot.
        held: Runs it has taken and not finished.
        parked: Its unanswered question for work.
        started: Whether it lives already; a cluster may have no room for it yet.
        served: Whether it ever got a run.
        told_done: Whether it knows that nothing will come.
        leave_by: When it is killed unless it has left by itself (monotonic seconds).
        crash: What its trainer raised, if it did.
        heard: When it last said something, or was given a run (monotonic seconds).
    """

    slot: int
    held: dict[RunId, None]
    parked: Take | None
    started: bool
    served: bool
    told_done: bool
    leave_by: float | None
    crash: str | None
    heard: float

    def alive(self) -> bool:
        """Whether it may still say something."""
        ...

    def words(self) -> Iterable[Message]:
        """Yield what it has said; where it waits for an answer, that comes before the next is asked for."""
        ...

    def last_words(self) -> Iterable[Message]:
        """Yield what it said before it died."""
        ...

    def send(self, answer: Answer) -> None:
        """Answer its question."""
        ...

    def terminate(self, waited_s: float) -> None:
        """End it ``waited_s`` seconds after workers were first to end: the longer ago, the harder."""
        ...

    def kill(self, cause: LossCause, reason: str) -> None:
        """End it with all it has started, for a reason."""
        ...

    def bury(self) -> tuple[LossCause, str]:
        """End whatever is left of it and return how it ended: the cause, and in words."""
        ...


W = TypeVar("W", bound=Worker)


class Host(Protocol[W]):
    """Where workers live."""

    def start(self, slot: int) -> W:
        """Start a worker, or ask for one."""
        ...

    def wait(self, workers: Sequence[W], seconds: float) -> list[W]:
        """Wait until workers have something to say or have died, ``seconds`` at most, and return those."""
        ...

    def watch(self, workers: Sequence[W], now: float) -> None:
        """Kill workers that take what is not theirs or cannot be reached; called at each tick."""
        ...


class Pool(Generic[W]):
    """All workers of one executor's call.

    Args:
        supervisor: Who hands out runs.
        host: Where workers live.
        stop_grace_s: Seconds that runs have to reach their next evaluation when told to stop.
    """

    def __init__(self, supervisor: Supervisor, host: Host[W], stop_grace_s: float) -> None:
        self._supervisor = supervisor
        self._host = host
        self._stop_grace_s = stop_grace_s
        self._workers: list[W] = []
        self._early_deaths: dict[int, int] = {}
        self._over = False
        self._stopping_since: float | None = None

    def serve(self, workers: int) -> None:
        """Serve so many workers until all have left. Whatever ends this call, no worker survives it.

        Raises:
            StudyFailedError: Workers cannot be kept alive.
        """
        try:
            for slot in range(workers):
                self._workers.append(self._host.start(slot))
            next_tick = awake = time.monotonic()
            while self._workers:
                ready = self._host.wait(self._workers, TICK_S)
                was, awake = awake, time.monotonic()
                if awake - was > ASLEEP_S:
                    self._supervisor.slept(awake - was)
                for worker in ready:
                    self._listen(worker)
                if time.monotonic() >= next_tick:
                    self._tick()
                    next_tick = time.monotonic() + TICK_S
                for worker in self._workers:
                    self._answer(worker)
        finally:
            for worker in self._workers:
                worker.kill("stopped", "stopped")
            while self._workers:
                self._workers.pop().bury()

    # -- what workers say ---------------------------------------------------------------------------------------------

    def _listen(self, worker: W) -> None:
        if worker.alive():
            for message in worker.words():
                worker.heard = time.monotonic()
                if isinstance(message, Take):
                    worker.parked = message
                    self._answer(worker)
                elif isinstance(message, Report):
                    stop = self._supervisor.report(message.points)
                    if self._stopping_since is not None:
                        stop |= {point.run_id for point in message.points}
                    worker.send(stop)
                else:
                    self._note(worker, message)
        if not worker.alive():
            self._bury(worker)

    def _answer(self, worker: W) -> None:
        """Answer a worker's question for work; one that may wait stays parked while there is nothing."""
        question = worker.parked
        if question is None or not worker.alive():
            return
        stopping = self._stopping_since is not None
        answer = DONE if stopping else self._supervisor.take(question.open_shapes, block=False)
        if answer is WAIT and question.block:
            return
        worker.parked = None
        if isinstance(answer, RunSpec):
            worker.held[answer.run_id] = None
            worker.heard = time.monotonic()
            worker.served = True
            self._early_deaths.pop(worker.slot, None)
        elif answer is DONE:
            worker.told_done = self._over = True
            self._dismiss_idle(worker)
        worker.send(answer)

    def _note(self, worker: W, message: Message) -> None:
        """Take in what needs no answer."""
        if isinstance(message, Finish):
            worker.held.pop(message.outcome.run_id, None)
            self._supervisor.finish(message.outcome)
            self._dismiss_idle(worker)
        elif isinstance(message, Crashed):
            worker.crash = message.reason
            logger.debug("worker %d: %s", worker.slot, message.detail)

    def _dismiss_idle(self, worker: W) -> None:
        if worker.told_done and not worker.held:
            worker.leave_by = time.monotonic() + LEAVE_S

    # -- how workers end ----------------------------------------------------------------------------------------------

    def _bury(self, worker: W) -> None:
        """Take in a dead worker's last words, give its runs back, and replace it while there may be work."""
        for message in worker.last_words():
            if isinstance(message, Report):
                self._supervisor.report(message.points)
            else:
                self._note(worker, message)
        cause, reason = worker.bury()
        self._workers.remove(worker)
        stopping = self._stopping_since is not None
        if worker.held:
            logger.log(logging.INFO if stopping else logging.WARNING, "%s; its runs go again", reason)
            if stopping:
                cause, reason = "stopped", "stopped before its next evaluation"
            self._supervisor.lost(list(worker.held), reason, cause)
        if not stopping and (worker.held or not worker.told_done):
            self._over = False
            self._replace(worker, cause, reason)

    def _replace(self, dead: W, cause: LossCause, reason: str) -> None:
        if not dead.served and cause != "stopped":
            self._early_deaths[dead.slot] = self._early_deaths.get(dead.slot, 0) + 1
        if self._early_deaths.get(dead.slot, 0) < MAX_EARLY_DEATHS:
            self._workers.append(self._host.start(dead.slot))
            self._workers.sort(key=lambda worker: worker.slot)
        elif not any(worker.held or not worker.told_done for worker in self._workers):
            raise StudyFailedError(f"Workers die as soon as they start, {MAX_EARLY_DEATHS} in a row: {reason}.")

    def _tick(self) -> None:
        go_on = self._supervisor.tick()
        now = time.monotonic()
        if not go_on and self._stopping_since is None:
            self._stopping_since = now
            for worker in self._workers:
                if not worker.held:
                    worker.terminate(0.0)
        if self._stopping_since is not None:
            waited = now - self._stopping_since - self._stop_grace_s
            for worker in self._workers if waited >= 0 else ():
                worker.terminate(waited)
        else:
            self._watch(now)
        for worker in list(self._workers):
            if worker.leave_by is not None and now > worker.leave_by:
                worker.kill("died", "worker closed its connection, killed")
            elif self._over and not worker.started:  # nothing will come: it need not start any more
                worker.told_done = True
                worker.kill("stopped", "not needed")
            if not worker.alive():
                self._bury(worker)

    def _watch(self, now: float) -> None:
        """Kill workers that hang, and those that their host finds at fault."""
        for worker in self._workers:
            silent = now - worker.heard
            if worker.held and worker.alive() and self._supervisor.overdue(list(worker.held), silent):
                worker.kill("silent", f"worker silent for {silent:.0f} s, killed")
        self._host.watch(self._workers, now)
