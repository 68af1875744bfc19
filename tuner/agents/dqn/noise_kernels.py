"""Compiled noise on weights, see :mod:`tuner.agents.dqn.noise`: a row as a pass sees it, and the gradient of sigma.

The factors of a call are drawn ahead, in the order in which NumPy's gradient steps draw them; their products never lie
in memory.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tuner.agents.dqn.kernels import normalize
from tuner.agents.dqn.noise import LaneNoise
from tuner.agents.dqn.products import FAST, call_whole, inner, unsigned

Array = NDArray[Any]


class Noise(NamedTuple):
    """Where noisy layers lie in the perceptron's part of a row, and room for what a step sees.

    Attributes:
        sizes: Widths from the first noisy layer's inputs to the outputs.
        begin: Where the noisy layers begin.
        sigma: Where their sigmas begin, behind all else.
        normal: ``[steps, 2, F]`` numbers from a standard normal distribution: of the online and the target network.
        factors: ``[2, F]`` of this step.
        online: ``[sigma]``, the online network's row with noise.
        target: Likewise the target network's.
    """

    sizes: Array
    begin: int
    sigma: int
    normal: Array
    factors: Array
    online: Array
    target: Array


def room_for(noise: LaneNoise | None, n_convolved: int, dtype: np.dtype[Any]) -> Noise | None:
    """Return room for the noise of one lane, whose row has so many parameters before the perceptron's; None without."""
    if noise is None:
        return None
    begin, sigma = noise.linear.start - n_convolved, noise.sigma.start - n_convolved
    rows = [np.zeros(sigma, dtype) for _ in range(2)]
    factors = np.zeros((2, noise.n_factors), dtype)
    return Noise(np.array(noise.sizes), begin, sigma, np.zeros((0, 2, noise.n_factors)), factors, *rows)


@inner()
def take_factors(normal, factors):
    """Write ``sgn(x) sqrt(|x|)`` of ``normal``, in its own precision, to ``factors``."""
    for i in range(len(normal)):
        root = np.sqrt(abs(normal[i]))
        factors[i] = -root if normal[i] < 0 else root


@inner(fastmath=FAST)
def put_noise(noise, parameters, factors, shown):
    """Write a network's row ``shown`` with the noise of some factors ``[F]`` on its layers."""
    call_whole()
    at, sigma, f = unsigned(noise.begin), unsigned(noise.sigma), unsigned(0)
    for i in range(at):
        shown[i] = parameters[i]
    for layer in range(len(noise.sizes) - 1):
        fan_in, width = unsigned(noise.sizes[layer]), unsigned(noise.sizes[layer + 1])
        units = f + fan_in + unsigned(1)
        for i in range(fan_in + unsigned(1)):
            scale = factors[f + i] if i < fan_in else factors.dtype.type(1)  # a bias has its unit's factor alone
            for j in range(width):
                shown[at + j] = parameters[at + j] + parameters[sigma + j] * (scale * factors[units + j])
            at, sigma = at + width, sigma + width
        f = units + width
    for i in range(at, unsigned(noise.sigma)):
        shown[i] = parameters[i]


@inner(fastmath=FAST)
def one_layer(parameters, at, sigma, factors, f, fan_in, width, source, result):
    """Write what a layer at ``at`` makes of one input; with noise where its sigmas are at ``sigma``, not 0.

    Weights behind a 0 are not read.
    """
    zero, units = result.dtype.type(0), f + fan_in + unsigned(1)
    for j in range(width):
        result[j] = zero
    for i in range(fan_in + unsigned(1)):
        seen = source[i]
        if seen != zero and sigma > unsigned(0):
            scale, there = factors[f + i] if i < fan_in else factors.dtype.type(1), sigma + i * width
            for j in range(width):
                weight = parameters[at + j] + parameters[there + j] * (scale * factors[units + j])
                result[j] += seen * weight
        elif seen != zero:
            for j in range(width):
                result[j] += seen * parameters[at + j]
        at += width


@inner(fastmath=FAST)
def forward_noisy(noise, parameters, factors, network, inputs, outputs):
    """Write a network's outputs for one input with noise on its layers: :func:`put_noise` and ``forward`` in one."""
    call_whole()
    sizes, hidden, hidden_at = network.sizes, network.hidden, network.hidden_at
    layers, zero, at = len(sizes) - 1, hidden.dtype.type(0), unsigned(0)
    sigma, f = unsigned(noise.sigma), unsigned(0)
    for layer in range(layers):
        fan_in, width, last = unsigned(sizes[layer]), unsigned(sizes[layer + 1]), layer == layers - 1
        source = inputs if layer == 0 else hidden[hidden_at[layer - 1] :]
        result = outputs if last else hidden[hidden_at[layer] :]
        noisy = at >= unsigned(noise.begin)
        place = sigma if noisy else unsigned(0)
        one_layer(parameters, at, place, factors, f, fan_in, width, source, result)
        at += (fan_in + unsigned(1)) * width
        if noisy:
            sigma, f = sigma + (fan_in + unsigned(1)) * width, f + fan_in + unsigned(1) + width
        if not last and len(network.norm_at) > 0 and network.norm_at[layer] >= 0:
            normalize(parameters[network.norm_at[layer] :], 1, sizes[layer + 1], result,
                      network.normal[hidden_at[layer] :], network.scales[layer:])  # fmt: skip
        if not last:
            for j in range(width):
                result[j] = max(result[j], zero)


@inner(fastmath=FAST)
def chain(noise, factors, gradient):
    """Complete a gradient by that of the sigmas: the layers' own, times the noise."""
    call_whole()
    at, sigma, f = unsigned(noise.begin), unsigned(noise.sigma), unsigned(0)
    for layer in range(len(noise.sizes) - 1):
        fan_in, width = unsigned(noise.sizes[layer]), unsigned(noise.sizes[layer + 1])
        units = f + fan_in + unsigned(1)
        for i in range(fan_in + unsigned(1)):
            scale = factors[f + i] if i < fan_in else factors.dtype.type(1)
            for j in range(width):
                gradient[sigma + j] = gradient[at + j] * (scale * factors[units + j])
            at, sigma = at + width, sigma + width
        f = units + width
