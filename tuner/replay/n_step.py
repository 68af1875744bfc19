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
    """The newest transitions of each lane, which later steps still add to.

    Args:
        lanes: K.
        unpack: From packed rows to their parts, as views.
    """

    def __init__(self, lanes: int, unpack: Callable[[Array], Batch]) -> None:
        self._unpack = unpack
        self._n = [1] * lanes
        #: n-step transitions of the episode under way that stand for fewer than n steps, oldest first; at most n - 1.
        self._growing: list[Array | None] = [None] * lanes

    def start(self, lane: int, n: int) -> None:
        """Begin a new run on a lane."""
        self._n[lane] = n
        self._growing[lane] = None

    def snapshot(self, lane: int) -> dict[str, Array]:
        """Return the lane's transitions that still grow; nothing where there are none."""
        growing = self._growing[lane]
        return {} if growing is None else {"growing": growing}

    def restore(self, lane: int, saved: Mapping[str, Array]) -> None:
        """Go on from a snapshot; the lane was started for the same run."""
        self._growing[lane] = None
        if "growing" in saved:
            self._growing[lane] = saved["growing"].copy()
        elif saved:  # of a version that kept one-step transitions
            rows, ends = saved["rows"], saved["ends"]
            grown = n_step_rows(rows, ends, self._n[lane], self._unpack)
            self._growing[lane] = self._still_growing(grown, ends, self._n[lane])

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
        own = rows if len(rows) == 1 else n_step_rows(rows, ends, n, self._unpack)
        growing = self._growing[lane]
        replaced = 0
        if growing is not None:
            replaced = len(growing)
            self._grow(growing, rows, ends, n)
            own = np.concatenate((growing, own))
        self._growing[lane] = self._still_growing(own, ends, n)
        return own, replaced

    def _grow(self, growing: Array, rows: Array, ends: Array, n: int) -> None:
        """Add the next one-step transitions to n-step transitions, the oldest of which stands for as many steps."""
        single = self._unpack(rows)
        for step in range(min(len(rows), n - 1)):
            begin = max(len(growing) + step + 1 - n, 0)  # those before it stand for n steps
            if begin >= len(growing):
                return
            whole = self._unpack(growing[begin:])
            # The discount so far is gamma^k: had it become 0, the episode would have ended.
            rewards, discounts = whole.rewards, whole.discounts
            rewards += discounts * single.rewards[step]
            discounts *= single.discounts[step]
            whole.next_observations[...] = single.next_observations[step]
            if ends[step]:
                return

    def _still_growing(self, rows: Array, ends: Array, n: int) -> Array | None:
        """Return those of the newest n-step transitions that later steps add to; None for none.

        Args:
            rows: n-step transitions.
            ends: ``[T]`` whether the episode ended with each of the last T.
            n: Most steps.
        """
        last = ends[1 - n :].tolist()[::-1]
        count = last.index(True) if True in last else min(n - 1, len(rows))
        # A copy: what is handed out is the memory's.
        return rows[len(rows) - count :].copy() if count else None
