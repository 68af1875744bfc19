"""Compiled environment steps: which action looks best, and running statistics of what was seen.

Statistics are NumPy's to the last bit (``core/normalization.py``): nothing here is reordered or fused.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from tuner.agents.dqn.kernels import forward, see
from tuner.agents.dqn.noise_kernels import forward_noisy, take_factors
from tuner.agents.dqn.products import inner
from tuner.core.normalization import CLIP, VARIANCE_EPS


@njit(cache=True, error_model="numpy", nogil=True)
def best_of(outputs, n_actions, quantiles, first):
    """Return the best action: of the means over quantiles, the first of equals, and of those that are not numbers."""
    best, least = 0, outputs.dtype.type(0)
    for a in range(n_actions):
        total = outputs[first + a]
        for n in range(1, quantiles):
            total += outputs[n * (first + n_actions) + first + a]
        total /= outputs.dtype.type(quantiles)
        if a == 0 or total > least or (np.isnan(total) and not np.isnan(least)):
            best, least = a, total
    return best


@njit(cache=True, error_model="numpy", nogil=True)
def best_actions(
    begin, end, online, noise, normal, pictures, n_convolved, network, observations, normalize, mean, variance,
    n_actions, quantiles, dueling, seen, results, panel, actions,
):  # fmt: skip
    """Write the best action of each of some neighbouring lanes.

    Args:
        begin: The first lane.
        end: The one behind the last.
        online: ``[K, P]``.
        noise: Room for noise; None where there is none, which is compiled by itself.
        normal: ``[K, 1, F]`` numbers from a standard normal distribution; None likewise.
        pictures: Room for a convolution; None likewise.
        n_convolved: 0 where there is none.
        network: Room for the layers.
        observations: ``[K, input_size + 1]``.
        normalize: ``[K]`` whether a lane sees them on the scale of its statistics.
        mean: ``[K, input_size]``.
        variance: Likewise.
        n_actions: A.
        quantiles: N; 1 for none.
        dueling: Whether each quantile's outputs are ``[V, A_0, A_1, ...]``.
        seen: Flat ``[sizes[0] + 1]``, overwritten.
        results: ``[K, sizes[-1]]``, overwritten with what the networks say.
        panel: For the products, overwritten.
        actions: ``[K]``, overwritten.
    """
    first, depth = 1 if dueling else 0, len(network.sizes) - 1
    for lane in range(begin, end):
        see(pictures, online[lane], network, observations[lane : lane + 1], seen, panel)
        if normalize[lane]:
            for i in range(mean.shape[1]):
                shown = (observations[lane, i] - mean[lane, i]) / np.sqrt(variance[lane, i] + VARIANCE_EPS)
                seen[i] = np.float32(min(max(shown, -CLIP), CLIP))
        if noise is None:
            forward(online[lane, n_convolved:], network, seen, 1, results[lane], panel, depth)
        else:
            take_factors(normal[lane, 0], noise.factors[0])
            forward_noisy(noise, online[lane, n_convolved:], noise.factors[0], network, seen, results[lane])
        actions[lane] = best_of(results[lane], n_actions, quantiles, first)


@inner()
def take_in(value, mean, variance, count, lane, i):
    """Let one running mean and variance take in a value, see ``core/normalization.py``."""
    seen = count[lane, 0]
    delta, total = value - mean[lane, i], seen + 1
    mean[lane, i] += delta / total
    variance[lane, i] = (variance[lane, i] * seen + delta * delta * seen / total) / total


@njit(cache=True, error_model="numpy", nogil=True)
def arrived(begin, end, observations, mean, variance, seen):
    """Take in the observations ``[n, size]`` of lanes ``begin`` to ``end``, see ``LaneNormalizer.arrived``."""
    for lane in range(begin, end):
        for i in range(mean.shape[1]):
            take_in(observations[lane - begin, i], mean, variance, seen, lane, i)
        seen[lane, 0] += 1


@njit(cache=True, error_model="numpy", nogil=True)
def earned(begin, end, rewards, ends, gamma, so_far, mean, variance, rewarded):
    """Take in rewards and ends ``[K]`` of lanes ``begin`` to ``end``, see ``LaneNormalizer.earned``."""
    for lane in range(begin, end):
        so_far[lane, 0] = so_far[lane, 0] * gamma[lane, 0] + rewards[lane]
        take_in(so_far[lane, 0], mean, variance, rewarded, lane, 0)
        rewarded[lane, 0] += 1
        if ends[lane]:
            so_far[lane, 0] = 0
