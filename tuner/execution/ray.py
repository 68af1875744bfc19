"""Trainers as Ray actors, on as many machines as a cluster has: ``--executor ray``.

The loop is that of :mod:`tuner.execution.processes`: one thread of the driver answers what trainers ask, and it alone
talks to the supervisor. Ray places trainers, starts them where there is room, and says when one has died.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue

from tuner.contract.outcome import LossCause
from tuner.contract.roles import DONE, WAIT, Signal, Supervisor, Trainer
from tuner.contract.spec import RunSpec
from tuner.errors import StudyFailedError
from tuner.execution.messages import Crashed, Finish, Report, Take
from tuner.execution.ray_actor import Left, TrainerActor, Word
from tuner.execution.ray_cluster import Cluster, Place, join
from tuner.execution.ray_worker import Inbox, RayWorker, WorkerNotice, lost_nodes, out_of_reach, why
from tuner.execution.worker_process import ONE_THREAD

logger = logging.getLogger(__name__)

#: Seconds between two ticks of the supervisor.
TICK_S = 0.1

#: Seconds between two looks at actors beyond which this process was stopped or held up, and runs with it.
ASLEEP_S = 2.0

#: Seconds a trainer has to end once it has nothing to do, before its actor is killed.
LEAVE_S = 10.0

#: Seconds that Ray has to find out about a lost node, before an actor out of reach counts as dead by itself.
MISSING_S = 60.0

#: Trainers that may die one after the other without any of them saying a word, for each place.
MAX_STILLBORN = 3


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
        modules: Sequence[Path] = (),
        stop_grace_s: float = 5.0,
    ) -> None:
        if workers < 1:
            raise ValueError(f"workers must be at least 1, got {workers}.")
        self._make_trainer = make_trainer
        self._workers = workers
        self._place = place
        self._env = (env_id, env_module)
        self._modules = tuple(modules)
        self._stop_grace_s = stop_grace_s

    def run(self, supervisor: Supervisor) -> None:
        """Serve actors until all have left. Whatever ends this call, no actor survives it.

        Raises:
            MissingExtraError: Ray is not installed.
            InputError: The cluster cannot be used.
            StudyFailedError: Actors cannot be kept alive.
        """
        env_id, env_module = self._env
        with join(self._place, self._workers, env_id=env_id, env_module=env_module, modules=self._modules) as cluster:
            pool = _Pool(supervisor, self._make_trainer, cluster, self._place, self._stop_grace_s)
            try:
                pool.serve(self._workers)
            finally:
                pool.kill()


class _Pool:
    def __init__(
        self,
        supervisor: Supervisor,
        make_trainer: Callable[[], Trainer],
        cluster: Cluster,
        place: Place,
        stop_grace_s: float,
    ) -> None:
        self._supervisor = supervisor
        self._make_trainer = make_trainer
        self._ray = cluster.ray
        self._module = cluster.parcel.module
        self._stop_grace_s = stop_grace_s
        self._kind = self._ray.remote(TrainerActor).options(
            num_cpus=place.cpus,
            num_gpus=place.gpus,
            max_restarts=0,
            scheduling_strategy="SPREAD",
            runtime_env={"env_vars": ONE_THREAD},
        )
        self._inbox: Inbox = SimpleQueue()
        self._actors: dict[RayWorker, None] = {}
        self._parked: deque[RayWorker] = deque()
        self._homes: dict[object, object] = {}  # environments as actors know them -> as the supervisor does
        self._stillborn = 0
        self._most_stillborn = MAX_STILLBORN
        self._over = False
        self._stopping_since: float | None = None

    def serve(self, workers: int) -> None:
        self._most_stillborn = MAX_STILLBORN * workers
        for _ in range(workers):
            self._add()
        next_tick = awake = time.monotonic()
        while self._actors:
            news = self._news()
            was, awake = awake, time.monotonic()
            if awake - was > ASLEEP_S:
                self._supervisor.slept(awake - was)
            for actor, future in news:
                if actor not in self._actors:
                    continue
                error = future.exception()
                if error is None:
                    self._listen(actor, future.result())
                else:
                    self._miss(actor, error)
            if time.monotonic() >= next_tick:
                self._tick()
                next_tick = time.monotonic() + TICK_S
            self._answer_parked()

    def kill(self) -> None:
        while self._actors:
            self._actors.popitem()[0].end(self._ray)

    def _add(self) -> None:
        self._actors[RayWorker(self._kind.remote(self._make_trainer), self._inbox)] = None

    def _news(self) -> list[WorkerNotice]:
        news = []
        try:
            news.append(self._inbox.get(timeout=TICK_S))
            while True:
                news.append(self._inbox.get_nowait())
        except Empty:
            return news

    # -- what actors say ----------------------------------------------------------------------------------------------

    def _listen(self, actor: RayWorker, words: list[Word]) -> None:
        """Take in an actor's words; only the last of them can be a question."""
        if not actor.spoke:
            actor.spoke = not isinstance(words[0], Crashed | Left)
            self._stillborn = 0 if actor.spoke else self._stillborn
        actor.heard = time.monotonic()
        for word in words:
            if isinstance(word, Take):
                actor.parked = word
            elif isinstance(word, Report):
                stop = self._supervisor.report(word.points)
                if self._stopping_since is not None:
                    stop |= {point.run_id for point in word.points}
                actor.send(stop)
            elif isinstance(word, Finish):
                actor.held.pop(word.outcome.run_id, None)
                self._supervisor.finish(word.outcome)
                self._dismiss_idle(actor)
            elif isinstance(word, Crashed):
                actor.crash = word.reason
                logger.debug("%s", word.detail)
            else:
                self._bury(actor, actor.crash or "its trainer has ended")
                return
        if actor.parked is not None and not self._answer(actor):
            self._parked.append(actor)
        elif not isinstance(words[-1], Take | Report):
            actor.send(None)

    def _answer_parked(self) -> None:
        """Answer those who wait for work, the longest wait first, while there is any."""
        while self._parked:
            actor = self._parked[0]
            if actor in self._actors and not self._answer(actor):
                return
            self._parked.popleft()

    def _answer(self, actor: RayWorker) -> bool:
        """Answer an actor's question for work; return False when it has to wait."""
        question = actor.parked
        assert question is not None
        answer: RunSpec | Signal = DONE
        if self._stopping_since is None:
            answer = self._supervisor.take(self._at_home(question.open_shapes), block=False)
        if answer is WAIT and question.block:
            return False
        actor.parked = None
        if isinstance(answer, RunSpec):
            actor.held[answer.run_id] = None
            actor.heard = time.monotonic()
            answer = self._abroad(answer)
        elif answer is DONE:
            actor.told_done = self._over = True
            self._dismiss_idle(actor)
        actor.send(answer)
        return True

    def _dismiss_idle(self, actor: RayWorker) -> None:
        if actor.told_done and not actor.held:
            actor.leave_by = time.monotonic() + LEAVE_S

    def _abroad(self, spec: RunSpec) -> RunSpec:
        """Return a run with its environment's module where actors find it."""
        if spec.env.module is None or spec.env.module == self._module:
            return spec
        env = dataclasses.replace(spec.env, module=self._module)
        self._homes[env] = spec.env
        return dataclasses.replace(spec, env=env)

    def _at_home(self, shapes: Mapping[tuple[object, ...], int]) -> Mapping[tuple[object, ...], int]:
        """Return stack shapes, which begin with the environment, as the supervisor knows them."""
        if not self._homes:
            return shapes
        return {(self._homes.get(shape[0], shape[0]), *shape[1:]): free for shape, free in shapes.items()}

    # -- how actors end -----------------------------------------------------------------------------------------------

    def _miss(self, actor: RayWorker, error: BaseException) -> None:
        """Bury a dead actor; one that is out of reach may have lost its node, which takes Ray a while to say."""
        if actor.held and out_of_reach(error):
            actor.missing_since = time.monotonic()
        else:
            self._bury(actor, *why(error))

    def _look_for_missing(self, now: float) -> None:
        missing = [(a, a.missing_since) for a in self._actors if a.missing_since is not None]
        gone = lost_nodes(self._ray) if missing else set()
        for actor, since in missing:
            if actor.node in gone:
                self._bury(actor, "its node died", "stopped")  # no run's doing, and none is charged
            elif now - since > MISSING_S:
                self._bury(actor, "its actor could not be reached any more")

    def _bury(self, actor: RayWorker, reason: str, cause: LossCause = "died") -> None:
        """Give a dead actor's runs back, and replace it while there may be work."""
        del self._actors[actor]
        actor.end(self._ray)
        stopping = self._stopping_since is not None
        if actor.held:
            logger.log(logging.INFO if stopping else logging.WARNING, "%s; its runs go again", reason)
            if stopping:
                cause, reason = "stopped", "stopped before its next evaluation"
            self._supervisor.lost(list(actor.held), reason, cause)
        if stopping or (actor.told_done and not actor.held):
            return
        if not actor.spoke:
            self._stillborn += 1
        if self._stillborn >= self._most_stillborn and not any(other.held for other in self._actors):
            raise StudyFailedError(f"Trainers die as soon as they start, {self._stillborn} in a row: {reason}.")
        self._over = False
        self._add()

    def _tick(self) -> None:
        now = time.monotonic()
        if not self._supervisor.tick() and self._stopping_since is None:
            self._stopping_since = now
        stopping = self._stopping_since is not None
        if stopping or self._over:
            # Nothing will come: those that have not started, or wait for a node, need not any more.
            for actor in [a for a in self._actors if not a.held and not a.spoke]:
                actor.told_done = True
                self._bury(actor, "")
        if self._stopping_since is not None and now - self._stopping_since >= self._stop_grace_s:
            for actor in list(self._actors):
                self._bury(actor, "stopped")
        if not stopping:
            self._look_for_missing(now)
            for actor in [a for a in self._actors if a.held and a.missing_since is None]:
                silent = now - actor.heard
                if self._supervisor.overdue(list(actor.held), silent):
                    self._bury(actor, f"its actor was silent for {silent:.0f} s, killed", "silent")
        for actor in [a for a in self._actors if a.leave_by is not None and now > a.leave_by]:
            self._bury(actor, "its trainer did not end")
