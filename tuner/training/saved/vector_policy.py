"""A trained network as a greedy policy, in plain NumPy: no deep-learning library is needed to play it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.core.normalization import normalized
from tuner.networks.heads import QHead
from tuner.networks.mlp import outputs_of

Array = NDArray[Any]


@dataclass(frozen=True)
class Policy:
    """A greedy policy: a multilayer perceptron with ReLU, evaluated in NumPy.

    Attributes:
        layers: (weight ``[in, out]``, bias ``[out]``) from input to output, float32.
        head: From the last layer's outputs to Q-values.
        statistics: (mean, variance), ``[in]`` float64 each, that inputs are normalised by; None where they are not.
    """

    layers: tuple[tuple[Array, ...], ...]
    head: QHead
    statistics: tuple[Array, Array] | None = None

    @property
    def input_size(self) -> int:
        """Length of the input vector."""
        return int(self.layers[0][0].shape[0])

    @property
    def n_actions(self) -> int:
        """Number of actions."""
        return self.head.n_actions

    def q_values(self, inputs: Array) -> Array:
        """Return Q-values ``[..., n_actions]`` of network inputs ``[..., input_size]``."""
        q_values: Array = self.head.q_values(self._outputs(inputs))
        return q_values

    def act(self, inputs: Array) -> Array:
        """Return greedy action indices ``[...]`` (from 0) for network inputs ``[..., input_size]``."""
        best: Array = self.head.preferences(self._outputs(inputs)).argmax(axis=-1)
        return best

    def _outputs(self, inputs: Array) -> Array:
        if self.statistics is not None:
            inputs = normalized(inputs, *self.statistics)
        return outputs_of(self.layers, np.asarray(inputs, np.float32))
