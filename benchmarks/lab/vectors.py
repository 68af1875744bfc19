"""Small worlds observed as vectors: with noise beside the signal, in units of very different size, in parts.

Every one has ``best_action()``, what its stated ceiling rests on.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces


class Corridor(gymnasium.Env):
    """Walk to the far end, which pays 1; the near end pays ``bait`` at once. Most of the observation is noise.

    Observed are the position in [0, 1] and ``distractors`` numbers from N(0, 1) that mean nothing.

    Args:
        length: Squares; the walk begins at the third.
        distractors: Numbers without meaning.
        slip: Probability that a step goes the other way.
        bait: Reward of the near end.
    """

    metadata = {"render_modes": []}  # noqa: RUF012  (Gymnasium's own declaration)

    def __init__(self, *, length: int = 12, distractors: int = 8, slip: float = 0.1, bait: float = 0.1) -> None:
        self._length, self._distractors, self._slip, self._bait = length, distractors, slip, bait
        self.action_space = spaces.Discrete(2)
        self.observation_space = spaces.Box(-np.inf, np.inf, (1 + distractors,), np.float32)
        self._at = 2

    def reset(self, *, seed=None, options=None):
        """Begin at the third square."""
        super().reset(seed=seed)
        self._at = 2
        return self._observation(), {}

    def step(self, action: Any):
        """Walk back (0) or on (1)."""
        forward = bool(action) != (self.np_random.random() < self._slip)
        self._at += 1 if forward else -1
        far, near = self._at == self._length - 1, self._at == 0
        return self._observation(), float(far) + self._bait * near, far or near, False, {}

    def best_action(self) -> int:
        """Return the action that walks on."""
        return 1

    def _observation(self) -> np.ndarray:
        noise = self.np_random.standard_normal(self._distractors)
        return np.concatenate(([self._at / (self._length - 1)], noise)).astype(np.float32)


class Boiler(gymnasium.Env):
    """Keep a room at its wanted temperature while the weather changes; every instrument has its own unit.

    Observed are the room in kelvin, outside in kelvin, the pressure in pascal (which only reflects the weather's
    trend), the burner in [0, 1] and the wanted temperature less 290 in thousandths of a kelvin. Actions turn the burner
    down, leave it, turn it up by a fifth. The reward is minus the square of the difference to what is wanted, cut at
    25. An episode takes 100 steps.

    Args:
        unit: Factor of the rewards.
    """

    metadata = {"render_modes": []}  # noqa: RUF012  (Gymnasium's own declaration)
    #: Share of the difference to outside that a step takes, and kelvins that the full burner adds.
    LOSS, HEAT = 0.08, 3.0

    def __init__(self, *, unit: float = 1.0) -> None:
        self._unit = unit
        self.action_space = spaces.Discrete(3)
        self.observation_space = spaces.Box(-np.inf, np.inf, (5,), np.float32)
        self._room = self._outside = self._trend = self._burner = self._wanted = 0.0
        self._clock = 0

    def reset(self, *, seed=None, options=None):
        """A cool room, any weather, any wish."""
        super().reset(seed=seed)
        draw = self.np_random.uniform
        self._room, self._outside = float(draw(283, 290)), float(draw(268, 280))
        self._trend, self._burner, self._wanted = 0.0, 0.4, float(draw(291, 296))
        self._clock = 0
        return self._observation(), {}

    def step(self, action: Any):
        """Turn the burner, and let a while pass."""
        self._burner = min(max(self._burner + 0.2 * (int(action) - 1), 0.0), 1.0)
        self._room += self.HEAT * self._burner - self.LOSS * (self._room - self._outside)
        self._trend = 0.9 * self._trend + 0.1 * float(self.np_random.standard_normal())
        self._outside = min(max(self._outside + self._trend, 260.0), 288.0)
        self._clock += 1
        reward = -self._unit * min((self._room - self._wanted) ** 2, 25.0)
        return self._observation(), reward, False, self._clock == 100, {}

    def best_action(self) -> int:
        """Return the turn after which, two steps on and the weather kept, the room is nearest to what is wanted."""
        costs = []
        for turn in (-1, 0, 1):
            burner = min(max(self._burner + 0.2 * turn, 0.0), 1.0)
            room = self._room + self.HEAT * burner - self.LOSS * (self._room - self._outside)
            ahead = []
            for then in (-1, 0, 1):
                later = min(max(burner + 0.2 * then, 0.0), 1.0)
                after = room + self.HEAT * later - self.LOSS * (room - self._outside)
                ahead.append((after - self._wanted) ** 2)
            costs.append((room - self._wanted) ** 2 + min(ahead))
        return int(np.argmin(costs))

    def _observation(self) -> np.ndarray:
        pressure = 101_325.0 + 800.0 * self._trend
        return np.array(
            (self._room, self._outside, pressure, self._burner, (self._wanted - 290.0) * 1000.0), np.float32
        )


class Hover(gymnasium.Env):
    """Steer a puck on ice to a target and stay there: rest, or thrust in one of four directions.

    Observed as a dictionary of position, velocity and target. The reward is minus the distance, less a little fuel.

    Args:
        friction: Share of the velocity that a step takes.
        steps: Steps of an episode.
    """

    metadata = {"render_modes": []}  # noqa: RUF012  (Gymnasium's own declaration)
    THRUST = np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]], np.float64)

    def __init__(self, *, friction: float = 0.1, steps: int = 80) -> None:
        self._friction, self._steps = friction, steps
        self.action_space = spaces.Discrete(5)
        box = spaces.Box(-5.0, 5.0, (2,), np.float32)
        self.observation_space = spaces.Dict({"position": box, "target": box, "velocity": box})
        self._position = self._velocity = self._target = np.zeros(2)
        self._clock = 0

    def reset(self, *, seed=None, options=None):
        """Any position, any target, at rest."""
        super().reset(seed=seed)
        self._position, self._target = self.np_random.uniform(-1, 1, 2), self.np_random.uniform(-1, 1, 2)
        self._velocity, self._clock = np.zeros(2), 0
        return self._observation(), {}

    def step(self, action: Any):
        """Thrust, and glide for a step."""
        self._velocity = (1 - self._friction) * self._velocity + 0.04 * self.THRUST[int(action)]
        moved = self._position + self._velocity
        self._position = np.clip(moved, -2.0, 2.0)
        self._velocity = np.where(moved == self._position, self._velocity, 0.0)
        self._clock += 1
        reward = -float(np.hypot(*(self._position - self._target))) - 0.002 * (int(action) > 0)
        return self._observation(), reward, False, self._clock == self._steps, {}

    def best_action(self) -> int:
        """Return the thrust that brings where it would glide to, in eight steps' time, nearest to the target."""
        glide = sum((1 - self._friction) ** k for k in range(1, 9))
        ahead = self._position + glide * (self._velocity + 0.04 * self.THRUST)
        return int(np.argmin(np.hypot(*(ahead - self._target).T)))

    def _observation(self) -> dict[str, np.ndarray]:
        parts = {"position": self._position, "target": self._target, "velocity": self._velocity}
        return {name: part.astype(np.float32) for name, part in parts.items()}
