"""Exact values without a time limit: what learners and the finite horizon are measured against."""

from __future__ import annotations

import numpy as np


def value_iteration(model, gamma, tolerance=1e-10):
    """Return the optimal (``V[s]``, ``Q[s, a]``) without a time limit.

    Args:
        model: The process.
        gamma: Discount factor, in [0, 1).
        tolerance: Largest error of a value.
    """
    values = np.zeros(len(model.rewards))
    while True:
        q_values = model.action_values(values, gamma)
        change = float(np.abs(q_values.max(axis=1) - values).max())
        values = q_values.max(axis=1)
        if change * gamma <= tolerance * (1 - gamma):
            return values, model.action_values(values, gamma)
