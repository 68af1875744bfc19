r"""Multilayer perceptrons with a leading lane axis, over one flat vector per lane.

All parameters of a lane live in one row of a ``[K, P]`` array; weights ``[K, in, out]`` and biases ``[K, 1, out]`` are
views into it. One row makes optimizers and norms a handful of vector operations, and torch can wrap the same memory.

A layer's bias follows its weight, so the two are also one matrix ``[K, in + 1, out]`` that acts on inputs with a
trailing 1. That folds adding the bias, and summing its gradient, into the matrix products.

Layer normalisation (Ba, Kiros and Hinton 2016) makes of what a hidden layer of w units gives for one input, h,

.. math:: g \odot \frac{h - \mu}{\sqrt{\sigma^2 + 10^{-5}}} + b, \quad
          \mu = \frac{1}{w} \sum_i h_i, \quad \sigma^2 = \frac{1}{w} \sum_i (h_i - \mu)^2,

before its ReLU. The gains g, 1 at first, and biases b, 0 at first, of all hidden layers end a lane's row.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

Array = NDArray[Any]

#: What is added to a layer's variance where it is normalised: torch's.
NORM_EPS = 1e-5


class Network(NamedTuple):
    """Views of the parameters of K lanes, as the passes through them read them.

    Attributes:
        matrices: Each layer's weight and bias as one, ``[K, in + 1, out]``.
        transposed: The same, ``[K, out, in + 1]``.
        norms: Gain and bias ``[K, 1, width]`` of each hidden layer; empty where none is normalised.
    """

    matrices: list[Array]
    transposed: list[Array]
    norms: list[tuple[Array, Array]]


@dataclass(frozen=True)
class MLPLayout:
    """Where each layer's parameters lie in a lane's row.

    Attributes:
        sizes: Widths from the input to the output, at least two.
        layer_norm: Whether hidden layers are normalised.
    """

    sizes: tuple[int, ...]
    layer_norm: bool = False

    @property
    def layers(self) -> tuple[tuple[int, int], ...]:
        """(in, out) of each layer."""
        return tuple(itertools.pairwise(self.sizes))

    @property
    def n_parameters(self) -> int:
        """P, the length of a lane's row."""
        return self.n_linear + 2 * sum(self.normalized)

    @property
    def n_linear(self) -> int:
        """How many of them are weights and biases of layers; they come first."""
        return sum(fan_in * fan_out + fan_out for fan_in, fan_out in self.layers)

    @property
    def normalized(self) -> tuple[int, ...]:
        """Widths of the hidden layers that are normalised."""
        return self.sizes[1:-1] if self.layer_norm else ()

    def views(self, flat: Any) -> list[tuple[Any, Any]]:
        """Return views of ``flat`` ``[K, P]`` (NumPy or torch), in its order.

        They are (weight ``[K, in, out]``, bias ``[K, 1, out]``) of each layer, and then :meth:`norms`.
        """
        views, start = [], 0
        for fan_in, fan_out in self.layers:
            stop = start + fan_in * fan_out
            weight = flat[:, start:stop].reshape(-1, fan_in, fan_out)
            bias = flat[:, stop : stop + fan_out].reshape(-1, 1, fan_out)
            views.append((weight, bias))
            start = stop + fan_out
        return views + self.norms(flat)

    def norms(self, flat: Any) -> list[tuple[Any, Any]]:
        """Return (gain, bias) views ``[K, 1, width]`` of each hidden layer that is normalised (NumPy or torch)."""
        views, start = [], self.n_linear
        for width in self.normalized:
            gain, bias = flat[:, start : start + width], flat[:, start + width : start + 2 * width]
            views.append((gain.reshape(-1, 1, width), bias.reshape(-1, 1, width)))
            start += 2 * width
        return views

    def matrices(self, flat: Array) -> list[Array]:
        """Return each layer's weight and bias as one view ``[K, in + 1, out]`` of ``flat`` ``[K, P]``."""
        views, start = [], 0
        for fan_in, fan_out in self.layers:
            stop = start + (fan_in + 1) * fan_out
            views.append(flat[:, start:stop].reshape(-1, fan_in + 1, fan_out))
            start = stop
        return views

    def network(self, flat: Array) -> Network:
        """Return the parts of ``flat`` ``[K, P]`` as views."""
        matrices = self.matrices(flat)
        return Network(matrices, [matrix.transpose(0, 2, 1) for matrix in matrices], self.norms(flat))

    def initial(self, rng: np.random.Generator) -> Array:
        """Return a fresh row ``[P]``, uniform in +-1/sqrt(fan_in): torch's rule for linear layers."""
        row = np.empty(self.n_parameters)
        for gain, bias in self.norms(row[None]):
            gain[...], bias[...] = 1, 0
        for weight, bias in self.views(row[None])[: len(self.layers)]:
            bound = 1.0 / np.sqrt(weight.shape[1])
            weight[...] = rng.uniform(-bound, bound, weight.shape)
            bias[...] = rng.uniform(-bound, bound, bias.shape)
        return row

    def to_state_dict(self, row: Array) -> dict[str, Array]:
        """Return a lane's row as Stable-Baselines3 names it: ``q_net.0.weight`` ``[out, in]``, ``q_net.0.bias`` ...

        The numbers are places in a ``torch.nn.Sequential`` of linear layers, normalisations if any, and ReLU.
        """
        return {name: np.array(array, order="C") for name, array in self._named(row)}

    def from_state_dict(self, named: Mapping[str, Array]) -> Array:
        """Return the row ``[P]`` of weights named as in :meth:`to_state_dict`.

        Raises:
            ValueError: A weight is missing or has another shape.
        """
        row = np.empty(self.n_parameters, dtype=next(iter(named.values())).dtype)
        for key, target in self._named(row):
            if key not in named or named[key].shape != target.shape:
                found = named[key].shape if key in named else "nothing"
                raise ValueError(f"{key} must have shape {target.shape}, found {found}.")
            target[...] = named[key]
        return row

    def _named(self, row: Array) -> list[tuple[str, Array]]:
        """Return views of a row by name, layer after layer."""
        named: list[tuple[str, Array]] = []
        norms, apart = self.norms(row[None]), 3 if self.layer_norm else 2
        for i, (weight, bias) in enumerate(self.views(row[None])[: len(self.layers)]):
            named += [(f"q_net.{apart * i}.weight", weight[0].T), (f"q_net.{apart * i}.bias", bias[0, 0])]
            if i < len(norms):
                gain, shift = norms[i]
                named += [(f"q_net.{apart * i + 1}.weight", gain[0, 0]), (f"q_net.{apart * i + 1}.bias", shift[0, 0])]
        return named


class Activations:
    """Buffers for the outputs of each layer, for one number of lanes and rows.

    Attributes:
        with_one: Per hidden layer ``[K, B, width + 1]``, the last column constantly 1: the next layer's input.
        outputs: Per layer ``[K, B, width]``: a view of ``with_one`` for hidden layers.
        zeros: Per hidden layer, as ``with_one``: NumPy's maximum of two arrays takes a quarter of one with a scalar.
        normal: Per hidden layer that is normalised ``[K, B, width]``, before gain and bias.
        scales: Likewise ``[K, B, 1]``: what it was multiplied by.
    """

    def __init__(self, layout: MLPLayout, lanes: int, rows: int, dtype: DTypeLike) -> None:
        *hidden, last = layout.sizes[1:]
        self.with_one: list[Array] = [np.ones((lanes, rows, width + 1), dtype) for width in hidden]
        blank = {width: np.zeros((lanes, rows, width + 1), dtype) for width in hidden}
        self.zeros: list[Array] = [blank[width] for width in hidden]
        self.outputs: list[Array] = [buffer[..., :-1] for buffer in self.with_one]
        self.outputs.append(np.empty((lanes, rows, last), dtype))
        self.normal: list[Array] = [np.empty((lanes, rows, width), dtype) for width in layout.normalized]
        self.scales: list[Array] = [np.empty((lanes, rows, 1), dtype) for _ in layout.normalized]


def forward(network: Network, inputs: Array, activations: Activations) -> Array:
    """Return the network's output for each lane; ReLU between layers.

    The number of rows B must not depend on what other lanes do: matrix products are bit-equal per lane for any K, not
    for any B.

    Args:
        network: Views from :meth:`MLPLayout.network`.
        inputs: ``[K, B, in + 1]``, the last column 1.
        activations: Buffers, overwritten with each layer's output (after ReLU).

    Returns:
        ``[K, B, out]``, the last buffer.
    """
    hidden = inputs
    for i, matrix in enumerate(network.matrices):
        np.matmul(hidden, matrix, out=activations.outputs[i])
        if i < len(activations.with_one):
            if network.norms:
                _normalize(activations, i, *network.norms[i])
            hidden = activations.with_one[i]
            # Leaves the column of ones as it is, and memory stays contiguous.
            np.maximum(hidden, activations.zeros[i], out=hidden)
    return activations.outputs[-1]


def _normalize(activations: Activations, layer: int, gain: Array, bias: Array) -> None:
    """Normalise what a hidden layer has made, in place."""
    made, normal, scale = activations.outputs[layer], activations.normal[layer], activations.scales[layer]
    np.subtract(made, _mean(made), out=normal)
    np.multiply(normal, normal, out=made)
    scale[...] = 1 / np.sqrt(_mean(made) + NORM_EPS)
    normal *= scale
    np.multiply(normal, gain, out=made)
    made += bias


def _mean(values: Array) -> Array:
    """Return the mean over the last axis, which stays with length 1."""
    total: Array = np.add.reduce(values, axis=-1, keepdims=True)
    total /= values.shape[-1]
    return total


class Backward:
    """The way back through a network, and its buffers, for one number of lanes and rows.

    Args:
        layout: The network's.
        activations: Of the forward pass that goes before.

    Attributes:
        output_delta: ``[K, B, out]`` gradient of a loss on the outputs, to be written before a call.
        gradient: ``[K, P]``, what a call writes.
    """

    def __init__(self, layout: MLPLayout, activations: Activations) -> None:
        self._activations = activations
        self._transposed = [buffer.transpose(0, 2, 1) for buffer in activations.with_one]
        # A delta has a column for the constant 1 below it too: unused, but whole buffers are multiplied faster.
        self._deltas = [np.empty_like(buffer) for buffer in activations.with_one]
        self._used = [delta[..., :-1] for delta in self._deltas]
        self._masks = [np.empty(buffer.shape, bool) for buffer in activations.with_one]
        self.output_delta = np.empty_like(activations.outputs[-1])
        self.gradient = np.empty((len(self.output_delta), layout.n_parameters), self.output_delta.dtype)
        self._matrices, self._norms = layout.matrices(self.gradient), layout.norms(self.gradient)
        self._products = [np.empty_like(normal) for normal in activations.normal]

    def __call__(self, network: Network, inputs: Array) -> None:
        """Write the gradient.

        Args:
            network: Views from :meth:`MLPLayout.network`.
            inputs: As the forward pass had them.
        """
        delta = self.output_delta
        for i in range(len(network.matrices) - 1, 0, -1):
            np.matmul(self._transposed[i - 1], delta, out=self._matrices[i])
            below = self._deltas[i - 1]
            np.matmul(delta, network.transposed[i], out=below)
            np.greater(self._activations.with_one[i - 1], 0, out=self._masks[i - 1])
            np.multiply(below, self._masks[i - 1], out=below)
            delta = self._used[i - 1]
            if network.norms:
                self._normalization(i - 1, network.norms[i - 1][0], delta)
        np.matmul(inputs.transpose(0, 2, 1), delta, out=self._matrices[0])

    def _normalization(self, layer: int, gain: Array, delta: Array) -> None:
        """Write the gradient of a layer's gain and bias, and turn ``delta`` ``[K, B, width]`` into that before them."""
        normal, product = self._activations.normal[layer], self._products[layer]
        of_gain, of_bias = self._norms[layer]
        np.add.reduce(delta, axis=1, keepdims=True, out=of_bias)
        np.multiply(delta, normal, out=product)
        np.add.reduce(product, axis=1, keepdims=True, out=of_gain)
        delta *= gain
        product *= gain
        np.multiply(normal, _mean(product), out=product)
        product += _mean(delta)
        delta -= product
        delta *= self._activations.scales[layer]


def outputs_of(layers: Sequence[tuple[Array, ...]], inputs: Array) -> Array:
    """Return the outputs ``[..., out]`` of one network for inputs ``[..., in]``; ReLU between layers.

    Args:
        layers: (weight ``[in, out]``, bias ``[out]``) from input to output; of a layer that is normalised its gain and
            bias ``[out]`` as well.
        inputs: Network input.
    """
    hidden = inputs
    for i, (weight, bias, *norm) in enumerate(layers):
        hidden = hidden @ weight + bias
        if norm:
            hidden = hidden - hidden.mean(axis=-1, keepdims=True)
            hidden = hidden / np.sqrt((hidden * hidden).mean(axis=-1, keepdims=True) + hidden.dtype.type(NORM_EPS))
            hidden = hidden * norm[0] + norm[1]
        if i < len(layers) - 1:
            hidden = np.maximum(hidden, 0)
    return hidden


def append_one(inputs: Array) -> Array:
    """Return ``inputs`` ``[..., in]`` with a trailing 1, ``[..., in + 1]``."""
    extended = np.ones((*inputs.shape[:-1], inputs.shape[-1] + 1), inputs.dtype)
    extended[..., :-1] = inputs
    return extended
