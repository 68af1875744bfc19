"""Losses on the temporal-difference error and their slopes, elementwise.

``huber`` is Stable-Baselines3's ``smooth_l1_loss`` with beta 1: ``d^2 / 2`` for ``|d| < 1``, ``|d| - 1/2`` beyond
(Huber 1964). ``mse`` is ``d^2``. The mean over the minibatch is the caller's business: an update divides by the batch
size once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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


def quantile_errors(quantiles: Any, targets: Any) -> Any:
    """Return ``u_ij = y_j - theta_i``, ``[..., N, M]``, of quantiles ``[..., N]`` and targets ``[..., M]``."""
    return targets[..., None, :] - quantiles[..., :, None]


def quantile_levels(n: int) -> Array:
    """Return the levels of n quantiles, ``[n, 1]``: the middles of equal shares of probability."""
    return ((np.arange(n) + 0.5) / n)[:, None]


def quantile_loss(quantiles: Array, targets: Array, loss: str) -> tuple[Array, Array]:
    r"""Return (the loss of quantile regression ``[...]``, its slope on each quantile ``[..., N]``).

    For quantiles :math:`\theta_i` at the levels :math:`\hat\tau_i = (i + 1/2) / N`, counted from 0, and samples
    :math:`y_j` of the target it is (Dabney et al. 2018)

    .. math:: \sum_i \frac{1}{M} \sum_j |\hat\tau_i - 1\{u_{ij} < 0\}| \, L(u_{ij}), \quad
              u_{ij} = y_j - \theta_i,

    with L the Huber loss (kappa 1) in the paper.

    Args:
        quantiles: ``[..., N]``.
        targets: ``[..., M]``.
        loss: Name of L.
    """
    value, slope = LOSSES[loss]
    errors = quantile_errors(quantiles, targets)
    weights = np.abs(quantile_levels(quantiles.shape[-1]).astype(quantiles.dtype) - (errors < 0))
    losses: Array = (weights * value(errors)).mean(axis=-1).sum(axis=-1)
    slopes: Array = -(weights * slope(errors)).mean(axis=-1)
    return losses, slopes


#: Loss name to (loss, slope).
LOSSES: dict[str, tuple[Callable[[Array], Array], Callable[..., Array]]] = {
    "huber": (huber, huber_slope),
    "mse": (mse, mse_slope),
}
