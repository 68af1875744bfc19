"""Where good settings lie: of each parameter, what the best quarter of the trials have in common.

Best by a model of all trials (:mod:`tuner.core.smoothing`), as single scores are noisy.
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

#: How often the good trials are drawn anew to see what chance does.
SHUFFLES = 1_000


def good_trials(points: Array, scores: Array) -> NDArray[np.bool_]:
    """Return which trials are in the best quarter by the model, [N]; none where that would be fewer than five.

    Args:
        points: [N, D] in the unit cube.
        scores: [N], higher is better.
    """
    count = math.floor(GOOD * len(scores))
    good = np.zeros(len(scores), bool)
    if count >= FEWEST:
        good[np.argsort(-smoothed(points, scores), kind="stable")[:count]] = True
    return good


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


def is_clear(places: Array, good: NDArray[np.bool_], ordered: bool, level: float) -> bool:
    """Whether good points lie elsewhere than the others, sure at ``level``; arguments as for :func:`differs`."""
    return bool(good.any() and not good.all() and differs(places, good, ordered) <= level)


def differs(places: Array, good: NDArray[np.bool_], ordered: bool) -> float:
    """Return the probability that trials drawn at random differ from the rest as much as the good ones do.

    By a permutation test of the Kolmogorov-Smirnov distance, or, of categories, of the total variation.

    Args:
        places: [N] positions, or numbers of categories.
        good: [N].
        ordered: Whether places have an order.
    """
    values, cell = np.unique(places, return_inverse=True)
    rng = seeding.stream(len(places), "regions")
    drawn = np.stack([good, *(rng.permutation(good) for _ in range(SHUFFLES))])  # [1 + R, N]
    counts = drawn.astype(float) @ np.eye(len(values))[cell]  # [1 + R, values]
    everyone = np.bincount(cell, minlength=len(values))
    inside = counts / max(good.sum(), 1)
    outside = (everyone - counts) / max((~good).sum(), 1)
    apart = inside - outside
    distance = np.abs(np.cumsum(apart, axis=1)).max(axis=1) if ordered else np.abs(apart).sum(axis=1)
    return float((distance[1:] >= distance[0] - 1e-9).mean())
