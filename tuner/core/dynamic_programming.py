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
        found: Array = self.rewards + gamma * self.successors @ values
        return found


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
