"""How good, and how sure: interquartile means, their differences and probabilities of improvement, with intervals.

A score is one number per training run (seed). The interquartile mean (IQM, the mean of the middle half) is what
Agarwal et al. 2021 recommend for few runs; it equals ``scipy.stats.trim_mean(scores, 0.25)``, as in ``rliable``.

Which interval: what was tried, by how often its nominal 95 % hold the true value, over five distributions of scores:
normal, cut at a ceiling of 500, and three as DQN's are (some runs near the ceiling, the others far below). Lowest to
highest coverage in per cent and mean width, 2,000 repeats each, ``python benchmarks/interval_coverage.py``:

=======================================  ===================  ==================  ==================
interval                                 5 seeds              10 seeds            20 seeds
=======================================  ===================  ==================  ==================
percentile bootstrap                     83.4 to 93.5 (192)   92.5 to 94.0 (155)  92.5 to 95.3 (118)
BCa bootstrap                            83.4 to 90.8 (189)   91.0 to 94.0 (155)  92.4 to 94.9 (118)
bootstrap-t (winsorised variance)        97.9 to 98.6 (4078)  77.5 to 97.2 (267)  75.7 to 96.5 (197)
Student-t (winsorised variance)          61.4 to 93.7 (255)   72.4 to 95.0 (178)  74.4 to 94.9 (128)
BCa, widened: :func:`iqm_interval`       88.1 to 94.5 (239)   94.8 to 97.0 (184)  95.5 to 97.0 (130)
:func:`iqm_difference`, unpaired         93.8 to 97.5 (398)   96.7 to 98.5 (298)  95.9 to 97.1 (214)
:func:`probability_of_improvement`       95.2 to 96.2 (0.54)  90.5 to 95.2 (0.42) 93.1 to 95.3 (0.31)
=======================================  ===================  ==================  ==================

Five seeds are too few where one run in three fails: all five succeed in one sample of eight, and then no method that
looks at the scores alone can know.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv, ndtr, ndtri, stdtrit

from tuner import seeding
from tuner.core.confidence import CONFIDENCE

Floats = NDArray[np.float64]

#: ``interval``: ``low`` and ``high`` are there. ``tie``: everything that counts is equal, so the spread is unknown.
#: ``constant``: two samples without spread that differ. ``single``: a sample of one run says nothing of its spread.
Kind = Literal["interval", "tie", "constant", "single"]

#: Resamples of a bootstrap; the Monte-Carlo error of an end is then about 2 % of the interval's width.
RESAMPLES = 5_000

#: Share cut off on each side of an interquartile mean.
CUT = 0.25

#: Numbers that differ by no more than this share of the larger are equal but for the rounding of means, which for the
#: mean of a million of them is still about a tenth of it.
ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value and how sure it is.

    Attributes:
        value: The point estimate, in the unit of the scores (probabilities: 0 to 1).
        low: Lower end of the 95 % interval; None unless ``kind`` is ``interval``.
        high: Upper end, likewise.
        kind: Why there is an interval or none, see :data:`Kind`.
        n: Runs in all.
    """

    value: float
    low: float | None
    high: float | None
    kind: Kind
    n: int

    def excludes(self, value: float) -> bool:
        """Return whether the interval lies wholly on one side of ``value``; never without an interval."""
        return self.low is not None and self.high is not None and not self.low <= value <= self.high


def interquartile_mean(*strata: ArrayLike) -> float:
    """Return the mean of the middle half of all scores, those of several environments pooled.

    Args:
        strata: Scores of each environment, [n] each, n >= 1; on one scale (normalised) when there are several.

    Raises:
        ValueError: No score, more than one axis, or a score that is not finite.
    """
    return float(_iqm(np.concatenate([_scores(s) for s in _some(strata)])))


def iqm_interval(*strata: ArrayLike) -> Estimate:
    """Return the interquartile mean with its interval: BCa (Efron 1987), widened for small samples (Hesterberg 2015).

    Resampling is stratified: each environment's runs are drawn among themselves. The bootstrap's spread is too small by
    ``sqrt((n - 1) / n)`` and its quantiles are those of a normal; the nominal tail probability is therefore replaced
    by ``Phi(-sqrt(n / (n - 1)) * t(0.975; n - 1))``.

    Args:
        strata: As for :func:`interquartile_mean`; at least two runs per environment for an interval.

    Raises:
        ValueError: As for :func:`interquartile_mean`.
    """
    return _iqm_interval(tuple(_scores(s).tobytes() for s in _some(strata)), RESAMPLES)


@lru_cache(maxsize=1024)
def _iqm_interval(samples: tuple[bytes, ...], resamples: int) -> Estimate:
    """Work each sample's interval out once: a report asks for it on the page, in its numbers, and beside each other."""
    columns = [np.frombuffer(sample)[:, None] for sample in samples]
    return _bootstrapped(columns, lambda drawn: _iqm(drawn[..., 0]), resamples)


def iqm_difference(x: ArrayLike, y: ArrayLike, *, paired: bool = False) -> Estimate:
    """Return the interquartile mean of ``x`` minus that of ``y``, with its interval.

    Unpaired: from the two single intervals by the method of variance estimates recovery (Zou and Donner 2008), so that
    a skewed or tied sample keeps its own margins. Paired: pairs are resampled together (as :func:`iqm_interval`).

    Args:
        x: Scores, [n].
        y: Scores, [m]; entry i belongs to the same seed as ``x[i]`` when paired.
        paired: Whether they do.

    Raises:
        ValueError: As for :func:`interquartile_mean`, or pairs of unequal number.
    """
    a, b = _scores(x), _scores(y)
    if paired:
        if len(a) != len(b):
            raise ValueError(f"pairs need samples of equal length, got {len(a)} and {len(b)}.")
        pairs = [np.column_stack([a, b])]
        found = _bootstrapped(pairs, lambda drawn: _iqm(drawn[..., 0]) - _iqm(drawn[..., 1]), RESAMPLES)
        return Estimate(found.value, found.low, found.high, _tied(found.kind, found.value), found.n)
    one, two = iqm_interval(a), iqm_interval(b)
    value, n = one.value - two.value, one.n + two.n
    kinds = {one.kind, two.kind}
    if "single" in kinds:
        return Estimate(value, None, None, "single", n)
    if kinds == {"tie"}:
        return Estimate(value, None, None, _tied("tie", value), n)
    (down_x, up_x), (down_y, up_y) = _margins(one), _margins(two)
    return Estimate(value, value - math.hypot(down_x, up_y), value + math.hypot(up_x, down_y), "interval", n)


def probability_of_improvement(x: ArrayLike, y: ArrayLike) -> Estimate:
    """Return P(X > Y) + P(X = Y) / 2 for one run of each, with its interval: Newcombe 2006, method 5.

    The interval holds those p with ``|p - estimate| <= z * sqrt(V(p))``, where ``V`` is the variance of Hanley and
    McNeil 1982 with equal weights: it stays honest where all of X lie above all of Y, where a bootstrap collapses.

    Args:
        x: Scores, [n].
        y: Scores, [m].

    Raises:
        ValueError: As for :func:`interquartile_mean`.
    """
    a, b = _scores(x), _scores(y)
    value = float(np.mean((a[:, None] > b) + 0.5 * (a[:, None] == b)))
    n, m = len(a), len(b)
    if n == 1 and m == 1:
        return Estimate(value, None, None, "single", 2)
    if np.ptp(np.concatenate([a, b])) == 0:
        return Estimate(value, None, None, "tie", n + m)
    z2, half = ndtri(0.5 + CONFIDENCE / 2) ** 2, (n + m) / 2 - 1

    def outside(p: float) -> float:
        """Positive where p is further from the estimate than its own standard error allows."""
        variance = p * (1 - p) * (1 + half * (1 - p) / (2 - p) + half * p / (1 + p)) / (n * m)
        return (value - p) ** 2 - float(z2) * variance

    edge = 1e-12
    low = 0.0 if value < edge else _root(outside, 0.0, min(value, 1 - edge))
    high = 1.0 if value > 1 - edge else _root(outside, 1.0, max(value, edge))
    return Estimate(value, low, high, "interval", n + m)


def mean_interval(*strata: ArrayLike) -> Estimate:
    """Return the mean of the strata's means with its Student-t interval (degrees of freedom: Welch and Satterthwaite).

    Args:
        strata: Scores of each stratum, [n] each; at least two of each for an interval.

    Raises:
        ValueError: As for :func:`interquartile_mean`.
    """
    samples = [_scores(s) for s in _some(strata)]
    n, value = sum(map(len, samples)), float(np.mean([s.mean() for s in samples]))
    if min(map(len, samples)) == 1:
        return Estimate(value, None, None, "single", n)
    if all(np.ptp(s) <= ROUNDING * np.abs(s).max() for s in samples):  # the mean of equal scores is not quite theirs
        return Estimate(value, None, None, "tie", n)
    squares = [float(s.var(ddof=1)) / len(s) for s in samples]
    total = sum(squares)
    freedom = total**2 / sum(v**2 / (len(s) - 1) for v, s in zip(squares, samples, strict=True))
    reach = float(stdtrit(freedom, 0.5 + CONFIDENCE / 2)) * math.sqrt(total) / len(samples)
    return Estimate(value, value - reach, value + reach, "interval", n)


def share_interval(hits: int, n: int) -> tuple[float, float]:
    """Return the exact 95 % interval of a share (Clopper and Pearson 1934).

    Args:
        hits: How many of the sample, 0 to n.
        n: Sample size, >= 1.
    """
    tail = (1 - CONFIDENCE) / 2
    low = betaincinv(hits, n - hits + 1, tail) if hits > 0 else 0.0
    return float(low), float(betaincinv(hits + 1, n - hits, 1 - tail)) if hits < n else 1.0


def _root(function: Callable[[float], float], above: float, below: float) -> float:
    """Return where a continuous function crosses zero, between a place where it is positive and one where it is not."""
    while (middle := (above + below) / 2) not in (above, below):
        if function(middle) > 0:
            above = middle
        else:
            below = middle
    return middle


def _some(strata: Sequence[ArrayLike]) -> Sequence[ArrayLike]:
    if not strata:
        raise ValueError("an interquartile mean needs at least one sample.")
    return strata


def _scores(values: ArrayLike) -> Floats:
    """Return a sample as a vector of finite numbers."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not array.size:
        raise ValueError(f"scores are a list of at least one number, got the shape {array.shape}.")
    if not np.isfinite(array).all():
        raise ValueError("scores must be finite.")
    return array


def _iqm(drawn: Floats) -> Floats:
    """Return the interquartile mean over the last axis."""
    size = drawn.shape[-1]
    cut = int(CUT * size)
    middle: Floats = np.sort(drawn, axis=-1)[..., cut : size - cut].mean(axis=-1)
    return middle


def _bootstrapped(samples: Sequence[Floats], statistic: Any, resamples: int) -> Estimate:
    """Return a statistic of stratified samples with its widened BCa interval.

    Args:
        samples: Rows are runs, [n, columns] each.
        statistic: Vectorised over leading axes: [..., N, columns] -> [...], all strata one after another.
        resamples: How many are drawn.
    """
    sizes = [len(sample) for sample in samples]
    pooled = np.concatenate(samples)
    value, n = float(statistic(pooled)), len(pooled)
    if min(sizes) == 1:
        return Estimate(value, None, None, "single", n)
    resampled = statistic(np.concatenate([s[_draws(len(s), i, resamples)] for i, s in enumerate(samples)], axis=1))
    # Acceleration, from leaving each run out in turn (Efron and Tibshirani 1993, 14.15, for several samples).
    third = second = 0.0
    start = 0
    for size in sizes:
        rows = np.arange(n)
        left = statistic(np.stack([pooled[rows != i] for i in range(start, start + size)]))
        influence = (size - 1) * (left.mean() - left)
        third, second = third + (influence**3).sum() / size**3, second + (influence**2).sum() / size**2
        start += size
    acceleration = third / (6 * second**1.5) if second > 0 else 0.0
    # Half of the ties count as below: returns at a ceiling tie often.
    close = np.isclose(resampled, value, rtol=1e-12, atol=1e-12)
    below = float(np.mean(np.where(close, 0.5, resampled < value)))
    bias = ndtri(min(max(below, 0.5 / resamples), 1 - 0.5 / resamples))
    z = math.sqrt(min(sizes) / (min(sizes) - 1)) * stdtrit(n - len(sizes), 0.5 + CONFIDENCE / 2)
    shifted = [bias + side * z for side in (-1, 1)]
    levels = [ndtr(bias + s / max(1 - acceleration * s, 1e-6)) for s in shifted]
    low, high = (float(q) for q in np.quantile(resampled, levels))
    if high - low <= 1e-9 * max(1.0, abs(value)):
        return Estimate(value, None, None, "tie", n)
    return Estimate(value, low, high, "interval", n)


@lru_cache(maxsize=64)
def _draws(size: int, stratum: int, resamples: int) -> NDArray[np.int64]:
    """Return which runs each resample takes, [resamples, size]: the same in every call, so results repeat."""
    return seeding.stream(stratum, f"bootstrap-{size}").integers(0, size, (resamples, size))


def _margins(estimate: Estimate) -> tuple[float, float]:
    """Return how far the interval reaches down and up; nothing where the sample ties."""
    if estimate.low is None or estimate.high is None:
        return 0.0, 0.0
    return max(0.0, estimate.value - estimate.low), max(0.0, estimate.high - estimate.value)


def _tied(kind: Kind, value: float) -> Kind:
    """Return what a difference without spread is: a tie only at zero."""
    return "constant" if kind == "tie" and not math.isclose(value, 0, abs_tol=1e-9) else kind
