"""Trainers that only pretend, and a supervisor that keeps books. Importable in spawned workers."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter

from tuner.contract.outcome import EvalPoint, Outcome
from tuner.contract.roles import DONE, WAIT
from tuner.contract.spec import EvaluationSpec, RunId, RunSpec
from tuner.envs.spec import EnvSpec
from tuner.hyperparameters import DQNHyperparameters


def fake_spec(trial: int, *, points: int = 3, seed: int | None = None, **behaviour) -> RunSpec:
    """A run for :class:`FakeTrainer`; ``behaviour``: delay (s before each point), hang (s before the
    first), stall (s after each), raises, spawns, breaks_trainer, forks (a child that comes back, and raises or goes
    on).
    """
    env = EnvSpec("Fake-v0", tuple(sorted(behaviour.items())))
    grid = tuple(10 * (i + 1) for i in range(points))
    return RunSpec(
        RunId(trial), env, "native", DQNHyperparameters(), 100 + trial if seed is None else seed, grid,
        EvaluationSpec(2, 0, 10),
    )  # fmt: skip


class FakeTrainer:
    """Reports ``seed + step`` at each grid point."""

    def train(self, dispatcher):
        while isinstance(spec := dispatcher.take({}, block=True), RunSpec):
            behaviour = dict(spec.env.kwargs)
            if behaviour.get("breaks_trainer"):
                raise RuntimeError("the trainer itself is broken")
            dispatcher.finish(self.run(spec, behaviour, dispatcher))

    def run(self, spec, behaviour, dispatcher):
        metrics = {"pid": os.getpid(), "threads": float(os.environ.get("OMP_NUM_THREADS", "0"))}
        if behaviour.get("spawns"):
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            metrics["child"] = child.pid
        time.sleep(behaviour.get("hang", 0))
        forks = behaviour.get("forks")
        child = forks is not None and os.fork() == 0
        if behaviour.get("raises") or (child and forks == "raises"):
            return Outcome(spec.run_id, "failed", 0, 0.0, "RuntimeError: boom", "Traceback ...")
        for step in spec.grid:
            time.sleep(behaviour.get("delay", 0))
            returns = (float(spec.seed + step), float(step))
            if spec.run_id in dispatcher.report([EvalPoint(spec.run_id, step, returns, (1, 1), 0.1, metrics)]):
                return Outcome(spec.run_id, "stopped", step)
            time.sleep(behaviour.get("stall", 0))
        return Outcome(spec.run_id, "completed", spec.n_timesteps)


class LeavingTrainer:
    """Ends without having asked for anything."""

    def train(self, dispatcher):
        return


def broken_factory():
    raise OSError("no such library")


class Books:
    """A supervisor over a list of runs that checks the protocol as it goes."""

    def __init__(self, specs, *, on_point=None, stop_when=None, stop_at=None, patience_s=600.0):
        self.queue = list(specs)
        self.specs = {spec.run_id: spec for spec in specs}
        self.in_flight = {}
        self.points = {spec.run_id: [] for spec in specs}
        self.outcomes = {}
        self.losses = []
        self.causes = []
        self.taken = Counter()
        self.pids = {}
        self.slept_s = 0.0
        self.ticks = 0
        self.log = []
        self.patience_s = patience_s
        self._on_point = on_point
        self._stop_when = stop_when
        self._stop_at = {} if stop_at is None else stop_at  # looked up at each report: it may change

    def take(self, open_shapes, *, block):
        if self.queue:
            spec = self.queue.pop(0)
            self.in_flight[spec.run_id] = spec
            self.taken[spec.run_id] += 1
            self.log.append(("take", spec.run_id))
            return spec
        if self.in_flight:
            return WAIT
        return DONE

    def report(self, points):
        stop = set()
        for point in points:
            assert point.run_id in self.in_flight, "only a run that was taken reports"
            self.points[point.run_id].append(point)
            self.pids[point.run_id] = int(point.metrics.get("pid", 0))
            self.log.append(("report", point.run_id, point.step))
            if self._on_point is not None:
                self._on_point(self, point)
            if point.step >= self._stop_at.get(point.run_id, 10**9):
                stop.add(point.run_id)
        return frozenset(stop)

    def finish(self, outcome):
        assert outcome.run_id in self.in_flight, "a run is finished once, after it was taken"
        del self.in_flight[outcome.run_id]
        self.outcomes[outcome.run_id] = outcome
        self.log.append(("finish", outcome.run_id, outcome.kind))

    def lost(self, run_ids, reason, cause="died"):
        self.causes.append(cause)
        for run_id in run_ids:
            self.losses.append((run_id, reason))
            self.points[run_id] = []
            self.queue.insert(0, self.in_flight.pop(run_id))

    def slept(self, seconds):
        self.slept_s += seconds

    def overdue(self, run_ids, silent_s):
        return silent_s > self.patience_s

    def tick(self):
        self.ticks += 1
        return not (self._stop_when is not None and self._stop_when(self))
