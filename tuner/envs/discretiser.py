"""From an observation to the row of a table: a number as it is, a Box vector through equal bins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from tuner.errors import UnusableEnvironmentError

Array = NDArray[Any]

#: Rows of a table, at most.
MAX_ROWS = 10_000_000

#: Bounds beyond this are none: spaces write infinity in several ways.
UNBOUNDED = 1e6


@dataclass(frozen=True)
class Discretiser:
    """Equal bins between ``low`` and ``high`` in each dimension; what lies outside falls into the nearest bin.

    Attributes:
        low: Lower end of the first bin by dimension.
        high: Upper end of the last bin by dimension.
        bins: Bins of each dimension.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    bins: int

    @property
    def rows(self) -> int:
        """Cells in all."""
        return int(self.bins ** len(self.low))

    def row(self, observation: Any) -> int:
        """Return the cell of one observation. Values that are not finite are the caller's to find."""
        number, bins = 0, self.bins
        for value, low, high in zip(np.asarray(observation).reshape(-1).tolist(), self.low, self.high, strict=True):
            place = (value - low) / (high - low) * bins
            number = number * bins + int(min(max(place, 0), bins - 1))  # in this order: infinity is no whole number
        return number

    def row_array(self, observations: Array) -> Array:
        """Return the cells of observations ``[..., dimensions]`` as :meth:`row` does."""
        low, high = np.array(self.low), np.array(self.high)
        with np.errstate(over="ignore"):  # what lies beyond floats falls into the last bin, too
            places = (observations.astype(np.float64) - low) / (high - low) * self.bins
        places = np.clip(places, 0, self.bins - 1).astype(np.int64)
        weights = self.bins ** np.arange(len(self.low) - 1, -1, -1)
        rows: Array = (places * weights).sum(axis=-1)
        return rows


def discretiser_for(space: spaces.Space[Any], bins: int, limit: float) -> Discretiser | None:
    """Return the bins of a Box; None for a Discrete space, whose numbers are rows already.

    Args:
        space: Observation space.
        bins: Bins of each dimension.
        limit: Where a dimension without bounds ends, on both sides.

    Raises:
        UnusableEnvironmentError: Another kind of space, or too many cells.
    """
    if isinstance(space, spaces.Discrete):
        if space.n > MAX_ROWS:
            raise UnusableEnvironmentError(f"q_learning takes at most {MAX_ROWS:,} table rows, got {space.n:,}.")
        return None
    if not isinstance(space, spaces.Box):
        raise UnusableEnvironmentError(
            f"q_learning needs Discrete or Box observations, got {type(space).__name__}. Use --algo dqn."
        )
    n = int(np.prod(space.shape))
    if n * np.log(bins) > np.log(MAX_ROWS):
        raise UnusableEnvironmentError(
            f"q_learning would need {bins}^{n} table rows for {n} numbers in {bins} bins each, and takes at most "
            f"{MAX_ROWS:,}. Use fewer bins, or --algo dqn."
        )
    low, high = space.low.reshape(-1).astype(np.float64), space.high.reshape(-1).astype(np.float64)
    low = np.where(low < -UNBOUNDED, -limit, low)
    high = np.where(high > UNBOUNDED, limit, high)
    high = np.where(high > low, high, low + 1.0)  # a dimension that never changes
    return Discretiser(tuple(low.tolist()), tuple(high.tolist()), bins)
