"""How bad it gets: the mean of the worst quarter of the runs, and what tells two samples apart by it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tuner.core.elimination import clearly_beaten
from tuner.core.statistics import ROUNDING

#: Share of the runs that counts.
QUARTER = 0.25

#: Fewer runs than this have no quarter whose spread could be seen.
FEWEST = 4


def worst_quarter(scores: ArrayLike) -> float:
    """Return the mean of the lowest quarter of a sample: its expected shortfall (conditional value at risk) at 25 %.

    Of n scores the lowest ``floor(n / 4)`` count in full and the next one with what is left of ``n / 4``; of fewer than
    four it is the lowest (Acerbi and Tasche 2002; for runs of reinforcement learning Chan et al. 2020).

    Args:
        scores: One score per run, [n], n >= 1, finite.

    Raises:
        ValueError: No score, or one that is not finite.
    """
    ordered = np.sort(_sample(scores))
    counts = QUARTER * len(ordered)
    weights = np.clip(counts - np.arange(len(ordered)), 0.0, 1.0)
    return float(weights @ ordered / counts)


def shortfalls(scores: Sequence[float]) -> list[float]:
    """Return one number per run whose mean is :func:`worst_quarter` and whose spread is that of its estimate.

    ``q - max(q - x, 0) / (1/4)`` with ``q`` the lowest score above the quarter (Rockafellar and Uryasev 2000): a test
    of means on these compares worst quarters. Of fewer than :data:`FEWEST` runs, each is the lowest.

    Args:
        scores: As for :func:`worst_quarter`.

    Raises:
        ValueError: As for :func:`worst_quarter`.
    """
    sample = _sample(scores)
    if len(sample) < FEWEST:
        return [float(sample.min())] * len(sample)
    edge = np.sort(sample)[math.floor(QUARTER * len(sample))]
    values: list[float] = (edge - np.maximum(edge - sample, 0.0) / QUARTER).tolist()
    return values


def clearly_worse_quarters(
    scores_by_candidate: Mapping[str, Sequence[float]], *, rounding: float | None = ROUNDING
) -> set[str]:
    """Return the candidates whose worst quarter lies significantly below the leader's.

    As :func:`~tuner.core.elimination.clearly_beaten`, on :func:`shortfalls`; nobody while one has too few runs.
    """
    if any(len(scores) < FEWEST for scores in scores_by_candidate.values()):
        return set()
    quarters = {name: shortfalls(scores) for name, scores in scores_by_candidate.items()}
    return clearly_beaten(quarters, rounding=rounding)


def _sample(scores: ArrayLike) -> NDArray[np.float64]:
    sample = np.asarray(scores, dtype=np.float64)
    if sample.ndim != 1 or not sample.size or not np.isfinite(sample).all():
        raise ValueError(f"a worst quarter needs a list of finite scores, got {sample.tolist()}.")
    return sample
