"""Multilayer perceptrons with a leading lane axis, over one flat vector per lane.

All parameters of a lane live in one row of a ``[K, P]`` array; weights ``[K, in, out]`` and biases ``[K, 1, out]`` are
views into it. One row makes optimizers and norms a handful of vector operations, and torch can wrap the same memory.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class MLPLayout:
    """Where each layer's parameters lie in a lane's row.

    Attributes:
        sizes: Widths from the input to the output, at least two.
    """

    sizes: tuple[int, ...]

    @property
    def layers(self) -> tuple[tuple[int, int], ...]:
        """(in, out) of each layer."""
        return tuple(itertools.pairwise(self.sizes))

    @property
    def n_parameters(self) -> int:
        """P, the length of a lane's row."""
        return sum(fan_in * fan_out + fan_out for fan_in, fan_out in self.layers)

    def views(self, flat: Any) -> list[tuple[Any, Any]]:
        """Return (weight ``[K, in, out]``, bias ``[K, 1, out]``) views of ``flat`` ``[K, P]`` (NumPy or torch)."""
        views, start = [], 0
        for fan_in, fan_out in self.layers:
            stop = start + fan_in * fan_out
            weight = flat[:, start:stop].reshape(-1, fan_in, fan_out)
            bias = flat[:, stop : stop + fan_out].reshape(-1, 1, fan_out)
            views.append((weight, bias))
            start = stop + fan_out
        return views

    def initial(self, rng: np.random.Generator) -> Array:
        """Return a fresh row ``[P]``, uniform in +-1/sqrt(fan_in): torch's rule for linear layers."""
        row = np.empty(self.n_parameters)
        for weight, bias in self.views(row[None]):
            bound = 1.0 / np.sqrt(weight.shape[1])
            weight[...] = rng.uniform(-bound, bound, weight.shape)
            bias[...] = rng.uniform(-bound, bound, bias.shape)
        return row

    def to_state_dict(self, row: Array) -> dict[str, Array]:
        """Return a lane's row as Stable-Baselines3 names it: ``q_net.0.weight`` ``[out, in]``, ``q_net.0.bias`` ..."""
        named = {}
        for i, (weight, bias) in enumerate(self.views(row[None])):
            named[f"q_net.{2 * i}.weight"] = np.ascontiguousarray(weight[0].T)
            named[f"q_net.{2 * i}.bias"] = bias[0, 0].copy()
        return named

    def from_state_dict(self, named: Mapping[str, Array]) -> Array:
        """Return the row ``[P]`` of weights named as in :meth:`to_state_dict`.

        Raises:
            ValueError: A weight is missing or has another shape.
        """
        row = np.empty(self.n_parameters, dtype=next(iter(named.values())).dtype)
        for i, (weight, bias) in enumerate(self.views(row[None])):
            for key, target in ((f"q_net.{2 * i}.weight", weight[0].T), (f"q_net.{2 * i}.bias", bias[0, 0])):
                if key not in named or named[key].shape != target.shape:
                    found = named[key].shape if key in named else "nothing"
                    raise ValueError(f"{key} must have shape {target.shape}, found {found}.")
                target[...] = named[key]
        return row


def forward(layers: list[tuple[Array, Array]], inputs: Array, activations: list[Array] | None = None) -> Array:
    """Return the network's output for each lane; ReLU between layers.

    The number of rows B must not depend on what other lanes do: matrix products are bit-equal per lane for any K, not
    for any B.

    Args:
        layers: Views from :meth:`MLPLayout.views`.
        inputs: ``[K, B, in]``.
        activations: One preallocated ``[K, B, out]`` buffer per layer, overwritten with the layer's output (after
            ReLU); fresh arrays when None.

    Returns:
        ``[K, B, out]``, the last buffer.
    """
    hidden = inputs
    last = len(layers) - 1
    for i, (weight, bias) in enumerate(layers):
        hidden = np.matmul(hidden, weight, out=None if activations is None else activations[i])
        np.add(hidden, bias, out=hidden)
        if i < last:
            np.maximum(hidden, 0, out=hidden)
    return hidden
