"""Prioritised replay, proportional (Schaul et al. 2016), for K lanes at once.

    P(i) = p_i^alpha / sum over k of p_k^alpha,   p_i = |temporal-difference error| + 1e-6
    w_i  = (N P(i))^-beta / (largest in the minibatch),   beta rising linearly to 1 at the end of the run

A new transition gets the largest priority so far. Minibatches are drawn independently and with replacement (not in
strata), from the same random numbers as uniform replay: with alpha = 0 it is uniform replay, bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.replay.sum_tree import LaneSumTrees

Array = NDArray[Any]

#: Keeps transitions without error alive.
PRIORITY_EPS = 1e-6


class LanePriorities:
    """Priorities of the transitions in each lane's memory.

    Args:
        lanes: K.
        capacity: Largest memory any lane may ask for, in transitions.
    """

    def __init__(self, lanes: int, capacity: int) -> None:
        self._trees = LaneSumTrees(lanes, capacity)
        self._alpha = np.zeros((lanes, 1))
        self._beta = np.zeros((lanes, 1))
        self._n_timesteps = np.ones((lanes, 1))
        self._largest = np.ones((lanes, 1))
        self._filled = [0] * lanes

    def start(self, lane: int, alpha: float, beta: float, n_timesteps: int) -> None:
        """Begin a new run on a lane.

        Args:
            lane: Lane number.
            alpha: How much priorities matter, in [0, 1].
            beta: How much of the bias is corrected at the start, in [0, 1].
            n_timesteps: Environment steps after which it is corrected in full.
        """
        self._trees.fill(lane, 0, self._filled[lane], 0.0)
        self._filled[lane] = 0
        self._alpha[lane], self._beta[lane], self._n_timesteps[lane] = alpha, beta, n_timesteps
        self._largest[lane] = 1.0

    def added(self, lane: int, position: int, count: int, capacity: int) -> None:
        """Note new transitions.

        Args:
            lane: Lane number.
            position: Where the first was written.
            count: How many followed each other, round the ring.
            capacity: The ring's length.
        """
        largest = float(self._largest[lane, 0])
        begin, count = (position + max(count - capacity, 0)) % capacity, min(count, capacity)
        self._trees.fill(lane, begin, min(begin + count, capacity), largest)
        self._trees.fill(lane, 0, begin + count - capacity, largest)
        self._filled[lane] = max(self._filled[lane], min(begin + count, capacity))

    def snapshot(self, lane: int) -> dict[str, Array]:
        """Return a lane's priorities (copies)."""
        leaves = self._trees.leaves(slice(lane, lane + 1), np.arange(self._filled[lane])[None])
        return {"leaves": leaves[0], "largest": self._largest[lane].copy()}

    def restore(self, lane: int, saved: Mapping[str, Array]) -> None:
        """Go on from a snapshot; the lane was started for the same run."""
        self._filled[lane] = len(saved["leaves"])
        self._trees.fill(lane, 0, self._filled[lane], saved["leaves"])
        self._largest[lane] = saved["largest"]

    def draw(self, lanes: slice, uniforms: Array, sizes: Array, clock: Array) -> tuple[Array, Array]:
        """Draw a minibatch for each of some neighbouring lanes.

        Args:
            lanes: Which lanes.
            uniforms: ``[n, B]`` in [0, 1).
            sizes: ``[n]`` transitions in memory, >= 1.
            clock: ``[n]`` environment steps taken.

        Returns:
            (places in memory ``[n, B]``, importance weights ``[n, B]`` in (0, 1]).
        """
        count, total = sizes[:, None], self._trees.total(lanes)
        index = np.minimum(self._trees.find(lanes, uniforms * total), count - 1)
        progress = np.minimum(clock[:, None] / self._n_timesteps[lanes], 1.0)
        beta = self._beta[lanes] + (1.0 - self._beta[lanes]) * progress
        weights = (count * self._trees.leaves(lanes, index) / total) ** -beta
        return index, weights / weights.max(axis=1, keepdims=True)

    def update(self, lanes: slice, index: Array, td_errors: Array) -> None:
        """Give the transitions of a minibatch new priorities.

        Args:
            lanes: Which lanes.
            index: ``[n, B]`` from :meth:`draw`.
            td_errors: ``[n, B]``.
        """
        values = (np.abs(td_errors).astype(np.float64) + PRIORITY_EPS) ** self._alpha[lanes]
        self._trees.assign(lanes, index, values)
        self._largest[lanes] = np.maximum(self._largest[lanes], values.max(axis=1, keepdims=True))
