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


def mean_ranks(scores: ArrayLike) -> NDArray[np.float64]:
    """Return the mean over tables of each one's normalised ranks.

    Args:
        scores: [tables, n], as for :func:`normalised_ranks`.

    Returns:
        Means [n] in [0, 1].
    """
    found: NDArray[np.float64] = np.mean([normalised_ranks(row) for row in np.asarray(scores, dtype=float)], axis=0)
    return found
