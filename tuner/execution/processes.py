"""Trainers in spawned processes on this machine."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from multiprocessing.connection import wait

from tuner.contract.roles import Supervisor, Trainer
from tuner.errors import InputError
from tuner.execution.memory import memory_of, share_of_memory
from tuner.execution.pool import Pool
from tuner.execution.worker_process import WorkerProcess

#: What the system says where a user may have no more of something -> what that is, and the command that shows it.
_LIMITS = {errno.EMFILE: "open files (ulimit -n)", errno.EAGAIN: "processes (ulimit -u)"}


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
        self._host = _Processes(make_trainer, memory_limit or share_of_memory(workers))
        self._workers = workers
        self._stop_grace_s = stop_grace_s

    def run(self, supervisor: Supervisor) -> None:
        """Serve workers until all have left. Whatever ends this call, no worker survives it.

        Raises:
            InputError: The system starts no more workers.
            StudyFailedError: Workers cannot be kept alive.
        """
        Pool(supervisor, self._host, self._stop_grace_s).serve(self._workers)


class _Processes:
    """See :class:`~tuner.execution.pool.Host`."""

    def __init__(self, make_trainer: Callable[[], Trainer], memory_limit: int) -> None:
        self._make_trainer = make_trainer
        self._memory_limit = memory_limit

    def start(self, slot: int) -> WorkerProcess:
        try:
            return WorkerProcess(slot, self._make_trainer)
        except OSError as error:
            limit = _LIMITS.get(error.errno or 0)
            raise InputError(
                f"Worker {slot + 1} cannot be started: {error.strerror or error}. Use fewer --workers"
                + (f", or raise the limit of {limit}" if limit else "")
                + "; the same command carries on."
            ) from error

    def wait(self, workers: Sequence[WorkerProcess], seconds: float) -> list[WorkerProcess]:
        open_pipes = [worker.connection for worker in workers if not worker.connection.closed]
        ready = wait([*open_pipes, *(worker.process.sentinel for worker in workers)], seconds)
        return [w for w in workers if w.process.sentinel in ready or w.connection in ready]

    def watch(self, workers: Sequence[WorkerProcess], now: float) -> None:
        """Kill workers that take too much memory, with all that they have started."""
        for worker in workers:
            if not worker.held or worker.killed is not None:
                continue
            used = memory_of(worker.process.pid)
            if used > self._memory_limit:
                mib = 2**20
                words = f"worker took {used // mib} MiB, limit {self._memory_limit // mib} MiB, killed"
                worker.kill("memory", words)
