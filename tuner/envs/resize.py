"""From a colour frame to a small grey one: the arithmetic of OpenCV's ``cvtColor`` and ``resize(INTER_AREA)``.

Written out because OpenCV is a large package to need for two functions. Results are equal byte for byte (tested).
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

#: OpenCV's weights of red, green and blue, in units of 2**-15.
GREY_WEIGHTS = (9798, 19235, 3735)


def to_grey(frame: Array) -> Array:
    """Return the brightness ``[H, W]`` uint8 of a colour frame ``[H, W, 3]`` uint8."""
    red, green, blue = GREY_WEIGHTS
    grey = frame[..., 0] * np.uint32(red)
    grey += frame[..., 1] * np.uint32(green)
    grey += frame[..., 2] * np.uint32(blue)
    grey += np.uint32(1 << 14)
    grey >>= 15
    return grey.astype(np.uint8)


def shrink(frame: Array, height: int, width: int) -> Array:
    """Return a grey frame ``[H, W]`` uint8 at ``[height, width]``, each pixel the mean over its area.

    Args:
        frame: At least as large as what is asked for.
        height: Rows of the result.
        width: Columns of the result.
    """
    columns, column_weights = _parts(frame.shape[1], width)
    rows, row_weights = _parts(frame.shape[0], height)
    # Sums in single precision and in OpenCV's order: ties at .5 are common, and how they round shows.
    narrow = frame[:, columns[0]] * column_weights[0]
    for index, weights in zip(columns[1:], column_weights[1:], strict=True):
        narrow += frame[:, index] * weights
    small = narrow[rows[0]] * row_weights[0][:, None]
    for index, weights in zip(rows[1:], row_weights[1:], strict=True):
        small += narrow[index] * weights[:, None]
    rounded: Array = np.rint(small, out=small).astype(np.uint8)
    return rounded


@functools.cache
def _parts(size: int, smaller: int) -> tuple[list[Array], list[Array]]:
    """Return which pixels make up each pixel of the smaller row, and with what weights.

    Returns:
        (indices, weights float32), each a list of ``[smaller]`` arrays: the first parts of all pixels, the second ...
    """
    scale = size / smaller
    parts: list[list[tuple[int, float]]] = []
    for i in range(smaller):
        begin, end = i * scale, (i + 1) * scale
        width = min(scale, size - begin)
        last = min(math.floor(end), size - 1)
        first = min(math.ceil(begin), last)
        own = [(first - 1, (first - begin) / width)] if first - begin > 1e-3 else []
        own += [(inner, 1.0 / width) for inner in range(first, last)]
        if end - last > 1e-3:
            own.append((last, min(end - last, 1.0, width) / width))
        parts.append(own)
    most = max(map(len, parts))
    padded = [own + [(own[-1][0], 0.0)] * (most - len(own)) for own in parts]
    indices = [np.array([own[n][0] for own in padded]) for n in range(most)]
    weights = [np.array([own[n][1] for own in padded], np.float32) for n in range(most)]
    return indices, weights
