"""Which finalists need no more runs: those that the leader clearly beats on what has been measured so far.

The leader is the candidate with the highest mean score: where some runs solve the task and others fail, the mean counts
how many fail, which an interquartile mean of few runs throws away. What other levels than :data:`LEVEL` cost is printed
by ``python benchmarks/selection.py --rules``.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtr

from tuner.core.statistics import ROUNDING

Name = TypeVar("Name", bound=Hashable)

#: One-sided error level of each comparison with the leader.
LEVEL = 0.05


def clearly_beaten(
    scores_by_candidate: Mapping[Name, ArrayLike], level: float = LEVEL, *, rounding: float | None = ROUNDING
) -> set[Name]:
    """Return the candidates whose mean lies significantly below the leader's (Welch 1947, one-sided).

    Called after every round of runs, it drops what is hopeless and leaves what is undecided, however unequal the
    numbers of runs. Comparisons are many: of equal candidates some are dropped by chance. A candidate with
    fewer than two runs is never dropped, nor is one that ties with the leader.

    Args:
        scores_by_candidate: One score per run, [n] each; the candidates still in the race.
        level: Probability of dropping a candidate whose true mean equals the leader's, per comparison.
        rounding: As for :func:`p_not_below`.

    Raises:
        ValueError: A candidate without a score, or a score that is not finite.
    """
    samples = {name: np.asarray(scores, dtype=np.float64) for name, scores in scores_by_candidate.items()}
    for name, sample in samples.items():
        if sample.ndim != 1 or not sample.size or not np.isfinite(sample).all():
            raise ValueError(f"candidate {name!r} needs a list of finite scores, got {sample.tolist()}.")
    if not samples:
        return set()
    leader = max(samples, key=lambda name: float(samples[name].mean()))
    best = samples.pop(leader)
    return {name for name, sample in samples.items() if p_not_below(sample, best, rounding=rounding) < level}


def p_not_below(sample: ArrayLike, leader: ArrayLike, *, rounding: float | None = ROUNDING) -> float:
    """Return the one-sided p-value of Welch's test that the sample's mean is not below the leader's.

    1 where either has fewer than two runs; without any spread it is 0 for a lower mean and 1 otherwise.

    Args:
        sample: Scores, [n].
        leader: Scores, [m].
        rounding: Share of the largest score within which all scores are equal: the mean of six times 0.9 is below that
            of seven. None: only bit for bit.
    """
    below, above = np.asarray(sample, dtype=np.float64), np.asarray(leader, dtype=np.float64)
    if min(below.size, above.size) < 2:
        return 1.0
    both = np.concatenate([below, above])
    if rounding is not None and np.ptp(both) <= rounding * np.abs(both).max():
        return 1.0
    gap = float(above.mean() - below.mean())
    squares = [float(s.var(ddof=1)) / s.size for s in (below, above)]
    total = sum(squares)
    if total == 0:
        return 0.0 if gap > 0 else 1.0
    parts = (v**2 / (s.size - 1) for v, s in zip(squares, (below, above), strict=True))
    return float(stdtr(total**2 / sum(parts), -gap / math.sqrt(total)))
