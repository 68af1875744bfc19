"""A study as plain tables: what reports, exports and ``tune show`` read.

Plain data only, so that reading results needs no Optuna; ``tuner/study/reading`` fills these tables from a database.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tuner.contract.objective import rank
from tuner.contract.rules import VERSION_0_1_0, Rules
from tuner.hyperparameters import ALGORITHMS
from tuner.result.curve import CurvePoint

if TYPE_CHECKING:
    from tuner.core.importance import Importance  # brings SciPy, which a list can do without
    from tuner.result.confirmation import Confirmation


#: :attr:`TrialRow.source` of a second run of a setting that was level at the top.
REPEAT = "repeat"


@dataclass(frozen=True)
class TrialRow:
    """One trial.

    Attributes:
        number: Trial number.
        state: Optuna's state: COMPLETE, PRUNED, FAIL, RUNNING or WAITING.
        outcome: Ours: completed, pruned, diverged, timed_out, failed, lost, running or waiting.
        score: The objective's score; None unless completed.
        params: What was sampled, by the sampler's names.
        hyperparameters: The complete resolved hyperparameters, plain data.
        curves: Evaluations by replicate, in order of steps.
        seeds: Run seed by replicate.
        steps: Environment steps taken, all replicates together.
        duration_s: Training seconds, all replicates together.
        started: Start time (UTC) or None.
        finished: End time (UTC) or None.
        reason: Why it diverged, failed or was lost.
        spared_at: Step at which the pruner wanted to stop it, for a trial that was finished all the same
            (``--audit-pruning``); else None.
        source: What it comes from, where that was known before the study: ``portfolio/NAME``, ``prior``, ``defaults``,
            ``zoo``, ``library``, a file of ``--start-with``, or ``repeat`` for a second run of a setting that was level
            at the top; empty for what the sampler proposed.
        continued_as: The trial that it goes on as, with the same values and seeds, where its process ended before it.
        evaluation_s: The seconds of ``duration_s`` that evaluations took; 0 in studies that did not note it.
        point: Which of the study's proposals it is: a lost trial's successor is the one that its predecessor was. None
            in studies that did not note it, where that is its number.
    """

    number: int
    state: str
    outcome: str
    score: float | None
    params: Mapping[str, Any]
    hyperparameters: Mapping[str, Any]
    curves: Mapping[int, tuple[CurvePoint, ...]]
    seeds: Mapping[int, int]
    steps: int
    duration_s: float
    started: datetime | None
    finished: datetime | None
    reason: str = ""
    spared_at: int | None = None
    source: str = ""
    continued_as: int | None = None
    evaluation_s: float = 0.0
    point: int | None = None

    @property
    def place(self) -> int:
        """Its place among the study's proposals, whatever was lost on the way."""
        return self.number if self.point is None else self.point

    @cached_property
    def curve_mean(self) -> float:
        """Mean return over all evaluations of all seeds: how well it did throughout; minus infinity without any."""
        means = [point.mean for curve in self.curves.values() for point in curve]
        return sum(means) / len(means) if means else -math.inf


@dataclass(frozen=True)
class StudyData:
    """A whole study.

    Attributes:
        name: Study name.
        recipe: The stored recipe, plain data, secrets masked.
        space: The stored search space, plain data as in its YAML.
        grid: Environment steps at which runs are evaluated.
        trials: All trials by number.
        importances: PED-ANOVA importance by sampled parameter, with interval and noise; empty when it says nothing.
        importance_trials: Number of trials the importance rests on.
        provenance: Versions, command, hardware, git commit; secrets masked.
        reward_threshold: The environment's own 'solved' return or None.
        confirmation: What training the finalists again has shown; None before that.
        rules: What decides its numbers beside its settings.
        random_play: Return of each episode played by uniformly random actions; empty where nobody has played.
        eval_epsilon: Probability of a random action in evaluations; 0 where they are greedy.
    """

    name: str
    recipe: Mapping[str, Any]
    space: Mapping[str, Any]
    grid: tuple[int, ...]
    trials: tuple[TrialRow, ...]
    importances: Mapping[str, Importance] = field(default_factory=dict)
    importance_trials: int = 0
    provenance: Mapping[str, Any] = field(default_factory=dict)
    reward_threshold: float | None = None
    confirmation: Confirmation | None = None
    rules: Rules = VERSION_0_1_0
    random_play: tuple[float, ...] = ()
    eval_epsilon: float = 0.0

    @property
    def random_mean(self) -> float | None:
        """Mean return of random play, or None."""
        return sum(self.random_play) / len(self.random_play) if self.random_play else None

    @property
    def importance(self) -> dict[str, float]:
        """Shares of importance by sampled parameter, summing to 1."""
        return {name: found.share for name, found in self.importances.items()}

    @property
    def clock(self) -> str:
        """What budgets and grids count: ``environment steps``, or ``iterations`` where learning is offline."""
        known = ALGORITHMS.get(str(self.recipe.get("algo", "dqn")))
        return known.clock if known is not None else "environment steps"

    @cached_property
    def best(self) -> TrialRow | None:
        """The search's best, the first of :attr:`ranked`; or None."""
        return next(iter(self.ranked), None)

    @cached_property
    def ranked(self) -> tuple[TrialRow, ...]:
        """The completed trials, best first (:func:`tuner.contract.objective.rank`)."""
        scored = [t for t in self.trials if t.score is not None]
        return tuple(sorted(scored, key=lambda t: rank(t.score or 0.0, t.curve_mean, t.place)))

    @cached_property
    def chosen(self) -> TrialRow | None:
        """The trial to use: the one that the confirm stage selected, else the search's best; or None."""
        winner = self.confirmation.winner if self.confirmation is not None else None
        if winner is None:
            return self.best
        return next((t for t in self.trials if t.number == winner.trial), self.best)

    def count(self, outcome: str) -> int:
        """Number of trials with this outcome."""
        return sum(t.outcome == outcome for t in self.trials)

    @property
    def knew_beforehand(self) -> bool:
        """Whether some trials come from what was known before the study."""
        return any(t.source for t in self.trials)

    @property
    def steps_spent(self) -> int:
        """Environment steps taken by all trials; what was lost has gone again, and a budget must not depend on it."""
        return sum(t.steps for t in self.trials if t.outcome != "lost")

    @property
    def steps_saved(self) -> int:
        """Environment steps that stopping trials early has saved."""
        ended_early = (t for t in self.trials if t.outcome in ("pruned", "diverged", "timed_out") and t.curves)
        return sum(len(t.curves) * self.grid[-1] - t.steps for t in ended_early)


@dataclass(frozen=True)
class StudySummary:
    """One line of ``tune list``.

    Attributes:
        name: Study name.
        env: Environment id; empty when another program made the study.
        algo: Algorithm.
        backend: Who trains.
        trials: Trials that count so far.
        asked: Trials the study shall have, or None.
        best: Best score, or None.
        started: When its first trial began (UTC), or None.
        owners: Who works on it now, as ``host:process id``.
    """

    name: str
    env: str
    algo: str
    backend: str
    trials: int
    asked: int | None
    best: float | None
    started: datetime | None
    owners: tuple[str, ...] = ()
