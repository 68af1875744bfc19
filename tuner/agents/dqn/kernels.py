"""Compiled gradient steps of one multilayer perceptron: a whole training call while its parameters stay in the cache.

Numba compiles these functions for the processor at hand, once; they are then read from its cache. Products of matrices
are tiles of vectors that stay in registers (Goto and van de Geijn 2008), so that small matrices pay no library call,
and a lane's bits depend on nothing but its own numbers.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from tuner.agents.dqn.optimizers import ADAM_EPS, BETA1, BETA2, RMS_ALPHA, RMS_EPS
from tuner.agents.dqn.products import FAST, VECTOR, product
from tuner.core.normalization import CLIP, VARIANCE_EPS


@njit(cache=True, fastmath=FAST, error_model="numpy", nogil=True)
def forward(parameters, sizes, inputs, rows, hidden, hidden_at, outputs, scratch):
    """Write a network's outputs ``[rows, sizes[-1]]``; ReLU between layers.

    Args:
        parameters: ``[P]``, layer after layer ``[in + 1, out]``, the bias last.
        sizes: Widths from input to output.
        inputs: Flat ``[rows, sizes[0] + 1]``, the last column 1.
        rows: How many.
        hidden: Flat; layer i's ``[rows, width + 1]`` from ``hidden_at[i]`` on, the last column 1 and left so.
        hidden_at: Where each hidden layer's outputs begin.
        outputs: Flat.
        scratch: As long as the widest layer and 1, or as there are rows, if more.
    """
    at, layers, zero = 0, len(sizes) - 1, hidden.dtype.type(0)
    for layer in range(layers):
        fan_in, width = sizes[layer], sizes[layer + 1]
        source, source_at = (inputs, 0) if layer == 0 else (hidden, hidden_at[layer - 1])
        if layer == layers - 1:
            product(source, source_at, fan_in + 1, 1, parameters, at, width, outputs, 0, width, rows, width,
                    fan_in + 1, scratch)  # fmt: skip
        else:
            begin = hidden_at[layer]
            product(source, source_at, fan_in + 1, 1, parameters, at, width, hidden, begin, width + 1, rows, width,
                    fan_in + 1, scratch)  # fmt: skip
            live = hidden[begin : begin + rows * (width + 1)]
            for i in range(len(live)):  # the ones stay as they are
                live[i] = max(live[i], zero)
        at += (fan_in + 1) * width


@njit(cache=True, error_model="numpy", nogil=True)
def fill(inputs, memory, row, begin, size, width, at, mean, deviation, normalize, one_hot):
    """Write one stored observation as network input, flat from ``at`` on, with a trailing 1."""
    if one_hot:
        for i in range(width):
            inputs[at + i] = 0
        inputs[at + int(memory[row, begin])] = 1
    elif normalize:
        for i in range(size):
            shown = (memory[row, begin + i] - mean[i]) / deviation[i]
            inputs[at + i] = np.float32(min(max(shown, -CLIP), CLIP))
    else:
        for i in range(size):
            inputs[at + i] = memory[row, begin + i]
    inputs[at + width] = 1


@njit(cache=True, fastmath=FAST, error_model="numpy", nogil=True)
def values(outputs, rows, n_outputs, dueling, chosen, result):
    """Write the Q-value of each row's action ``chosen``, or its best where that is negative."""
    for row in range(rows):
        at = row * n_outputs
        base, first = outputs.dtype.type(0), at
        if dueling:
            first = at + 1
            total = base
            for i in range(first, at + n_outputs):
                total += outputs[i]
            base = outputs[at] - total / outputs.dtype.type(n_outputs - 1)
        if chosen[row] >= 0:
            result[row] = outputs[first + chosen[row]] + base
        else:
            best = outputs[first]
            for i in range(first + 1, at + n_outputs):
                best = max(best, outputs[i])
            result[row] = best + base


@njit(cache=True, error_model="numpy", nogil=True)
def turn(matrix, rows, columns, turned):
    """Write the transpose of a flat matrix ``[rows, columns]``, in squares that fit the cache's lines."""
    whole = rows - rows % VECTOR
    for i in range(0, whole, VECTOR):
        for j in range(columns):
            line = turned[j * rows + i : j * rows + i + VECTOR]
            source = matrix[i * columns + j :]
            for k in range(VECTOR):
                line[k] = source[k * columns]
    for i in range(whole, rows):
        for j in range(columns):
            turned[j * rows + i] = matrix[i * columns + j]


@njit(cache=True, fastmath=FAST, error_model="numpy", nogil=True)
def backward(parameters, sizes, inputs, rows, hidden, hidden_at, delta_out, deltas, turned, gradient, scratch):
    """Write the gradient ``[P]`` of a loss whose gradient on the outputs is ``delta_out`` ``[rows, sizes[-1]]``.

    Args:
        parameters: As for :func:`forward`, which went before; likewise sizes, inputs, rows, hidden and hidden_at.
        delta_out: Flat; most of it may be 0.
        deltas: Two rows of ``[rows * widest]``, overwritten.
        turned: As long as the largest layer, overwritten.
        gradient: Flat, overwritten.
        scratch: As for :func:`forward`.
    """
    layers, zero = len(sizes) - 1, gradient.dtype.type(0)
    fan_in, width = sizes[layers - 1], sizes[layers]
    at = len(parameters) - (fan_in + 1) * width
    source, source_at = (inputs, 0) if layers == 1 else (hidden, hidden_at[layers - 2])
    # The last layer: few outputs, most without a gradient.
    for o in range(width):
        for i in range(fan_in + 1):
            scratch[i] = zero
        for row in range(rows):
            slope = delta_out[row * width + o]
            if slope != zero:
                begin = source_at + row * (fan_in + 1)
                line = source[begin : begin + fan_in + 1]
                for i in range(fan_in + 1):
                    scratch[i] += slope * line[i]
        for i in range(fan_in + 1):
            gradient[at + i * width + o] = scratch[i]
    if layers == 1:
        return
    for o in range(width):
        for i in range(fan_in):
            turned[o * fan_in + i] = parameters[at + i * width + o]
    delta = deltas[0]
    for row in range(rows):
        line = delta[row * fan_in : (row + 1) * fan_in]
        line[:] = zero
        for o in range(width):
            slope = delta_out[row * width + o]
            if slope != zero:
                weights = turned[o * fan_in : (o + 1) * fan_in]
                for i in range(fan_in):
                    line[i] += slope * weights[i]
    for layer in range(layers - 2, -1, -1):
        fan_in, width = sizes[layer], sizes[layer + 1]
        at -= (fan_in + 1) * width
        delta = deltas[(layers - 2 - layer) % 2]
        for row in range(rows):  # where ReLU let nothing through, no gradient comes back
            begin = hidden_at[layer] + row * (width + 1)
            line, live = delta[row * width : (row + 1) * width], hidden[begin : begin + width]
            for i in range(width):
                line[i] = line[i] if live[i] > zero else zero
        source, source_at = (inputs, 0) if layer == 0 else (hidden, hidden_at[layer - 1])
        product(
            source, source_at, 1, fan_in + 1, delta, 0, width, gradient, at, width, fan_in + 1, width, rows, scratch
        )
        if layer > 0:
            turn(parameters[at : at + fan_in * width], fan_in, width, turned)
            below = deltas[(layers - 1 - layer) % 2]
            product(delta, 0, width, 1, turned, 0, fan_in, below, 0, fan_in, rows, fan_in, width, scratch)


@njit(cache=True, fastmath=FAST, error_model="numpy", nogil=True)
def descend(parameters, gradient, first, second, powers, learning_rate, max_norm, adam):
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
        least, keep_first, keep_second = number(ADAM_EPS * root), number(BETA1), number(BETA2)
        for i in range(len(gradient)):
            slope = gradient[i] * scale
            first[i] = first[i] * keep_first + slope
            second[i] = second[i] * keep_second + slope * slope
            parameters[i] -= size * first[i] / (np.sqrt(second[i]) + least)
    else:
        size, least = number(learning_rate), number(RMS_EPS)
        keep, take = number(RMS_ALPHA), number(1 - RMS_ALPHA)
        for i in range(len(gradient)):
            slope = gradient[i] * scale
            second[i] = second[i] * keep + slope * slope * take
            parameters[i] -= size * slope / (np.sqrt(second[i]) + least)


@njit(cache=True, error_model="numpy", nogil=True)
def training_call(
    online, target, first, second, powers, learning_rate, max_norm,
    sizes, hidden_at, memory, places, steps, batch, size,
    mean, variance, normalize, return_deviation,
    double_q, dueling, huber, adam, one_hot,
    inputs, following, hidden, outputs, delta_out, deltas, turned, gradient, scratch, chosen, next_values, taken_values,
    last, ahead,
):  # fmt: skip
    """Do one training call of one lane; return (sum of mean losses, sum of mean Q-values) over its gradient steps."""
    width, n_outputs = sizes[0], sizes[-1]
    number = online.dtype.type
    half, deviation = number(0.5), np.sqrt(variance + VARIANCE_EPS)
    none = np.full(max(batch, len(following) // (width + 1)), -1, np.int64)
    if not double_q:
        # The target network stands still during a call: each transition drawn is valued once, many at a time.
        rows = len(following) // (width + 1)
        for order in range(steps * batch):
            last[places[order]] = order
        count = 0
        waiting = np.empty(rows, np.int64)
        for order in range(steps * batch):
            if last[places[order]] == order:
                fill(following, memory, places[order], size + 1, size, width, count * (width + 1), mean, deviation,
                     normalize, one_hot)  # fmt: skip
                waiting[count] = order
                count += 1
                if count == rows:
                    forward(target, sizes, following, rows, hidden, hidden_at, outputs, scratch)
                    values(outputs, rows, n_outputs, dueling, none, next_values)
                    for i in range(rows):
                        ahead[waiting[i]] = next_values[i]
                    count = 0
        if count:
            forward(target, sizes, following, count, hidden, hidden_at, outputs, scratch)
            values(outputs, count, n_outputs, dueling, none, next_values)
            for i in range(count):
                ahead[waiting[i]] = next_values[i]
    losses, q_values = 0.0, 0.0
    for step in range(steps):
        for i in range(batch):
            place = places[step * batch + i]
            fill(inputs, memory, place, 0, size, width, i * (width + 1), mean, deviation, normalize, one_hot)
            if double_q:
                fill(
                    following,
                    memory,
                    place,
                    size + 1,
                    size,
                    width,
                    i * (width + 1),
                    mean,
                    deviation,
                    normalize,
                    one_hot,
                )
            else:
                next_values[i] = ahead[last[place]]
        if double_q:
            forward(online, sizes, following, batch, hidden, hidden_at, outputs, scratch)
            for i in range(batch):
                first_output = i * n_outputs + (1 if dueling else 0)
                best = first_output
                for j in range(first_output + 1, (i + 1) * n_outputs):
                    if outputs[j] > outputs[best]:
                        best = j
                chosen[i] = best - first_output
            forward(target, sizes, following, batch, hidden, hidden_at, outputs, scratch)
            values(outputs, batch, n_outputs, dueling, chosen, next_values)
        forward(online, sizes, inputs, batch, hidden, hidden_at, outputs, scratch)
        for i in range(batch):
            chosen[i] = int(memory[places[step * batch + i], 2 * size + 4])
        values(outputs, batch, n_outputs, dueling, chosen, taken_values)
        loss, q_value = number(0), number(0)  # single precision overflows: that is how a run is seen to diverge
        for i in range(batch):
            row = places[step * batch + i]
            reward = memory[row, 2 * size + 2]
            if return_deviation > 0:
                reward = number(np.float32(min(max(reward / return_deviation, -CLIP), CLIP)))
            error = taken_values[i] - (reward + memory[row, 2 * size + 3] * next_values[i])
            away = abs(error)
            if huber:
                loss += half * error * error if away < 1 else away - half
                slope = min(max(error, -1), 1) / batch
            else:
                loss += error * error
                slope = 2 * error / batch
            q_value += taken_values[i]
            begin = i * n_outputs
            for o in range(n_outputs):
                delta_out[begin + o] = -slope / (n_outputs - 1) if dueling else 0
            if dueling:
                delta_out[begin] = slope
                delta_out[begin + 1 + chosen[i]] += slope
            else:
                delta_out[begin + chosen[i]] = slope
        losses += loss / batch
        q_values += q_value / batch
        backward(online, sizes, inputs, batch, hidden, hidden_at, delta_out, deltas, turned, gradient, scratch)
        descend(online, gradient, first, second, powers, learning_rate, max_norm, adam)
    return losses, q_values


@njit(cache=True, fastmath=FAST, error_model="numpy", nogil=True)
def one_each(parameters, sizes, inputs, outputs, here, there):
    """Write the outputs ``[n, sizes[-1]]`` of n networks ``[n, P]`` for one input each, ``[n, sizes[0] + 1]``.

    Args:
        parameters: ``[n, P]``.
        sizes: Widths from input to output.
        inputs: ``[n, sizes[0] + 1]``, the last column 1.
        outputs: Overwritten.
        here: As long as the widest layer, and 1; overwritten, likewise ``there``.
    """
    layers, zero = len(sizes) - 1, there.dtype.type(0)
    for n in range(len(inputs)):
        for i in range(sizes[0] + 1):
            here[i] = inputs[n, i]
        at = 0
        for layer in range(layers):
            fan_in, width = sizes[layer], sizes[layer + 1]
            bias = at + fan_in * width
            there[:width] = parameters[n, bias : bias + width]
            for i in range(fan_in):
                one = here[i]
                if one != zero:
                    line = parameters[n, at + i * width : at + (i + 1) * width]
                    for j in range(width):
                        there[j] += one * line[j]
            at = bias + width
            if layer == layers - 1:
                for j in range(width):
                    outputs[n, j] = there[j]
            else:
                for j in range(width):
                    here[j] = max(there[j], zero)
