"""Where good settings lie: of each parameter, what the best quarter of the trials have in common.

Best by a model of all trials (:mod:`tuner.core.smoothing`), as single scores are noisy. What a model calls good lies
together wherever that is, as near settings are alike to it; so whether there is a region at all is told by the scores
themselves.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from tuner import seeding
from tuner.core.smoothing import smoothed

Array = NDArray[np.float64]

#: Share of the trials that are good, and the share of these that a region leaves out at either end.
GOOD, TAIL = 0.25, 0.1

#: Fewest good trials that a region is drawn around.
FEWEST = 5

#: How often the best trials are drawn anew to see what chance does.
SHUFFLES = 1_000


def good_trials(points: Array, scores: Array) -> NDArray[np.bool_]:
    """Return which trials are in the best quarter by the model, [N]; none where that would be fewer than five.

    Args:
        points: [N, D] in the unit cube.
        scores: [N], higher is better.
    """
    return best_trials(smoothed(points, scores))


def best_trials(scores: Array) -> NDArray[np.bool_]:
    """Return which trials are the best quarter by their scores, of equal ones the first, [N]; none for fewer than five.

    Args:
        scores: [N], higher is better.
    """
    count = math.floor(GOOD * len(scores))
    best = np.zeros(len(scores), bool)
    if count >= FEWEST:
        best[np.argsort(-scores, kind="stable")[:count]] = True
    return best


def span(positions: Array, good: NDArray[np.bool_]) -> tuple[float, float]:
    """Return the ends between which the middle four fifths of the good trials lie.

    Args:
        positions: [N] along the parameter's axis.
        good: [N], at least one.
    """
    low, high = np.quantile(positions[good], (TAIL, 1 - TAIL))
    return float(low), float(high)


def favoured(choices: Sequence[Hashable], good: NDArray[np.bool_]) -> list[Hashable]:
    """Return the choices that are at least half as common among the good trials as among all, in order of appearance.

    Args:
        choices: [N] of each trial.
        good: [N], at least one.
    """
    everywhere = {c: choices.count(c) / len(choices) for c in dict.fromkeys(choices)}
    among = [c for c, is_good in zip(choices, good, strict=True) if is_good]
    return [c for c, share in everywhere.items() if among.count(c) / len(among) >= share / 2]


def is_clear(places: Array, best: NDArray[np.bool_], ordered: bool, level: float) -> bool:
    """Whether the best points lie elsewhere than the others, sure at ``level``; arguments as for :func:`differs`."""
    return bool(best.any() and not best.all() and differs(places, best, ordered) <= level)


def differs(places: Array, best: NDArray[np.bool_], ordered: bool) -> float:
    """Return the probability that trials drawn at random differ from the rest as much as the best ones do.

    By a permutation test of the Kolmogorov-Smirnov distance, or, of categories, of the total variation; never 0, as
    what was found is one of the orders that there could be (Phipson and Smyth 2010).

    Args:
        places: [N] positions, or numbers of categories.
        best: [N] from :func:`best_trials`, not by where they lie.
        ordered: Whether places have an order.
    """
    values, cell = np.unique(places, return_inverse=True)
    rng = seeding.stream(len(places), "regions")
    drawn = np.stack([best, *(rng.permutation(best) for _ in range(SHUFFLES))])  # [1 + R, N]
    counts = drawn.astype(float) @ np.eye(len(values))[cell]  # [1 + R, values]
    everyone = np.bincount(cell, minlength=len(values))
    inside = counts / max(best.sum(), 1)
    outside = (everyone - counts) / max((~best).sum(), 1)
    apart = inside - outside
    distance = np.abs(np.cumsum(apart, axis=1)).max(axis=1) if ordered else np.abs(apart).sum(axis=1)
    return float((distance >= distance[0] - 1e-9).mean())
