"""Sum trees for K lanes (Schaul et al. 2016, appendix B.2.1): draw in proportion to a weight, in O(log n).

Level 0 holds the leaves; every number on the next level is the sum of two below it; the last level holds the total.
All lanes descend and climb together, one vector operation per level.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def level_sizes(capacity: int) -> list[int]:
    """Return the numbers on each level of a tree with ``capacity`` leaves; all but the last level are even."""
    sizes = []
    while capacity > 1:
        capacity += capacity % 2
        sizes.append(capacity)
        capacity //= 2
    return [*sizes, 1]


class LaneSumTrees:
    """One sum tree per lane.

    Args:
        lanes: K.
        capacity: Leaves of each lane. Leaves that were never written cost no memory.
    """

    def __init__(self, lanes: int, capacity: int) -> None:
        self._levels = [np.zeros((lanes, size)) for size in level_sizes(capacity)]
        self._flat = [level.reshape(-1) for level in self._levels]
        self._lanes = np.arange(lanes)[:, None]

    def total(self, lanes: slice) -> Array:
        """Return the sums of all leaves ``[n, 1]``."""
        return self._levels[-1][lanes]

    def leaves(self, lanes: slice, index: Array) -> Array:
        """Return leaves ``[n, B]`` by their numbers ``[n, B]``."""
        return self._flat[0].take(self._lanes[lanes] * self._levels[0].shape[1] + index)

    def find(self, lanes: slice, masses: Array) -> Array:
        """Return the leaf that each mass falls into, when leaves lie end to end.

        Args:
            lanes: Neighbouring lanes.
            masses: ``[n, B]``, each at least 0 and below its lane's total; used up.

        Returns:
            Leaf numbers ``[n, B]``. Rounding may lead beyond the last leaf that is not 0: bound them.
        """
        index = np.zeros(masses.shape, np.int64)
        for level, flat in zip(self._levels[-2::-1], self._flat[-2::-1], strict=True):
            index *= 2
            left = flat.take(self._lanes[lanes] * level.shape[1] + index)
            right = masses >= left
            left *= right
            masses -= left
            index += right
        return index

    def assign(self, lanes: slice, index: Array, values: Array) -> None:
        """Set leaves; where a number comes twice, the later value stays.

        Args:
            lanes: Neighbouring lanes.
            index: ``[n, B]`` leaf numbers.
            values: ``[n, B]``.
        """
        base = self._lanes[lanes]
        place = base * self._levels[0].shape[1] + index
        self._flat[0][place] = values
        for depth in range(1, len(self._levels)):
            index = index >> 1
            children = base * self._levels[depth - 1].shape[1] + 2 * index
            below = self._flat[depth - 1]
            place = base * self._levels[depth].shape[1] + index
            self._flat[depth][place] = below.take(children) + below.take(children + 1)

    def fill(self, lane: int, start: int, stop: int, value: float | Array) -> None:
        """Set the leaves ``start`` to ``stop - 1`` of one lane, to one value or one each."""
        if start >= stop:
            return
        self._levels[0][lane, start:stop] = value
        for below, above in itertools.pairwise(self._levels):
            start, stop = start // 2, (stop + 1) // 2
            pairs = below[lane, 2 * start : 2 * stop]
            above[lane, start:stop] = pairs[::2] + pairs[1::2]
