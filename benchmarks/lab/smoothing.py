"""A Gaussian process over the unit cube that tells a setting's worth from its luck: a candidate for choosing finalists.

Matern 5/2 with one length for all dimensions; length and the share of noise are those of the highest marginal
likelihood on a grid (Rasmussen and Williams 2006, equations 2.25 and 2.30). Scores are turned to normal scores of their
ranks first, as returns have heavy tails and ties.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.stats import norm, rankdata

#: Lengths, in multiples of the median distance between two points, and shares of the variance that are noise.
LENGTHS, NOISES = (0.5, 1.0, 2.0, 4.0), (0.05, 0.2, 0.4, 0.6, 0.8, 0.95)


def smoothed(points: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return the posterior mean at the points, in normal scores: an order, not returns.

    Args:
        points: [N, D] in the unit cube, N >= 1.
        scores: [N] noisy scores.
    """
    count = len(scores)
    targets = norm.ppf((rankdata(scores) - 0.5) / count)
    if count < 3 or np.ptp(targets) == 0:
        return targets
    targets = targets / targets.std()
    apart = np.sqrt(((points[:, None] - points[None]) ** 2).sum(axis=2))  # [N, N]
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
    return mean
