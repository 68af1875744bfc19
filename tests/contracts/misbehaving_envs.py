"""Environments that break a rule at a chosen step. Registered when imported: ``--env-module misbehaving_envs``."""

from __future__ import annotations

import gymnasium as gym
import numpy as np


class Misbehaving(gym.Env):
    """Episodes of ten steps, reward 1; at training step ``at`` (counted over episodes) something happens.

    Args:
        how: ``raise``, ``reward`` or ``observation`` (not finite), ``huge`` (rewards at float32's limit, at every
            step), or nothing.
        at: Step of this instance, over all its episodes.
        start: Smallest action.
        continuous: Whether actions are two numbers instead, whatever the smallest.
    """

    metadata = {"render_modes": []}  # noqa: RUF012

    #: Instances made and not closed.
    unclosed = 0

    def __init__(self, how: str = "", at: int = 0, start: int = 0, continuous: bool = False) -> None:
        self.observation_space = gym.spaces.Box(-10, 10, (2,), np.float32)
        self.action_space = gym.spaces.Discrete(2, start=start)
        if continuous:
            self.action_space = gym.spaces.Box(start - 1, start + 1, (2,), np.float32)
        self.how, self.at, self.total, self.steps = how, at, 0, 0
        Misbehaving.unclosed += 1

    def close(self):
        Misbehaving.unclosed -= 1

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return self._observation(), {}

    def _observation(self):
        return np.array([self.steps / 10, self.np_random.uniform(-1, 1)], np.float32)

    def step(self, action):
        assert action in self.action_space
        self.total += 1
        self.steps += 1
        observation, reward = self._observation(), 3e38 if self.how == "huge" else 1.0
        if self.total == self.at:
            if self.how == "raise":
                raise ValueError(f"broken at {self.at}")
            if self.how == "reward":
                reward = float("nan")
            if self.how == "observation":
                observation[0] = np.inf
        return observation, reward, self.steps == 10, False, {}


if "Misbehaving-v0" not in gym.registry:
    gym.register("Misbehaving-v0", entry_point=Misbehaving)
