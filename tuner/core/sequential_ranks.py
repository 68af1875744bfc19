"""A rank test that looks after every run, where the most there can be is known: who peeks errs no more often.

The test is that of Wilcoxon, Mann and Whitney, which knows nothing of how scores are distributed: of two settings
that are alike, all orders of their runs are equally likely. After n runs of each its p-value, exact or by the normal
curve, becomes a normal score. Over looks these scores go as a Brownian motion does (in the time ``n^2 / (2n + 1)``, by
which the variance of the share of won pairs falls), and how likely it ever leaves a corridor is integrated from look to
look (Armitage, McPherson and Rowe 1969). The corridor is that of O'Brien and Fleming 1979, which leaves the last look
nearly all that a single look would have, cut off at :data:`CAP` times its end, so that what is far apart ends early. As
ranks are discrete, the chance of error is somewhat below what is asked for: ``python benchmarks/sequence_coverage.py``.

The statement is that of the rank test: a run of one setting does better than one of the other more often than not.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

Floats = NDArray[np.float64]

#: Runs of each before the first look: all above all others is then unlikely enough to mean something.
FIRST_LOOK = 5

#: Height of the corridor at early looks, as a multiple of that at the last.
CAP = 1.3

#: About how many looks there are at most; of more runs than that, only every so many-th are followed by one.
LOOKS = 100

#: Halvings of the range in which the corridor's height is looked for.
HALVINGS = 20

#: Most runs of each whose p-value is exact: all numbers of orders are exact in a double.
EXACT = 28


def probability(ours: ArrayLike, theirs: ArrayLike) -> float:
    """Return the share of pairs in which ours is above, equal ones counted half.

    Args:
        ours: Scores, [n], n >= 1.
        theirs: Scores, [m], m >= 1.
    """
    left, right = np.asarray(ours, dtype=float), np.sort(np.asarray(theirs, dtype=float))
    below = np.searchsorted(right, left, "left") + np.searchsorted(right, left, "right")
    return float(below.sum()) / (2 * len(left) * len(right))


def normal_score(share: float, n: int) -> float:
    """Return the rank test's two-sided p-value as a normal score, positive where ours are above.

    Args:
        share: :func:`probability` of n runs against n.
        n: Runs of each.
    """
    won = share * n * n
    fewer = math.ceil(min(won, n * n - won) - 1e-9)  # with ties between two p-values: the larger
    if n > EXACT:  # with half a step less, as scores come in steps
        z = max((n * n / 2 - fewer - 0.5) / math.sqrt(n * n * (2 * n + 1) / 12), 0.0)
    else:
        z = float(_exact_scores(n)[min(fewer, n * n // 2)])
    return math.copysign(z, share - 0.5)


@lru_cache
def _exact_scores(n: int) -> Floats:
    """Return the normal score for each number of pairs won by the lesser side, [n * n // 2 + 1]."""
    counts = np.zeros(n * n + 1)
    counts[0] = 1.0
    for i in range(1, n + 1):  # the orders of n among 2 n by pairs won: prod (1 - q^(n + i)) / (1 - q^i)
        counts[n + i :] -= counts[: -(n + i)].copy() if n + i < len(counts) else 0.0
        for start in range(i):
            counts[start::i] = counts[start::i].cumsum()
    tail = 2 * counts.cumsum()[: n * n // 2 + 1] / math.comb(2 * n, n)
    scores: Floats = np.maximum(-ndtri(np.minimum(tail, 1.0) / 2), 0.0)
    return scores


def looks(most: int) -> range:
    """Return after how many runs of each there are looks.

    Args:
        most: Runs of each at the last look, >= 1.
    """
    stride = -(-most // LOOKS)
    first = min(FIRST_LOOK, most)
    return range(most - (most - first) // stride * stride, most + 1, stride)


def corridor(n: int, most: int) -> float:
    """Return the height of the corridor after n runs of each, in units of its height at the last look.

    Infinite where there is no look.

    Args:
        n: Runs of each, at most ``most``.
        most: Runs of each at the last look.
    """
    return min((_time(most) / _time(n)) ** 0.5, CAP) if n in looks(most) else math.inf


def height(error: float, most: int) -> float:
    """Return the normal score at the last look, such that two settings that are alike leave the corridor that rarely.

    Args:
        error: Chance that they leave it at any look, between 0 and 1.
        most: Runs of each at the last look, >= 1.
    """
    return _height(round(error, 12), most)


@lru_cache(maxsize=256)
def _height(error: float, most: int) -> float:
    low, high = (
        float(-ndtri(error / 2 / share)) for share in (1, len(looks(most)))
    )  # one look, all looks by Bonferroni
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if leaves(middle, most) > error else (low, middle)
    return high


def leaves(high: float, most: int) -> float:
    """Return how likely a Brownian motion, seen at the looks, leaves a corridor of that height at the last look.

    Args:
        high: Normal score at the last look.
        most: Runs of each at the last look.
    """
    if high <= 0:
        return 1.0
    times = np.array([_time(n) / _time(most) for n in looks(most)])
    ends = np.array([high * corridor(n, most) for n in looks(most)]) * np.sqrt(times)
    steps = np.sqrt(np.diff(times, prepend=0.0))
    size = 24 + math.ceil(1.5 * float(ends.max()) / float(steps[1:].min() if len(steps) > 1 else steps[0]))
    nodes, weights = _gauss(size)
    x = ends[0] * nodes  # one side of the corridor, as the other is the same
    mass = 2 * _normal(x / steps[0]) / steps[0] * weights * ends[0]
    for end, step in zip(ends[1:], steps[1:], strict=True):
        to = end * nodes[:, None]
        mass = (_normal((to - x) / step) + _normal((to + x) / step)) @ mass / step * weights * end
        x = to[:, 0]
    return float(np.clip(1.0 - mass.sum(), 0.0, 1.0))


def predictive_power(score: float, n: int, most: int, limit: float) -> float:
    """Return how likely the last look tells two settings apart, from what is known after n runs of each.

    A Brownian motion whose drift nobody knew beforehand: it has moved on average as it will, give or take what n runs
    leave open (Spiegelhalter, Freedman and Blackburn 1986). To end where this is low makes no error likelier: less is
    told.

    Args:
        score: :func:`normal_score` after n runs of each.
        n: Runs of each, >= 1.
        most: Runs of each at the last look.
        limit: What the last look's score has to reach, on either side.
    """
    time = _time(n) / _time(most)
    if time >= 1:
        return float(abs(score) >= limit)
    last, spread = score / math.sqrt(time), math.sqrt((1 - time) / time)
    return float(ndtr((last - limit) / spread) + ndtr((-limit - last) / spread))


def runs_needed(share: float, error: float, most: int = 10_000) -> int | None:
    """Return with how many runs of each the last look would tell them apart, were the share of won pairs to stay.

    Args:
        share: :func:`probability`.
        error: As for :func:`height`.
        most: Where to stop looking.

    Returns:
        The number; None where it is more than ``most``.
    """
    edge = abs(share - 0.5)
    if edge == 0:
        return None
    limit = float(-ndtri(error / 4)) ** 2  # where looks are many
    found = math.ceil((limit + math.sqrt(limit**2 + 12 * edge**2 * limit)) / (12 * edge**2))
    return found if found <= most else None


@lru_cache(maxsize=64)
def _gauss(size: int) -> tuple[Floats, Floats]:
    """Return the nodes and weights of Gauss and Legendre on [0, 1]; finding them is half of what a corridor takes."""
    nodes, weights = np.polynomial.legendre.leggauss(size)
    return (nodes + 1) / 2, weights / 2


def _time(n: int) -> float:
    return n * n / (2 * n + 1)


def _normal(x: Floats) -> Floats:
    density: Floats = np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)
    return density
