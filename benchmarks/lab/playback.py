"""A study whose training is looked up: supervisor, sampler, pruner and score are real, lanes repeat measured curves.

Every run takes the same virtual time per environment step, as lanes of a stack do, and a lane that ends is refilled at
once.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np
import optuna
from optuna.study import StudyDirection

from tuner import seeding
from tuner.contract.outcome import EvalPoint, Outcome
from tuner.contract.spec import RunId, RunSpec
from tuner.plan.resolve import StudyPlan
from tuner.study.search.asker import SpaceAsker
from tuner.study.search.ledger import Ledger
from tuner.study.search.pruners import PruningRule, make_pruner
from tuner.study.search.supervisor import StudySupervisor
from tuner.study.store.buffer import BufferedStorage

#: Finalists, as `--confirm 5`, and the most fresh seeds that decide between them.
FINALISTS, SELECT_SEEDS = 5, 2


class Measured(Protocol):
    """Curves of S settings, R seeds and C checkpoints."""

    @property
    def steps(self) -> tuple[int, ...]:
        """Environment steps of the checkpoints."""
        ...

    @property
    def returns(self) -> np.ndarray:
        """Mean return of each evaluation, [S, R, C]; NaN from where a run diverged."""
        ...

    @property
    def late(self) -> np.ndarray:
        """The score `late` of each run, [S, R]."""
        ...


@dataclass
class Playing:
    """A run on a lane: what stands for it, and how many checkpoints it has passed."""

    spec: RunSpec
    setting: int
    seed: int
    done: int = 0


class Scored(NamedTuple):
    """A completed trial.

    Attributes:
        score: Its `late`.
        curve_mean: Mean of its whole curve, which decides between equal scores.
        setting: What stood for it.
        seed: Which of the setting's seeds.
        after: How many trials had ended when it had.
    """

    score: float
    curve_mean: float
    setting: int
    seed: int
    after: int = 0


@dataclass
class Playback:
    """An executor whose lanes repeat measured curves, all a checkpoint further in each round.

    Attributes:
        curves: The curves.
        setting_of: Which setting stands for a run.
        completed: The runs that were not stopped, in order of their ends.
        proposed: Setting of each run, in order of their starts.
        rounds: Virtual time, in checkpoints of one run.
        spent: Checkpoints that had been trained when the n-th trial ended.
        ended: The runs in order of their ends.
    """

    curves: Measured
    setting_of: Callable[[RunSpec], int]
    completed: list[Scored] = field(default_factory=list)
    proposed: list[int] = field(default_factory=list)
    rounds: int = 0
    spent: list[int] = field(default_factory=list)
    ended: list[Playing] = field(default_factory=list)
    _held: dict[RunId, Playing] = field(default_factory=dict)
    _checkpoints: int = 0

    def run(self, supervisor: StudySupervisor) -> None:
        """Train until the supervisor says DONE; it limits how many run side by side."""
        while True:
            while isinstance(spec := supervisor.take({}, block=not self._held), RunSpec):
                seed = int(seeding.stream(spec.seed, "landscape").integers(self.curves.late.shape[1]))
                setting = self.setting_of(spec)
                self.proposed.append(setting)
                self._held[spec.run_id] = Playing(spec, setting, seed)
            if not self._held:
                return
            self.rounds += 1
            for outcome in self._advance(supervisor):
                self.spent.append(self._checkpoints)
                run = self._held.pop(outcome.run_id)
                self.ended.append(run)
                if outcome.kind == "completed":
                    score = float(self.curves.late[run.setting, run.seed])
                    mean = float(self.curves.returns[run.setting, run.seed].mean())
                    self.completed.append(Scored(score, mean, run.setting, run.seed, len(self.spent)))
                supervisor.finish(outcome)
            supervisor.tick()

    def _advance(self, supervisor: StudySupervisor) -> list[Outcome]:
        """Move every run to its next checkpoint; return how those ended that did."""
        points, ended, steps = [], [], self.curves.steps
        for run_id, run in self._held.items():
            self._checkpoints += 1
            mean = float(self.curves.returns[run.setting, run.seed, run.done])
            if np.isnan(mean):
                ended.append(Outcome(run_id, "diverged", steps[run.done], reason="diverged when it was measured"))
                continue
            points.append(EvalPoint(run_id, steps[run.done], (mean,), (1,)))
            run.done += 1
        stop = supervisor.report(points)
        for point in points:
            if point.step == steps[-1]:
                ended.append(Outcome(point.run_id, "completed", point.step))
            elif point.run_id in stop:
                ended.append(Outcome(point.run_id, "stopped", point.step))
        return ended


def study_in_memory(plan: StudyPlan, sampler: optuna.samplers.BaseSampler) -> Ledger:
    """Return a fresh study with the plan's pruner, in no database: that takes half the time."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    recipe, backend = plan.recipe, optuna.storages.InMemoryStorage()
    study_id = backend.create_new_study([StudyDirection.MAXIMIZE], plan.name)
    storage = BufferedStorage(backend, study_id, exclusive=True)
    pruner = make_pruner(
        recipe.pruner, grid=plan.grid, startup_trials=recipe.startup_trials, version=plan.rules.pruning
    )
    study = optuna.load_study(study_name=plan.name, storage=storage, sampler=sampler, pruner=pruner)
    rule = PruningRule(recipe.pruner, plan.grid)
    asker = SpaceAsker(plan.space, seed=recipe.seed, replicates=1)
    return Ledger(study, storage, asker, rule, url=plan.storage, exclusive=True)


class Chosen(NamedTuple):
    """True mean `late` of what a study chose.

    Attributes:
        best: Of the trial with the highest score, over the seeds that did not earn it.
        confirmed: Of the finalist with the highest mean over fresh seeds, over the seeds left.
    """

    best: float
    confirmed: float


def _finalists(scored: Sequence[Scored]) -> list[tuple[int, int]]:
    """Return each setting once, best first, with the seed that earned its highest score."""
    found: dict[int, int] = {}
    for trial in sorted(scored, key=lambda trial: (-trial.score, -trial.curve_mean)):
        found.setdefault(trial.setting, trial.seed)
    return list(found.items())


def choose(
    curves: Measured,
    scored: Sequence[Scored],
    model: Callable[[Sequence[int], np.ndarray], np.ndarray] | None = None,
    known: Container[int] = (),
) -> Chosen:
    """Return the true mean `late` of the best and of the confirmed choice.

    Of the seeds that earned no finalist its place two select (one, where there are only two) and the rest tell the
    truth, in all ways to divide them.

    Args:
        curves: The truth.
        scored: The completed trials, at least one. Of equal scores the higher mean of the whole curve comes first, as
            in the study.
        model: From settings and their scores to what puts them in order instead; None for the scores themselves.
        known: Settings that were known before the search, of which the best takes part (rule 3 of the product's).
    """
    by_score = _finalists(scored)
    top = by_score[:FINALISTS]
    if model is not None:
        order = model([trial.setting for trial in scored], np.array([trial.score for trial in scored]))
        ordered = _finalists([t._replace(score=float(value)) for t, value in zip(scored, order, strict=True)])
        seeds = dict(by_score)
        best_known = [setting for setting in seeds if setting in known][:1]
        first = [ordered[0][0], *best_known, by_score[0][0]] if best_known else []
        names = list(dict.fromkeys([*first, *(setting for setting, _ in ordered)]))[:FINALISTS]
        if by_score[0][0] not in names:  # as in the product
            names[-1] = by_score[0][0]
        top = [(setting, dict(ordered)[setting]) for setting in names]
    others = np.array([np.delete(curves.late[setting], seed) for setting, seed in top])
    truths = []
    for chosen in itertools.combinations(range(others.shape[1]), min(SELECT_SEEDS, others.shape[1] - 1)):
        selected = others[:, list(chosen)].mean(axis=1).argmax()
        truths.append(np.delete(others[selected], chosen).mean())
    return Chosen(float(others[0].mean()), float(np.mean(truths)))
