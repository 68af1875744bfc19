"""Samplers that a resumed or parallel study can trust.

Optuna keeps a sampler's random state in memory only: restarted with the same seed it proposes its first points again.
Here every trial gets a fresh sampler seeded by (study seed, its point). What a sampler learns comes from the stored
trials, so nothing is lost by building it anew.
"""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any, cast

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, GPSampler, QMCSampler, RandomSampler
from optuna.trial import FrozenTrial, TrialState

from tuner.plan.known import NOTHING_KNOWN, Known
from tuner.plan.proposal_cost import LogCost
from tuner.plan.recipe import SAMPLERS
from tuner.seeding import sampler_seed
from tuner.space.ranges import Dimension
from tuner.study.sampling.proposals import Proposal, Proposals, Proposer
from tuner.study.sampling.seen import Seen
from tuner.study.sampling.tpe import BoundedTPE, Ranking, StudyView
from tuner.study.store import keys as attr


def make_sampler(
    name: str,
    *,
    seed: int,
    startup_trials: int,
    known: Known = NOTHING_KNOWN,
    dimensions: Sequence[Dimension] = (),
    log_cost: LogCost | None = None,
    repeats: bool = False,
) -> SeededByTrial:
    """Return the sampler that ``--sampler`` names.

    Args:
        name: ``tpe``, ``random``, ``gp``, ``qmc`` or ``grid``, all of whose points ``known`` holds.
        seed: The study's seed.
        startup_trials: Random trials before TPE and GP begin to learn.
        known: What the study knows beforehand. Its starts come first whoever samples; its prior mixes with TPE and GP,
            which look for good points, and not with designs that fill the space.
        dimensions: Of the space that ``known`` lies in.
        log_cost: Of a proposal, for TPE and the prior; None: all cost the same.
        repeats: Whether TPE and GP train settings again that are level at the top; designs that fill the space don't.
    """
    ranking, seen = Ranking(), Seen()

    def tpe(trial_seed: int) -> BaseSampler:
        return BoundedTPE(startup_trials=startup_trials, seed=trial_seed, ranking=ranking, seen=seen, log_cost=log_cost)

    def gp(trial_seed: int) -> BaseSampler:
        return StoppedTrialsGP(n_startup_trials=startup_trials, seed=trial_seed)

    def qmc(trial_seed: int) -> BaseSampler:
        # One seed for the whole sequence; the place in it is kept in the storage.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)  # Optuna's word for: may change between versions
            return QMCSampler(
                scramble=True,
                seed=seed,
                independent_sampler=RandomSampler(seed=trial_seed),
                warn_independent_sampling=False,
            )

    def random(trial_seed: int) -> BaseSampler:
        return RandomSampler(seed=trial_seed)

    makers: dict[str, Callable[[int], BaseSampler]] = {
        "tpe": tpe, "gp": gp, "qmc": qmc, "random": random, "grid": random,
    }  # fmt: skip
    looks = SAMPLERS[name]
    proposals = Proposals(known, dimensions, seed=seed, prior=looks, repeats=repeats and looks, log_cost=log_cost)
    return SeededByTrial(makers[name], seed, proposals)


class SeededByTrial(BaseSampler):
    """Builds a sampler for each trial, seeded by the trial's point; some trials come from what is known beforehand.

    Trials are asked for one after the other: all parameters of one are drawn before the next begins.

    Args:
        make: From a seed to a sampler.
        study_seed: The study's seed.
        proposals: Says which trials the sampler does not propose.

    Attributes:
        proposal: What the trial that was asked for last comes from; None: from the sampler.
    """

    def __init__(self, make: Callable[[int], BaseSampler], study_seed: int, proposals: Proposer) -> None:
        self._make = make
        self._study_seed = study_seed
        self._proposals = proposals
        self.proposal: Proposal | None = None
        self._sampler = make(study_seed)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Build the trial's own sampler, or find that the trial is known beforehand."""
        trials = study.get_trials(deepcopy=False)
        point = point_of(trials, trial.number)
        self.proposal = self._proposals.of(trials, trial, point)
        self._sampler = self._make(sampler_seed(self._study_seed, point))
        self._sampler.before_trial(study, trial)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the jointly sampled parameters in a fixed order: the database does not promise one."""
        if self.proposal is not None:
            return {n: d for n, d in self._proposals.distributions.items() if n in self.proposal.params}
        space = self._sampler.infer_relative_search_space(study, trial)
        return {name: space[name] for name in sorted(space)}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Sample jointly; a lost trial's successor has its values, and takes no place in a sequence."""
        if set(search_space) <= trial.system_attrs.get("fixed_params", {}).keys():
            return {}
        if self.proposal is not None:
            return self.proposal.params
        return self._sampler.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Sample one parameter."""
        return self._sampler.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """Let the sampler see how a trial ended."""
        self._sampler.after_trial(study, trial, state, values)

    def reseed_rng(self) -> None:
        """Do nothing: seeds come from the trials' points."""


def root_of(trial: FrozenTrial) -> int:
    """Return the number of the trial that one goes on for, its own where it is the first.

    Another program may have added a trial of another study, whose numbers say nothing here.
    """
    root = int(trial.user_attrs.get(attr.ROOT, trial.number))
    return min(root, trial.number)


def point_of(trials: Sequence[FrozenTrial], number: int) -> int:
    """Return which point of the study a trial trains: what is sampled for it and its seeds follow that, not its number.

    A lost trial's successor has a number of its own and the point of its predecessor. So a study that was killed goes
    on with the points that it would have asked for. A point is the count of points before it.

    Args:
        trials: Of the study, by number, those up to ``number`` at least.
        number: The trial's.
    """
    stored = trials[number].user_attrs
    if attr.POINT in stored:
        return int(stored[attr.POINT])
    if (root := root_of(trials[number])) < number:
        return point_of(trials, root)
    if attr.SEEDS in stored:  # by version 0.1.0, where all followed the number
        return number
    skipped = 0
    for earlier in range(number - 1, -1, -1):
        found = trials[earlier].user_attrs
        if attr.RETRY_OF in found:
            continue
        if attr.POINT in found or attr.SEEDS in found:
            return point_of(trials, earlier) + 1 + skipped
        skipped += 1
    return skipped


def with_stopped(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Return what a model of scores is to see of a study that maximises, in order of the trials' numbers.

    A trial that was stopped counts as completed with its last report, and never above the worst that did complete. One
    of which neither is known says nothing, and is left out.
    """
    worst = min((t.value for t in trials if t.state == TrialState.COMPLETE and t.value is not None), default=math.inf)
    seen = []
    for trial in trials:
        if trial.state == TrialState.PRUNED:
            last = max(trial.intermediate_values.items(), default=(0, math.nan))[1]
            value = worst if math.isnan(last) else min(worst, last)
            if math.isinf(value):
                continue
            trial = copy.copy(trial)
            # Without the broken constraint of one that diverged: its value says it, and a model of constraints would
            # want them of every trial.
            trial.state, trial.value, trial.system_attrs = TrialState.COMPLETE, value, {}
        seen.append(trial)
    return seen


class StoppedTrialsGP(GPSampler):
    """A Gaussian process that sees stopped trials as :func:`with_stopped` has them.

    Optuna's sees completed and running trials alone: a region where everything is stopped stays unexplored for it, and
    is proposed for ever.
    """

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the jointly sampled parameters."""
        return super().infer_relative_search_space(_seen(study), trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Sample jointly."""
        return super().sample_relative(_seen(study), trial, search_space)


def _seen(study: Study) -> Study:
    return cast(Study, StudyView(study, with_stopped(study.get_trials(deepcopy=False))))
