"""Decisions with chance in their rewards, or whose reward comes much later.

Every one has ``best_action()``, what its stated ceiling rests on.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces


class Bandit(gymnasium.Env):
    """One decision an episode: which of several machines pays most for what is shown (a contextual bandit).

    Machine i pays ``scale * (w_i . context + noise * N(0, 1))``; the context is drawn from N(0, 1).

    Args:
        machines: Actions.
        size: Numbers in the context.
        noise: Standard deviation of the chance in a payment.
        scale: Factor of all payments.
    """

    metadata = {"render_modes": []}  # noqa: RUF012  (Gymnasium's own declaration)

    def __init__(self, *, machines: int = 5, size: int = 6, noise: float = 1.0, scale: float = 1.0) -> None:
        self._weights = np.random.default_rng(machines).standard_normal((machines, size)) / np.sqrt(size)
        self._noise, self._scale = noise, scale
        self.action_space = spaces.Discrete(machines)
        self.observation_space = spaces.Box(-np.inf, np.inf, (size,), np.float32)
        self._context = np.zeros(size, np.float32)

    def reset(self, *, seed=None, options=None):
        """Draw a context."""
        super().reset(seed=seed)
        self._context = self.np_random.standard_normal(self._weights.shape[1]).astype(np.float32)
        return self._context.copy(), {}

    def step(self, action: Any):
        """Pay."""
        paid = float(self._weights[int(action)] @ self._context) + self._noise * float(self.np_random.standard_normal())
        return self._context.copy(), self._scale * paid, True, False, {}

    def best_action(self) -> int:
        """Return the machine that pays most on average."""
        return int(np.argmax(self._weights @ self._context))


class Inventory(gymnasium.Env):
    """Order goods each morning, sell what is asked for, pay for storage; rewards in the hundreds, demand by chance.

    Stock is at most 20, orders are 0, 3, 6, ... 15 pieces, demand is Poisson. A piece sells for 100, costs 40, storage
    of one costs 8 a day and each order 60. An episode takes 50 days, and is observed as the stock (a number).

    Args:
        demand: Pieces asked for in a day, on average.
    """

    metadata = {"render_modes": []}  # noqa: RUF012  (Gymnasium's own declaration)
    CAPACITY, LOT, DAYS = 20, 3, 50

    def __init__(self, *, demand: float = 5.0) -> None:
        self._demand = demand
        self.action_space = spaces.Discrete(6)
        self.observation_space = spaces.Discrete(self.CAPACITY + 1)
        self._stock, self._day = 0, 0
        self._policy: np.ndarray | None = None

    def reset(self, *, seed=None, options=None):
        """Begin with a stock of 10."""
        super().reset(seed=seed)
        self._stock, self._day = 10, 0
        return self._stock, {}

    def step(self, action: Any):
        """Order, sell, store."""
        sold_to = int(self.np_random.poisson(self._demand))
        self._stock, reward = self._after(self._stock, int(action), sold_to)
        self._day += 1
        return self._stock, reward, False, self._day == self.DAYS, {}

    def best_action(self) -> int:
        """Return the order of the best policy over the days that are left."""
        if self._policy is None:
            self._policy = self._plan()
        return int(self._policy[self._day, self._stock])

    def _after(self, stock: int, action: int, demand: int) -> tuple[int, float]:
        ordered = min(self.LOT * action, self.CAPACITY - stock)
        sold = min(stock + ordered, demand)
        left = stock + ordered - sold
        return left, 100.0 * sold - 40.0 * ordered - 60.0 * (ordered > 0) - 8.0 * left

    def _plan(self) -> np.ndarray:
        """Return the optimal action of each day and stock [DAYS, stocks], by backward induction."""
        most = 40
        weights = np.exp(-self._demand) * np.cumprod([1.0, *(self._demand / k for k in range(1, most))])
        stocks = self.CAPACITY + 1
        value, policy = np.zeros(stocks), np.zeros((self.DAYS, stocks), int)
        for day in reversed(range(self.DAYS)):
            q = np.zeros((stocks, 6))
            for stock in range(stocks):
                for action in range(6):
                    for demand, weight in enumerate(weights):
                        after, reward = self._after(stock, action, demand)
                        q[stock, action] += weight * (reward + value[after])
            policy[day], value = q.argmax(1), q.max(1)
        return policy


class Umbrella(gymnasium.Env):
    """Whether to take an umbrella is decided in the first step and matters in the last (bsuite's umbrella).

    Observed are the forecast (only at first, else 0), whether the umbrella is held, the time left, and distractors that
    are 0 or 1 by chance. Each step in between pays -1 or 1 by chance, the last 1 for the right choice, else -1.

    Args:
        length: Steps of an episode.
        distractors: Bits without meaning.
        chance: Size of the random rewards in between.
    """

    metadata = {"render_modes": []}  # noqa: RUF012  (Gymnasium's own declaration)

    def __init__(self, *, length: int = 10, distractors: int = 4, chance: float = 0.2) -> None:
        self._length, self._distractors, self._chance = length, distractors, chance
        self.action_space = spaces.Discrete(2)
        self.observation_space = spaces.Box(-1.0, 1.0, (3 + distractors,), np.float32)
        self._rain = self._held = self._clock = 0

    def reset(self, *, seed=None, options=None):
        """Look at the sky."""
        super().reset(seed=seed)
        self._rain, self._held, self._clock = int(self.np_random.integers(2)), 0, 0
        return self._observation(), {}

    def step(self, action: Any):
        """The first action takes the umbrella (1) or leaves it (0); the others do nothing."""
        if self._clock == 0:
            self._held = int(action)
        self._clock += 1
        over = self._clock == self._length
        reward = self._chance * (2.0 * int(self.np_random.integers(2)) - 1.0)
        if over:
            reward = 1.0 if self._held == self._rain else -1.0
        return self._observation(), reward, over, False, {}

    def best_action(self) -> int:
        """Return whether it will rain."""
        return self._rain

    def _observation(self) -> np.ndarray:
        forecast, held = 2 * self._rain - 1, 2 * self._held - 1
        left = 1 - self._clock / self._length
        bits = self.np_random.integers(2, size=self._distractors)
        return np.array([forecast, held * (self._clock > 0), left, *bits], np.float32)


class Sorting(gymnasium.Env):
    """Put each piece into the bin of its kind; wages are paid at the end of the shift only.

    Observed are the piece's kind (one-hot), the time left and the share of the shift's pieces put right so far.

    Args:
        kinds: Kinds of pieces, and actions.
        length: Pieces of a shift.
        wage: Reward of the shift if all are right.
    """

    metadata = {"render_modes": []}  # noqa: RUF012  (Gymnasium's own declaration)

    def __init__(self, *, kinds: int = 4, length: int = 12, wage: float = 1.0) -> None:
        self._kinds, self._length, self._wage = kinds, length, wage
        self.action_space = spaces.Discrete(kinds)
        self.observation_space = spaces.Box(0.0, 1.0, (kinds + 2,), np.float32)
        self._kind = self._clock = self._right = 0

    def reset(self, *, seed=None, options=None):
        """Begin a shift."""
        super().reset(seed=seed)
        self._kind, self._clock, self._right = int(self.np_random.integers(self._kinds)), 0, 0
        return self._observation(), {}

    def step(self, action: Any):
        """Drop a piece into a bin."""
        self._right += int(action) == self.best_action()
        self._clock += 1
        self._kind = int(self.np_random.integers(self._kinds))
        over = self._clock == self._length
        return self._observation(), self._wage * self._right / self._length if over else 0.0, over, False, {}

    def best_action(self) -> int:
        """Return the bin of the piece's kind: not the one of the same number."""
        return (3 * self._kind + 1) % self._kinds if self._kinds % 3 else (self._kind + 1) % self._kinds

    def _observation(self) -> np.ndarray:
        observation = np.zeros(self._kinds + 2, np.float32)
        observation[self._kind] = 1.0
        observation[-2:] = 1 - self._clock / self._length, self._right / self._length
        return observation
