"""Small worlds of squares, each observed in another way: a number, a board, several numbers.

Every one has ``best_action()``, an optimal action where it now stands: what its stated ceiling rests on.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

#: Up, right, down, left.
MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1))


class DeepSea(gymnasium.Env):
    """A diver falls a row in each step and goes left or right; only right all the way down pays (Osband et al. 2019).

    Which action goes right differs from square to square. Going right costs ``0.01 / size``, the treasure in the last
    column is worth 1: uniform play finds it once in ``2**size`` episodes.

    Args:
        size: Rows and columns.
        coordinates: Observe (row, column) scaled to [0, 1], not the square's number.
        slip: Probability that going right fails.
    """

    metadata = {"render_modes": []}  # noqa: RUF012  (Gymnasium's own declaration)

    def __init__(self, *, size: int = 8, coordinates: bool = False, slip: float = 0.0) -> None:
        self._size, self._coordinates, self._slip = size, coordinates, slip
        self._right = np.random.default_rng(size).integers(2, size=(size, size))
        self.action_space = spaces.Discrete(2)
        if coordinates:
            self.observation_space = spaces.Box(0.0, 1.0, (2,), np.float32)
        else:
            self.observation_space = spaces.Discrete(size * size)
        self._row = self._column = 0

    def reset(self, *, seed=None, options=None):
        """Begin in the upper left corner."""
        super().reset(seed=seed)
        self._row = self._column = 0
        return self._observation(), {}

    def step(self, action: Any):
        """Fall a row."""
        reward = 0.0
        if int(action) == self.best_action():
            reward = -0.01 / self._size
            if self._slip == 0.0 or self.np_random.random() >= self._slip:
                if self._column == self._size - 1:
                    reward += 1.0
                self._column = min(self._column + 1, self._size - 1)
        else:
            self._column = max(self._column - 1, 0)
        self._row += 1
        return self._observation(), reward, self._row == self._size, False, {}

    def best_action(self) -> int:
        """Return the action that goes right."""
        return int(self._right[min(self._row, self._size - 1), self._column])

    def _observation(self) -> Any:
        row = min(self._row, self._size - 1)
        if self._coordinates:
            return np.array([row, self._column], np.float32) / (self._size - 1)
        return row * self._size + self._column


class Catch(gymnasium.Env):
    """A ball falls, a paddle is to be under it: left, stay, right (Osband et al. 2020, bsuite's catch).

    Args:
        rows: Height of the board: steps of an episode plus one.
        columns: Its width.
        noise: Standard deviation of what is added to the last reward of 1 or -1.
    """

    metadata = {"render_modes": []}  # noqa: RUF012  (Gymnasium's own declaration)

    def __init__(self, *, rows: int = 10, columns: int = 5, noise: float = 0.0) -> None:
        self._rows, self._columns, self._noise = rows, columns, noise
        self.action_space = spaces.Discrete(3)
        self.observation_space = spaces.MultiBinary(rows * columns)
        self._ball, self._paddle = (0, 0), 0

    def reset(self, *, seed=None, options=None):
        """A ball above any column, the paddle in the middle."""
        super().reset(seed=seed)
        self._ball, self._paddle = (0, int(self.np_random.integers(self._columns))), self._columns // 2
        return self._observation(), {}

    def step(self, action: Any):
        """The ball falls a row; in the last one the episode ends."""
        self._paddle = min(max(self._paddle + int(action) - 1, 0), self._columns - 1)
        self._ball = (self._ball[0] + 1, self._ball[1])
        over = self._ball[0] == self._rows - 1
        reward = 0.0
        if over:
            reward = 1.0 if self._paddle == self._ball[1] else -1.0
            if self._noise:
                reward += self._noise * float(self.np_random.standard_normal())
        return self._observation(), reward, over, False, {}

    def best_action(self) -> int:
        """Return the action that moves the paddle below the ball."""
        return int(np.sign(self._ball[1] - self._paddle)) + 1

    def _observation(self) -> np.ndarray:
        board = np.zeros((self._rows, self._columns), np.int8)
        board[self._ball] = 1
        board[self._rows - 1, self._paddle] = 1
        return board.reshape(-1)


#: Four rooms of a house (Sutton, Precup and Singh 1999); G is the goal.
FOUR_ROOMS = (
    "###########",
    "#....#....#",
    "#.........#",
    "#....#....#",
    "#....#....#",
    "##.###....#",
    "#....##.###",
    "#....#....#",
    "#....#....#",
    "#.........#",
    "#....#...G#",
    "###########",
)

#: A key, a door that it opens, a goal behind the door.
LOCKED = (
    "#########",
    "#...#...#",
    "#...#...#",
    "#S..D..G#",
    "#...#...#",
    "#.K.#...#",
    "#########",
)


class House(gymnasium.Env):
    """Walk to the goal; walls stop, a locked door wants the key. The start is S, or any free square.

    Observed as (row, column, whether the key is held), a MultiDiscrete.

    Args:
        plan: Rows of ``#`` wall, ``.`` floor, ``S`` start, ``K`` key, ``D`` door, ``G`` goal.
        key_reward: Reward for taking the key.
        step_reward: Reward of every step; the goal pays 1 on top.
    """

    metadata = {"render_modes": []}  # noqa: RUF012  (Gymnasium's own declaration)

    def __init__(self, *, plan: tuple[str, ...] = FOUR_ROOMS, key_reward: float = 0.0, step_reward: float = 0.0):
        self._plan, self._key_reward, self._step_reward = plan, key_reward, step_reward
        marks = {(r, c): mark for r, row in enumerate(plan) for c, mark in enumerate(row) if mark != "#"}
        self._squares = marks
        self._starts = [at for at, mark in marks.items() if mark == "S"]
        self._starts = self._starts or [at for at, mark in marks.items() if mark == "."]
        self.action_space = spaces.Discrete(4)
        self.observation_space = spaces.MultiDiscrete([len(plan), len(plan[0]), 2])
        self._distance = self._distances()
        self._at, self._key = self._starts[0], 0

    def reset(self, *, seed=None, options=None):
        """Begin without the key."""
        super().reset(seed=seed)
        self._at, self._key = self._starts[int(self.np_random.integers(len(self._starts)))], 0
        return self._observation(), {}

    def step(self, action: Any):
        """Walk up, right, down or left."""
        before = self._key
        self._at, self._key = self._next(self._at, self._key, int(action))
        goal = self._squares[self._at] == "G"
        reward = self._step_reward + self._key_reward * (self._key - before) + float(goal)
        return self._observation(), reward, goal, False, {}

    def best_action(self) -> int:
        """Return an action on a shortest way."""
        ahead = [self._distance[self._next(self._at, self._key, action)] for action in range(4)]
        return int(np.argmin(ahead))

    def _next(self, at: tuple[int, int], key: int, action: int) -> tuple[tuple[int, int], int]:
        there = (at[0] + MOVES[action][0], at[1] + MOVES[action][1])
        if there not in self._squares or (self._squares[there] == "D" and not key):
            return at, key
        return there, 1 if self._squares[there] == "K" else key

    def _distances(self) -> dict[tuple[tuple[int, int], int], int]:
        """Return the steps to the goal from every (square, key), by breadth-first search backwards."""
        states = [(at, key) for at in self._squares for key in (0, 1)]
        before: dict[Any, list[Any]] = {state: [] for state in states}
        for at, key in states:
            for action in range(4):
                before[self._next(at, key, action)].append((at, key))
        found = {(at, key): 0 for at, key in states if self._squares[at] == "G"}
        queue = deque(found)
        while queue:
            state = queue.popleft()
            for earlier in before[state]:
                if earlier not in found:
                    found[earlier] = found[state] + 1
                    queue.append(earlier)
        return {state: found.get(state, len(states)) for state in states}

    def _observation(self) -> np.ndarray:
        return np.array([*self._at, self._key], np.int64)
