"""Compiled passes through one multilayer perceptron, forward and backward, and its optimizer's step.

Numba compiles these functions for the processor at hand, once; they are then read from its cache. A lane's bits depend
on nothing but its own numbers. Every call gives the same types, whole numbers as variables: each further combination
would be compiled anew.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import DTypeLike, NDArray

from tuner.agents.dqn.optimizers import BETA1, BETA2, RMS_ALPHA
from tuner.agents.dqn.pictures import convolve, from_input, use
from tuner.agents.dqn.products import FAST, NEW, call_whole, inner, product, unsigned
from tuner.networks.conv import ConvLayout
from tuner.networks.mlp import NORM_EPS, MLPLayout

Array = NDArray[Any]


class Layers(NamedTuple):
    """Linear layers, and room for what the hidden ones make of some rows.

    Attributes:
        sizes: Widths from input to output.
        hidden: Flat; layer i's ``[rows, width + 1]`` from ``hidden_at[i]`` on, the last column 1 and left so.
        hidden_at: Where each hidden layer's outputs begin.
        linear: How many parameters the layers have; those of normalisations come behind.
        norm_at: Where each hidden layer's gain and bias begin, -1 of one that is not normalised; empty where none is.
        normal: As ``hidden``: what a layer makes before gain and bias.
        scales: Flat ``[layers, rows]``: what that was multiplied by.
    """

    sizes: Array
    hidden: Array
    hidden_at: Array
    linear: int
    norm_at: Array
    normal: Array
    scales: Array


def layers_of(layout: MLPLayout | ConvLayout, rows: int, dtype: DTypeLike) -> tuple[Layers, int]:
    """Return a network's linear layers with room for some rows, and how many parameters come before them."""
    sizes, normalized = layout.sizes, (layout.head if isinstance(layout, ConvLayout) else layout).normalized
    before = 0
    if isinstance(layout, ConvLayout):
        sizes = (int(np.prod(layout.torso.seen)), *sizes)
        before = layout.torso.n_parameters - (sizes[0] + 1) * sizes[1]
    linear = MLPLayout(sizes).n_parameters
    lengths = [rows * (width + 1) for width in sizes[1:-1]]
    begins = np.cumsum([0, *lengths])[: len(lengths)].astype(np.int64)
    norm_at = np.full(len(lengths) if normalized else 0, -1, np.int64)
    for i in range(len(normalized)):
        norm_at[len(norm_at) - len(normalized) + i] = linear + 2 * sum(normalized[:i])
    normal, scales = (np.zeros(n if normalized else 0, dtype) for n in (sum(lengths), len(lengths) * rows))
    return Layers(np.array(sizes), np.ones(sum(lengths), dtype), begins, linear, norm_at, normal, scales), before


@inner(fastmath=FAST)
def normalize(norm, rows, width, values, normal, scales):
    """Normalise what a hidden layer has made of some rows, see ``networks/mlp.py``.

    Args:
        norm: Gain and bias ``[2 * width]``, and what comes behind.
        rows: How many.
        width: Units.
        values: Flat ``[rows, width + 1]``, overwritten but for the last column.
        normal: As ``values``, overwritten with what is multiplied by the gain.
        scales: ``[rows]``, overwritten.
    """
    call_whole()
    number = values.dtype.type
    for row in range(rows):
        begin = row * (width + 1)
        line, centred = values[begin : begin + width], normal[begin : begin + width]
        mean, square = number(0), number(0)
        for i in range(width):
            mean += line[i]
        mean /= number(width)
        for i in range(width):
            centred[i] = line[i] - mean
            square += centred[i] * centred[i]
        scale = number(1) / np.sqrt(square / number(width) + number(NORM_EPS))
        scales[row] = scale
        for i in range(width):
            centred[i] *= scale
            line[i] = norm[i] * centred[i] + norm[width + i]


@inner(fastmath=FAST)
def unnormalize(norm, slopes, rows, width, delta, normal, scales):
    """Write the gradient of gain and bias, and turn ``delta``, flat ``[rows, width]``, into the one before them."""
    call_whole()
    number = delta.dtype.type
    for i in range(2 * width):
        slopes[i] = number(0)
    for row in range(rows):
        line, centred = delta[row * width : (row + 1) * width], normal[row * (width + 1) :]
        mean, along = number(0), number(0)
        for i in range(width):
            slopes[i] += line[i] * centred[i]
            slopes[width + i] += line[i]
            line[i] *= norm[i]
            mean += line[i]
            along += line[i] * centred[i]
        mean, along = mean / number(width), along / number(width)
        for i in range(width):
            line[i] = (line[i] - mean - centred[i] * along) * scales[row]


@inner(fastmath=FAST)
def forward(parameters, network, inputs, rows, outputs, panel, depth):
    """Write a network's outputs ``[rows, sizes[-1]]``; ReLU between layers.

    Args:
        parameters: ``[P]``, layer after layer ``[in + 1, out]``, the bias last; then what normalises.
        network: :class:`Layers`; what the hidden ones make is overwritten.
        inputs: Flat ``[rows, sizes[0] + 1]``, the last column 1.
        rows: How many.
        outputs: Flat.
        panel: For the products, overwritten.
        depth: How many layers to go through; only the last one writes outputs.
    """
    call_whole()
    sizes, hidden, hidden_at = network.sizes, network.hidden, network.hidden_at
    at, layers, zero, one = 0, len(sizes) - 1, hidden.dtype.type(0), np.int64(1)
    for layer in range(depth):
        fan_in, width = sizes[layer], sizes[layer + 1]
        source = inputs if layer == 0 else hidden[hidden_at[layer - 1] :]
        last = layer == layers - 1
        result, step = (outputs, width) if last else (hidden[hidden_at[layer] :], width + 1)
        if rows == 1:  # weights are read in order, and those behind a 0 are not
            for j in range(width):
                result[j] = zero
            for i in range(fan_in + 1):
                if source[i] != zero:
                    line = parameters[at + i * width : at + (i + 1) * width]
                    for j in range(width):
                        result[j] += source[i] * line[j]
        else:
            product(source, fan_in + 1, one, parameters[at:], width, one, result, step, rows, width, fan_in + 1, panel,
                    NEW)  # fmt: skip
        if not last and len(network.norm_at) > 0 and network.norm_at[layer] >= 0:
            place, room = network.norm_at[layer], len(network.scales) // len(network.norm_at)
            normalize(parameters[place:], rows, width, result, network.normal[hidden_at[layer] :],
                      network.scales[layer * room :])  # fmt: skip
        if not last:
            for i in range(rows * step):  # the ones stay as they are
                result[i] = max(result[i], zero)
        at += (fan_in + 1) * width


@inner(fastmath=FAST)
def backward_outputs(parameters, network, inputs, rows, delta_out, deltas, gradient):
    """Write the last layer's gradient of a loss whose gradient on the outputs is ``delta_out`` ``[rows, sizes[-1]]``.

    Args:
        parameters: As for :func:`forward`, which went before; likewise network, inputs and rows.
        delta_out: Flat; most of it may be 0.
        deltas: Two rows of ``[rows * (widest hidden layer + 1)]``, overwritten; the first one with the gradient on the
            last hidden layer ``[rows, sizes[-2]]``.
        gradient: ``[P]``, of which the last layer's part is overwritten.
    """
    call_whole()
    sizes, hidden, hidden_at = network.sizes, network.hidden, network.hidden_at
    layers, zero = len(sizes) - 1, gradient.dtype.type(0)
    fan_in, width = sizes[layers - 1], sizes[layers]
    at = network.linear - (fan_in + 1) * width
    source = inputs if layers == 1 else hidden[hidden_at[layers - 2] :]
    # The last layer: few outputs, most without a gradient.
    delta, above = deltas[0], deltas[1]
    for o in range(width):
        for i in range(fan_in + 1):
            above[i] = zero
        for row in range(rows):
            slope = delta_out[row * width + o]
            if slope != zero:
                line = unsigned(row * (fan_in + 1))
                for i in range(unsigned(fan_in + 1)):
                    above[i] += slope * source[line + i]
        for i in range(fan_in + 1):
            gradient[at + i * width + o] = above[i]
    if layers == 1:
        return
    for i in range(rows * fan_in):
        delta[i] = zero
    for o in range(width):
        for i in range(fan_in):
            above[i] = parameters[at + i * width + o]
        for row in range(rows):
            slope = delta_out[row * width + o]
            if slope != zero:
                line = unsigned(row * fan_in)
                for i in range(unsigned(fan_in)):
                    delta[line + i] += slope * above[i]


@inner(fastmath=FAST)
def backward_hidden(parameters, network, inputs, rows, deltas, gradient, panel, below):
    """Write the hidden layers' gradient; arguments as for :func:`backward_outputs`, whose ``deltas[0]`` it begins with.

    Args:
        parameters: As there; likewise network, inputs, rows, deltas and gradient.
        panel: For the products, overwritten.
        below: Overwritten with the gradient on the inputs ``[rows, sizes[0]]`` where it is as long; of a network with
            a hidden layer only.
    """
    call_whole()
    sizes, hidden, hidden_at = network.sizes, network.hidden, network.hidden_at
    layers, zero, one = len(sizes) - 1, gradient.dtype.type(0), np.int64(1)
    at = network.linear - (sizes[layers - 1] + 1) * sizes[layers]
    for layer in range(layers - 2, -1, -1):
        fan_in, width = sizes[layer], sizes[layer + 1]
        at -= (fan_in + 1) * width
        delta = deltas[(layers - 2 - layer) % 2]
        for row in range(rows):  # where ReLU let nothing through, no gradient comes back
            line, live = unsigned(row * width), unsigned(hidden_at[layer] + row * (width + 1))
            for i in range(unsigned(width)):
                delta[line + i] = delta[line + i] if hidden[live + i] > zero else zero
        if len(network.norm_at) > 0 and network.norm_at[layer] >= 0:
            place, room = network.norm_at[layer], len(network.scales) // len(network.norm_at)
            unnormalize(parameters[place:], gradient[place:], rows, width, delta, network.normal[hidden_at[layer] :],
                        network.scales[layer * room :])  # fmt: skip
        source = inputs if layer == 0 else hidden[hidden_at[layer - 1] :]
        product(source, one, fan_in + 1, delta, width, one, gradient[at:], width, fan_in + 1, width, rows, panel, NEW)
        if layer > 0 or len(below) > 0:
            under = below if layer == 0 else deltas[(layers - 1 - layer) % 2]
            product(delta, width, one, parameters[at:], one, width, under, fan_in, rows, fan_in, width, panel, NEW)


@inner(fastmath=FAST)
def descend(parameters, gradient, first, second, powers, learning_rate, max_norm, adam, epsilon):
    """Clip a gradient by its norm and take one step of Adam or RMSprop; rules and state as in ``optimizers.py``."""
    number = gradient.dtype.type
    total = number(0)
    for i in range(len(gradient)):
        total += gradient[i] * gradient[i]
    norm = math.sqrt(total) + 1e-6
    scale = number(max_norm / norm) if norm > max_norm else number(1)
    if adam:
        powers[0] *= BETA1
        powers[1] *= BETA2
        root = math.sqrt((1 - powers[1]) / (1 - BETA2))
        size = number(learning_rate * root / ((1 - powers[0]) / (1 - BETA1)))
        least, keep_first, keep_second = number(epsilon * root), number(BETA1), number(BETA2)
        for i in range(len(gradient)):
            slope = gradient[i] * scale
            first[i] = first[i] * keep_first + slope
            second[i] = second[i] * keep_second + slope * slope
            parameters[i] -= size * first[i] / (np.sqrt(second[i]) + least)
    else:
        size, least = number(learning_rate), number(epsilon)
        keep, take = number(RMS_ALPHA), number(1 - RMS_ALPHA)
        for i in range(len(gradient)):
            slope = gradient[i] * scale
            second[i] = second[i] * keep + slope * slope * take
            parameters[i] -= size * slope / (np.sqrt(second[i]) + least)


@inner()
def see(pictures, parameters, network, inputs, seen, panel):
    """Write what a perceptron sees of inputs ``[rows, input_size]``, flat ``[rows, sizes[0] + 1]``, the last column 1.

    Arguments as for :func:`outputs`, of one network.
    """
    width, across = network.sizes[0], network.sizes[0] + 1
    if pictures is not None:
        use(pictures, parameters)
    for row in range(len(inputs)):
        if pictures is not None:
            from_input(pictures, inputs[row])
            convolve(pictures, seen[row * across :], panel)
        else:
            for i in range(width):
                seen[row * across + i] = inputs[row, i]
            seen[row * across + width] = 1


@njit(cache=True, fastmath=FAST, error_model="numpy", nogil=True)
def outputs(parameters, pictures, n_convolved, network, inputs, seen, results, panel):
    """Write the outputs of n networks for some inputs each.

    Args:
        parameters: ``[n, P]``, of which the first ``n_convolved`` are a convolution's.
        pictures: Room for it; None where there is none, which is compiled by itself.
        n_convolved: 0 where there is none.
        network: As for :func:`forward`.
        inputs: ``[n, rows, input_size]``; more columns are not read.
        seen: Flat ``[rows, sizes[0] + 1]``, overwritten.
        results: ``[n, rows * sizes[-1]]``, overwritten.
        panel: For the products, overwritten.
    """
    rows, depth = inputs.shape[1], len(network.sizes) - 1
    for n in range(len(parameters)):
        see(pictures, parameters[n], network, inputs[n], seen, panel)
        forward(parameters[n, n_convolved:], network, seen, rows, results[n], panel, depth)
