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

#: Finalists, as `--confirm 5`, and the most seeds that decide between them: of those that the search draws from, and of
#: further ones.
FINALISTS, SELECT_SEEDS, FURTHER_SEEDS = 5, 2, 4


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

    @property
    def fresh(self) -> np.ndarray:
        """The same of seeds that no search draws, [S, F]; NaN where a setting has fewer."""
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
    _had: dict[int, list[int]] = field(default_factory=dict)
    _held: dict[RunId, Playing] = field(default_factory=dict)
    _checkpoints: int = 0

    def run(self, supervisor: StudySupervisor) -> None:
        """Train until the supervisor says DONE; it limits how many run side by side."""
        while True:
            while isinstance(spec := supervisor.take({}, block=not self._held), RunSpec):
                setting = self.setting_of(spec)
                seed = self._seed(spec, setting)
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

    def _seed(self, spec: RunSpec, setting: int) -> int:
        """Return which of a setting's seeds a run repeats: one that it has not had, as long as there is one."""
        had = self._had.setdefault(setting, [])
        left = [seed for seed in range(self.curves.late.shape[1]) if seed not in had] or had
        seed = left[int(seeding.stream(spec.seed, "landscape").integers(len(left)))]
        had.append(seed)
        return seed

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
    rule = PruningRule(recipe.pruner, plan.grid, version=plan.rules.pruning)
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


def _finalists(scored: Sequence[Scored]) -> list[int]:
    """Return each setting once, best first."""
    ordered = sorted(scored, key=lambda trial: (-trial.score, -trial.curve_mean))
    return list(dict.fromkeys(trial.setting for trial in ordered))


def choose(
    curves: Measured,
    scored: Sequence[Scored],
    model: Callable[[Sequence[int], np.ndarray], np.ndarray] | None = None,
    known: Container[int] = (),
    pooled: bool = False,
) -> Chosen:
    """Return the true mean `late` of the best and of the confirmed choice.

    Of the seeds that earned no finalist its place some select and the rest tell the truth, in all ways to divide them:
    of a setting with seeds that no search draws four of these select, else two of the others (one, where there are only
    two).

    Args:
        curves: The truth.
        scored: The completed trials, at least one. Of equal scores the higher mean of the whole curve comes first, as
            in the study.
        model: From settings and their scores to what puts them in order instead; None for the scores themselves.
        known: Settings that were known before the search, of which the best takes part (rule 3 of the product's).
        pooled: Whether the scores that a finalist has count beside the select ones (rule 4).
    """
    by_score = _finalists(scored)
    top = by_score[:FINALISTS]
    if model is not None:
        order = model([trial.setting for trial in scored], np.array([trial.score for trial in scored]))
        ordered = _finalists([t._replace(score=float(value)) for t, value in zip(scored, order, strict=True)])
        best_known = [setting for setting in by_score if setting in known][:1]
        first = [ordered[0], *best_known, by_score[0]] if best_known else []
        top = list(dict.fromkeys([*first, *ordered]))[:FINALISTS]
        if by_score[0] not in top:  # as in the product
            top[-1] = by_score[0]
    earned: dict[int, list[int]] = {}
    for trial in sorted(scored, key=lambda trial: (-trial.score, -trial.curve_mean)):
        earned.setdefault(trial.setting, []).append(trial.seed)
    had = [[trial.score for trial in scored if trial.setting == setting] if pooled else [] for setting in top]
    others = [_unseen(curves, setting, earned[setting]) for setting in top]
    ways = [_divisions(len(scores), curves.fresh.shape[1]) for scores in others]
    truths = []
    for at in range(max(map(len, ways))):
        chosen = [list(way[at % len(way)]) for way in ways]
        means = [np.mean([*own, *scores[picked]]) for own, scores, picked in zip(had, others, chosen, strict=True)]
        selected = int(np.argmax(means))
        truths.append(np.delete(others[selected], chosen[selected]).mean())
    return Chosen(float(others[0].mean()), float(np.mean(truths)))


def _unseen(curves: Measured, setting: int, earned: Sequence[int]) -> np.ndarray:
    """Return the scores of a setting over the seeds that did not earn it its place.

    Of one that has had all but one of its seeds, and has no further ones, those that did not earn the best score.
    """
    fresh = curves.fresh[setting]
    if (measured := ~np.isnan(fresh)).any():
        return fresh[measured]
    unseen = np.delete(curves.late[setting], earned)
    return unseen if len(unseen) > 1 else np.delete(curves.late[setting], earned[0])


def _divisions(seeds: int, further: int) -> list[tuple[int, ...]]:
    """Return all ways to choose who selects among a setting's unseen seeds."""
    most = FURTHER_SEEDS if seeds == further else SELECT_SEEDS
    return list(itertools.combinations(range(seeds), min(most, seeds - 1)))
