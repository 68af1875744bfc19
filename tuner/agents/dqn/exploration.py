"""Epsilon-greedy exploration for K lanes, decided a block of steps ahead.

Whether a step explores, and with which action, depends on the run's own stream and clock alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tuner.core.generators import drawn_of, set_state, state_of
from tuner.core.schedules import SCHEDULES
from tuner.hyperparameters import DQNHyperparameters

Array = NDArray[Any]

#: Steps decided at a time.
BLOCK = 1024


class LaneExploration:
    """Exploration decisions of each lane, a stretch of steps at a time.

    Args:
        lanes: K.
        n_actions: Number of actions.
    """

    def __init__(self, lanes: int, n_actions: int) -> None:
        self._n_actions = n_actions
        self._blocks: list[_Block | None] = [None] * lanes

    def start(self, lane: int, hyperparameters: DQNHyperparameters, n_timesteps: int, rng: np.random.Generator) -> None:
        """Begin a new run on a lane."""
        self._blocks[lane] = _Block(hyperparameters, n_timesteps, rng, self._n_actions)

    def snapshot(self, lane: int) -> dict[str, Array]:
        """Return what a lane's current block was decided by, and its stream."""
        block = self._blocks[lane]
        assert block is not None
        return {
            "uniforms": block.uniforms,
            "actions": block.actions,
            "end": np.array(block.end),
            "stream": np.array(state_of(block.stream)),
        }

    def restore(self, lane: int, saved: Mapping[str, Array]) -> None:
        """Go on from a snapshot; the lane was started for the same run, perhaps with another course of epsilon."""
        block = self._blocks[lane]
        assert block is not None
        block.uniforms = drawn_of(saved)
        block.actions, block.end = saved["actions"], int(saved["end"])
        block.decide()
        set_state(block.stream, str(saved["stream"]))

    def decide(self, lane: int, clock: int, steps: int) -> tuple[Array, Array]:
        """Return (whether to explore ``[steps]``, the random action ``[steps]``) for a lane's next steps.

        Args:
            lane: Lane number.
            clock: Environment steps it has taken.
            steps: Length of the stretch, >= 1. Stretches follow each other without gaps.
        """
        block = self._blocks[lane]
        if block is None:
            raise ValueError(f"lane {lane} has not been started.")
        begin = clock - (block.end - BLOCK)
        if begin >= 0 and begin + steps <= BLOCK:
            return block.explores[begin : begin + steps], block.actions[begin : begin + steps]
        explores, actions = np.empty(steps, bool), np.empty(steps, np.int64)
        done = 0
        while done < steps:
            if clock + done >= block.end:
                block.draw()
            begin = clock + done - (block.end - BLOCK)
            part = min(steps - done, BLOCK - begin)
            explores[done : done + part] = block.explores[begin : begin + part]
            actions[done : done + part] = block.actions[begin : begin + part]
            done += part
        return explores, actions


class _Block:
    """The current block of one run's decisions: steps ``end - BLOCK`` to ``end - 1``."""

    def __init__(
        self, hyperparameters: DQNHyperparameters, n_timesteps: int, rng: np.random.Generator, n_actions: int
    ) -> None:
        self._hyperparameters, self._n_timesteps, self.stream = hyperparameters, n_timesteps, rng
        self._n_actions = n_actions
        self.end = 0
        #: What was drawn for it, ``[BLOCK]`` in [0, 1): a step explores where epsilon is above it.
        self.uniforms: Array = np.zeros(BLOCK)
        self.explores: Array = np.empty(0, bool)
        self.actions: Array = np.empty(0, np.int64)

    def draw(self) -> None:
        """Decide the next block."""
        self.uniforms, actions = self.stream.random((2, BLOCK))
        self.actions = (actions * self._n_actions).astype(np.int64)
        self.end += BLOCK
        self.decide()

    def decide(self) -> None:
        """Decide which steps of the block explore."""
        steps = self.end - BLOCK + np.arange(BLOCK)
        warming_up = steps < self._hyperparameters.learning_starts
        self.explores = warming_up | (self.uniforms < epsilon(self._hyperparameters, steps, self._n_timesteps))


def epsilon(hyperparameters: DQNHyperparameters, steps: ArrayLike, n_timesteps: int) -> Array:
    """Return the probability of a random action for the step that follows ``steps`` steps.

    Stable-Baselines3 sets its rate after each step, so the very first action (when ``learning_starts`` is 0) is
    greedy; so is ours.
    """
    schedule, *course = hyperparameters.epsilon_course()
    values = SCHEDULES[schedule](steps, n_timesteps, *course)
    return np.where(np.asarray(steps) == 0, 0.0, values)
