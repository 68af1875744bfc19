"""The one rule for better, worse, undecided and tied: whoever compares two samples of runs asks here."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from tuner.core.multiple_comparisons import holm
from tuner.core.statistics import Estimate, iqm_difference, probability_of_improvement

Result = Literal["better", "worse", "undecided", "tie"]

Name = TypeVar("Name", bound=Hashable)

#: Error rate of a two-sided rank test that samples must be able to reach before one may be called better.
LEVEL = 0.05

#: Significant digits of a score; what differs beyond them differs by the arithmetic of means alone.
DIGITS = 10


@dataclass(frozen=True)
class Comparison:
    """One sample of runs beside another, on the same seeds.

    Attributes:
        difference: Ours minus theirs, interquartile means.
        probability: That a run of ours does better than a run of theirs; ties count half.
        result: What may be said.
    """

    difference: Estimate
    probability: Estimate
    result: Result


def compare(ours: Sequence[float], theirs: Sequence[float]) -> Comparison:
    """Compare two samples of scores.

    ``better`` and ``worse`` only where both intervals agree (that of the probability excludes one half, and that of the
    difference does not point the other way) and the samples are large enough for a rank test to reach
    :data:`LEVEL`: with three runs each even complete separation comes by chance in one of ten pairs of equal settings.
    ``tie`` where every run is equal; else ``undecided``.

    Args:
        ours: Scores, [n], at least one.
        theirs: Scores, [m], at least one.
    """
    ours, theirs = rounded(ours, theirs)
    difference, probability = iqm_difference(ours, theirs), probability_of_improvement(ours, theirs)
    result: Result = "undecided"
    if probability.kind == "tie":
        result = "tie"
    elif probability.excludes(0.5) and smallest_p_value(len(ours), len(theirs)) <= LEVEL:
        above = probability.value > 0.5
        if not difference.excludes(0.0) or (difference.value > 0) == above:
            result = "better" if above else "worse"
    return Comparison(difference, probability, result)


@dataclass(frozen=True)
class CorrectedComparison(Comparison):
    """One of several comparisons; its result holds for all of them together.

    Attributes:
        p_value: Two-sided, as :func:`p_value` returns it.
        p_holm: After Holm's correction over all of them.
    """

    p_value: float
    p_holm: float


def compare_with_each(ours: Sequence[float], others: Mapping[Name, Sequence[float]]) -> dict[Name, CorrectedComparison]:
    """Compare a sample with several others; ``better`` and ``worse`` hold after Holm's correction over all of them.

    Judged each by itself, one of four baselines that are all alike is called better or worse in every sixth verdict
    (``python benchmarks/verdict_errors.py``).

    Args:
        ours: Scores, [n], at least one.
        others: Name to scores, at least one each.
    """
    found = {name: compare(ours, theirs) for name, theirs in others.items()}
    p_values = [p_value(one, len(ours), len(others[name])) for name, one in found.items()]
    corrected = {}
    for (name, one), p, adjusted in zip(found.items(), p_values, holm(p_values), strict=True):
        chance = one.result in ("better", "worse") and adjusted > LEVEL
        result: Result = "undecided" if chance else one.result
        corrected[name] = CorrectedComparison(one.difference, one.probability, result, p, adjusted)
    return corrected


def rounded(ours: Sequence[float], theirs: Sequence[float]) -> tuple[list[float], list[float]]:
    """Return two samples of scores with :data:`DIGITS` digits of the largest, so that equal runs have equal scores."""
    scale = max((abs(v) for v in (*ours, *theirs) if math.isfinite(v)), default=0.0)
    decimals = DIGITS - math.ceil(math.log10(scale)) if scale > 0 else 0
    left, right = ([round(v, decimals) if math.isfinite(v) else v for v in sample] for sample in (ours, theirs))
    return left, right


def smallest_p_value(n: int, m: int) -> float:
    """Return the least two-sided p-value that a rank test of n against m runs can have: complete separation."""
    return min(2 / math.comb(n + m, n), 1.0)


def p_value(comparison: Comparison, n: int, m: int) -> float:
    """Return the two-sided p-value of a comparison: at most :data:`LEVEL` exactly where samples of n and m runs may be
    told apart by :func:`compare`'s intervals.

    Newcombe's interval excludes one half where the Mann-Whitney statistic is further from it than 1.96 of its standard
    errors, ``sqrt((n + m + 1) / (12 n m))``: its variance at one half is theirs. Never below :func:`smallest_p_value`.
    """
    if comparison.probability.kind == "tie":
        return 1.0
    errors = abs(comparison.probability.value - 0.5) / math.sqrt((n + m + 1) / (12 * n * m))
    return max(math.erfc(errors / math.sqrt(2)), smallest_p_value(n, m))
