"""A study without environments and without training: plans, and executors that play synthetic learning curves."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
import random
import sqlite3
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from gymnasium import spaces
from synthetic import value

import tuner.api
from tuner.contract.grid import evaluation_grid
from tuner.contract.outcome import EvalPoint, Outcome
from tuner.contract.roles import DONE
from tuner.contract.spec import EvaluationSpec, RunId, RunSpec
from tuner.envs.make import EnvFacts
from tuner.plan.naming import study_name
from tuner.plan.recipe import StudyRecipe
from tuner.plan.resolve import StudyPlan
from tuner.space.parse import parse_space
from tuner.study.search.open_study import open_study
from tuner.study.search.supervisor import StudySupervisor
from tuner.study.store.connect import open_storage
from tuner.study.store.database import sqlite_path

SPACE = {
    "algorithm": "dqn",
    "budget": {"n_timesteps": 1000, "evaluations": 6, "eval_episodes": 2, "clip": False},
    "fixed": {"batch_size": 32},
    "search": {
        "learning_rate": {"type": "float", "low": 1.0e-5, "high": 1.0e-2, "log": True},
        "buffer_size": {"type": "int", "low": 100, "high": 10_000, "log": True},
        "double_q": {"type": "categorical", "choices": [True, False]},
        "tau": {"type": "float", "low": 0.1, "high": 1.0, "when": {"double_q": True}},
    },
}


def finish(supervisor, spec: RunSpec, mean: float = 1.0) -> None:
    """Report all evaluations of a run that trains, and its end."""
    for step in spec.grid:
        supervisor.report([EvalPoint(spec.run_id, step, (mean,), (1,))])
    supervisor.finish(Outcome(spec.run_id, "completed", spec.n_timesteps, 0.5))


def draw_nothing(patch) -> None:
    """Drawing page and plots takes longer than the studies of tests."""
    patch.setattr(tuner.api, "write_study_report", lambda *_: tuner.api.ReportPaths(Path("reports"), None))
    patch.setattr(tuner.api, "_tell_dashboard", lambda *_: None)


def make_plan(storage: str, *, in_flight: int = 1, space=None, **settings) -> StudyPlan:
    recipe = StudyRecipe(**{"env": "Fake-v0", "executor": "inline", "storage": storage, **settings}).validated()
    parsed = parse_space(space or SPACE).with_budget(recipe.steps, recipe.evaluations, recipe.eval_episodes)
    for name, fixed in recipe.set.items():
        parsed = parsed.fix(name, fixed)
    budget = parsed.budget
    box, actions = spaces.Box(-1, 1, (4,)), spaces.Discrete(2)
    return StudyPlan(
        name=study_name(recipe),
        storage=storage,
        recipe=recipe,
        backend=recipe.backend,
        trials=recipe.trials,
        timeout=recipe.timeout,
        space=parsed,
        env=recipe.env_spec(),
        facts=EnvFacts("Box(4,) float32", 2, 100, 475.0, 100, box, actions),
        grid=evaluation_grid(budget.n_timesteps, budget.evaluations),
        evaluation=EvaluationSpec(budget.eval_episodes, 7, 100),
        workers=1,
        lanes=in_flight,
        trials_in_flight=in_flight,
        runs_in_flight=in_flight * recipe.seeds_per_trial,
        device="cpu",
    )


@functools.cache
def empty_database() -> bytes:
    """A database without studies: making its tables takes longer than a whole fake study."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/empty.db"
        open_storage(url, create=True)
        return sqlite_path(url).read_bytes()


def supervise(plan: StudyPlan, **options) -> StudySupervisor:
    path = sqlite_path(plan.storage)
    if path is not None and not path.exists():
        path.write_bytes(empty_database())
    ledger, *_ = open_study(plan, {"numeric_path": plan.numeric_path})
    return StudySupervisor(plan, ledger, ledger.settle(), **options)


def copied(plan: StudyPlan, folder: Path) -> StudyPlan:
    """Return the plan of a copy of its study in ``folder``, which a test may go on with: others have the same one."""
    url = f"sqlite:///{folder}/s.db"
    with (
        contextlib.closing(sqlite3.connect(str(sqlite_path(plan.storage)))) as old,
        contextlib.closing(sqlite3.connect(str(sqlite_path(url)))) as new,
    ):
        old.backup(new)
    return dataclasses.replace(plan, storage=url, recipe=dataclasses.replace(plan.recipe, storage=url))


@dataclass
class FakeExecutor:
    """Plays runs in the supervisor's own thread, step by step, ``lanes`` of them side by side.

    ``behave(spec)`` gives a run's fate: ``completed``, ``diverged``, ``failed``, ``timed_out``, ``nan``, ``slow`` or
    ``die`` (the worker dies while it trains); ``late_nan`` and ``late_slow`` look splendid until their last evaluation
    but one. With ``luck`` the order in which runs advance is random.
    """

    behave: Callable[[RunSpec], str] = lambda spec: "completed"
    lanes: int = 1
    luck: random.Random | None = None
    stop_after_reports: int | None = None
    taken: list[RunSpec] = field(default_factory=list)
    stopped: list[RunId] = field(default_factory=list)
    reports: int = 0

    def run(self, supervisor: StudySupervisor) -> None:
        held: dict[RunId, tuple[RunSpec, int]] = {}
        while True:
            while len(held) < self.lanes:
                answer = supervisor.take({spec.shape: 1 for spec, _ in held.values()}, block=not held)
                if not isinstance(answer, RunSpec):
                    break
                self.taken.append(answer)
                held[answer.run_id] = (answer, 0)
            if not held:
                if answer is DONE or not supervisor.tick():
                    return
                time.sleep(0.1)  # as executors wait for their workers, which wait for work
                continue
            run_id = self.luck.choice(sorted(held)) if self.luck else next(iter(held))
            spec, done = held[run_id]
            held[run_id] = (spec, done + 1)
            if self._advance(supervisor, spec, done):
                del held[run_id]
            if not supervisor.tick():
                supervisor.lost(list(held), "stopped")
                return

    def _advance(self, supervisor, spec: RunSpec, done: int) -> bool:
        """Take one evaluation; return whether the run is over."""
        fate, step = self.behave(spec), spec.grid[done]
        if fate == "die":
            supervisor.lost([spec.run_id], "killed by signal 9")
            return True
        if fate in ("diverged", "failed", "timed_out") and done == 1:
            supervisor.finish(Outcome(spec.run_id, fate, step, 1.0, f"{fate} on purpose"))
            return True
        mean = math.nan if fate == "nan" and done == 2 else value(spec, step)
        elapsed = 1000.0 * done if fate == "slow" else 0.1 * done
        if fate.startswith("late_"):
            mean, last_but_one = 1000.0, done == len(spec.grid) - 2
            mean = math.nan if fate == "late_nan" and last_but_one else mean
            elapsed = 9999.0 if fate == "late_slow" and last_but_one else elapsed
        stop = supervisor.report([EvalPoint(spec.run_id, step, (mean - 1, mean + 1), (5, 5), elapsed, {"loss": 0.5})])
        self.reports += 1
        if self.reports == self.stop_after_reports:
            supervisor.interrupt()
        if spec.run_id in stop:
            self.stopped.append(spec.run_id)
            supervisor.finish(Outcome(spec.run_id, "stopped", step, elapsed))
            return True
        if step == spec.grid[-1]:
            supervisor.finish(Outcome(spec.run_id, "completed", step, elapsed))
            return True
        return False


def search(plan: StudyPlan, executor: FakeExecutor | None = None, **options) -> StudySupervisor:
    supervisor = supervise(plan, **options)
    (executor or FakeExecutor()).run(supervisor)
    supervisor.close()
    return supervisor
