"""Observations and rewards on a common scale, number for number as Stable-Baselines3's ``VecNormalize`` has them.

    observation: clip((x - mean) / sqrt(variance + 1e-8), -10, 10)
    reward:      clip(r / sqrt(variance of the discounted return + 1e-8), -10, 10)

Mean and variance run over all that was seen (Chan et al. 1979), from mean 0 and variance 1 with the weight 1e-4.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

#: Largest size of a normalised number, least variance, and weight of the mean 0 and variance 1 that begin.
CLIP, VARIANCE_EPS, FIRST_COUNT = 10.0, 1e-8, 1e-4


def normalized(observations: Array, mean: Array, variance: Array) -> Array:
    """Return observations ``[..., n]`` on the scale of their statistics, computed in double precision, float32.

    Args:
        observations: ``[..., n]``.
        mean: Float64 that broadcasts to them.
        variance: Likewise.
    """
    shown = np.clip((observations - mean) / np.sqrt(variance + VARIANCE_EPS), -CLIP, CLIP)
    return shown.astype(np.float32, copy=False)


def scaled(rewards: Array, variance: Array | float) -> Array:
    """Return rewards ``[...]`` on the scale of the discounted return's variance, likewise."""
    return np.clip(rewards / np.sqrt(variance + VARIANCE_EPS), -CLIP, CLIP).astype(np.float32, copy=False)


def take_in(values: Array, mean: Array, variance: Array, count: Array) -> None:
    """Let running statistics take in one more value each.

    Args:
        values: ``[...]``.
        mean: ``[...]`` float64, changed.
        variance: ``[...]`` float64, changed.
        count: Values seen, which broadcasts to them; left to the caller to raise by 1.
    """
    delta = values - mean
    total = count + 1
    mean += delta / total
    variance *= count
    variance += np.square(delta) * count / total
    variance /= total
