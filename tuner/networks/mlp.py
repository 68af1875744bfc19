"""Multilayer perceptrons with a leading lane axis, over one flat vector per lane.

All parameters of a lane live in one row of a ``[K, P]`` array; weights ``[K, in, out]`` and biases ``[K, 1, out]`` are
views into it. One row makes optimizers and norms a handful of vector operations, and torch can wrap the same memory.

A layer's bias follows its weight, so the two are also one matrix ``[K, in + 1, out]`` that acts on inputs with a
trailing 1. That folds adding the bias, and summing its gradient, into the matrix products.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

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

    def matrices(self, flat: Array) -> list[Array]:
        """Return each layer's weight and bias as one view ``[K, in + 1, out]`` of ``flat`` ``[K, P]``."""
        views, start = [], 0
        for fan_in, fan_out in self.layers:
            stop = start + (fan_in + 1) * fan_out
            views.append(flat[:, start:stop].reshape(-1, fan_in + 1, fan_out))
            start = stop
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


class Activations:
    """Buffers for the outputs of each layer, for one number of lanes and rows.

    Attributes:
        with_one: Per hidden layer ``[K, B, width + 1]``, the last column constantly 1: the next layer's input.
        outputs: Per layer ``[K, B, width]``: a view of ``with_one`` for hidden layers.
        zeros: Per hidden layer, as ``with_one``: NumPy's maximum of two arrays takes a quarter of one with a scalar.
    """

    def __init__(self, layout: MLPLayout, lanes: int, rows: int, dtype: DTypeLike) -> None:
        *hidden, last = layout.sizes[1:]
        self.with_one: list[Array] = [np.ones((lanes, rows, width + 1), dtype) for width in hidden]
        blank = {width: np.zeros((lanes, rows, width + 1), dtype) for width in hidden}
        self.zeros: list[Array] = [blank[width] for width in hidden]
        self.outputs: list[Array] = [buffer[..., :-1] for buffer in self.with_one]
        self.outputs.append(np.empty((lanes, rows, last), dtype))


def forward(matrices: list[Array], inputs: Array, activations: Activations) -> Array:
    """Return the network's output for each lane; ReLU between layers.

    The number of rows B must not depend on what other lanes do: matrix products are bit-equal per lane for any K, not
    for any B.

    Args:
        matrices: Views from :meth:`MLPLayout.matrices`.
        inputs: ``[K, B, in + 1]``, the last column 1.
        activations: Buffers, overwritten with each layer's output (after ReLU).

    Returns:
        ``[K, B, out]``, the last buffer.
    """
    hidden = inputs
    for i, matrix in enumerate(matrices):
        np.matmul(hidden, matrix, out=activations.outputs[i])
        if i < len(activations.with_one):
            hidden = activations.with_one[i]
            # Leaves the column of ones as it is, and memory stays contiguous.
            np.maximum(hidden, activations.zeros[i], out=hidden)
    return activations.outputs[-1]


def append_one(inputs: Array) -> Array:
    """Return ``inputs`` ``[..., in]`` with a trailing 1, ``[..., in + 1]``."""
    extended = np.ones((*inputs.shape[:-1], inputs.shape[-1] + 1), inputs.dtype)
    extended[..., :-1] = inputs
    return extended
