"""TPE for noisy scores, on a bounded history: asking costs the same at trial 1,000 and at trial 100,000.

TPE (Bergstra et al. 2011; Watanabe 2023) splits all trials into a good side and the rest, and fits one kernel to each
trial; in Optuna the rest's weights fall linearly with age, down to 1 / n. Two things differ from Optuna's defaults.

The good side (:func:`good_side`) is the best quarter, not the best tenth, up to the same 25 trials. One run's score is
noisy, and often tied at the ceiling: the best tenth are the luckiest of many good ones. That holds on the measured
landscapes of CartPole; elsewhere either may be better.

And it sees

- all trials up to :data:`BOUND` finished ones;
- beyond that, the best :data:`BEST`, the newest ones up to the bound, and all that are running.

Where a proposal's cost is known, TPE takes the candidate with the highest expected improvement per cost (Snoek et al.
2012, section 3.2), weighted as ``tuner/plan/proposal_cost.py`` says: of equals the cheaper one.

As :data:`BEST` is above 25, the good side is always that of all trials; what is left out are the oldest of the rest,
whose weight is small.
"""

from __future__ import annotations

import copy
import itertools
import math
import warnings
from collections.abc import Container
from typing import Any, cast

import numpy as np
import scipy.special
from numpy.typing import NDArray
from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import TPESampler
from optuna.samplers._tpe import _truncnorm
from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator
from optuna.trial import FrozenTrial, TrialState

from tuner.plan.proposal_cost import LogCost
from tuner.study.sampling.seen import Seen

#: Finished trials that TPE is fitted to. At least 100, where the good side stops growing.
BOUND = 400

#: Of these, how many are the best ones. The others are the newest.
BEST = 50

# Optuna takes the logarithm of the normal distribution of one number after the other: two thirds of a proposal. SciPy's
# takes arrays, and agrees to twelve digits (a test holds it to that).
_truncnorm._log_ndtr = scipy.special.log_ndtr

_LEARNED = (TrialState.COMPLETE, TrialState.PRUNED)
_OPEN = (TrialState.RUNNING, TrialState.WAITING)

#: Share of the trials on the good side, and the most there are. Measured: ``benchmarks/search_quality.py``.
GOOD_SHARE, MOST_GOOD = 0.25, 25

#: Where a finished trial ranks, best first: completed by value, pruned by (how far, value), broken constraints last.
Rank = tuple[int, float, float]


def good_side(n: int) -> int:
    """Return how many of ``n`` trials count as good."""
    return min(math.ceil(GOOD_SHARE * n), MOST_GOOD)


def rank(trial: FrozenTrial) -> Rank:
    """Return a finished trial's place in TPE's order, for a study that maximises."""
    broken = sum(v for v in trial.constraints.values() if v > 0)
    if broken > 0:
        return (2, broken, 0.0)
    if trial.state == TrialState.COMPLETE:
        return (0, -(trial.value or 0.0), 0.0)
    if not trial.intermediate_values:
        return (1, 1.0, 0.0)
    step, value = max(trial.intermediate_values.items())
    return (1, -step, math.inf if math.isnan(value) else -value)


class Ranking:
    """Finished trials of one study, best first; kept from proposal to proposal, as a finished trial never changes."""

    def __init__(self) -> None:
        self._seen: set[int] = set()
        self._order: list[tuple[Rank, int]] = []

    def select(self, finished: list[FrozenTrial], *, bound: int, best: int) -> list[FrozenTrial]:
        """Return the newest and the best of more than ``bound`` finished trials.

        Args:
            finished: Completed and pruned trials in order of their numbers.
            bound: How many to keep, > ``best``.
            best: How many of these for being the best among the older ones.
        """
        by_number = {t.number: t for t in finished}
        fresh = by_number.keys() - self._seen
        if fresh:
            self._seen |= fresh
            self._order.extend((rank(by_number[number]), number) for number in fresh)
            self._order.sort()
        older = dict(itertools.islice(by_number.items(), len(finished) - bound + best))
        top = itertools.islice((older[number] for _, number in self._order if number in older), best)
        return [*top, *finished[best - bound :]]


class BoundedTPE(TPESampler):
    """TPE that sees a bounded part of the study, the same part in all steps of one proposal.

    Args:
        startup_trials: Random trials before it begins to learn.
        seed: Of its random numbers.
        ranking: Of the study's finished trials; shared by the samplers of one study.
        seen: The same trials, likewise.
        log_cost: Of a proposal; None: all cost the same.
        bound: Finished trials to fit to.
        best: How many of these are the best.
    """

    def __init__(
        self,
        *,
        startup_trials: int,
        seed: int,
        ranking: Ranking,
        seen: Seen,
        log_cost: LogCost | None = None,
        bound: int = BOUND,
        best: int = BEST,
    ) -> None:
        with warnings.catch_warnings():
            # Optuna 6 will not let the good side be chosen; pyproject.toml stays below it.
            warnings.filterwarnings("ignore", "`gamma` has been deprecated", FutureWarning)
            super().__init__(n_startup_trials=startup_trials, gamma=good_side, seed=seed)
        self._ranking = ranking
        self._seen = seen
        self._log_cost = log_cost
        self._asked: dict[str, BaseDistribution] = {}
        self._bound = bound
        self._best = best
        self._view: Study | None = None

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Begin a proposal: the study is looked at anew."""
        self._view = None
        super().before_trial(study, trial)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the jointly sampled parameters."""
        finished = self._bounded(study).get_trials(deepcopy=False, states=_LEARNED)
        return {name: d for name, d in self._seen.common_space(finished).items() if not d.single()}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Sample jointly."""
        self._asked = search_space
        return super().sample_relative(self._bounded(study), trial, search_space)

    def _compute_acquisition_func(
        self, samples: dict[str, np.ndarray], mpe_below: _ParzenEstimator, mpe_above: _ParzenEstimator
    ) -> NDArray[np.float64]:
        """Return the logarithm of each candidate's expected improvement per cost, up to a constant, [candidates]."""
        improvement: NDArray[np.float64] = super()._compute_acquisition_func(samples, mpe_below, mpe_above)
        # One value alone, as in a space with branches, has no cost.
        if self._log_cost is None or samples.keys() != self._asked.keys():
            return improvement
        columns = {name: [d.to_external_repr(x) for x in samples[name]] for name, d in self._asked.items()}
        candidates = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        costs: NDArray[np.float64] = np.array([self._log_cost(params) for params in candidates])
        return improvement - costs

    # Of Optuna's own names: were it to change, proposals would stay the same and take twice as long.
    def _get_internal_repr(
        self, trials: list[FrozenTrial], search_space: dict[str, BaseDistribution], study: Study
    ) -> dict[str, NDArray[np.float64]]:
        return self._seen.columns(((trial, self._get_params(trial, study)) for trial in trials), search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Sample one parameter."""
        return super().sample_independent(self._bounded(study), trial, param_name, param_distribution)

    def _bounded(self, study: Study) -> Study:
        if self._view is None:
            trials = study.get_trials(deepcopy=False)
            finished = [t for t in trials if t.state in _LEARNED]
            if len(finished) <= self._bound:
                self._view = study
            else:
                kept = self._ranking.select(finished, bound=self._bound, best=self._best)
                kept += [t for t in trials if t.state in _OPEN]
                kept.sort(key=lambda t: t.number)
                self._view = cast(Study, StudyView(study, kept))
        return self._view


class StudyView:
    """A study as a sampler sees it: it shows the trials it is given, and is the study itself in all other respects."""

    def __init__(self, study: Study, trials: list[FrozenTrial]) -> None:
        self._study = study
        self._trials = trials

    def __getattr__(self, name: str) -> Any:
        return getattr(self._study, name)

    def get_trials(self, deepcopy: bool = True, states: Container[TrialState] | None = None) -> list[FrozenTrial]:
        """Return the trials in view."""
        return self._get_trials(deepcopy, states)

    # What samplers read through; a name of Optuna's own. Were it to change, they would see the whole study as stored.
    def _get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None, use_cache: bool = False
    ) -> list[FrozenTrial]:
        trials = self._trials if states is None else [t for t in self._trials if t.state in states]
        return copy.deepcopy(trials) if deepcopy else list(trials)
