r"""Exact answers for environments that show their transition table: what learners are measured against.

A table is Gymnasium's ``env.unwrapped.P``: ``P[s][a]`` is a list of ``(probability, next state, reward, terminated)``.

.. math:: V^*(s) = \max_a \sum_{s'} p(s' | s, a) \, [\, r + \gamma (1 - \text{terminated}) V^*(s') \,]

(Bellman 1957; Sutton and Barto 2018, chapter 4).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

Transitions = Mapping[int, Mapping[int, Sequence[tuple[float, int, float, bool]]]]


@dataclass(frozen=True)
class Model:
    """A finite Markov decision process as arrays.

    Attributes:
        successors: Probability of going on from s to s' by a, ``[S, A, S]``; what terminates is left out of it.
        rewards: Expected reward, ``[S, A]``.
    """

    successors: Array
    rewards: Array

    @classmethod
    def of(cls, transitions: Transitions) -> Model:
        """Return the arrays of a transition table."""
        n_states, n_actions = len(transitions), len(transitions[0])
        successors, rewards = np.zeros((n_states, n_actions, n_states)), np.zeros((n_states, n_actions))
        for state, actions in transitions.items():
            for action, outcomes in actions.items():
                for probability, following, reward, terminated in outcomes:
                    rewards[state, action] += probability * reward
                    if not terminated:
                        successors[state, action, following] += probability
        return cls(successors, rewards)

    def action_values(self, values: Array, gamma: float) -> Array:
        """Return ``Q[s, a]`` when ``values[s]`` is what a state is worth."""
        found: Array = self.rewards + gamma * (self.successors @ values)
        return found


def value_iteration(
    model: Model, gamma: float, tolerance: float = 1e-10, max_sweeps: int = 100_000
) -> tuple[Array, Array]:
    """Return the optimal ``V[s]`` and ``Q[s, a]`` without a time limit, by value iteration from 0.

    One sweep is ``V <- max_a Q`` with the ``Q`` of the last ``V``. It draws values together by the factor ``gamma``, so
    that a sweep that moved them by ``d`` leaves them at most ``d gamma / (1 - gamma)`` from the optimum (Bellman 1957;
    Sutton and Barto 2018, section 4.4). With ``gamma`` 1 it ends when a sweep moves no value by more than
    ``tolerance``.

    Args:
        model: The process.
        gamma: Discount factor per step, in [0, 1].
        tolerance: Largest error of a value.
        max_sweeps: Sweeps after which it gives up.

    Raises:
        ValueError: The values have not settled: there is no optimum (``gamma`` 1), or it takes more sweeps.
    """
    limit = tolerance * (1.0 - gamma) / gamma if 0.0 < gamma < 1.0 else tolerance
    values = np.zeros(len(model.rewards))
    for _ in range(max_sweeps):
        before, values = values, model.action_values(values, gamma).max(axis=1)
        # Rounding: no sweep moves values by less than their last digit for certain.
        if np.abs(values - before).max() <= max(limit, 4 * np.spacing(np.abs(values).max())):
            return values, model.action_values(values, gamma)
    raise ValueError(f"values have not settled after {max_sweeps:,} sweeps with gamma {gamma:g}")


def reachable(model: Model, start: Array) -> Array:
    """Return which states an agent can have to decide in, ``[S]`` bool: from ``start`` on, by whatever actions.

    Args:
        model: The process.
        start: Probability of each first state, ``[S]``.
    """
    follows: Array = np.asarray((model.successors > 0).any(axis=1))  # [S, S]
    found: Array = np.zeros(len(follows), bool)
    found[np.flatnonzero(start)] = True
    while True:
        more: Array = found | follows[found].any(axis=0)
        if (more == found).all():
            return found
        found = more


def finite_horizon_optimum(model: Model, horizon: int) -> Array:
    """Return the best undiscounted return ``[S]`` within ``horizon`` steps, where decisions may look at the clock."""
    values = np.zeros(len(model.rewards))
    for _ in range(horizon):
        values = model.action_values(values, 1.0).max(axis=1)
    return values


def policy_return(model: Model, policy: Array, horizon: int) -> Array:
    """Return the undiscounted return ``[S]`` of a policy within ``horizon`` steps.

    Args:
        model: The process.
        policy: An action for each state ``[S]``, or probabilities ``[S, A]``.
        horizon: Steps of an episode, at most: the environment's time limit.
    """
    chances = np.eye(model.rewards.shape[1])[policy] if policy.ndim == 1 else policy
    rewards = (chances * model.rewards).sum(axis=1)  # [S]
    successors = np.einsum("sa,sat->st", chances, model.successors)
    values = np.zeros(len(rewards))
    for _ in range(horizon):
        values = rewards + successors @ values
    return values
