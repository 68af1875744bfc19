"""Ranks as shares, by which results of different scales can be averaged."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def normalised_ranks(scores: ArrayLike) -> NDArray[np.float64]:
    """Return the share of the others that each score beats, equal ones counted half: 0 is the worst, 1 the best.

    Args:
        scores: [n], n >= 1; ``-inf`` is worse than every number, NaN is not allowed. Of one alone the rank is 1/2.

    Returns:
        Ranks [n] in [0, 1], of mean 1/2.

    Raises:
        ValueError: A score is not a number.
    """
    values = np.asarray(scores, dtype=float)
    if np.isnan(values).any():
        raise ValueError("a score is NaN.")
    if len(values) == 1:
        return np.full(1, 0.5)
    above = (values[:, None] > values).sum(axis=1)
    equal = (values[:, None] == values).sum(axis=1) - 1
    found: NDArray[np.float64] = (above + 0.5 * equal) / (len(values) - 1)
    return found


def mean_ranks(scores: ArrayLike, *, ties: bool = False) -> NDArray[np.float64]:
    """Return the mean over tables of each one's normalised ranks.

    Args:
        scores: [tables, n], as for :func:`normalised_ranks`.
        ties: Whether equal means are equal bit for bit. Else the rounding of the sum may tell them apart: ranks of 0.1
            and 0.2 sum to more than those of 0.3 and 0.

    Returns:
        Means [n] in [0, 1].
    """
    ranks = np.array([normalised_ranks(row) for row in np.asarray(scores, dtype=float)])
    if not ties:
        means: NDArray[np.float64] = ranks.mean(axis=0)
        return means
    half_places = 2 * max(ranks.shape[1] - 1, 1)  # a rank is a whole number of them, whose sum is exact
    found: NDArray[np.float64] = np.rint(ranks * half_places).sum(axis=0) / (half_places * len(ranks))
    return found
