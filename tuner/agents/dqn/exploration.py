"""Epsilon-greedy exploration for K lanes, decided a block of steps ahead.

Whether a step explores, and with which action, depends on the run's own stream and clock alone. Drawing a block at
once makes it one lookup per step and lane.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tuner.core.schedules import SCHEDULES
from tuner.hyperparameters import DQNHyperparameters

Array = NDArray[Any]

#: Steps decided at a time.
BLOCK = 1024


class LaneExploration:
    """The next block of exploration decisions of each lane.

    Args:
        lanes: K.
        n_actions: Number of actions.
    """

    def __init__(self, lanes: int, n_actions: int) -> None:
        self._n_actions = n_actions
        self._explores = np.zeros((lanes, BLOCK), dtype=bool)
        self._actions = np.zeros((lanes, BLOCK), dtype=np.int64)
        self._first_step = np.full(lanes, -BLOCK)
        self._runs: list[tuple[DQNHyperparameters, int, np.random.Generator] | None] = [None] * lanes

    def start(self, lane: int, hyperparameters: DQNHyperparameters, n_timesteps: int, rng: np.random.Generator) -> None:
        """Begin a new run on a lane."""
        self._runs[lane] = (hyperparameters, n_timesteps, rng)
        self._first_step[lane] = -BLOCK

    def decide(self, lanes: Array, clock: Array) -> tuple[Array, Array]:
        """Return (whether to explore ``[n]``, the random action ``[n]``) for the lanes' next step.

        Args:
            lanes: ``[n]`` lane numbers.
            clock: ``[n]`` environment steps each has taken.
        """
        column = clock - self._first_step[lanes]
        if (column >= BLOCK).any():
            for lane, step in zip(lanes[column >= BLOCK], clock[column >= BLOCK], strict=True):
                self._draw(int(lane), int(step))
            column = clock - self._first_step[lanes]
        return self._explores[lanes, column], self._actions[lanes, column]

    def _draw(self, lane: int, first_step: int) -> None:
        run = self._runs[lane]
        if run is None:
            raise ValueError(f"lane {lane} has not been started.")
        hyperparameters, n_timesteps, rng = run
        steps = first_step + np.arange(BLOCK)
        uniforms = rng.random((2, BLOCK))
        explores = uniforms[0] < epsilon(hyperparameters, steps, n_timesteps)
        self._explores[lane] = explores | (steps < hyperparameters.learning_starts)
        self._actions[lane] = (uniforms[1] * self._n_actions).astype(np.int64)
        self._first_step[lane] = first_step


def epsilon(hyperparameters: DQNHyperparameters, steps: ArrayLike, n_timesteps: int) -> Array:
    """Return the probability of a random action for the step that follows ``steps`` steps.

    Stable-Baselines3 sets its rate after each step, so the very first action (when ``learning_starts`` is 0) is
    greedy; so is ours.
    """
    schedule = SCHEDULES[hyperparameters.exploration_schedule]
    values = schedule(
        steps,
        n_timesteps,
        hyperparameters.exploration_initial_eps,
        hyperparameters.exploration_final_eps,
        hyperparameters.exploration_fraction,
    )
    return np.where(np.asarray(steps) == 0, 0.0, values)
