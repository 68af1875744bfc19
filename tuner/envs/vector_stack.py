"""The last few observations as one (``--frame-stack N``), for environments that do not show their whole state.

What Stable-Baselines3's ``VecFrameStack``, and so RL Zoo's ``frame_stack``, does with vectors: oldest first, zeros
before the first observation of an episode.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from tuner.envs.last_vectors import LastVectors
from tuner.errors import UnusableEnvironmentError

Array = NDArray[Any]


class VectorStack(gymnasium.Wrapper[Any, Any, Any, Any]):
    """An environment whose observation is its last ``n`` observations, oldest first, zeros where there are none yet.

    Args:
        env: Its observations are vectors: a Box of one dimension.
        n: How many, >= 2.

    Raises:
        UnusableEnvironmentError: Other observations.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], n: int) -> None:
        super().__init__(env)
        self.n = n
        self._dtype, self.observation_space = stacked_space(env.observation_space, n)
        self._vectors = LastVectors(n)

    def reset(self, **kwargs: Any) -> tuple[Array, dict[str, Any]]:
        """Begin an episode."""
        observation, info = self.env.reset(**kwargs)
        self._vectors.begin()
        return self._vectors.push(np.asarray(observation, self._dtype)), info

    def step(self, action: Any) -> tuple[Array, Any, bool, bool, dict[str, Any]]:
        """Take a step."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return self._vectors.push(np.asarray(observation, self._dtype)), reward, terminated, truncated, info


def stacked_space(space: spaces.Space[Any], n: int) -> tuple[np.dtype[Any], spaces.Box]:
    """Return (type of an observation's numbers, space of ``n`` observations, in which zeros lie, too).

    Raises:
        UnusableEnvironmentError: No Box of one dimension.
    """
    if not isinstance(space, spaces.Box) or len(space.shape) != 1:
        shown = f"Box{space.shape}" if isinstance(space, spaces.Box) else type(space).__name__
        raise UnusableEnvironmentError(
            f"--frame-stack needs observations that are vectors (Box of one dimension), got {shown}. Leave it out."
        )
    low, high = np.minimum(space.low, 0), np.maximum(space.high, 0)
    dtype = np.dtype(space.dtype)
    return dtype, spaces.Box(np.tile(low, n).astype(dtype), np.tile(high, n).astype(dtype), dtype=dtype.type)
