"""Uniform replay memory for K lanes in one allocation (Lin 1992; Mnih et al. 2015).

A transition is one row ``[observation, 1 | next observation, 1 | reward | discount | action]``: one gather brings a
whole minibatch, and a CartPole transition fits one cache line. The ones are what a network's biases multiply. Each
lane owns a region with its own capacity and position, so lanes fill, wrap and restart independently. Pages that no
lane has written cost no memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from tuner.core.generators import set_state, state_of
from tuner.replay.normalizer import LaneNormalizer

Array = NDArray[Any]

#: Random draws fetched at a time; a run's draws depend on its own requests only, never on its neighbours.
DRAWS = 16_384


class Batch(NamedTuple):
    """Minibatches as views of packed rows; the leading axes are lane, gradient step and row, or some of them.

    NumPy arrays; tensors once a torch update has prepared them.
    """

    observations: Any  # [..., observation_size + 1], the last number 1
    next_observations: Any  # [..., observation_size + 1], likewise
    rewards: Any  # [...]
    discounts: Any  # [...]; 0 where the episode terminated, gamma^n otherwise
    actions: Any  # [...]; whole numbers in floating point, exact below 2^24


class LaneRing:
    """K ring memories side by side.

    Args:
        lanes: K.
        capacity: Largest capacity any lane may ask for.
        observation_size: Numbers per stored observation.
        dtype: Floating-point type of the rows.
        normalizer: What is drawn is on its scale; None where memory gives what it was given.
    """

    def __init__(
        self,
        lanes: int,
        capacity: int,
        observation_size: int,
        dtype: DTypeLike = np.float32,
        normalizer: LaneNormalizer | None = None,
    ) -> None:
        self._normalizer = normalizer
        self._size = observation_size
        self._rows = np.empty((lanes * capacity, 2 * observation_size + 5), dtype)
        self._base = np.arange(lanes) * capacity
        self._max_capacity = capacity
        self.capacities = np.full(lanes, capacity)
        self.positions = np.zeros(lanes, dtype=np.int64)
        self.sizes = np.zeros(lanes, dtype=np.int64)
        self._streams: list[np.random.Generator | None] = [None] * lanes
        self._draws: list[Array] = [np.empty(0)] * lanes
        self._drawn = [0] * lanes

    def start(self, lane: int, capacity: int, rng: np.random.Generator) -> None:
        """Empty a lane for a new run.

        Raises:
            ValueError: ``capacity`` is not between 1 and the largest capacity.
        """
        if not 1 <= capacity <= self._max_capacity:
            raise ValueError(f"capacity must be between 1 and {self._max_capacity}, got {capacity}.")
        self.capacities[lane] = capacity
        self.positions[lane] = self.sizes[lane] = 0
        self._streams[lane] = rng
        self._draws[lane] = np.empty(0)
        self._drawn[lane] = 0

    def extend(self, lane: int, rows: Array, replaced: int = 0) -> None:
        """Store a stretch of transitions; the oldest go when the lane is full.

        Args:
            lane: Lane number.
            rows: ``[T, width]`` packed transitions in order, with the true final observation where an episode ended.
            replaced: How many of the newest transitions stored so far the first rows replace.
        """
        capacity, position, base = int(self.capacities[lane]), int(self.positions[lane]), int(self._base[lane])
        if replaced:
            there = min(replaced, int(self.sizes[lane]))
            rows, position = rows[replaced - there :], (position - there) % capacity
            self.sizes[lane] -= there
        end = position + len(rows)
        if end <= capacity:
            self._rows[base + position : base + end] = rows
        else:
            kept = rows[-capacity:]  # a stretch longer than the memory leaves only its end
            index = (end - len(kept) + np.arange(len(kept))) % capacity
            self._rows[base + index] = kept
        self.sizes[lane] = min(int(self.sizes[lane]) + len(rows), capacity)
        self.positions[lane] = end % capacity

    def sample(self, lane: int, steps: int, batch_size: int, out: Array) -> Array:
        """Draw ``steps`` minibatches for a lane, uniformly and with replacement, as packed rows.

        Args:
            lane: Lane number; it must hold at least one transition.
            steps: G, gradient steps of the coming training call.
            batch_size: B.
            out: ``[G, B, width]``, overwritten; read it through :meth:`unpack`.

        Returns:
            Which transitions they are, ``[G * B]``, the lane's places from 0.
        """
        uniforms = self.uniforms(lane, steps * batch_size)
        places: Array = (uniforms * self.sizes[lane]).astype(np.int64)
        np.take(self._rows, places + self._base[lane], axis=0, out=out.reshape(-1, out.shape[-1]), mode="clip")
        if self._normalizer is not None:
            self._normalizer.rows(lane, out, places)
        return places

    def gather(self, lanes: slice, index: Array) -> Array:
        """Return the packed rows ``[n, B, width]`` at each lane's places ``index`` ``[n, B]``."""
        rows: Array = np.take(self._rows, self._base[lanes, None] + index, axis=0, mode="clip")
        if self._normalizer is not None:
            for i, lane in enumerate(range(lanes.start, lanes.stop)):
                self._normalizer.rows(lane, rows[i], index[i])
        return rows

    def region(self, lane: int) -> Array:
        """Return a lane's rows ``[capacity, width]``, a view; those from its size on were never written."""
        base = int(self._base[lane])
        return self._rows[base : base + int(self.capacities[lane])]

    def unpack(self, rows: Array) -> Batch:
        """Return the parts of packed rows ``[..., width]`` as views."""
        size = self._size + 1
        return Batch(rows[..., :size], rows[..., size : 2 * size], rows[..., -3], rows[..., -2], rows[..., -1])

    def blank(self, *shape: int) -> Array:
        """Return packed rows ``[*shape, width]`` to be filled in through :meth:`unpack`, the ones in place."""
        return np.ones((*shape, self.width), self._rows.dtype)

    @property
    def observation_size(self) -> int:
        """Numbers per stored observation."""
        return self._size

    @property
    def dtype(self) -> np.dtype[Any]:
        """Floating-point type of the rows."""
        return self._rows.dtype

    @property
    def width(self) -> int:
        """Numbers per packed row."""
        return self._rows.shape[1]

    def snapshot(self, lane: int) -> dict[str, Array]:
        """Return a lane's transitions, place and stream; views, to be used before the lane changes."""
        stream, base, size = self._streams[lane], int(self._base[lane]), int(self.sizes[lane])
        assert stream is not None
        return {
            "rows": self._rows[base : base + size],
            "position": np.array(self.positions[lane]),
            "stream": np.array(state_of(stream)),
            "draws": self._draws[lane][self._drawn[lane] :],
        }

    def restore(self, lane: int, saved: Mapping[str, Array]) -> None:
        """Go on from a snapshot; the lane was started for the same run."""
        stream, base, size = self._streams[lane], int(self._base[lane]), len(saved["rows"])
        assert stream is not None
        if size > self.capacities[lane]:
            raise ValueError(f"{size} transitions do not fit a memory of {self.capacities[lane]}.")
        if size < self.capacities[lane] and int(saved["position"]) not in (0, size):
            raise ValueError("a memory that has begun anew cannot be made larger.")
        self._rows[base : base + size] = saved["rows"]
        # A memory with room left has never begun anew, whatever the smaller one that was saved had come to.
        full = size == self.capacities[lane]
        self.sizes[lane], self.positions[lane] = size, int(saved["position"]) if full else size
        set_state(stream, str(saved["stream"]))
        self._draws[lane], self._drawn[lane] = saved["draws"], 0

    def uniforms(self, lane: int, count: int) -> Array:
        """Return ``count`` draws from the lane's stream, fetched in blocks; a block's unused tail is dropped."""
        stream = self._streams[lane]
        if stream is None:
            raise ValueError(f"lane {lane} has not been started.")
        if count > DRAWS:
            return stream.random(count)
        begin = self._drawn[lane]
        if begin + count > len(self._draws[lane]):
            self._draws[lane] = stream.random(DRAWS)
            begin = 0
        self._drawn[lane] = begin + count
        return self._draws[lane][begin : begin + count]
