"""Intervals for a mean that hold at every look: whoever peeks after each run and stops when it is clear errs no more.

An interval for a fixed number of runs holds with its 95 % at that one number; looked at after every run until it
excludes zero, it is wrong far more often. A confidence sequence is wrong at *any* look with at most ``1 - level``.

Both sequences come from a wager against each candidate mean ``m``: capital that starts at 1 and, were ``m`` the mean,
would not grow on average. Ville's inequality bounds the chance that it ever reaches ``1 / (1 - level)``; the means
against which it has are excluded.

* Scores of any distribution within a known range ``[a, b]``: :func:`betting_capital`, the hedged capital of
  Waudby-Smith and Ramdas 2024 ("Estimating means of bounded random variables by betting", theorem 3, equation 26).
* Scores of a normal distribution of unknown mean and variance: :func:`normal_capital`, the scale-invariant likelihood
  ratio mixed over effect sizes (Lai 1976; Wang and Ramdas 2024, "Anytime-valid t-tests and confidence sequences for
  Gaussian means with unknown variance"). Of two settings on the same seeds, the differences are such scores.

They bound *means*: of a distribution with rare failures that no run has shown yet, the normal one knows nothing. How
often each is wrong, and how many runs it takes, is measured by ``python benchmarks/sequence_coverage.py``.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

#: What the normal sequence expects of an effect, before it has seen any: its size, in standard deviations of a score,
#: is normal around 0 with variance ``1 / PRIOR_RUNS``. The smaller, the sooner large effects are sure.
PRIOR_RUNS = 0.5

#: Share of the capital that a wager on bounded scores may put at stake.
STAKE = 0.75

#: Halvings of the range in which an end of the bounded interval is looked for.
HALVINGS = 50


def normal_capital(scores: ArrayLike, mean: float = 0.0) -> Floats:
    """Return the logarithm of the capital won against ``mean`` after each score of a normal sample.

    With ``S = sum(x - mean)``, ``V = sum((x - mean)^2)`` and ``g`` for :data:`PRIOR_RUNS` it is
    ``log(g / (n + g)) / 2 - n / 2 * log(1 - S^2 / ((n + g) V))``: the ratio of likelihoods of all that does not depend
    on the unit of the scores, under ``N(0, 1/g)`` effect sizes and under none.

    Args:
        scores: One score per run in the order of looks, [..., n].
        mean: The mean to exclude.

    Returns:
        [..., n]; 0 while every score equals ``mean``.
    """
    x = np.asarray(scores, dtype=np.float64) - mean
    n = np.arange(1, x.shape[-1] + 1)
    total, squares = x.cumsum(axis=-1), (x**2).cumsum(axis=-1)  # [..., n] each
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(squares > 0, total**2 / ((n + PRIOR_RUNS) * squares), 0.0)
    won: Floats = 0.5 * np.log(PRIOR_RUNS / (n + PRIOR_RUNS)) - 0.5 * n * np.log1p(-share)
    return np.where(squares > 0, won, 0.0)


def normal_sequence(scores: ArrayLike, level: float) -> tuple[Floats, Floats]:
    """Return the means that a normal sample does not exclude, after each score.

    Those with ``|mean - x̄| <= s sqrt((n - 1) / n) sqrt((R - 1) / (1 - R g / (n + g)))``, where ``s`` is the sample's
    standard deviation and ``R = ((n + g) / g)^(1/n) (1 - level)^(-2/n)``: what :func:`normal_capital` has not won
    ``1 / (1 - level)`` against. All means until the denominator is positive, which takes a few scores.

    Args:
        scores: One score per run in the order of looks, [..., n].
        level: Chance that the sequence holds the mean at every look, 0 to 1.

    Returns:
        Lower and upper ends, [..., n] each; infinite at the first looks.
    """
    x = np.asarray(scores, dtype=np.float64)
    n = np.arange(1, x.shape[-1] + 1)
    first = x[..., :1]  # digits are lost where the mean is far larger than the spread
    mean = (x - first).cumsum(axis=-1) / n
    spread = np.maximum(((x - first) ** 2).cumsum(axis=-1) / n - mean**2, 0.0)  # of n, not n - 1: [..., n]
    each = np.array([_reach(int(size), level) for size in n])
    reach = np.where(np.isfinite(each), np.sqrt(spread) * np.where(np.isfinite(each), each, 0.0), np.inf)
    return first + mean - reach, first + mean + reach


def _reach(n: int, level: float) -> float:
    """Return half the width of the normal interval after n scores, in their standard deviations (that of n)."""
    kept = PRIOR_RUNS / (n + PRIOR_RUNS)
    ratio = kept ** (-1 / n) * (1 - level) ** (-2 / n)
    return math.sqrt((ratio - 1) / (1 - ratio * kept)) if ratio * kept < 1 else math.inf


def betting_capital(scores: ArrayLike, mean: ArrayLike, bounds: tuple[float, float], level: float) -> Floats:
    """Return the logarithm of the capital won against ``mean`` after each score of a bounded sample.

    Half of the capital is staked on a higher mean and half on a lower one: with scores and ``m`` brought to [0, 1],
    ``K = max(prod(1 + l+ (x - m)), prod(1 - l- (x - m))) / 2``. A wager is ``l = sqrt(2 log(2 / (1 - level)) /
    (v t log(1 + t)))``, where ``v = (1/4 + sum((x - mean so far)^2)) / t`` of the scores before; at most ``STAKE / m``
    up and ``STAKE / (1 - m)`` down.

    Args:
        scores: One score per run in the order of looks, [..., n], within ``bounds``.
        mean: The mean to exclude, inside ``bounds``; broadcast with [..., 1].
        bounds: What no score can be below and above.
        level: What the wagers aim at, see :func:`normal_sequence`.

    Returns:
        [..., n].

    Raises:
        ValueError: A score lies outside the bounds.
    """
    x, m = _unit(scores, bounds), (np.asarray(mean, dtype=np.float64) - bounds[0]) / (bounds[1] - bounds[0])
    wager = _wagers(x, level)
    with np.errstate(divide="ignore"):
        up = np.log1p(np.minimum(wager, STAKE / m) * (x - m)).cumsum(axis=-1)
        down = np.log1p(-np.minimum(wager, STAKE / (1 - m)) * (x - m)).cumsum(axis=-1)
    won: Floats = np.maximum(up, down) - math.log(2)
    return won


def betting_interval(scores: ArrayLike, bounds: tuple[float, float], level: float) -> tuple[float, float]:
    """Return the means that a bounded sample does not exclude after its last score.

    The capital on a higher mean falls as the mean rises, that on a lower one rises: each end is found by halving.

    Args:
        scores: One score per run, [n].
        bounds: As for :func:`betting_capital`.
        level: As for :func:`normal_sequence`.

    Raises:
        ValueError: A score lies outside the bounds.
    """
    x = np.asarray(scores, dtype=np.float64)
    ends = []
    for edge in bounds:
        excluded, held = edge, float(x.mean())
        if abs(excluded - held) == 0:
            ends.append(edge)
            continue
        for _ in range(HALVINGS):
            middle = (excluded + held) / 2
            if betting_capital(x, middle, bounds, level)[-1] >= -math.log1p(-level):
                excluded = middle
            else:
                held = middle
        ends.append(excluded)
    return ends[0], ends[1]


def _unit(scores: ArrayLike, bounds: tuple[float, float]) -> Floats:
    """Return scores brought to [0, 1]."""
    x = np.asarray(scores, dtype=np.float64)
    if x.size and not (bounds[0] <= x.min() and x.max() <= bounds[1]):
        raise ValueError(f"scores must lie within {bounds[0]:g} and {bounds[1]:g}, got {x.min():g} to {x.max():g}.")
    return (x - bounds[0]) / (bounds[1] - bounds[0])


def _wagers(x: Floats, level: float) -> Floats:
    """Return what is staked on each score, from the scores before it alone, [..., n]."""
    t = np.arange(1, x.shape[-1] + 1)
    means = (0.5 + x.cumsum(axis=-1)) / (t + 1)
    variances = (0.25 + ((x - means) ** 2).cumsum(axis=-1)) / (t + 1)
    before = np.concatenate([np.full_like(x[..., :1], 0.25), variances[..., :-1]], axis=-1)
    wagers: Floats = np.sqrt(2 * math.log(2 / (1 - level)) / (before * t * np.log1p(t)))
    return wagers
