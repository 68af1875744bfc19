"""n-step returns (Sutton 1988; in DQN: Hessel et al. 2018), formed as experience is stored.

A stored transition i stands for m <= n steps: as many as lie before its episode's end, and before the newest step.

    reward   = r[i] + gamma r[i+1] + ... + gamma^(m-1) r[i+m-1]
    next     = the observation after step i+m-1
    discount = gamma^m, or 0 if step i+m-1 terminated; a truncated episode bootstraps from its last observation

The newest n - 1 transitions grow while their episode goes on. Stable-Baselines3's ``NStepReplayBuffer`` sees the same
transitions; it forms them at every draw.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.replay.ring import Batch

Array = NDArray[Any]


def n_step_rows(rows: Array, ends: Array, n: int, unpack: Callable[[Array], Batch]) -> Array:
    """Return consecutive one-step transitions as n-step transitions.

    Args:
        rows: ``[T, width]`` packed one-step transitions in order.
        ends: ``[T]`` whether the episode ended with the step, terminated or truncated.
        n: Most steps, >= 1.
        unpack: From packed rows to their parts, as views.

    Returns:
        ``[T, width]``, new memory. The last n - 1 may stand for fewer steps.
    """
    grown = rows.copy()
    whole, single = unpack(grown), unpack(rows)
    growing = np.flatnonzero(~ends)
    for k in range(1, n):
        growing = growing[growing + k < len(rows)]
        if not len(growing):
            break
        ahead = growing + k
        # The discount so far is gamma^k: had it become 0, the episode would have ended.
        whole.rewards[growing] += whole.discounts[growing] * single.rewards[ahead]
        whole.discounts[growing] *= single.discounts[ahead]
        whole.next_observations[growing] = single.next_observations[ahead]
        growing = growing[~ends[ahead]]
    return grown


class NStepLanes:
    """The newest one-step transitions of each lane, which later steps still add to.

    Args:
        lanes: K.
        unpack: From packed rows to their parts, as views.
    """

    def __init__(self, lanes: int, unpack: Callable[[Array], Batch]) -> None:
        self._unpack = unpack
        self._n = [1] * lanes
        self._tails: list[tuple[Array, Array] | None] = [None] * lanes

    def start(self, lane: int, n: int) -> None:
        """Begin a new run on a lane."""
        self._n[lane] = n
        self._tails[lane] = None

    def snapshot(self, lane: int) -> dict[str, Array]:
        """Return the lane's newest transitions; nothing where there are none."""
        tail = self._tails[lane]
        return {} if tail is None else {"rows": tail[0], "ends": tail[1]}

    def restore(self, lane: int, saved: Mapping[str, Array]) -> None:
        """Go on from a snapshot; the lane was started for the same run."""
        self._tails[lane] = (saved["rows"], saved["ends"]) if saved else None

    def extend(self, lane: int, rows: Array, ends: Array | None) -> tuple[Array, int]:
        """Take a stretch of one-step transitions and return n-step transitions.

        Args:
            lane: Lane number.
            rows: ``[T, width]`` packed one-step transitions, following those of the call before.
            ends: ``[T]`` whether the episode ended there; None where only termination ends one.

        Returns:
            (``[R + T, width]`` n-step transitions, R: how many of the newest ones stored so far the first R replace).
        """
        n = self._n[lane]
        if n == 1:
            return rows, 0
        if ends is None:
            ends = self._unpack(rows).discounts == 0
        tail = self._tails[lane]
        replaced = 0
        if tail is not None:
            replaced = len(tail[0])
            rows, ends = np.concatenate([tail[0], rows]), np.concatenate([tail[1], ends])
        self._tails[lane] = rows[1 - n :].copy(), ends[1 - n :].copy()
        return n_step_rows(rows, ends, n, self._unpack), replaced
