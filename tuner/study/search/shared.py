"""One setting for several environments: what is trained next in all of them, by one objective.

Each environment keeps an ordinary study. Point *n* of all of them is the same setting: whichever study asks first has
it proposed, the others follow. The objective of a setting is the mean over environments of its normalised rank among
the settings that have ended in all of them. Ranks change with every setting that ends, so they are worked out anew for
each proposal, in a study in memory; what an environment's own study stores is its score there. So nothing has to be
kept beside these studies: an interrupted search finds its points in them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import RandomSampler
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from tuner.core.ranks import mean_ranks
from tuner.space.model import SearchSpace
from tuner.study.sampling.proposals import Proposal, distributions
from tuner.study.sampling.samplers import SeededByTrial, point_of
from tuner.study.search.asker import SpaceAsker, TrialSuggest
from tuner.study.search.trial import AskedTrial, TrialEnd
from tuner.study.store import keys as attr

#: Score of a trial that diverged or ran out of time: below every other.
WORST = float("-inf")


@dataclass(frozen=True)
class Point:
    """A setting that all environments train.

    Attributes:
        params: What was drawn.
        distributions: What it was drawn from.
        source: What it comes from; empty for the sampler.
    """

    params: Mapping[str, Any]
    distributions: Mapping[str, BaseDistribution]
    source: str


class SharedProposals:
    """Proposes the points of several studies.

    Args:
        space: What they search, the same for all.
        make: Makes the sampler that proposes; a new one each time, as samplers remember values that change here.
        studies: How many studies there are.
        most_open: Points that have not ended everywhere at most, before another is proposed.
    """

    def __init__(self, space: SearchSpace, make: Callable[[], SeededByTrial], studies: int, most_open: int) -> None:
        self._space, self._make, self._most_open = space, make, most_open
        self.points: list[Point] = []
        #: By study, point to score; None where it failed.
        self._scores: list[dict[int, float | None]] = [{} for _ in range(studies)]

    @property
    def may_propose(self) -> bool:
        """Whether few enough points are open for another one."""
        ended = sum(all(point in scores for scores in self._scores) for point in range(len(self.points)))
        return len(self.points) - ended < self._most_open

    def point(self, number: int) -> Point:
        """Return a point; the next one is proposed if nobody has asked for it yet."""
        while number >= len(self.points):
            self.points.append(self._propose())
        return self.points[number]

    def note(self, study: int, point: int, outcome: str, score: float | None) -> None:
        """Take note of how a point ended in one environment."""
        if outcome in ("diverged", "timed_out"):
            score = WORST
        if outcome in attr.COUNTED:
            self._scores[study][point] = score

    def restore(self, stored: Sequence[Sequence[FrozenTrial]]) -> None:
        """Take up what the studies hold, trials of each in order of numbers."""
        known: dict[int, Point] = {}
        for study, trials in enumerate(stored):
            for trial in trials:
                if attr.POINT not in trial.user_attrs:
                    continue
                point = point_of(trials, trial.number)
                if attr.HYPERPARAMETERS in trial.user_attrs:  # it has drawn all of its values
                    source = str(trial.user_attrs.get(attr.SOURCE, ""))
                    known.setdefault(point, Point(trial.params, trial.distributions, source))
                if trial.state.is_finished():
                    self.note(study, point, attr.outcome_of(trial), trial.user_attrs.get(attr.SCORE))
        for number in range(max(known, default=-1) + 1):
            self.points.append(known[number] if number in known else self._propose())

    def values(self) -> dict[int, float]:
        """Return the objective of every point that has ended in all environments, and failed in none."""
        ended = [point for point in range(len(self.points)) if all(s.get(point) is not None for s in self._scores)]
        if not ended:
            return {}
        means = mean_ranks(np.array([[scores[point] for point in ended] for scores in self._scores], dtype=float))
        return dict(zip(ended, means.tolist(), strict=True))

    def _propose(self) -> Point:
        """Ask the sampler, which sees points that are open as running and those that failed as failed."""
        values = self.values()
        sampler = self._make()
        study = optuna.create_study(direction="maximize", sampler=sampler)
        for number, point in enumerate(self.points):
            failed = any(number in scores and scores[number] is None for scores in self._scores)
            state = TrialState.COMPLETE if number in values else TrialState.FAIL if failed else TrialState.RUNNING
            study.add_trial(
                create_trial(
                    state=state,
                    value=values.get(number),
                    params=dict(point.params),
                    distributions=dict(point.distributions),
                    user_attrs={attr.POINT: number},
                )
            )
        trial = study.ask()
        params = self._space.sample(TrialSuggest(trial))
        source = "" if sampler.proposal is None else sampler.proposal.source
        return Point(params, trial.distributions, source)


class _Followed:
    """What a study of several proposes: the shared points, in order."""

    def __init__(self, shared: SharedProposals, space: SearchSpace) -> None:
        self._shared = shared
        self.distributions = distributions(space.dimensions)

    def of(self, trials: Sequence[FrozenTrial], trial: FrozenTrial, point: int) -> Proposal | None:
        """Return the shared point; None for a lost trial's successor, which has its values."""
        if trial.system_attrs.get("fixed_params"):
            return None
        found = self._shared.point(point)
        return Proposal(found.source, dict(found.params))


class Member:
    """One of the studies: its sampler, and the asker that tells the others how its trials end.

    Args:
        shared: What all of them train.
        place: Which of them it is.
        space: What they search.
        seed: The study's seed.
        replicates: Seeds of each trial.
    """

    def __init__(self, shared: SharedProposals, place: int, space: SearchSpace, *, seed: int, replicates: int) -> None:
        self._shared, self._place, self._space = shared, place, space
        self._seed, self._replicates = seed, replicates
        followed = _Followed(shared, space)
        self.sampler = SeededByTrial(lambda trial_seed: RandomSampler(seed=trial_seed), seed, followed)
        self._study: optuna.Study | None = None

    def asker(self, study: optuna.Study) -> SpaceAsker:
        """Return what fills the study's trials."""
        self._study = study
        return _FollowingAsker(
            self._shared, self._place, study, self._space, seed=self._seed, replicates=self._replicates
        )

    def trials(self) -> list[FrozenTrial]:
        """Return what the study holds."""
        assert self._study is not None
        return self._study.get_trials(deepcopy=False)


class _FollowingAsker(SpaceAsker):
    def __init__(
        self,
        shared: SharedProposals,
        place: int,
        study: optuna.Study,
        space: SearchSpace,
        *,
        seed: int,
        replicates: int,
    ) -> None:
        super().__init__(space, seed=seed, replicates=replicates)
        self._shared, self._place, self._study = shared, place, study
        self._points: dict[int, int] = {}

    def waits(self) -> bool:
        """Whether the next point would be a new one and too many are open."""
        trials = self._study.get_trials(deepcopy=False)
        if self._shared.may_propose or any(t.state == TrialState.WAITING for t in trials):
            return False
        return sum(attr.RETRY_OF not in t.user_attrs for t in trials) >= len(self._shared.points)

    def fill(self, trial: Trial) -> AskedTrial:
        """Give a trial its point."""
        asked = super().fill(trial)
        self._points[trial.number] = int(trial.user_attrs[attr.POINT])
        return asked

    def ended(self, number: int, end: TrialEnd | None) -> None:
        """Tell all of them how a trial ended."""
        point = self._points.pop(number)
        if end is not None:
            self._shared.note(self._place, point, end.outcome, end.score)
