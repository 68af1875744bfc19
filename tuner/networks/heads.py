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
        quantiles: How many quantiles of each return there are (Dabney et al. 2018): the outputs are those of one
            quantile after the other, each as above, and a Q-value is the mean of its quantiles.
    """

    n_actions: int
    dueling: bool = False
    quantiles: int = 1

    @property
    def n_outputs(self) -> int:
        """Width of the network's last layer."""
        return (self.n_actions + int(self.dueling)) * self.quantiles

    def q_values(self, outputs: Any) -> Any:
        """Return Q-values ``[..., n_actions]``; the outputs themselves where nothing needs doing."""
        return self._values(outputs) if self.quantiles == 1 else self.quantile_values(outputs).mean(-2)

    def quantile_values(self, outputs: Any) -> Any:
        """Return the quantiles of each action's return, ``[..., quantiles, n_actions]``."""
        return self._values(self._apart(outputs))

    def preferences(self, outputs: Any) -> Any:
        """Return numbers ``[..., n_actions]`` that order actions as their Q-values do, at no cost."""
        means = outputs if self.quantiles == 1 else self._apart(outputs).mean(-2)
        return means[..., 1:] if self.dueling else means

    def spread(self, slope: Any, taken: Any, delta: Any) -> None:
        """Write the gradient on the outputs, where only the Q-value of the action taken has one.

        ``dQ(a)/dV = 1`` and ``dQ(a)/dA(b) = [a = b] - 1 / n_actions``.

        Args:
            slope: ``[..., B]`` gradient on each row's ``Q(s, a)``; with quantiles ``[..., B, quantiles]``, on those.
            taken: Likewise where that would lie in flattened Q-values ``[..., B, n_actions]``, or in those of each
                quantile.
            delta: ``[..., B, n_outputs]``, contiguous, overwritten.
        """
        if self.quantiles > 1:
            delta = self._apart(delta)
        if not self.dueling:
            delta.fill(0)
            delta.reshape(-1)[taken] = slope
            return
        delta[..., 0] = slope
        delta[..., 1:] = (slope / -self.n_actions)[..., None]
        row = taken // self.n_actions  # each row has one number more than Q-values, and V comes first
        delta.reshape(-1)[taken + row + 1] += slope

    def _values(self, outputs: Any) -> Any:
        if not self.dueling:
            return outputs
        advantages = outputs[..., 1:]
        return advantages + (outputs[..., 0] - self._mean(advantages))[..., None]

    def _apart(self, outputs: Any) -> Any:
        """Return a view of outputs ``[..., n_outputs]`` by quantile."""
        return outputs.reshape(*outputs.shape[:-1], self.quantiles, -1)

    def _mean(self, advantages: Any) -> Any:
        # Column by column: a reduction over a short last axis is slow in NumPy.
        total = advantages[..., 0]
        for action in range(1, self.n_actions):
            total = total + advantages[..., action]
        return total / self.n_actions
