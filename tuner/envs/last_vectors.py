"""The last few vectors of episodes, side by side in one: what an environment or an agent remembers of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class LastVectors:
    """The last vectors of one or more episodes that go on side by side.

    Args:
        n: How many of each.
    """

    def __init__(self, n: int) -> None:
        self._n = n
        self._last: Array | None = None

    def begin(self) -> None:
        """Forget: episodes begin."""
        self._last = None

    def with_next(self, vectors: Array) -> Array:
        """Return ``[..., n * size]``: those before, oldest first and zeros where there are none, then these.

        Args:
            vectors: ``[..., size]``. Where the shape is another one than before, episodes begin.
        """
        last, size = self._last, vectors.shape[-1]
        shape = (*vectors.shape[:-1], self._n * size)
        stacked = np.zeros(shape, vectors.dtype)
        if last is not None and last.shape == shape:
            stacked[..., :-size] = last[..., size:]
        stacked[..., -size:] = vectors
        return stacked

    def push(self, vectors: Array) -> Array:
        """Return what :meth:`with_next` does, and remember it. What was returned before stays as it is."""
        self._last = self.with_next(vectors)
        return self._last
