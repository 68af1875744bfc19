"""Gradient descent rules for many lanes, in place, with one learning rate and step count per lane.

Constants are torch's defaults, which Stable-Baselines3 uses; epsilon is a hyperparameter, ``optimizer_eps``.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
BETAS = np.array([[BETA1], [BETA2]])
RMS_ALPHA = 0.99


def adam(
    parameters: Array,
    gradient: Array,
    first_moment: Array,
    second_moment: Array,
    beta_powers: Array,
    learning_rate: Array,
    scratch: Array,
    epsilon: float = EPSILON,
) -> None:
    """Take one step of Adam (Kingma and Ba 2015).

    Args:
        parameters: ``[n, P]``, changed.
        gradient: ``[n, P]``, used up.
        first_moment: ``[n, P]``, changed; the running sum that Adam's mean is (1 - BETA1) times.
        second_moment: ``[n, P]``, changed; likewise with BETA2.
        beta_powers: ``[2, n]`` BETAS to the power of the steps taken before, changed.
        learning_rate: ``[n]``.
        scratch: ``[n, P]``, overwritten.
        epsilon: What is added to the root of the second moment.
    """
    dtype = parameters.dtype
    step_size, least = adam_step(beta_powers, learning_rate, epsilon)
    np.multiply(gradient, gradient, out=scratch)
    second_moment *= BETA2
    second_moment += scratch
    first_moment *= BETA1
    first_moment += gradient
    np.sqrt(second_moment, out=scratch)
    scratch += least.astype(dtype)[:, None]
    np.divide(first_moment, scratch, out=scratch)
    scratch *= step_size.astype(dtype)[:, None]
    parameters -= scratch


def adam_step(beta_powers: Array, learning_rate: Array, epsilon: float = EPSILON) -> tuple[Array, Array]:
    """Count one step, and return (step size, epsilon), both ``[n]``, for moments kept without their factors 1 - beta.

    With M = m / (1 - b1) and V = v / (1 - b2), Adam's ``lr * (m / c1) / (sqrt(v / c2) + eps)``, c_i = 1 - b_i^t, is
    ``step_size * M / (sqrt(V) + epsilon)``: two passes over the parameters fewer.
    """
    beta_powers *= BETAS
    correction = (1 - beta_powers) / (1 - BETAS)
    scale = np.sqrt(correction[1])
    return learning_rate * scale / correction[0], epsilon * scale


class FusedAdam:
    """:func:`adam` in torch's single pass: for rows that fill a core's cache.

    The ten passes of :func:`adam` over 67,000 parameters take twice as long (``benchmarks/update_profile.py``). Lane by
    lane, since each has its own learning rate: short rows are faster in passes over many lanes. It keeps the moments as
    the paper has them.
    """

    def __init__(self) -> None:
        import torch  # whoever trains narrow networks does without

        torch.set_num_threads(1)  # how a row is split among threads would show in the bits
        self._torch = torch
        #: Tensors over the rows of the arrays, which are the same few buffers each time and are kept alive here.
        self._rows: dict[tuple[int, int], tuple[list[list[Any]], Array, Array]] = {}

    def __call__(
        self,
        parameters: Array,
        gradient: Array,
        first_moment: Array,
        second_moment: Array,
        beta_powers: Array,
        learning_rate: Array,
        scratch: Array,
        epsilon: float = EPSILON,
    ) -> None:
        """Take one step; arguments as for :func:`adam`."""
        beta_powers *= BETAS
        key = (id(parameters), id(gradient))
        if key not in self._rows:
            arrays = (parameters, gradient, first_moment, second_moment)
            lanes = [[self._torch.from_numpy(row) for row in rows] for rows in zip(*arrays, strict=True)]
            self._rows[key] = (lanes, parameters, gradient)
        for i, (row, slope, mean, square) in enumerate(self._rows[key][0]):
            steps = [self._torch.tensor(steps_taken(float(beta_powers[1, i])))]
            self._torch._fused_adam_(
                [row], [slope], [mean], [square], [], steps, lr=float(learning_rate[i]), beta1=BETA1, beta2=BETA2,
                weight_decay=0.0, eps=epsilon, amsgrad=False, maximize=False,
            )  # fmt: skip


def steps_taken(beta_power: float) -> float:
    """Return t from BETA2^t; beyond what floating point holds, enough of them that no correction is left."""
    return float(round(math.log(beta_power) / math.log(BETA2))) if beta_power > 0 else 1e6


def rmsprop(
    parameters: Array,
    gradient: Array,
    first_moment: Array,
    second_moment: Array,
    beta_powers: Array,
    learning_rate: Array,
    scratch: Array,
    epsilon: float = EPSILON,
) -> None:
    """Take one step of RMSprop (Tieleman and Hinton 2012; not centred, without momentum). Arguments as for Adam."""
    del first_moment, beta_powers
    np.multiply(gradient, gradient, out=scratch)
    scratch *= 1 - RMS_ALPHA
    second_moment *= RMS_ALPHA
    second_moment += scratch
    np.sqrt(second_moment, out=scratch)
    scratch += epsilon
    np.divide(gradient, scratch, out=scratch)
    scratch *= learning_rate.astype(parameters.dtype)[:, None]
    parameters -= scratch
