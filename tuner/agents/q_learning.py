r"""Tabular Q-learning (Watkins 1989; Watkins and Dayan 1992).

After a transition :math:`(s, a, r, s')` one entry of the table moves a share :math:`\alpha` towards its target:

.. math:: Q(s, a) \leftarrow Q(s, a) + \alpha \, [\, r + \gamma \max_{a'} Q(s', a') - Q(s, a) \,]

where the episode has terminated, nothing follows and the bracket holds ``r`` alone. Truncation bootstraps: a time limit
says nothing about what the state was worth.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.core.generators import drawn_of, set_state, state_of
from tuner.core.schedules import SCHEDULES
from tuner.hyperparameters import QLearningHyperparameters

Array = NDArray[Any]

#: Steps whose random numbers and schedules are drawn at a time.
BLOCK = 1024


class QLearner:
    """A table of action values, and an epsilon-greedy agent that acts by it and learns.

    Args:
        rows: States.
        n_actions: Actions.
        hyperparameters: Its settings.
        n_timesteps: Budget of the run: what schedules are a share of.
        rng: The run's own exploration stream.

    Attributes:
        table: ``rows`` lists of ``n_actions`` values: single entries of lists are read and written faster than an
            array's.
        totals: (updates, sum of their absolute errors, sum of the values they led to) since the start.
    """

    def __init__(
        self,
        rows: int,
        n_actions: int,
        hyperparameters: QLearningHyperparameters,
        n_timesteps: int,
        rng: np.random.Generator,
    ) -> None:
        self.table = [[hyperparameters.initial_value] * n_actions for _ in range(rows)]
        self._hyperparameters, self._n_timesteps, self._n_actions = hyperparameters, n_timesteps, n_actions
        self._rng = rng
        self._clock = 0
        #: What was drawn for the current block, ``[BLOCK]`` in [0, 1): a step explores where epsilon is above it.
        self._uniforms: Array = np.zeros(BLOCK)
        self._explores: list[bool] = []
        self._random_actions: list[int] = []
        self._rates: list[float] = []
        self.totals = (0, 0.0, 0.0)

    def act(self, row: int) -> int:
        """Return an action for the next step: random with probability epsilon, else the best (the first of equals)."""
        place = self._clock % BLOCK
        if place == 0:
            self._draw()
        if self._explores[place]:
            return self._random_actions[place]
        values = self.table[row]
        return values.index(max(values))

    def learn(self, row: int, action: int, reward: float, next_row: int, terminated: bool) -> None:
        """Update the entry of the step just taken, and move the clock on."""
        rate = self._rates[self._clock % BLOCK]
        self._clock += 1
        values = self.table[row]
        target = reward if terminated else reward + self._hyperparameters.gamma * max(self.table[next_row])
        error = target - values[action]
        values[action] += rate * error
        updates, errors, reached = self.totals
        self.totals = (updates + 1, errors + abs(error), reached + values[action])

    def epsilon(self) -> float:
        """Return the probability of a random action for the next step."""
        return float(epsilon(self._hyperparameters, np.array(self._clock), self._n_timesteps))

    def q_values(self) -> Array:
        """Return the table, ``[rows, n_actions]`` float64."""
        return np.array(self.table)

    def snapshot(self) -> dict[str, Array]:
        """Return all that it has become, as plain arrays."""
        return {
            "table": self.q_values(),
            "clock": np.array(self._clock),
            "totals": np.array(self.totals),
            "uniforms": self._uniforms,
            "random_actions": np.array(self._random_actions, np.int64),
            "stream": np.array(state_of(self._rng)),
        }

    def restore(self, saved: Mapping[str, Array]) -> None:
        """Go on from the snapshot of a learner of the same run, perhaps with other schedules: they hold from now on."""
        self.table = saved["table"].tolist()
        self._clock = int(saved["clock"])
        updates, errors, reached = saved["totals"].tolist()
        self.totals = (int(updates), errors, reached)
        self._random_actions = saved["random_actions"].tolist()
        self._uniforms = drawn_of(saved)
        self._decide(self._clock - self._clock % BLOCK)
        set_state(self._rng, str(saved["stream"]))

    def _draw(self) -> None:
        self._uniforms, actions = self._rng.random((2, BLOCK))
        self._random_actions = (actions * self._n_actions).astype(np.int64).tolist()
        self._decide(self._clock)

    def _decide(self, begin: int) -> None:
        """Decide for the block from ``begin`` on which steps explore, and what share updates take over."""
        steps = begin + np.arange(BLOCK)
        self._explores = (self._uniforms < epsilon(self._hyperparameters, steps, self._n_timesteps)).tolist()
        self._rates = learning_rate(self._hyperparameters, steps, self._n_timesteps).tolist()


def epsilon(hyperparameters: QLearningHyperparameters, steps: Array, n_timesteps: int) -> Array:
    """Return the probability of a random action after ``steps`` steps, any shape."""
    return SCHEDULES[hyperparameters.exploration_schedule](
        steps,
        n_timesteps,
        hyperparameters.exploration_initial_eps,
        hyperparameters.exploration_final_eps,
        hyperparameters.exploration_fraction,
    )


def learning_rate(hyperparameters: QLearningHyperparameters, steps: Array, n_timesteps: int) -> Array:
    """Return the learning rate after ``steps`` steps, any shape.

    ``constant``: the first; ``linear``: ``first + p * (last - first)``; ``geometric``: ``first * (last / first) ** p``,
    with ``p = steps / n_timesteps``.
    """
    first, last = hyperparameters.learning_rate, hyperparameters.final_learning_rate
    progress = np.minimum(np.asarray(steps, np.float64) / n_timesteps, 1.0)
    if hyperparameters.learning_rate_schedule == "constant":
        return np.full(progress.shape, first)
    if hyperparameters.learning_rate_schedule == "linear":
        return np.asarray(first + progress * (last - first))
    return np.asarray(first * (last / first) ** progress)
