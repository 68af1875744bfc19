"""Where transitions lie while a stretch is collected, until the agent takes them over."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tuner.agents.dqn.seams import Memory

Array = NDArray[Any]


class StagedLane(NamedTuple):
    """One lane's columns ``[T, ...]``: plain views, because an assignment to one is half as long as to a slice."""

    next_observations: Array
    rewards: Array
    discounts: Array
    actions: Array
    ends: Array


class Stage:
    """Packed rows and exploration decisions of the stretch being collected.

    Attributes:
        rows: ``[K, T, width]``.
        parts: Views of them.
        lanes: Views of them by lane.
        ends: ``[K, T]`` whether the step ended its episode.
        explores: ``[K, T]`` whether the step takes a random action.
        random_actions: ``[K, T]``.
    """

    def __init__(self, memory: Memory, lanes: int) -> None:
        self._memory = memory
        self._n_lanes = lanes
        self._allocate(1)

    def reserve(self, steps: int) -> None:
        """Make room for stretches of ``steps``; what is staged may be lost."""
        if self.rows.shape[1] < steps:
            self._allocate(steps)
        self.ends.fill(False)

    def plan(self, lane: int, explores: Array, random_actions: Array) -> None:
        """Note a lane's exploration decisions for the stretch to come."""
        self.explores[lane, : len(explores)] = explores
        self.random_actions[lane, : len(explores)] = random_actions

    def _allocate(self, steps: int) -> None:
        self.rows = self._memory.blank(self._n_lanes, steps)
        self.parts = self._memory.unpack(self.rows)
        self.ends = np.zeros((self._n_lanes, steps), bool)
        self.lanes = [
            StagedLane(
                self.parts.next_observations[lane, :, :-1],
                self.parts.rewards[lane],
                self.parts.discounts[lane],
                self.parts.actions[lane],
                self.ends[lane],
            )
            for lane in range(self._n_lanes)
        ]
        self.explores = np.zeros((self._n_lanes, steps), bool)
        self.random_actions = np.zeros((self._n_lanes, steps), np.int64)
