"""What can be done to any environment: its rewards scaled, its observations scaled or blurred."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces


class ScaledReward(gymnasium.Wrapper):
    """Multiplies every reward.

    Args:
        env: Any environment.
        scale: The factor.
    """

    def __init__(self, env: gymnasium.Env, scale: float) -> None:
        super().__init__(env)
        self._scale = scale

    def step(self, action: Any):
        """Step, and scale what it earned."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return observation, self._scale * float(reward), terminated, truncated, info


class Instruments(gymnasium.ObservationWrapper):
    """Shows a vector through instruments of other units, with noise: ``scale * (observation + noise)``.

    Args:
        env: An environment with a vector of floats for observations.
        scale: One factor, or one a component.
        noise: Standard deviation, one or one a component, in units of the environment.
    """

    def __init__(self, env: gymnasium.Env, scale: Any = 1.0, noise: Any = 0.0) -> None:
        super().__init__(env)
        size = env.observation_space.shape
        self._scale = np.broadcast_to(np.asarray(scale, np.float64), size)
        self._noise = np.broadcast_to(np.asarray(noise, np.float64), size)
        self._rng = np.random.default_rng(0)
        self.observation_space = spaces.Box(-np.inf, np.inf, size, np.float32)

    def reset(self, *, seed=None, options=None):
        """Begin an episode; the noise has its own stream of the episode's seed."""
        if seed is not None:
            self._rng = np.random.default_rng((seed, 1))
        return super().reset(seed=seed, options=options)

    def observation(self, observation: Any) -> np.ndarray:
        """Return what the instruments show."""
        blurred = observation
        if self._noise.any():
            blurred = observation + self._noise * self._rng.standard_normal(self._noise.shape)
        return (self._scale * blurred).astype(np.float32)
