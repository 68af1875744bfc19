"""Trainers as Ray actors, on as many machines as a cluster has: ``--executor ray``.

Ray places trainers, starts them where there is room, and says when one has died.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue

from tuner.contract.roles import Supervisor, Trainer
from tuner.execution.pool import Pool
from tuner.execution.ray_actor import TrainerActor
from tuner.execution.ray_cluster import Cluster, Place, join
from tuner.execution.ray_worker import Abroad, Inbox, RayWorker, lost_nodes
from tuner.execution.worker_process import ONE_THREAD

#: Seconds that Ray has to find out about a lost node, before an actor out of reach counts as dead by itself.
MISSING_S = 60.0


class RayExecutor:
    """Hosts one trainer in each of some Ray actors; those for which there is no room yet start when there is.

    With one worker everything the supervisor sees comes in one reproducible order. Runs of actors that die, alone or
    with their node, are given back with :meth:`Supervisor.lost`, and the actors are replaced.

    Args:
        make_trainer: Makes a worker's trainer, there: a function that its machine can import.
        workers: Number of actors at most, >= 1.
        place: Which cluster, and what each actor asks for.
        env_id: The environment whose own module is to travel, ``Id`` or ``module:Id``.
        env_module: What ``--env-module`` says.
        wrapper: What ``--wrapper`` says, whose own modules are to travel, too.
        modules: Folders of further packages to send.
        stop_grace_s: Seconds that runs have to reach their next evaluation when told to stop.
    """

    def __init__(
        self,
        make_trainer: Callable[[], Trainer],
        workers: int,
        place: Place,
        *,
        env_id: str = "",
        env_module: str | None = None,
        wrapper: Sequence[str] = (),
        modules: Sequence[Path] = (),
        stop_grace_s: float = 5.0,
    ) -> None:
        if workers < 1:
            raise ValueError(f"workers must be at least 1, got {workers}.")
        self._make_trainer = make_trainer
        self._workers = workers
        self._place = place
        self._env = (env_id, env_module, tuple(wrapper))
        self._modules = tuple(modules)
        self._stop_grace_s = stop_grace_s

    def run(self, supervisor: Supervisor) -> None:
        """Serve actors until all have left. Whatever ends this call, no actor survives it.

        Raises:
            MissingExtraError: Ray is not installed.
            InputError: The cluster cannot be used.
            StudyFailedError: Actors cannot be kept alive.
        """
        env_id, env_module, wrapper = self._env
        with join(
            self._place,
            self._workers,
            env_id=env_id,
            env_module=env_module,
            wrapper=wrapper,
            modules=self._modules,
        ) as cluster:
            host = _Actors(self._make_trainer, cluster, self._place)
            Pool(supervisor, host, self._stop_grace_s).serve(self._workers)


class _Actors:
    """See :class:`~tuner.execution.pool.Host`."""

    def __init__(self, make_trainer: Callable[[], Trainer], cluster: Cluster, place: Place) -> None:
        self._make_trainer = make_trainer
        self._ray = cluster.ray
        self._abroad = Abroad(cluster.parcel.module)
        self._inbox: Inbox = SimpleQueue()
        self._kind = self._ray.remote(TrainerActor).options(
            num_cpus=place.cpus,
            num_gpus=place.gpus,
            max_restarts=0,
            scheduling_strategy="SPREAD",
            runtime_env={"env_vars": ONE_THREAD},
        )

    def start(self, slot: int) -> RayWorker:
        return RayWorker(slot, self._ray, self._kind.remote(self._make_trainer), self._inbox, self._abroad)

    def wait(self, workers: Sequence[RayWorker], seconds: float) -> list[RayWorker]:
        ready = []
        try:
            worker, future = self._inbox.get(timeout=seconds)
            while True:
                if worker in workers:
                    worker.arrived(future)
                    ready.append(worker)
                worker, future = self._inbox.get_nowait()
        except Empty:
            return ready

    def watch(self, workers: Sequence[RayWorker], now: float) -> None:
        """Give up actors that were lost with their nodes, or cannot be reached any more."""
        missing = [(worker, worker.missing_since) for worker in workers if worker.missing_since is not None]
        gone = lost_nodes(self._ray) if missing else set()
        for worker, since in missing:
            worker.heard = now  # it is not silent, but out of reach
            if worker.node in gone:
                worker.kill("stopped", "its node died")  # no run's doing, and none is charged
            elif now - since > MISSING_S:
                worker.kill("died", "its actor could not be reached any more")
