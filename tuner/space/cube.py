"""Settings as points of the unit cube, for whatever measures how near two of them are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.space.model import SearchSpace
from tuner.space.ranges import Dimension


class Cube:
    """A space's points in the unit cube: ranges scaled (in the logarithm where the space says so), choices one-hot.

    A choice's coordinates are 1 / sqrt(2), so that two different ones are 1 apart; what a branch does without is in
    the middle.

    Args:
        space: The space.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._dimensions = space.dimensions

    def holds(self, params: Mapping[str, Any]) -> bool:
        """Return whether every value that is there lies in its range or is one of its choices."""
        return all(
            params[d.name] in d.choices if d.kind == "categorical" else d.low <= params[d.name] <= d.high
            for d in self._dimensions
            if d.name in params
        )

    def place(self, params: Mapping[str, Any]) -> NDArray[np.float64]:
        """Return the point of what a study stores for a trial, [D]."""
        parts: list[NDArray[np.float64]] = []
        for d in self._dimensions:
            if d.kind == "categorical":
                parts.append(np.array([float(params.get(d.name) == choice) for choice in d.choices]) / np.sqrt(2))
            else:
                parts.append(np.array([position(d, params[d.name]) if d.name in params else 0.5]))
        return np.concatenate(parts)


def position(d: Dimension, value: float) -> float:
    """Return where a number lies in its range, from 0 to 1."""
    if d.high == d.low:
        return 0.0
    at, low, high = np.log([value, d.low, d.high]) if d.log else (value, d.low, d.high)
    return float((at - low) / (high - low))
