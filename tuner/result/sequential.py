"""When the winner is told from a baseline, seed by seed: what ``--until`` goes by, and what is printed of it.

Who does better is told by a rank test that looks after every seed (:mod:`tuner.core.sequential_ranks`), the one that a
verdict of a fixed number of seeds goes by. At level P the chance that any comparison of a verdict is wrong at any look
is at most 1 - P: the first that is told leaves its share of that chance to the others, and so on (Holm 1979). The looks
belong to a plan of so many seeds; who plans more once the results are seen spends a tenth of what is left. A comparison
that the rest of the plan would hardly tell (:data:`GIVE_UP`) trains no more; a longer plan takes it up again.

By how much is a second statement, on the *mean* difference of two runs of a seed: a confidence sequence, which holds at
every look too. The comparisons share its chance of error evenly (Bonferroni).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from tuner.core.confidence_sequence import betting_interval, normal_sequence
from tuner.core.sequential_ranks import (
    corridor,
    height,
    looks,
    normal_score,
    predictive_power,
    probability,
    runs_needed,
)
from tuner.result.verdict import Result, rounded
from tuner.text import counted

#: Share of the chance of error that the first plan of seeds spends; a later one spends that share of what is left.
SPENT = 0.9

#: A comparison that the seeds planned would tell with less than this probability is given up.
GIVE_UP = 0.05


def of_each(level: float, comparisons: int) -> float:
    """Return the level of one of several comparisons, so that together they have ``level`` (Bonferroni)."""
    return 1 - (1 - level) / max(comparisons, 1)


def planned(before: Sequence[int], seeds: int) -> tuple[int, ...]:
    """Return plans of seeds, the first first, once ``seeds`` are asked for: more than were planned are another plan."""
    return tuple(before) if before and seeds <= before[-1] else (*before, seeds)


@dataclass(frozen=True)
class Until:
    """What a verdict that ends by its results was asked for.

    Attributes:
        level: Chance that no comparison is wrong at any look.
        seeds: Seeds of each contestant, at most.
        runs: Runs of all contestants, at most; one of a setting with steps of its own counts as its share of them.
        bounds: Lowest and highest return there can be, where that is known.
        plans: Seeds of each contestant that were planned, the first plan first; empty stands for ``seeds`` alone.
    """

    level: float
    seeds: int
    runs: int
    bounds: tuple[float, float] | None = None
    plans: tuple[int, ...] = ()

    @property
    def looks_of(self) -> tuple[int, ...]:
        """The plans whose looks count."""
        return self.plans or (self.seeds,)


@dataclass(frozen=True)
class Standing:
    """The winner beside one baseline after some seeds.

    Attributes:
        mean: Mean difference of two runs of a seed, ours minus theirs.
        deviation: Their standard deviation; None for one pair.
        low: Lower end of the sequence of means at this look; None where nothing can be said yet.
        high: Upper end, likewise.
        n: Pairs.
        level: Of the sequence.
        bounded: Whether it rests on a range of returns; else differences are taken for normal.
        result: ``better``, ``worse``, ``tie`` where all pairs are equal, or ``undecided``; see :func:`told`.
        probability: That a run of ours does better than a run of theirs; ties count half.
        heights: For each plan of seeds, the normal score of the rank test where it was furthest from zero in units of
            the plan's corridor.
        given_up: Whether seeds were left that would hardly have told them apart.
    """

    mean: float
    deviation: float | None
    low: float | None
    high: float | None
    n: int
    level: float
    bounded: bool
    result: Result
    probability: float
    heights: tuple[float, ...]
    given_up: bool = False

    @property
    def decided(self) -> bool:
        """Whether the winner is told from the baseline."""
        return self.result in ("better", "worse")

    @property
    def ended(self) -> bool:
        """Whether it trains no more, decided or given up."""
        return self.decided or self.given_up

    def hopeless(self, level: float, plans: Sequence[int]) -> bool:
        """Return whether the rest of the last plan would hardly decide it, were all other comparisons decided.

        Args:
            level: Of all comparisons.
            plans: Seeds that were planned.
        """
        limit = height(_error(len(plans) - 1, 1 - level), plans[-1])
        return predictive_power(normal_score(self.probability, self.n), self.n, plans[-1], limit) < GIVE_UP

    def seeds_needed(self, plans: Sequence[int]) -> int | None:
        """Return with how many seeds in all it would be decided, were the share of won pairs to stay as it is.

        Args:
            plans: Seeds that were planned; what they leave over is counted with first, then another plan.

        Returns:
            The number; None where neither side wins more pairs, or it is past counting.
        """
        limit, most = height(_error(len(plans) - 1, 1 - self.level), plans[-1]), plans[-1]
        for n in range(self.n + 1, most + 1):
            if abs(normal_score(self.probability, n)) >= limit * corridor(n, most):
                return n
        found = runs_needed(self.probability, _error(len(plans), 1 - self.level))
        return None if found is None else max(found, most + 1)


def standing(
    ours: Sequence[float],
    theirs: Sequence[float],
    level: float,
    bounds: tuple[float, float] | None = None,
    plans: Sequence[int] = (),
) -> Standing | None:
    """Compare pairs of runs of the same seeds; nothing is decided yet, see :func:`told`.

    Args:
        ours: Scores, [n].
        theirs: Scores of the same seeds, [n].
        level: Of the sequence of means.
        bounds: Lowest and highest return there can be; not used where a score lies outside, which disproves them.
        plans: Seeds that were planned; none: as many as there are.

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
    n = len(differences)
    return Standing(
        mean=float(differences.mean()),
        deviation=float(differences.std(ddof=1)) if n > 1 else None,
        low=low if math.isfinite(low) else None,
        high=high if math.isfinite(high) else None,
        n=n,
        level=level,
        bounded=bounded,
        result="undecided" if differences.any() else "tie",
        probability=probability(left, right),
        heights=tuple(_furthest(tuple(left), tuple(right), most) for most in plans or (n,)),
    )


@lru_cache(maxsize=1024)
def _furthest(ours: tuple[float, ...], theirs: tuple[float, ...], most: int) -> float:
    seen = [n for n in looks(most) if n <= len(ours)]
    scores = (normal_score(probability(ours[:n], theirs[:n]), n) / corridor(n, most) for n in seen)
    return max(scores, key=abs, default=0.0)


def _error(plan: int, error: float) -> float:
    """Return what a plan spends of the chance of error, by its number."""
    return error * SPENT * (1 - SPENT) ** plan


def told(
    standings: Mapping[str, Standing], comparisons: int, level: float, plans: Sequence[int]
) -> dict[str, Standing]:
    """Return the comparisons with those decided that are sure, at ``level`` for all of them together and every look.

    Args:
        standings: By the baseline's key; what is decided stays so.
        comparisons: How many there are, those without a pair too.
        level: Of all comparisons.
        plans: Seeds that were planned, as for :func:`standing`.
    """
    found = dict(standings)
    while True:
        error = (1 - level) / max(comparisons - sum(s.decided for s in found.values()), 1)
        limits = [height(_error(plan, error), most) for plan, most in enumerate(plans)]
        for key, each in found.items():
            outside = [h for h, limit in zip(each.heights, limits, strict=True) if abs(h) >= limit]
            if outside and not each.decided:
                found[key] = dataclasses.replace(each, result="better" if outside[0] > 0 else "worse")
                break
        else:
            return found


def within(bounds: tuple[float, float], scores: Sequence[float]) -> bool:
    """Return whether all scores lie in a range of returns."""
    return all(bounds[0] <= score <= bounds[1] for score in scores)


def standing_text(title: str, found: Standing | None) -> str:
    """Return where a comparison stands in a few words: ``ahead of the defaults, sure after 6 seeds``."""
    if found is None:
        return f"not yet compared with {title}"
    seeds = counted(found.n, "seed")
    if found.decided:
        return f"{'ahead of' if found.result == 'better' else 'behind'} {title}, sure after {seeds}"
    return f"too close to {title} to go on after {seeds}" if found.given_up else f"not sure of {title} after {seeds}"
