"""A trained convolutional network as a greedy policy, in plain NumPy."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from tuner.networks.conv import LARGE, SMALL, Convolution
from tuner.training.saved.vector_policy import Policy

Array = NDArray[Any]

#: How weights of a torso are named (Stable-Baselines3's names).
TORSO = "features_extractor."


@dataclass(frozen=True)
class ImagePolicy:
    """A greedy policy on images: convolutions and a linear layer with ReLU, then a multilayer perceptron.

    Attributes:
        convolutions: (weight ``[out, in, kernel, kernel]``, bias ``[out]``, stride) in order, float32.
        linear: (weight ``[in, features]``, bias ``[features]``).
        head: From features to Q-values.
        image: (channels, height, width) of the input; the weights alone do not say.
    """

    convolutions: tuple[tuple[Array, Array, int], ...]
    linear: tuple[Array, Array]
    head: Policy
    image: tuple[int, int, int] = (0, 0, 0)

    def seeing(self, image: tuple[int, int, int]) -> ImagePolicy | None:
        """Return the policy for images of this shape, or None where its weights do not fit them."""
        channels, height, width = image
        for weight, _, stride in self.convolutions:
            kernel = weight.shape[2]
            if weight.shape[1] != channels or min(height, width) < kernel:
                return None
            channels, height, width = weight.shape[0], (height - kernel) // stride + 1, (width - kernel) // stride + 1
        fits = self.linear[0].shape[0] == channels * height * width
        return dataclasses.replace(self, image=image) if fits else None

    @property
    def input_size(self) -> int:
        """Length of the flat image."""
        return int(np.prod(self.image))

    @property
    def n_actions(self) -> int:
        """Number of actions."""
        return self.head.n_actions

    def q_values(self, inputs: Array) -> Array:
        """Return Q-values ``[..., n_actions]`` of flat images ``[..., input_size]`` in [0, 1]."""
        return self.head.q_values(self._features(inputs))

    def act(self, inputs: Array) -> Array:
        """Return greedy action indices ``[...]`` for flat images ``[..., input_size]`` in [0, 1]."""
        return self.head.act(self._features(inputs))

    def _features(self, inputs: Array) -> Array:
        hidden = np.asarray(inputs, np.float32).reshape(-1, *self.image)
        for weight, bias, stride in self.convolutions:
            kernel = weight.shape[2:]
            windows = sliding_window_view(hidden, kernel, axis=(2, 3))[:, :, ::stride, ::stride]
            made = np.tensordot(windows, weight, axes=((1, 4, 5), (1, 2, 3))) + bias
            hidden = np.maximum(made, 0).transpose(0, 3, 1, 2)
        weight, bias = self.linear
        features = np.maximum(hidden.reshape(len(hidden), -1) @ weight + bias, 0)
        return features.reshape(*inputs.shape[:-1], -1)


def image_policy(arrays: Mapping[str, Array], head: Policy) -> ImagePolicy:
    """Check names and shapes of a torso's arrays and return the policy.

    Raises:
        KeyError: An array is missing.
        ValueError: An array has another shape or type than the network has.
    """
    count = sum(name.startswith(f"{TORSO}cnn.") for name in arrays) // 2
    known: dict[int, tuple[tuple[Convolution, ...], int]] = {len(torso[0]): torso for torso in (*LARGE.values(), SMALL)}
    if count not in known or len(arrays) != 2 * count + 2:
        raise ValueError(f"no torso has {len(arrays)} arrays")
    convolutions: list[tuple[Array, Array, int]] = []
    for i, (channels, kernel, stride) in enumerate(known[count][0]):
        weight, bias = arrays[f"{TORSO}cnn.{2 * i}.weight"], arrays[f"{TORSO}cnn.{2 * i}.bias"]
        below = convolutions[-1][0].shape[0] if convolutions else (weight.shape[1] if weight.ndim == 4 else 0)
        if weight.shape != (channels, below, kernel, kernel) or 0 in weight.shape or bias.shape != (channels,):
            raise ValueError(f"convolution {i} has shapes {weight.shape} and {bias.shape}")
        convolutions.append((weight, bias, stride))
    weight, bias = arrays[f"{TORSO}linear.0.weight"], arrays[f"{TORSO}linear.0.bias"]
    if weight.ndim != 2 or bias.shape != (head.input_size,) or weight.shape[0] != head.input_size:
        raise ValueError(f"the linear layer has shapes {weight.shape} and {bias.shape}")
    for name, array in arrays.items():
        if array.dtype != np.float32 or not np.isfinite(array).all():
            raise ValueError(f"{name} is not finite float32")
    return ImagePolicy(tuple(convolutions), (np.ascontiguousarray(weight.T), bias), head)
