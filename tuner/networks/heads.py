"""From a network's last outputs to Q-values: directly, or through a dueling head.

Only operators and slices are used, so NumPy arrays and torch tensors both work.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class QHead:
    """How outputs ``[..., n_outputs]`` become Q-values ``[..., n_actions]``.

    A dueling head (Wang et al. 2016, equation 9) reads one state value V and one advantage A per action off the last
    hidden layer: ``Q(s, a) = V(s) + A(s, a) - mean over b of A(s, b)``. Without subtracting the mean, V and A could
    drift apart by any constant.

    Attributes:
        n_actions: Number of actions.
        dueling: Whether the outputs are ``[V, A_0, A_1, ...]`` instead of the Q-values themselves.
    """

    n_actions: int
    dueling: bool = False

    @property
    def n_outputs(self) -> int:
        """Width of the network's last layer."""
        return self.n_actions + int(self.dueling)

    def q_values(self, outputs: Any) -> Any:
        """Return Q-values ``[..., n_actions]``; the outputs themselves where nothing needs doing."""
        if not self.dueling:
            return outputs
        advantages = outputs[..., 1:]
        return advantages + (outputs[..., 0] - self._mean(advantages))[..., None]

    def preferences(self, outputs: Any) -> Any:
        """Return numbers ``[..., n_actions]`` that order actions as their Q-values do, at no cost."""
        return outputs[..., 1:] if self.dueling else outputs

    def spread(self, slope: Any, taken: Any, delta: Any) -> None:
        """Write the gradient on the outputs, where only the Q-value of the action taken has one.

        ``dQ(a)/dV = 1`` and ``dQ(a)/dA(b) = [a = b] - 1 / n_actions``.

        Args:
            slope: ``[..., B]`` gradient on each row's ``Q(s, a)``.
            taken: ``[..., B]`` where each row's ``Q(s, a)`` would lie in flattened Q-values ``[..., B, n_actions]``.
            delta: ``[..., B, n_outputs]``, overwritten.
        """
        if not self.dueling:
            delta.fill(0)
            delta.reshape(-1)[taken] = slope
            return
        delta[..., 0] = slope
        delta[..., 1:] = (slope / -self.n_actions)[..., None]
        row = taken // self.n_actions  # each row has one number more than Q-values, and V comes first
        delta.reshape(-1)[taken + row + 1] += slope

    def _mean(self, advantages: Any) -> Any:
        # Column by column: a reduction over a short last axis is slow in NumPy.
        total = advantages[..., 0]
        for action in range(1, self.n_actions):
            total = total + advantages[..., action]
        return total / self.n_actions
