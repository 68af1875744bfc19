"""When the winner is told from a baseline, seed by seed: what ``--until`` goes by, and what is printed of it.

The statement is on the *mean* difference of two runs of a seed (interquartile means have no such sequence), and holds
at every look: at level P the chance that any comparison of a verdict is wrong at any number of seeds is at most 1 - P.
The comparisons share that chance evenly (Bonferroni), as they share the winner's runs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tuner.core.confidence_sequence import betting_interval, normal_sequence, runs_needed
from tuner.result.verdict import Result, rounded


def of_each(level: float, comparisons: int) -> float:
    """Return the level of one of several comparisons, so that together they have ``level`` (Bonferroni)."""
    return 1 - (1 - level) / max(comparisons, 1)


@dataclass(frozen=True)
class Until:
    """What a verdict that ends by its results was asked for.

    Attributes:
        level: Chance that no comparison is wrong at any look.
        seeds: Seeds of each contestant, at most.
        runs: Runs of all contestants, at most; one of a setting with steps of its own counts as its share of them.
        bounds: Lowest and highest return there can be, where that is known.
    """

    level: float
    seeds: int
    runs: int
    bounds: tuple[float, float] | None = None

    def each(self, comparisons: int) -> float:
        """Return the level of one of several comparisons."""
        return of_each(self.level, comparisons)


@dataclass(frozen=True)
class Standing:
    """The winner beside one baseline after some seeds.

    Attributes:
        mean: Mean difference of two runs of a seed, ours minus theirs.
        deviation: Their standard deviation; None for one pair.
        low: Lower end of the sequence at this look; None where nothing can be said yet.
        high: Upper end, likewise.
        n: Pairs.
        level: Of this comparison.
        bounded: Whether it rests on a range of returns; else differences are taken for normal.
        result: ``better``, ``worse``, ``tie`` where all pairs are equal, or ``undecided``.
    """

    mean: float
    deviation: float | None
    low: float | None
    high: float | None
    n: int
    level: float
    bounded: bool
    result: Result

    @property
    def decided(self) -> bool:
        """Whether the winner is told from the baseline."""
        return self.result in ("better", "worse")

    def seeds_needed(self) -> int | None:
        """Return with how many seeds in all it would be decided, were mean and spread to stay as they are.

        By the normal sequence; None where the two do not differ or one pair shows no spread, or it is past counting.
        """
        return None if self.deviation is None else runs_needed(self.mean, self.deviation, self.level)


def standing(
    ours: Sequence[float], theirs: Sequence[float], level: float, bounds: tuple[float, float] | None = None
) -> Standing | None:
    """Compare pairs of runs of the same seeds.

    Args:
        ours: Scores, [n].
        theirs: Scores of the same seeds, [n].
        level: Of this comparison.
        bounds: Lowest and highest return there can be; not used where a score lies outside, which disproves them.

    Returns:
        Where it stands; None without a pair.
    """
    if not ours:
        return None
    left, right = rounded(ours, theirs)
    differences = np.subtract(left, right)
    bounded = bounds is not None and within(bounds, [*left, *right])
    if bounds is not None and bounded:
        span = bounds[1] - bounds[0]
        low, high = betting_interval(differences, (-span, span), level)
    else:
        lows, highs = normal_sequence(differences, level)
        low, high = float(lows[-1]), float(highs[-1])
    result: Result = "better" if low > 0 else "worse" if high < 0 else "undecided"
    if not differences.any():
        result = "tie"
    n = len(differences)
    return Standing(
        mean=float(differences.mean()),
        deviation=float(differences.std(ddof=1)) if n > 1 else None,
        low=low if math.isfinite(low) else None,
        high=high if math.isfinite(high) else None,
        n=n,
        level=level,
        bounded=bounded,
        result=result,
    )


def within(bounds: tuple[float, float], scores: Sequence[float]) -> bool:
    """Return whether all scores lie in a range of returns."""
    return all(bounds[0] <= score <= bounds[1] for score in scores)


def standing_text(title: str, found: Standing | None) -> str:
    """Return where a comparison stands in a few words: ``ahead of the defaults, sure after 6 seeds``."""
    if found is None:
        return f"not yet compared with {title}"
    if found.decided:
        return f"{'ahead of' if found.result == 'better' else 'behind'} {title}, sure after {found.n} seeds"
    return f"not sure of {title} after {found.n} seed{'s' if found.n != 1 else ''}"
