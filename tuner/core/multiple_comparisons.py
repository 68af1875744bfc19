"""Several comparisons at once: p-values that hold for all of them together."""

from __future__ import annotations

from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> list[float]:
    """Return adjusted p-values: whoever rejects those below a level errs anywhere at most as often as the level says.

    The smallest of m is multiplied by m, the next by m - 1, and so on; none falls below the one before (Holm 1979).
    Nothing is assumed of how the comparisons depend on each other: all of them may share a sample.

    Args:
        p_values: One for each comparison, 0 to 1, in any order; the answers are in the same order.
    """
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = highest
    return adjusted
