"""Proposals on a table: a sampler may propose anything, the nearest measured setting not yet tried takes its place.

The trial's stored parameters are those of the setting, so that what the sampler learns is true. It is what published
tabular benchmarks do with samplers that know no lists. Its bias: a study of n trials on S settings draws without
replacement, and as n nears S every method has tried everything; differences between methods shrink, and those at n of
S/4 and below are the ones to trust. A sampler that would crowd around an optimum is held to the table's spacing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from tuner.result.study import REPEAT
from tuner.space.cube import Cube
from tuner.space.model import SearchSpace
from tuner.study.sampling.proposals import Proposal, distribution


class SnappingSampler(BaseSampler):
    """Proposes settings of a table.

    Args:
        inner: The sampler whose proposals are snapped.
        space: The space of all settings.
        params: What a study stores for each setting, [S].

    Attributes:
        chosen: Setting of each trial, by trial number.
    """

    def __init__(
        self,
        inner: BaseSampler,
        space: SearchSpace,
        params: Sequence[dict[str, Any]],
    ) -> None:
        self._inner = inner
        self._params = params
        self._cube = Cube(space)
        self._points = np.array([self._cube.place(each) for each in params])
        self._distributions = {d.name: distribution(d) for d in sorted(space.dimensions, key=lambda d: d.name)}
        self._free = np.ones(len(params), bool)
        self.chosen: dict[int, int] = {}

    @property
    def proposal(self) -> Proposal | None:
        """What the trial that was asked for last comes from; None: from the inner sampler."""
        return getattr(self._inner, "proposal", None)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the whole space: a setting is chosen as a whole."""
        return self._distributions

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return the parameters of the setting that takes the place of what the inner sampler proposes."""
        distance = ((self._points - self._cube.place(self._proposed(study, trial))) ** 2).sum(axis=1)
        if self.proposal is not None and self.proposal.source == REPEAT:
            self.chosen[trial.number] = chosen = int(distance.argmin())
            return dict(self._params[chosen])
        chosen = int(np.where(self._free, distance, np.inf).argmin())
        assert self._free[chosen], "more trials than settings"
        self._free[chosen] = False
        self.chosen[trial.number] = chosen
        return dict(self._params[chosen])

    def _proposed(self, study: Study, trial: FrozenTrial) -> dict[str, Any]:
        relative = self._inner.infer_relative_search_space(study, trial)
        params = dict(self._inner.sample_relative(study, trial, relative))
        for name, wanted in self._distributions.items():
            if name not in params:
                params[name] = self._inner.sample_independent(study, trial, name, wanted)
        return params

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Never asked: a setting has all the parameters of its branch."""
        raise AssertionError(f"the setting of trial {trial.number} lacks {param_name}")

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Let the inner sampler prepare."""
        self._inner.before_trial(study, trial)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Any) -> None:
        """Let the inner sampler see how a trial ended."""
        self._inner.after_trial(study, trial, state, values)
