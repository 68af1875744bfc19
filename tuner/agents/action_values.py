"""A network of state and action, Q(s, a), for continuous actions: one number for each pair, its slopes by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.networks.mlp import MLPLayout

Array = NDArray[Any]


class ActionValues:
    """A multilayer perceptron with ReLU from an observation and an action, one after the other, to one value.

    Args:
        layout: From ``observation size + action size`` numbers to 1.
        row: Its parameters ``[1, P]`` float32, changed in place by whoever learns.
        observation_size: How many of the inputs are the observation's.
    """

    def __init__(self, layout: MLPLayout, row: Array, observation_size: int) -> None:
        self._size = observation_size
        self.row = row
        self._layers = [(weight[0], bias[0, 0]) for weight, bias in layout.views(row)]
        self._layout = layout

    def of(self, observations: Array, actions: Array) -> Array:
        """Return values ``[N, M]`` of actions ``[N, M, action size]`` in states ``[N, observation size]``.

        What a state adds to the first layer is computed once for all of its actions.
        """
        weight, bias = self._layers[0]
        states = observations @ weight[: self._size] + bias  # [N, width]
        hidden = actions.reshape(-1, actions.shape[-1]) @ weight[self._size :]  # one product, not one for each state
        hidden.reshape(*actions.shape[:2], -1)[...] += states[:, None, :]
        for weight, bias in self._layers[1:]:
            np.maximum(hidden, 0, out=hidden)
            hidden = hidden @ weight
            hidden += bias
        values: Array = hidden.reshape(actions.shape[:2])
        return values

    def with_slopes(self, pairs: Array) -> tuple[Array, list[Array]]:
        """Return (values ``[B]``, what :meth:`gradient` needs) of pairs ``[B, observation size + action size]``."""
        kept = [pairs]
        hidden = pairs
        for i, (weight, bias) in enumerate(self._layers):
            hidden = hidden @ weight + bias
            if i + 1 < len(self._layers):
                hidden = np.maximum(hidden, 0)
                kept.append(hidden)
        return hidden[:, 0], kept

    def gradient(self, slopes: Array, kept: list[Array], out: Array) -> Array:
        """Return ``out``, the gradient ``[1, P]`` of a sum whose slopes in the values are ``slopes`` ``[B]``."""
        views = self._layout.views(out)
        back = slopes[:, None]
        for i in range(len(self._layers) - 1, -1, -1):
            weight, bias = views[i]
            np.matmul(kept[i].T, back, out=weight[0])
            np.sum(back, axis=0, out=bias[0, 0])
            if i:
                back = (back @ self._layers[i][0].T) * (kept[i] > 0)
        return out
