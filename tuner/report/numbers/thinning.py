"""Which of many trials a figure draws: as many as can be told apart, evenly from the best to the worst."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

#: Lines that can be told apart, and that a browser draws at once; of more trials, this many.
LINES = 300


def evenly(scores: Sequence[float | None], first: int | None = None, most: int = LINES) -> list[int]:
    """Return the places of at most ``most`` scores, in order: evenly over their ranks, best and worst among them.

    Args:
        scores: Of all; those without one rank last, in order.
        first: A place that is among them in any case.
        most: How many, at least 2.
    """
    places = range(len(scores))
    if len(scores) <= most:
        return list(places)
    keyed = [(i != first, s is None, -(s or 0.0), i) for i, s in enumerate(scores)]
    ranked = sorted(places, key=keyed.__getitem__)
    return sorted(ranked[k] for k in np.linspace(0, len(ranked) - 1, most).round().astype(int))
