"""Rewards of single steps beside n-step transitions, for those that scale and clip each reward before they sum.

    return = clip(r[i] / deviation) + gamma clip(r[i+1] / deviation) + ... + gamma^(m-1) clip(r[i+m-1] / deviation)

The deviation is that of the moment of drawing, so what is summed when it is stored (``replay/n_step.py``) cannot tell.
Stable-Baselines3's ``NStepReplayBuffer`` forms the same returns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from tuner.core.normalization import CLIP

Array = NDArray[Any]


class StepRewards:
    """What each step of one lane earned, in the places of its n-step transitions.

    Args:
        capacity: Transitions that the lane's memory holds.
        n: Most steps of a return, >= 2.
        gamma: Discount factor per step.

    Attributes:
        largest: Size of the largest reward so far: on a scale on which that is not clipped, none is.
    """

    def __init__(self, capacity: int, n: int, gamma: float) -> None:
        # Pages that nothing has been written to cost no memory.
        self._rewards, self._ends = np.empty(capacity, np.float32), np.empty(capacity, bool)
        self._size, self._newest = 0, -1
        self._n, self._gamma = n, gamma
        self.largest = 0.0
        self.returns(np.zeros(0, np.int64), 1.0)  # compiled, or read from the cache, before the run

    def add(self, position: int, rewards: Array, ends: Array) -> None:
        """Keep a stretch of steps.

        Args:
            position: The place of the first in memory; the others follow, round the ring.
            rewards: ``[T]``.
            ends: ``[T]`` whether the episode ended with the step.
        """
        capacity, count = len(self._rewards), len(rewards)
        kept = slice(max(count - capacity, 0), count)
        places = (position + np.arange(count)[kept]) % capacity
        self._rewards[places], self._ends[places] = rewards[kept], ends[kept]
        self._size, self._newest = min(self._size + count, capacity), int(places[-1])
        self.largest = max(self.largest, float(np.abs(rewards).max()))

    def returns(self, places: Array, deviation: float) -> Array:
        """Return the returns ``[N]`` of the transitions at ``places`` ``[N]``, on the scale of a deviation."""
        found = np.empty(len(places), np.float32)
        _sum(self._rewards, self._ends, self._newest, self._n, self._gamma, deviation, places, found)
        return found

    def snapshot(self) -> dict[str, Array]:
        """Return what is kept; views."""
        size = self._size
        return {
            "step_rewards": self._rewards[:size],
            "step_ends": self._ends[:size],
            "step_newest": np.array(self._newest),
            "step_largest": np.array(self.largest),
        }

    def restore(self, saved: Mapping[str, Array]) -> None:
        """Go on from a snapshot."""
        self._size, self._newest = len(saved["step_rewards"]), int(saved["step_newest"])
        self._rewards[: self._size], self._ends[: self._size] = saved["step_rewards"], saved["step_ends"]
        self.largest = float(saved["step_largest"])


@njit(cache=True, error_model="numpy", nogil=True)
def _sum(rewards, ends, newest, n, gamma, deviation, places, found):  # type: ignore[no-untyped-def]
    most = CLIP * deviation
    for i in range(len(places)):
        at, discount, total = places[i], 1.0, 0.0
        for _ in range(n):
            total += discount * min(max(float(rewards[at]), -most), most)
            if ends[at] or at == newest:
                break
            discount *= gamma
            at += 1
            if at == len(rewards):
                at = 0
        found[i] = total / deviation
