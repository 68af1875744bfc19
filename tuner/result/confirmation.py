"""What the confirm stage has found, as plain tables: who was trained again, on which seeds, with what result.

Three disjoint seed sets keep the answer honest. The *search* seeds chose the finalists. The *select* seeds choose the
winner among them. The *verdict* seeds, which no choice has seen, say how good the winner is, beside the baselines.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from tuner.contract.objective import OBJECTIVES
from tuner.result.curve import CurvePoint

if TYPE_CHECKING:
    from tuner.result.sequential import Standing, Until  # brings SciPy, which a list can do without

Phase = Literal["select", "verdict"]
Role = Literal["finalist", "defaults", "known", "startup", "zoo", "other_backend"]

#: What each role is called in texts.
TITLES: dict[str, str] = {
    "finalist": "finalist",
    "defaults": "the algorithm's defaults",
    "known": "best of the settings known beforehand",
    "startup": "best of the startup trials",
    "zoo": "RL Zoo's tuned values",
    "other_backend": "the winner on the other backend",
}


#: Share of a confirm stage's runs that the verdict may take; the rest selects.
VERDICT_SHARE = 0.6

#: Verdict seeds of each contestant, at most (``--confirm-seeds``).
MOST_SEEDS = 1000


@dataclass(frozen=True)
class ConfirmRun:
    """One training of one contestant with one fresh seed.

    Attributes:
        phase: Which seed set.
        replicate: Which of the set's seeds; the same seed for every contestant.
        seed: Run seed.
        outcome: completed, diverged, timed_out or failed.
        curve: Evaluations in order of steps.
        steps: Environment steps taken.
        duration_s: Training seconds.
        reason: Why it did not complete.
        reused: (study, number of its run) that trained it; None: this stage did.
    """

    phase: Phase
    replicate: int
    seed: int
    outcome: str
    curve: tuple[CurvePoint, ...]
    steps: int
    duration_s: float = 0.0
    reason: str = ""
    reused: tuple[str, int] | None = None

    def score(self, objective: str) -> float | None:
        """Return the run's score (``late``, ``final``, ``best`` or ``auc``); None unless it completed."""
        if self.outcome != "completed" or not self.curve:
            return None
        return OBJECTIVES[objective]([p.step for p in self.curve], [p.mean for p in self.curve])


@dataclass(frozen=True)
class Contestant:
    """A setting that is trained again.

    Attributes:
        key: Stands for the setting and its backend; equal settings have equal keys.
        role: Why it takes part.
        name: What it is called in texts, such as ``trial 17``.
        trial: Its trial in the search; None for a baseline that the search has not sampled.
        backend: Who trains it.
        hyperparameters: Complete, plain data.
        search_score: Its score in the search; None for a baseline.
        runs: Its runs so far, select before verdict, by replicate.
        dropped_after: Select seeds after which it was clearly beaten; None while it is not.
        tuned_for: Steps that whoever tuned it trains it for; None where nobody says so.
        n_timesteps: Environment steps of its runs where these are its own; None: as all others train.
        searched: Scores of its runs in the search, where they count when the winner is chosen.
    """

    key: str
    role: Role
    name: str
    trial: int | None
    backend: str
    hyperparameters: Mapping[str, Any]
    search_score: float | None = None
    runs: tuple[ConfirmRun, ...] = ()
    dropped_after: int | None = None
    tuned_for: int | None = None
    n_timesteps: int | None = None
    searched: tuple[float, ...] = ()

    @property
    def title(self) -> str:
        """What it is called where its role is not plain: ``best of the startup trials (trial 0)``."""
        return f"{TITLES[self.role]} ({self.name})" if self.role in ("known", "startup") else self.name

    def phase(self, phase: Phase) -> tuple[ConfirmRun, ...]:
        """Return the runs of one seed set by replicate."""
        return tuple(sorted((r for r in self.runs if r.phase == phase), key=lambda r: r.replicate))


@dataclass(frozen=True)
class Confirmation:
    """A confirm stage, finished or under way.

    Attributes:
        study: The search's study.
        objective: The score that decides.
        grid: Environment steps at which runs are evaluated.
        contestants: Finalists, the most promising first, then baselines.
        winner_key: Key of the selected finalist; None while the selection is open.
        complete: Whether every run of the verdict is there.
        seeds: Seeds asked for in the verdict, of each contestant.
        searched_steps: Environment steps that the search spent.
        steps_spent: Environment steps of all runs that this stage has trained, also of settings that take part no more.
        tied: Names of finalists that the selection could not tell from the winner.
        settings: What was asked for (``--confirm`` and the like) and how the budget was shared out.
        until: What ends the verdict by its results; None where its number of seeds is fixed.
        standings: Where each comparison stands then, by the baseline's key.
        looked: Where the number of seeds is fixed, the plans of seeds by which it was looked at before.
        floor: What a run that diverged counts as at most; None in studies that store none.
        chosen_by: What the winner was chosen by: ``mean`` over its select runs and those in the search that count, or
            the ``worst_quarter`` of the select runs.
    """

    study: str
    objective: str
    grid: tuple[int, ...]
    contestants: tuple[Contestant, ...]
    winner_key: str | None
    complete: bool
    seeds: int
    searched_steps: int
    steps_spent: int = field(default=0, compare=False)  # what it cost is no part of what it has found
    tied: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    until: Until | None = None
    standings: Mapping[str, Standing] = field(default_factory=dict)
    floor: float | None = None
    chosen_by: str = "mean"
    looked: tuple[int, ...] = ()

    @property
    def finalists(self) -> tuple[Contestant, ...]:
        """The search's most promising trials, in that order."""
        return tuple(c for c in self.contestants if c.role == "finalist")

    @property
    def baselines(self) -> tuple[Contestant, ...]:
        """What the winner is compared with."""
        return tuple(c for c in self.contestants if c.role != "finalist")

    @property
    def winner(self) -> Contestant | None:
        """The selected finalist, or None while the selection is open."""
        return next((c for c in self.finalists if c.key == self.winner_key), None)

    def steps_of(self, contestant: Contestant) -> int:
        """Return the environment steps of a contestant's runs."""
        return contestant.n_timesteps or self.grid[-1]

    def scores(self, contestant: Contestant, phase: Phase, objective: str | None = None) -> tuple[float, ...]:
        """Return a contestant's scores by replicate.

        A run that diverged or ran out of time counts as the worst completed run of the phase, whoever's that was, and
        not more than the floor: it must not vanish, and has no score of its own. Runs that failed (an exception, no
        learning) are left out.
        """
        return tuple(self.scores_by_replicate(contestant, phase, objective).values())

    def scores_by_replicate(
        self, contestant: Contestant, phase: Phase, objective: str | None = None
    ) -> dict[int, float]:
        """Return replicate to score, as :meth:`scores` takes them."""
        objective = objective or self.objective
        completed = [s for c in self.contestants for r in c.phase(phase) if (s := r.score(objective)) is not None]
        worst = min([*completed, *([] if self.floor is None else [self.floor])], default=None)
        scores = {}
        for run in contestant.phase(phase):
            score = run.score(objective)
            if score is None and run.outcome in ("diverged", "timed_out"):
                score = worst
            if score is not None:
                scores[run.replicate] = score
        return scores
