r"""Which parameters decide whether a trial is among the best: PED-ANOVA, with an interval and the level of noise.

Importance is the Pearson divergence of a parameter's density in the best tenth of the trials from that in all:

.. math:: \int p(x) \left( \frac{p_{top}(x)}{p(x)} - 1 \right)^2 dx

(Watanabe, Bansal and Hutter 2023), on a grid, with a discretised Gaussian kernel of Scott's width; where a parameter
has several domains (regimes), by Theorem 4.2 of Watanabe et al. 2026. The numbers are those of
:class:`optuna.importance.PedAnovaImportanceEvaluator`, computed for many resamples of the trials at once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from tuner import seeding
from tuner.core.confidence import CONFIDENCE

Array = NDArray[np.float64]

#: Share of the trials that are the best ones.
TOP = 0.1

#: Bootstrap resamples for the intervals, and shuffles of the scores for the level of noise; of each.
RESAMPLES = 200

#: Fewest trials of a regime.
_FEWEST = 2


class Regime(NamedTuple):
    """Trials in which a parameter has one domain.

    Attributes:
        trials: Which of the trials, indices ``[m]``.
        cells: Where each lies on the grid of the domain, ``[m]``, 0 to ``size - 1``.
        size: Cells of the grid, at least two.
        ordered: Whether they have an order; else they are categories.
    """

    trials: NDArray[np.intp]
    cells: NDArray[np.intp]
    size: int
    ordered: bool


class Importance(NamedTuple):
    """How much one parameter decides.

    Attributes:
        share: Of the sum over all parameters, 0 to 1.
        low: Lower end of the share's 95 % interval over bootstrapped trials.
        high: Upper end.
        noise: The share that parameters without any effect stay below, all of them together with 95 % probability.
    """

    share: float
    low: float
    high: float
    noise: float


def importances(parameters: Mapping[str, Sequence[Regime]], scores: Array) -> dict[str, Importance]:
    """Return the importance of each parameter; empty where the best tenth cannot be told from the rest.

    That is so where the last score of the best tenth occurs in the rest as well, unless it is the best score of all:
    those that tie at the ceiling are the best.

    Args:
        parameters: The regimes of each parameter; trials in none of its regimes do not have it.
        scores: Of the trials, ``[n]``, higher is better.
    """
    n = len(scores)
    best = _best(scores[None])[0]
    if best.all() or (best.sum() > math.ceil(TOP * n) and scores[best].min() < scores.max()):
        return {}
    rng = seeding.stream(n, "importance")
    counts = np.stack([np.bincount(rng.integers(n, size=n), minlength=n) for _ in range(RESAMPLES)])  # [R, n]
    drawn = np.stack([_best(np.repeat(scores, row)[None])[0].sum() for row in counts])  # the best of each resample, [R]
    order = np.argsort(-scores, kind="stable")
    ranked = counts[:, order]  # [R, n], best first
    top = np.zeros_like(counts)
    top[:, order] = np.where(np.cumsum(ranked, axis=1) <= drawn[:, None], ranked, 0)
    shuffled = np.stack([rng.permutation(best) for _ in range(RESAMPLES)])  # [R, n]
    everyone, chosen = np.ones((1, n), dtype=np.intp), np.concatenate([best[None], shuffled])
    raw = np.stack([_divergence(regimes, everyone, chosen) for regimes in parameters.values()])  # [P, 1 + R]
    resampled = np.stack([_divergence(regimes, counts, top) for regimes in parameters.values()])  # [P, R]
    total, null = raw.sum(axis=0), raw[:, 1:]
    if not (np.isfinite(raw).all() and total[0] > 0):
        return {}
    mean, spread = null.mean(axis=1, keepdims=True), null.std(axis=1, keepdims=True) + 1e-12
    reach = np.quantile(((null - mean) / spread).max(axis=0), CONFIDENCE)
    noise = np.minimum((mean + reach * spread)[:, 0] / total[0], 1.0)  # it is a share, too
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(resampled / np.maximum(resampled.sum(axis=0), 1e-12), [tail, 1 - tail], axis=1)
    columns = zip(parameters, raw[:, 0] / total[0], low, high, noise, strict=True)
    return {name: Importance(*map(float, values)) for name, *values in columns}


def _best(scores: Array) -> NDArray[np.bool_]:
    """Return which of the scores are in the best tenth, or tie with its last; rows by themselves, [R, n]."""
    place = math.ceil(TOP * scores.shape[1]) - 1
    return -scores <= np.partition(-scores, place, axis=1)[:, [place]]


def _divergence(regimes: Sequence[Regime], region: NDArray[np.intp], top: NDArray[np.intp]) -> Array:
    """Return a parameter's raw importance in each resample, [R].

    Args:
        regimes: The parameter's.
        region: How often each trial is in each resample, [R, n], or [1, n] where that is the same for all.
        top: How often it is among the best of that, [R, n].
    """
    found = np.zeros(len(top))
    for regime in regimes:
        here, best = region[:, regime.trials], top[:, regime.trials]
        inside, chosen = here.sum(axis=1), best.sum(axis=1)
        density = _density(regime, here)
        divergence = (density * (_density(regime, best) / density - 1) ** 2).sum(axis=1)
        shares = (chosen / top.sum(axis=1)) ** 2 / np.maximum(inside / region.sum(axis=1), 1e-12)
        found += np.where((inside >= _FEWEST) & (chosen > 0), shares * divergence, 0.0)
    return found


def _density(regime: Regime, counts: NDArray[np.intp]) -> Array:
    """Return a kernel density on the regime's grid from how often each trial counts, [R, m] to [R, size]."""
    cells = counts @ np.eye(regime.size)[regime.cells]  # [R, size]
    weight = np.maximum(cells.sum(axis=1, keepdims=True), 1e-12)  # [R, 1]
    density = _smoothed(cells, weight) if regime.ordered else _categories(cells)
    return np.asarray(density / (weight + 1) + 1e-12)


def _categories(cells: Array) -> Array:
    """Return the sum of the kernels of categories and of the prior, [R, size]."""
    size, kernels = cells.shape[1], (cells > 0).sum(axis=1, keepdims=True) + 1
    summed = (cells.sum(axis=1, keepdims=True) / kernels + cells) / (1 + size / kernels)
    return np.asarray(summed + 1 / size)


def _smoothed(cells: Array, weight: Array) -> Array:
    """Return the sum of Gaussian kernels of Scott's width and of the prior, cut to the grid, [R, size]."""
    size = cells.shape[1]
    grid = np.arange(size, dtype=float)
    cumulated = np.cumsum(cells, axis=1)
    mean = (cells @ grid)[:, None] / weight
    spread = np.sqrt((cells * (grid - mean) ** 2).sum(axis=1, keepdims=True) / np.maximum(1, weight - 1))
    lower = (cumulated >= np.maximum(weight // 4, 1)).argmax(axis=1)
    upper = (cumulated > weight * 3 // 4).argmax(axis=1)
    width = 1.059 * np.minimum((upper - lower)[:, None] / 1.34, spread) * weight**-0.2
    width = np.maximum(width, 0.5 / 1.64)  # [R, 1]
    prior = np.full((1, 1), float(size))
    return np.asarray(
        _kernels(cells, width) + _kernels((grid == size // 2)[None].astype(float), prior, (size + 1) % 2 / 2)
    )


def _kernels(cells: Array, width: Array, left: float = 0.0) -> Array:
    """Return the sum of Gaussians at the cells, each cut to the grid and of mass 1 there, [R, size].

    Args:
        cells: How many there are at each cell, [R, size].
        width: Their standard deviation, [R, 1].
        left: How far left of the cells they are.
    """
    size = cells.shape[1]
    # From size - 0.5 cells left of a kernel to as many right of it, [R, 2 size].
    edges = _normal_cdf((np.arange(2 * size) - size + 0.5 + left) / width)
    inside = (edges[:, size:] - edges[:, :size])[:, ::-1]  # mass on the grid, [R, size (kernel)]
    mass = sliding_window_view(np.diff(edges, axis=1), size, axis=1)[:, ::-1]  # [R, size (kernel), size (cell)]
    return np.asarray(np.einsum("rk,rkc->rc", cells / inside, mass))


#: Where the normal distribution is tabulated: at multiples of the step up to this many standard deviations.
_STEP, _REACH = 2.0**-9, 9.0


def _normal_cdf(x: Array) -> Array:
    """Return the normal distribution function, within 1e-13, by cubic Hermite interpolation.

    SciPy's is as good, and takes 0.3 s to import: half of what ``tune show`` takes.
    """
    values, slopes = _tabulated()
    place = (np.clip(x, -_REACH, _REACH) + _REACH) / _STEP
    left = np.minimum(place.astype(np.intp), len(values) - 2)
    t = place - left
    low, high = values[left], values[left + 1]
    bend = (1 - t) * slopes[left] - t * slopes[left + 1] + (2 * t - 1) * (high - low)
    return np.asarray(low + t * (high - low) + t * (1 - t) * bend)


@cache
def _tabulated() -> tuple[Array, Array]:
    """Return the distribution function at the knots, and its slopes per step."""
    knots = np.arange(-_REACH, _REACH + _STEP / 2, _STEP)
    values = np.array([0.5 * math.erfc(-x / math.sqrt(2)) for x in knots.tolist()])
    return values, _STEP * np.exp(-(knots**2) / 2) / math.sqrt(2 * math.pi)
