"""Proposals from what is known beforehand: starts first, then points near settings that were good elsewhere.

A grid is known beforehand as a whole: each of its points is the study's point of that place. (Optuna's own
``GridSampler`` goes by trial numbers, which a lost trial's successor takes one of, lets parallel studies train a point
twice, and knows no conditions.)

A start is a trial like any other: the study's first points (``samplers.point_of``), so that any number of
supervisors, and a resume, agree on it.

After n finished trials a proposal comes from the prior with probability STRENGTH / (STRENGTH + n): one of its settings,
drawn by its share over its weighted cost, moved by a kernel about as wide as multivariate TPE's. The study's own
results take over as they come.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from tuner.plan.known import Known
from tuner.plan.proposal_cost import LogCost
from tuner.result.study import REPEAT
from tuner.seeding import sampler_seed, stream
from tuner.space.nearest import on_grid
from tuner.space.ranges import Dimension
from tuner.study.sampling.repeats import setting_to_repeat

#: Finished trials at which half of the proposals still come from the prior.
STRENGTH = 20.0

#: Standard deviation of the kernel as a share of a range, and the probability that a choice is drawn anew.
WIDTH, ANEW = 0.1, 0.1

_FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


class Proposal(NamedTuple):
    """A point of the space and where it comes from: a start's name, ``prior``, ``repeat``, or empty for the grid's."""

    source: str
    params: dict[str, Any]


class Proposer(Protocol):
    """Says which trials do not come from the sampler, and what those are drawn from."""

    @property
    def distributions(self) -> Mapping[str, BaseDistribution]:
        """Of every parameter, by name."""
        ...

    def of(self, trials: Sequence[FrozenTrial], trial: FrozenTrial, point: int) -> Proposal | None:
        """Return what a new trial is to be, or None: the sampler proposes, or its values are fixed."""
        ...


class Proposals:
    """Says which trials do not come from the sampler.

    Args:
        known: Of the study.
        dimensions: Of its space.
        seed: Its seed.
        prior: Whether the prior proposes; starts are trained in any case.
        repeats: Whether settings that are level at the top are repeated (:mod:`tuner.study.sampling.repeats`).
        log_cost: Logarithm of what a run costs, from what a study stores; None: all cost the same.
    """

    def __init__(
        self,
        known: Known,
        dimensions: Sequence[Dimension],
        *,
        seed: int,
        prior: bool,
        repeats: bool = False,
        log_cost: LogCost | None = None,
    ) -> None:
        self._known = known
        self._seed = seed
        self._repeats = repeats
        self._dimensions = dimensions
        self._good = known.good if prior else ()
        shares = np.array([share for _, share in self._good])
        if log_cost is not None and self._good:
            costs = np.array([log_cost(params) for params, _ in self._good])
            shares = shares * np.exp(costs.min() - costs)
        self.shares = shares / shares.sum()
        self.distributions = distributions(dimensions)

    def of(self, trials: Sequence[FrozenTrial], trial: FrozenTrial, point: int) -> Proposal | None:
        """Return what a new trial is to be, or None: the sampler proposes, or its values are fixed.

        A lost trial's successor has its predecessor's values; one that was lost before it had any is proposed again.

        Args:
            trials: Of the study.
            trial: The new one.
            point: Which point of the study it is.
        """
        if trial.system_attrs.get("fixed_params"):
            return None
        if point < len(self._known.grid):
            return Proposal("", dict(self._known.grid[point]))
        if point < len(self._known.starts):
            start = self._known.starts[point]
            return Proposal(start.name, dict(start.params))
        if self._repeats and (again := setting_to_repeat(trials, point)) is not None:
            return Proposal(REPEAT, again)
        if not self._good:
            return None
        rng = stream(sampler_seed(self._seed, point), "prior")
        finished = sum(t.state in _FINISHED for t in trials)
        if rng.random() >= STRENGTH / (STRENGTH + finished):
            return None
        chosen = int(rng.choice(len(self._good), p=self.shares))
        return Proposal("prior", self._moved(dict(self._good[chosen][0]), rng))

    def _moved(self, params: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
        for d in self._dimensions:
            if d.name not in params:
                continue
            if d.kind == "categorical":
                if rng.random() < ANEW:
                    params[d.name] = d.choices[rng.integers(len(d.choices))]
                continue
            at, low, high = float(params[d.name]), d.low, d.high
            if d.log:
                at, low, high = (math.log(x) for x in (at, low, high))
            at = min(max(at + WIDTH * (high - low) * float(rng.standard_normal()), low), high)
            value = min(max(math.exp(at) if d.log else at, d.low), d.high)
            if d.kind == "int" or d.step is not None:
                value = on_grid(value, d.low, d.high, d.step or 1)
            params[d.name] = int(value) if d.kind == "int" else value
        return params


def distributions(dimensions: Sequence[Dimension]) -> Mapping[str, BaseDistribution]:
    """Return Optuna's distribution of each dimension, by name in order of the names."""
    return {d.name: distribution(d) for d in sorted(dimensions, key=lambda d: d.name)}


def distribution(d: Dimension) -> BaseDistribution:
    """Return Optuna's distribution of a dimension."""
    if d.kind == "categorical":
        return CategoricalDistribution(d.choices)
    if d.kind == "int":
        return IntDistribution(int(d.low), int(d.high), log=d.log, step=int(d.step or 1))
    return FloatDistribution(d.low, d.high, log=d.log, step=d.step)
