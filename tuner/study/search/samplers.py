"""Samplers that a resumed or parallel study can trust.

Optuna keeps a sampler's random state in memory only: restarted with the same seed it proposes its first points again.
Here every trial gets a fresh sampler seeded by (study seed, its point). What a sampler learns comes from the stored
trials, so nothing is lost by building it anew.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, GPSampler, QMCSampler, RandomSampler
from optuna.trial import FrozenTrial, TrialState

from tuner.seeding import sampler_seed
from tuner.study.search.points import point_of
from tuner.study.search.tpe import BoundedTPE, Ranking


def make_sampler(name: str, *, seed: int, startup_trials: int) -> BaseSampler:
    """Return the sampler that ``--sampler`` names.

    Args:
        name: ``tpe``, ``random``, ``gp`` or ``qmc``.
        seed: The study's seed.
        startup_trials: Random trials before TPE and GP begin to learn.
    """
    ranking = Ranking()

    def tpe(trial_seed: int) -> BaseSampler:
        return BoundedTPE(startup_trials=startup_trials, seed=trial_seed, ranking=ranking)

    def gp(trial_seed: int) -> BaseSampler:
        return GPSampler(n_startup_trials=startup_trials, seed=trial_seed)

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

    makers: dict[str, Callable[[int], BaseSampler]] = {"tpe": tpe, "gp": gp, "qmc": qmc, "random": random}
    return SeededByTrial(makers[name], seed)


class SeededByTrial(BaseSampler):
    """Builds a sampler for each trial, seeded by the trial's point.

    Trials are asked for one after the other: all parameters of one are drawn before the next begins.

    Args:
        make: From a seed to a sampler.
        study_seed: The study's seed.
    """

    def __init__(self, make: Callable[[int], BaseSampler], study_seed: int) -> None:
        self._make = make
        self._study_seed = study_seed
        self._sampler = make(study_seed)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Build the trial's own sampler."""
        self._sampler = self._make(
            sampler_seed(self._study_seed, point_of(study.get_trials(deepcopy=False), trial.number))
        )
        self._sampler.before_trial(study, trial)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the jointly sampled parameters in a fixed order: the database does not promise one."""
        space = self._sampler.infer_relative_search_space(study, trial)
        return {name: space[name] for name in sorted(space)}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Sample jointly; a lost trial's successor has its values, and takes no place in a sequence."""
        if set(search_space) <= trial.system_attrs.get("fixed_params", {}).keys():
            return {}
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
