"""Compiled noise on weights, see :mod:`tuner.agents.dqn.noise`: a row as a pass sees it, and the gradient of sigma.

The factors of a call are drawn ahead, in the order in which NumPy's gradient steps draw them; their products never lie
in memory.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from tuner.agents.dqn.noise import LaneNoise
from tuner.agents.dqn.products import FAST, call_whole, inner

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
    at, sigma, f = noise.begin, noise.sigma, 0
    for i in range(at):
        shown[i] = parameters[i]
    for layer in range(len(noise.sizes) - 1):
        fan_in, width = noise.sizes[layer], noise.sizes[layer + 1]
        units = factors[f + fan_in + 1 : f + fan_in + 1 + width]
        for i in range(fan_in + 1):
            scale = factors[f + i] if i < fan_in else factors.dtype.type(1)  # a bias has its unit's factor alone
            line, means = shown[at : at + width], parameters[at : at + width]
            deviations = parameters[sigma : sigma + width]
            for j in range(width):
                line[j] = means[j] + deviations[j] * (scale * units[j])
            at, sigma = at + width, sigma + width
        f += fan_in + 1 + width
    for i in range(at, noise.sigma):
        shown[i] = parameters[i]


@njit(cache=True, error_model="numpy", nogil=True)
def show_noise(noise, n_convolved, parameters, normal, shown):
    """Write the rows of n networks ``[n, P]`` with the noise of ``normal`` ``[n, 1, F]`` to ``shown`` ``[n, P]``."""
    for n in range(len(parameters)):
        for i in range(n_convolved):
            shown[n, i] = parameters[n, i]
        take_factors(normal[n, 0], noise.factors[0])
        put_noise(noise, parameters[n, n_convolved:], noise.factors[0], shown[n, n_convolved:])


@inner(fastmath=FAST)
def chain(noise, factors, gradient):
    """Complete a gradient by that of the sigmas: the layers' own, times the noise."""
    call_whole()
    at, sigma, f = noise.begin, noise.sigma, 0
    for layer in range(len(noise.sizes) - 1):
        fan_in, width = noise.sizes[layer], noise.sizes[layer + 1]
        units = factors[f + fan_in + 1 : f + fan_in + 1 + width]
        for i in range(fan_in + 1):
            scale = factors[f + i] if i < fan_in else factors.dtype.type(1)
            line, slopes = gradient[sigma : sigma + width], gradient[at : at + width]
            for j in range(width):
                line[j] = slopes[j] * (scale * units[j])
            at, sigma = at + width, sigma + width
        f += fan_in + 1 + width
