"""Compiled passes through one convolution of small images: patches side by side, one product for each image.

What it makes is the input of a multilayer perceptron, see :mod:`tuner.agents.dqn.kernels`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from tuner.agents.dqn.products import ADD, FAST, NEW, VECTOR, call_whole, copy_vector, inner, product
from tuner.networks.conv import ConvLayout

Array = NDArray[Any]


class Pictures(NamedTuple):
    """A convolution, and room for one image on its way through.

    Attributes:
        shape: (channels, height, width, kernel, stride, filters, height and width of what it makes, channels of a
            frame).
        scale: What pixels are multiplied by.
        image: Flat ``[height, width, channels]``, and room for a vector.
        patches: Flat ``[places, kernel * kernel * channels + 1]``, the last column 1, and room for a vector.
        weights: Flat ``[kernel * kernel * channels + 1, filters]``, the bias last.
        slopes: The gradient of them.
        below: Flat ``[batch, places * filters]``: the gradient on what it makes.
    """

    shape: tuple[int, ...]
    scale: Array
    image: Array
    patches: Array
    weights: Array
    slopes: Array
    below: Array


def pictures_of(layout: Any, channels_of_frame: int, batch: int, dtype: DTypeLike) -> Pictures | None:
    """Return room for a network's convolution; None where the layout has none."""
    if not isinstance(layout, ConvLayout):
        return None
    ((filters, kernel, stride),), (channels, height, width) = layout.torso.convolutions, layout.torso.image
    high, wide, _ = layout.torso.seen
    depth = kernel * kernel * channels + 1
    shape = (channels, height, width, kernel, stride, filters, high, wide, channels_of_frame)
    patches, image = (np.zeros(n + VECTOR, dtype) for n in (high * wide * depth, channels * height * width))
    weights, below = np.zeros(depth * filters, dtype), np.zeros(batch * high * wide * filters, dtype)
    return Pictures(shape, np.array([1 / layout.torso.scale], dtype), image, patches, weights, weights.copy(), below)


@inner()
def use(pictures, parameters):
    """Make a network's convolution the one that images go through."""
    depth, filters = pictures.shape[3] ** 2 * pictures.shape[0], pictures.shape[5]
    for f in range(filters):
        for i in range(depth):
            pictures.weights[i * filters + f] = parameters[f * depth + i]
        pictures.weights[depth * filters + f] = parameters[filters * depth + f]


@inner()
def from_memory(pictures, frames, memory, row, begin):
    """Take the image that a stored transition's frame numbers, from column ``begin`` on, stand for."""
    channels, pixels, each = pictures.shape[0], pictures.shape[1] * pictures.shape[2], pictures.shape[8]
    scale = pictures.scale[0]
    for c in range(channels):
        frame, first = int(memory[row, begin + c // each]), c % each * pixels
        for p in range(pixels):
            pictures.image[p * channels + c] = frames[frame, first + p] * scale


@inner()
def from_input(pictures, pixels_in):
    """Take an image that is network input already, channels first."""
    channels, pixels = pictures.shape[0], pictures.shape[1] * pictures.shape[2]
    for c in range(channels):
        for p in range(pixels):
            pictures.image[p * channels + c] = pixels_in[c * pixels + p]


@inner()
def cut(pictures):
    """Cut the image into patches: whole vectors, whose surplus the next one overwrites."""
    channels, _, width, kernel, stride, _, high, wide, _ = pictures.shape
    run, at = kernel * channels, 0
    for y in range(high):
        for x in range(wide):
            for line in range(kernel):
                source = ((y * stride + line) * width + x * stride) * channels
                for i in range(0, run, VECTOR):
                    copy_vector(pictures.image, source + i, pictures.patches, at + i)
                at += run
            pictures.patches[at] = 1
            at += 1


@inner(fastmath=FAST)
def convolve(pictures, result, panel):
    """Write what the convolution makes of the image, ReLU after it: flat ``[places, filters]``, and a 1."""
    call_whole()
    channels, _, _, kernel, _, filters, high, wide, _ = pictures.shape
    depth, one, zero = kernel * kernel * channels + 1, np.int64(1), result.dtype.type(0)
    cut(pictures)
    places = high * wide
    product(pictures.patches, depth, one, pictures.weights, filters, one, result, filters, places, filters, depth,
            panel, NEW)  # fmt: skip
    for i in range(places * filters):
        result[i] = max(result[i], zero)
    result[places * filters] = 1


@inner(fastmath=FAST)
def add_slopes(pictures, made, below, first, panel):
    """Add the image's part to the gradient of the convolution, or begin it with the ``first``.

    Args:
        pictures: It holds the image.
        made: What :func:`convolve` made of it.
        below: The gradient on that; changed.
        first: Whether this is the first image.
        panel: For the product, overwritten.
    """
    call_whole()
    channels, _, _, kernel, _, filters, high, wide, _ = pictures.shape
    depth, one, zero = kernel * kernel * channels + 1, np.int64(1), below.dtype.type(0)
    cut(pictures)
    for i in range(high * wide * filters):
        below[i] = below[i] if made[i] > zero else zero
    product(pictures.patches, one, depth, below, filters, one, pictures.slopes, filters, depth, filters, high * wide,
            panel, NEW if first else ADD)  # fmt: skip


@inner()
def give(pictures, gradient):
    """Write the gradient of the convolution where its parameters lie in a lane's row."""
    depth, filters = pictures.shape[3] ** 2 * pictures.shape[0], pictures.shape[5]
    for f in range(filters):
        for i in range(depth):
            gradient[f * depth + i] = pictures.slopes[i * filters + f]
        gradient[filters * depth + f] = pictures.slopes[depth * filters + f]
