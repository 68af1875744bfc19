"""The last few frames as one observation, and the space that says so."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

Array = NDArray[Any]

#: Frames of an observation, and their height and width (Mnih et al. 2015).
STACK, SIZE = 4, 84


class FramesBox(spaces.Box):
    """Images whose channels are the last frames of an episode, oldest first, zeros where it has just begun.

    Memories may store each frame once.
    """

    def __init__(self, stack: int = STACK, height: int = SIZE, width: int = SIZE) -> None:
        super().__init__(0, 255, (stack, height, width), np.uint8)


class FrameStack:
    """The last frames of an episode.

    Args:
        space: Shape of the stack.
    """

    def __init__(self, space: FramesBox) -> None:
        self._frames: Array = np.zeros(space.shape, np.uint8)

    def begin(self, frame: Array) -> Array:
        """Start an episode with its first frame ``[H, W]``; return the stack ``[stack, H, W]``."""
        self._frames = np.zeros_like(self._frames)
        self._frames[-1] = frame
        return self._frames

    def push(self, frame: Array) -> Array:
        """Add a frame; return the new stack. Stacks handed out before stay as they are."""
        following = np.empty_like(self._frames)
        following[:-1] = self._frames[1:]
        following[-1] = frame
        self._frames = following
        return following
