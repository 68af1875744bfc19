"""What settings are worth, from one noisy score each: the posterior mean of a Gaussian process over the unit cube.

Matern 5/2 with one length for all dimensions; length and the share of noise are those of the highest marginal
likelihood on a grid (Rasmussen and Williams 2006, equations 2.25 and 2.30). Scores are turned to normal scores of their
ranks first, as returns have heavy tails and ties.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.special import ndtri

Array = NDArray[np.float64]

#: Lengths, in multiples of the median distance between two points, and shares of the variance that are noise.
LENGTHS, NOISES = (0.5, 1.0, 2.0, 4.0), (0.05, 0.2, 0.4, 0.6, 0.8, 0.95)


def smoothed(points: Array, scores: Array) -> Array:
    """Return the posterior mean at the points, in normal scores: an order, not returns.

    The time grows with the cube of N: a second or two for 500.

    Args:
        points: [N, D] in the unit cube, N >= 1.
        scores: [N] noisy scores.
    """
    count = len(scores)
    targets = normal_scores(scores)
    if count < 3 or np.ptp(targets) == 0:
        return targets
    targets = targets / targets.std()
    squares = (points**2).sum(axis=1)
    apart = np.sqrt(np.maximum(squares[:, None] + squares - 2 * points @ points.T, 0.0))  # [N, N]
    middle = float(np.median(apart[np.triu_indices(count, 1)])) or 1.0
    best, mean = -np.inf, targets
    for length in LENGTHS:
        scaled = np.sqrt(5.0) * apart / (length * middle)
        kernel = (1 + scaled + scaled**2 / 3) * np.exp(-scaled)
        for noise in NOISES:
            factor = cho_factor((1 - noise) * kernel + noise * np.eye(count), lower=True)
            weights = cho_solve(factor, targets)
            likelihood = -0.5 * targets @ weights - np.log(np.diag(factor[0])).sum()
            if likelihood > best:
                best, mean = likelihood, (1 - noise) * kernel @ weights
    return np.asarray(mean)


def normal_scores(values: Array) -> Array:
    """Return the standard normal quantiles of the values' ranks, equal for equal values, [N]."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - (counts + 1) / 2  # mean rank of each value, from 0
    return np.asarray(ndtri((middle[place] + 0.5) / len(values)))
