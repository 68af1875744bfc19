"""Discrete spaces shifted to begin at 0."""

from __future__ import annotations

from typing import Any

import gymnasium as gym


class FromZero(gym.Wrapper[Any, Any, Any, Any]):
    """Discrete spaces that begin at 0, as Stable-Baselines3 assumes them to."""

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        self._action_start = int(getattr(env.action_space, "start", 0))
        self._observation_start = int(getattr(env.observation_space, "start", 0))
        if isinstance(env.action_space, gym.spaces.Discrete):
            self.action_space = gym.spaces.Discrete(int(env.action_space.n))
        if isinstance(env.observation_space, gym.spaces.Discrete):
            self.observation_space = gym.spaces.Discrete(int(env.observation_space.n))

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        """Start an episode."""
        observation, info = self.env.reset(**kwargs)
        return observation - self._observation_start, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Take a step."""
        observation, reward, terminated, truncated, info = self.env.step(action + self._action_start)
        return observation - self._observation_start, reward, terminated, truncated, info
