"""Environments without their wrappers' overhead: what training loops step.

Gymnasium's own outer wrappers (order check, passive checker, time limit) cost more than a classic-control step. They
are taken off and the time limit is counted here, with the same result.
"""

from __future__ import annotations

import contextlib
import copy
from typing import Any

import gymnasium as gym
from gymnasium import spaces
from gymnasium.wrappers import OrderEnforcing, PassiveEnvChecker, TimeLimit

from tuner.envs.make import make
from tuner.envs.spec import EnvSpec


class _TrustedDiscrete(spaces.Discrete):
    """An action space that does not check its members: action indices come from an argmax or a draw below ``n``."""

    def contains(self, x: Any) -> bool:
        return True


class BareEnv:
    """An environment with its time limit built in.

    Args:
        env: What ``gymnasium.make`` returned. Outer wrappers other than Gymnasium's three stay on.
    """

    __slots__ = ("_core", "_limit", "_step", "_steps", "action_start", "env")

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        self.env = env
        limit = None
        core = env
        while isinstance(core, OrderEnforcing | PassiveEnvChecker | TimeLimit):
            if isinstance(core, TimeLimit):
                own = core._max_episode_steps
                limit = own if limit is None else min(limit, own)
            core = core.env
        bare = env.unwrapped
        if type(bare.action_space) is spaces.Discrete:
            # Classic control asserts membership at each step, which costs 40 % of it. A copy: spaces can be shared.
            trusted = copy.deepcopy(bare.action_space)
            trusted.__class__ = _TrustedDiscrete
            with contextlib.suppress(AttributeError):  # a property of the environment's own class
                bare.action_space = trusted
        self._core = core
        self._step = core.step
        self._limit = limit
        self._steps = 0
        #: What to add to an action index to get the environment's action.
        self.action_start = int(getattr(env.action_space, "start", 0))

    @classmethod
    def make(cls, spec: EnvSpec, *, training: bool = False) -> BareEnv:
        """Make the environment that ``spec`` names; what ``training`` means, see :func:`tuner.envs.make.make`."""
        return cls(make(spec, training=training))

    def reset(self, seed: int | None = None) -> Any:
        """Start an episode and return its first observation."""
        self._steps = 0
        observation, _ = self._core.reset(seed=seed)
        return observation

    def step(self, action: Any) -> tuple[Any, float, bool, bool]:
        """Take the action with this index, or a continuous one; return (observation, reward, terminated, truncated)."""
        observation, reward, terminated, truncated, _ = self._step(action + self.action_start)
        self._steps += 1
        if self._steps == self._limit:
            truncated = True
        return observation, float(reward), terminated, truncated

    def render(self) -> Any:
        """Return the frame that the environment draws."""
        return self._core.render()

    def close(self) -> None:
        """Release the environment."""
        self.env.close()
