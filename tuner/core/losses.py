"""Losses on the temporal-difference error and their slopes, elementwise.

``huber`` is Stable-Baselines3's ``smooth_l1_loss`` with beta 1: ``d^2 / 2`` for ``|d| < 1``, ``|d| - 1/2`` beyond
(Huber 1964). ``mse`` is ``d^2``. The mean over the minibatch is the caller's business: an update divides by the batch
size once.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


def huber(td_error: Array) -> Array:
    """Return the Huber loss of each error."""
    size = np.abs(td_error)
    return np.where(size < 1, 0.5 * td_error * td_error, size - 0.5)


def huber_slope(td_error: Array, out: Array | None = None) -> Array:
    """Return the derivative of :func:`huber`: the error clipped to [-1, 1]."""
    slope = np.maximum(td_error, -1, out=out)  # np.clip's own checks take longer than the work
    return np.minimum(slope, 1, out=slope)


def mse(td_error: Array) -> Array:
    """Return the squared error."""
    return td_error * td_error


def mse_slope(td_error: Array, out: Array | None = None) -> Array:
    """Return the derivative of :func:`mse`."""
    return np.multiply(td_error, 2, out=out)


#: Loss name to (loss, slope).
LOSSES: dict[str, tuple[Callable[[Array], Array], Callable[..., Array]]] = {
    "huber": (huber, huber_slope),
    "mse": (mse, mse_slope),
}
