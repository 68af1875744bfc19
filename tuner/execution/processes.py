"""Trainers in spawned processes, served one message at a time by one loop that owns no training and no storage."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable
from multiprocessing.connection import wait

from tuner.contract.roles import DONE, WAIT, Supervisor, Trainer
from tuner.contract.spec import RunSpec
from tuner.errors import StudyFailedError
from tuner.execution.memory import memory_of, share_of_memory
from tuner.execution.messages import Crashed, Finish, Message, Report, Take
from tuner.execution.worker_process import WorkerProcess

logger = logging.getLogger(__name__)

#: Seconds between two ticks of the supervisor.
TICK_S = 0.1

#: Seconds between two looks at workers beyond which this process was stopped or held up, and runs with it.
ASLEEP_S = 2.0

#: Seconds a worker has to leave once it has nothing to do, before it is killed.
LEAVE_S = 10.0

#: Seconds between asking workers to terminate and killing them.
TERMINATE_S = 1.0

#: Workers of one slot that may die one after the other without ever getting a run.
MAX_STILLBORN = 3


class ProcessExecutor:
    """Hosts one trainer in each of some spawned workers.

    With one worker everything the supervisor sees comes in one reproducible order.

    Args:
        make_trainer: Makes a worker's trainer, in the worker: something that can be sent there, such as
            ``functools.partial(make_trainer, "native", "dqn", 8)`` from :mod:`tuner.training.registry`.
        workers: Number of workers, >= 1.
        stop_grace_s: Seconds that runs have to reach their next evaluation when told to stop.
        memory_limit: Bytes of memory a worker may take before it is killed; None takes its share of the machine's.
    """

    def __init__(
        self,
        make_trainer: Callable[[], Trainer],
        workers: int,
        *,
        stop_grace_s: float = 5.0,
        memory_limit: int | None = None,
    ) -> None:
        if workers < 1:
            raise ValueError(f"workers must be at least 1, got {workers}.")
        self._make_trainer = make_trainer
        self._workers = workers
        self._stop_grace_s = stop_grace_s
        self._memory_limit = memory_limit or share_of_memory(workers)

    def run(self, supervisor: Supervisor) -> None:
        """Serve workers until all have left. Whatever ends this call, no worker survives it.

        Raises:
            StudyFailedError: Workers cannot be kept alive.
        """
        pool = _Pool(supervisor, self._make_trainer, self._stop_grace_s, self._memory_limit)
        try:
            pool.serve(self._workers)
        finally:
            pool.kill()


class _Pool:
    def __init__(
        self, supervisor: Supervisor, make_trainer: Callable[[], Trainer], stop_grace_s: float, memory_limit: int
    ) -> None:
        self._supervisor = supervisor
        self._make_trainer = make_trainer
        self._stop_grace_s = stop_grace_s
        self._memory_limit = memory_limit
        self._workers: list[WorkerProcess] = []
        self._stillborn: dict[int, int] = {}
        self._stopping_since: float | None = None

    def serve(self, workers: int) -> None:
        for slot in range(workers):
            self._workers.append(WorkerProcess(slot, self._make_trainer))
        next_tick = awake = time.monotonic()
        while self._workers:
            open_pipes = [worker.connection for worker in self._workers if not worker.connection.closed]
            ready = wait([*open_pipes, *(worker.process.sentinel for worker in self._workers)], TICK_S)
            was, awake = awake, time.monotonic()
            if awake - was > ASLEEP_S:
                self._supervisor.slept(awake - was)
            for worker in list(self._workers):
                if worker.process.sentinel in ready:
                    self._bury(worker)
                elif worker.connection in ready:
                    self._listen(worker)
            if time.monotonic() >= next_tick:
                self._tick()
                next_tick = time.monotonic() + TICK_S
            for worker in self._workers:
                self._answer(worker)

    def kill(self) -> None:
        for worker in self._workers:
            worker.signal(signal.SIGKILL)
        while self._workers:
            self._workers.pop().bury()

    # -- what workers say ---------------------------------------------------------------------------------------------

    def _listen(self, worker: WorkerProcess) -> None:
        message = worker.receive()
        if message is None:
            worker.leave_by = time.monotonic() + LEAVE_S
        elif isinstance(message, Take):
            worker.parked = message
            self._answer(worker)
        elif isinstance(message, Report):
            stop = self._supervisor.report(message.points)
            if self._stopping_since is not None:
                stop |= {point.run_id for point in message.points}
            worker.send(stop)
        else:
            self._note(worker, message)

    def _answer(self, worker: WorkerProcess) -> None:
        """Answer a worker's question for work; one that may wait stays parked while there is nothing."""
        question = worker.parked
        if question is None or worker.connection.closed:
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
            self._stillborn.pop(worker.slot, None)
        elif answer is DONE:
            worker.told_done = True
            self._dismiss_idle(worker)
        worker.send(answer)

    def _note(self, worker: WorkerProcess, message: Message) -> None:
        """Take in what needs no answer."""
        if isinstance(message, Finish):
            worker.held.pop(message.outcome.run_id, None)
            self._supervisor.finish(message.outcome)
            self._dismiss_idle(worker)
        elif isinstance(message, Crashed):
            worker.crash = message.reason
            logger.debug("worker %d: %s", worker.slot, message.detail)

    def _dismiss_idle(self, worker: WorkerProcess) -> None:
        if worker.told_done and not worker.held:
            worker.leave_by = time.monotonic() + LEAVE_S

    # -- how workers end ----------------------------------------------------------------------------------------------

    def _bury(self, worker: WorkerProcess) -> None:
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
            self._replace(worker, reason)

    def _replace(self, dead: WorkerProcess, reason: str) -> None:
        if not dead.served:
            self._stillborn[dead.slot] = self._stillborn.get(dead.slot, 0) + 1
        if self._stillborn.get(dead.slot, 0) < MAX_STILLBORN:
            self._workers.append(WorkerProcess(dead.slot, self._make_trainer))
            self._workers.sort(key=lambda worker: worker.slot)
        elif not any(worker.held or not worker.told_done for worker in self._workers):
            raise StudyFailedError(f"Workers die as soon as they start, {MAX_STILLBORN} in a row: {reason}.")

    def _tick(self) -> None:
        go_on = self._supervisor.tick()
        now = time.monotonic()
        if not go_on and self._stopping_since is None:
            self._stopping_since = now
            for worker in self._workers:
                if not worker.held:
                    worker.signal(signal.SIGTERM)
        if self._stopping_since is not None:
            waited = now - self._stopping_since - self._stop_grace_s
            if waited >= 0:
                for worker in self._workers:
                    worker.signal(signal.SIGTERM if waited < TERMINATE_S else signal.SIGKILL)
        if self._stopping_since is None:
            self._watch(now)
        for worker in list(self._workers):
            if worker.leave_by is not None and now > worker.leave_by:
                worker.kill("died", "worker closed its connection, killed")
            if not worker.process.is_alive():  # a sentinel stays silent while something that the worker forked lives on
                self._bury(worker)

    def _watch(self, now: float) -> None:
        """Kill workers that hang or take too much memory, with all that they have started."""
        for worker in self._workers:
            if not worker.held or worker.killed is not None:
                continue
            silent = now - worker.heard
            if self._supervisor.overdue(list(worker.held), silent):
                worker.kill("silent", f"worker silent for {silent:.0f} s, killed")
                continue
            used = memory_of(worker.process.pid)
            if used > self._memory_limit:
                mib = 2**20
                words = f"worker took {used // mib} MiB, limit {self._memory_limit // mib} MiB, killed"
                worker.kill("memory", words)
