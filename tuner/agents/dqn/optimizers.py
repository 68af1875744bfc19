"""Gradient descent rules for many lanes, in place, with one learning rate and step count per lane.

Constants are torch's defaults, which Stable-Baselines3 uses.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

BETA1, BETA2, ADAM_EPS = 0.9, 0.999, 1e-8
RMS_ALPHA, RMS_EPS = 0.99, 1e-8


def adam(
    parameters: Array,
    gradient: Array,
    first_moment: Array,
    second_moment: Array,
    updates: Array,
    learning_rate: Array,
    scratch: Array,
) -> None:
    """Take one step of Adam (Kingma and Ba 2015).

    Args:
        parameters: ``[n, P]``, changed.
        gradient: ``[n, P]``, used up.
        first_moment: ``[n, P]``, changed.
        second_moment: ``[n, P]``, changed.
        updates: ``[n]`` step counts, this step included.
        learning_rate: ``[n]``.
        scratch: ``[n, P]``, overwritten.
    """
    dtype = parameters.dtype
    correction1 = 1 - BETA1**updates
    root_correction2 = np.sqrt(1 - BETA2**updates)
    # m / (sqrt(v) / rc2 + eps) * lr / c1  =  m / (sqrt(v) + eps * rc2) * (lr * rc2 / c1): one pass fewer.
    step_size = (learning_rate * root_correction2 / correction1).astype(dtype)[:, None]
    epsilon = (ADAM_EPS * root_correction2).astype(dtype)[:, None]

    np.multiply(gradient, gradient, out=scratch)
    scratch *= 1 - BETA2
    second_moment *= BETA2
    second_moment += scratch
    gradient *= 1 - BETA1
    first_moment *= BETA1
    first_moment += gradient
    np.sqrt(second_moment, out=scratch)
    scratch += epsilon
    np.divide(first_moment, scratch, out=scratch)
    scratch *= step_size
    parameters -= scratch


def rmsprop(
    parameters: Array,
    gradient: Array,
    first_moment: Array,
    second_moment: Array,
    updates: Array,
    learning_rate: Array,
    scratch: Array,
) -> None:
    """Take one step of RMSprop (Tieleman and Hinton 2012; not centred, without momentum). Arguments as for Adam."""
    del first_moment, updates
    np.multiply(gradient, gradient, out=scratch)
    scratch *= 1 - RMS_ALPHA
    second_moment *= RMS_ALPHA
    second_moment += scratch
    np.sqrt(second_moment, out=scratch)
    scratch += RMS_EPS
    np.divide(gradient, scratch, out=scratch)
    scratch *= learning_rate.astype(parameters.dtype)[:, None]
    parameters -= scratch
