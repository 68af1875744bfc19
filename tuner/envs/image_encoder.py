"""Images in replay memory and as network input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from tuner.envs.frames import FramesBox

Array = NDArray[Any]

#: Newest version of what pictures are divided by, see :func:`largest`.
PICTURE_SCALE = 2

#: Smallest height and width of an image that a convolutional network is made for.
MIN_IMAGE_SIZE = 8


@dataclass(frozen=True)
class ImageEncoder:
    """An image of bytes or truth values: kept as bytes, channels first; shown divided by ``scale``, at most 1.

    Attributes:
        image: (channels, height, width).
        channels_last: Whether the environment's own order is (height, width, channels).
        scale: Largest value that the space allows, 1 to 255; by an older rule 255 for all bytes.
        frames: How many of the channels are the last frames; 0 where channels mean something else.
    """

    image: tuple[int, int, int]
    channels_last: bool
    scale: int
    frames: int = 0
    normalizable: bool = False

    @property
    def storage_shape(self) -> tuple[int, ...]:
        """``(input_size,)``: the image flat, channels first."""
        return (self.input_size,)

    @property
    def input_size(self) -> int:
        """Number of pixels times channels."""
        channels, height, width = self.image
        return channels * height * width

    def store(self, observation: Any) -> Any:
        """Return ``[input_size]`` uint8."""
        pixels = np.asarray(observation)
        if pixels.dtype.kind == "f":
            raise ValueError(f"an image must be made of bytes, as its space says, got {pixels.dtype}.")
        if self.channels_last and pixels.ndim == 3:
            pixels = np.moveaxis(pixels, -1, 0)
        return pixels.reshape(-1).astype(np.uint8, copy=False)

    def to_input(self, stored: Array, out: Array | None = None) -> Array:
        """Return the flat image in [0, 1]."""
        if out is None:
            out = np.empty(stored.shape, np.float32)
        np.multiply(stored, out.dtype.type(1 / self.scale), out=out)
        return out


def image_encoder_for(space: spaces.Box, picture_scale: int) -> ImageEncoder | None:
    """Return the encoder of a Box that is an image, else None."""
    if not is_picture(space):
        return None
    shape = space.shape if len(space.shape) == 3 else (*space.shape, 1)
    # The channels are the shortest axis (Stable-Baselines3's rule), and the last one where axes tie.
    channels_last = isinstance(space, FramesBox) is False and shape[2] <= min(shape[:2])
    channels, height, width = (shape[2], *shape[:2]) if channels_last else shape
    if min(height, width) < MIN_IMAGE_SIZE:
        return None
    frames = channels if isinstance(space, FramesBox) else 0
    return ImageEncoder((channels, height, width), channels_last, largest(space, picture_scale), frames)


def is_picture(space: spaces.Box) -> bool:
    """Return whether a Box is a picture of whatever size: bytes or truth values in two or three dimensions."""
    return space.dtype in (np.uint8, np.bool_) and len(space.shape) in (2, 3)


def largest(space: spaces.Box, picture_scale: int = PICTURE_SCALE) -> int:
    """Return what a picture's values are divided by; a study's ``picture_scale`` decides.

    ==========  ====================================================================================================
    version 1   255 for bytes whatever their bounds; small pictures and those in a Dict or Tuple not at all (0.1.0)
    version 2   the largest value that the space allows, at least 1
    ==========  ====================================================================================================
    """
    if picture_scale == 1:
        return 255 if space.dtype == np.uint8 else 1
    return max(int(space.high.max(initial=0)), 1)
