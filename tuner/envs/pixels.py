"""Any environment seen through its rendered frames instead of its state (``--pixels``)."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from tuner.envs.frames import SIZE, STACK, FramesBox, FrameStack
from tuner.envs.resize import shrink, to_grey

Array = NDArray[Any]

#: Recorded with every study on pixels.
PIXEL_SETTINGS = {"observation": "rendered frames", "stack": STACK, "size": SIZE, "grey": True}


class Pixels(gymnasium.Wrapper[Any, Any, Any, Any]):
    """An environment whose observation is its last four rendered frames, grey, 84 x 84.

    Args:
        env: Made with ``render_mode="rgb_array"``; its frames are at least 84 x 84.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        super().__init__(env)
        self.observation_space = FramesBox()
        self._stack = FrameStack(self.observation_space)

    def reset(self, **kwargs: Any) -> tuple[Array, dict[str, Any]]:
        """Begin an episode."""
        _, info = self.env.reset(**kwargs)
        return self._stack.begin(self._frame()), info

    def step(self, action: Any) -> tuple[Array, Any, bool, bool, dict[str, Any]]:
        """Take a step."""
        _, reward, terminated, truncated, info = self.env.step(action)
        return self._stack.push(self._frame()), reward, terminated, truncated, info

    def _frame(self) -> Array:
        drawn: Any = self.env.render()
        return shrink(to_grey(np.asarray(drawn)), SIZE, SIZE)
