"""Convolutional torsos with a leading lane axis, over the same flat vector per lane as multilayer perceptrons.

A lane's row holds the convolutions, the torso's one linear layer, and then the head as
:class:`~tuner.networks.mlp.MLPLayout` lays it out. Weights of convolutions lie as (out, height, width, in): torch calls
that channels last, and it is the faster order on CPUs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tuner.networks.mlp import MLPLayout

Array = NDArray[Any]


class Convolution(NamedTuple):
    """A layer: channels it makes, its square kernel, its stride; no padding."""

    channels: int
    kernel: int
    stride: int


#: Mnih et al. 2015, for images of at least 36 x 36.
NATURE = ((Convolution(32, 8, 4), Convolution(64, 4, 2), Convolution(64, 3, 1)), 512)

#: Van Hasselt, Hessel and Aslanides 2019 (data-efficient Rainbow), for the same images: patches side by side.
DATA_EFFICIENT = ((Convolution(32, 5, 5), Convolution(64, 5, 5)), 256)

#: Young and Tian 2019 (MinAtar), for smaller ones.
SMALL = ((Convolution(16, 3, 1),), 128)

#: What the hyperparameter ``cnn`` chooses from, for large images.
LARGE = {"nature": NATURE, "data_efficient": DATA_EFFICIENT}

#: Smallest height and width that the Nature network can halve as often as it does.
NATURE_MIN_SIZE = 36


@dataclass(frozen=True)
class Torso:
    """From an image to features: convolutions and a linear layer, ReLU after each.

    Attributes:
        image: (channels, height, width).
        scale: What pixels are divided by where they come as bytes.
        convolutions: From the image on.
        features: Width of the linear layer.
    """

    image: tuple[int, int, int]
    scale: int
    convolutions: tuple[Convolution, ...]
    features: int

    @classmethod
    def for_image(cls, image: tuple[int, int, int], scale: int, cnn: str = "nature") -> Torso:
        """Return the network that ``cnn`` names for images of at least 36 x 36, the small one for others."""
        convolutions, features = LARGE[cnn] if min(image[1:]) >= NATURE_MIN_SIZE else SMALL
        return cls(image, scale, convolutions, features)

    @property
    def shapes(self) -> list[tuple[int, int, int, int]]:
        """(out, height, width, in) of each convolution's weight."""
        channels = (self.image[0], *(c.channels for c in self.convolutions))
        return [(c.channels, c.kernel, c.kernel, channels[i]) for i, c in enumerate(self.convolutions)]

    @property
    def seen(self) -> tuple[int, int, int]:
        """(height, width, channels) of what the last convolution makes: the linear layer's input, in this order."""
        _, height, width = self.image
        for _, kernel, stride in self.convolutions:
            height, width = (height - kernel) // stride + 1, (width - kernel) // stride + 1
        return height, width, self.convolutions[-1].channels

    @property
    def n_parameters(self) -> int:
        """Length of the torso's part of a lane's row."""
        convolutions = sum(int(np.prod(shape)) + shape[0] for shape in self.shapes)
        return convolutions + (int(np.prod(self.seen)) + 1) * self.features

    def views(self, flat: Any) -> list[tuple[Any, Any]]:
        """Return (weight, bias) views of rows ``[K, P]`` (NumPy or torch).

        Convolutions: ``[K, out, height, width, in]`` and ``[K, out]``; the linear layer last: ``[K, in, out]`` and
        ``[K, 1, out]``.
        """
        views, start = [], 0
        for shape in self.shapes:
            stop = start + int(np.prod(shape))
            views.append((flat[:, start:stop].reshape(-1, *shape), flat[:, stop : stop + shape[0]]))
            start = stop + shape[0]
        fan_in = int(np.prod(self.seen))
        stop = start + fan_in * self.features
        weight = flat[:, start:stop].reshape(-1, fan_in, self.features)
        views.append((weight, flat[:, stop : stop + self.features].reshape(-1, 1, self.features)))
        return views


@dataclass(frozen=True)
class ConvLayout:
    """Where the parameters of a torso and the head on it lie in a lane's row.

    Attributes:
        torso: From the image to features.
        head: From features to outputs.
    """

    torso: Torso
    head: MLPLayout

    @property
    def sizes(self) -> tuple[int, ...]:
        """Widths of the head."""
        return self.head.sizes

    @property
    def n_parameters(self) -> int:
        """P, the length of a lane's row."""
        return self.torso.n_parameters + self.head.n_parameters

    def views(self, flat: Any) -> list[tuple[Any, Any]]:
        """Return (weight, bias) views of the torso, then of the head."""
        return self.torso.views(flat) + self.head.views(flat[:, self.torso.n_parameters :])

    def initial(self, rng: np.random.Generator) -> Array:
        """Return a fresh row ``[P]``, uniform in +-1/sqrt(fan_in): torch's rule for linear layers and convolutions."""
        row = np.empty(self.n_parameters)
        for i, (weight, bias) in enumerate(self.torso.views(row[None])):
            fan_in = weight[0, 0].size if i < len(self.torso.convolutions) else weight.shape[1]
            bound = 1.0 / np.sqrt(fan_in)
            weight[...] = rng.uniform(-bound, bound, weight.shape)
            bias[...] = rng.uniform(-bound, bound, bias.shape)
        row[self.torso.n_parameters :] = self.head.initial(rng)
        return row

    def to_state_dict(self, row: Array) -> dict[str, Array]:
        """Return a lane's row as Stable-Baselines3 names and shapes a ``CnnPolicy``'s Q-network."""
        named = {}
        for name, (weight, bias) in self._named(row):
            named[f"{name}.weight"] = np.ascontiguousarray(self._outward(weight))
            named[f"{name}.bias"] = bias.reshape(-1).copy()
        return named | self.head.to_state_dict(row[self.torso.n_parameters :])

    def from_state_dict(self, named: Mapping[str, Array]) -> Array:
        """Return the row ``[P]`` of weights named as in :meth:`to_state_dict`.

        Raises:
            ValueError: A weight is missing or has another shape.
        """
        row = np.empty(self.n_parameters, next(iter(named.values())).dtype)
        for name, (weight, bias) in self._named(row):
            for key, target in ((f"{name}.weight", self._outward(weight)), (f"{name}.bias", bias.reshape(-1))):
                found = named[key].shape if key in named else "nothing"
                if found != target.shape:
                    raise ValueError(f"{key} must have shape {target.shape}, found {found}.")
            weight[...] = self._inward(named[f"{name}.weight"], weight.shape)
            bias.reshape(-1)[...] = named[f"{name}.bias"]
        row[self.torso.n_parameters :] = self.head.from_state_dict(named)
        return row

    def _named(self, row: Array) -> list[tuple[str, tuple[Array, Array]]]:
        views = [(weight[0], bias[0]) for weight, bias in self.torso.views(row[None])]
        names = [f"features_extractor.cnn.{2 * i}" for i in range(len(views) - 1)]
        return list(zip([*names, "features_extractor.linear.0"], views, strict=True))

    def _outward(self, weight: Array) -> Array:
        """Return a torso's weight in torch's order: (out, in, height, width), or (out, channels * height * width)."""
        if weight.ndim == 4:
            return weight.transpose(0, 3, 1, 2)
        height, width, channels = self.torso.seen
        pixels = weight.reshape(height, width, channels, -1)
        return pixels.transpose(3, 2, 0, 1).reshape(self.torso.features, -1)

    def _inward(self, weight: Array, shape: tuple[int, ...]) -> Array:
        if weight.ndim == 4:
            return weight.transpose(0, 2, 3, 1)
        height, width, channels = self.torso.seen
        pixels = weight.reshape(self.torso.features, channels, height, width)
        return pixels.transpose(2, 3, 1, 0).reshape(shape)
