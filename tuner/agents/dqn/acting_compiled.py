"""Acting in compiled code: each lane's network by itself, so its bits are the same whatever acts beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.agents.dqn import acting_kernels, kernels, noise_kernels, pictures
from tuner.agents.dqn.products import PANEL
from tuner.agents.dqn.seams import Parts
from tuner.agents.dqn.state import LearnerState

Array = NDArray[Any]


class CompiledActing:
    """See :class:`~tuner.agents.dqn.acting.Acting`: without noise.

    Args:
        state: Whose networks act.
    """

    def __init__(self, state: LearnerState) -> None:
        self._state = state
        self._room = pictures.pictures_of(state.layout, 1, 0, state.dtype)
        self._panel = np.zeros(PANEL, state.dtype)
        #: By number of rows.
        self._space: dict[int, tuple[Any, ...]] = {}

    def compile(self) -> None:
        """Compile what acts, or read it from the cache, by a call without inputs."""
        self.outputs(slice(0, 0), np.zeros((0, 1), self._state.dtype))

    def outputs(self, lanes: slice, inputs: Array) -> Array:
        """See :class:`~tuner.agents.dqn.acting.Acting`."""
        return self._outputs(self._state.online[lanes], inputs[:, None])[:, 0]

    def frozen(self, networks: Any) -> Callable[[Array], Array]:
        """See :class:`~tuner.agents.dqn.acting.Acting`."""
        return lambda inputs: self._outputs(networks, inputs)

    def _outputs(self, networks: Array, inputs: Array) -> Array:
        """Return ``[n, rows, n_outputs]`` of networks ``[n, P]`` for inputs ``[n, rows, input_size]``."""
        inputs = np.ascontiguousarray(inputs, self._state.dtype)  # any other layout would be compiled anew
        rows, n_outputs = inputs.shape[1], self._state.layout.sizes[-1]
        if rows not in self._space:
            network, n_convolved = kernels.layers_of(self._state.layout, rows, self._state.dtype)
            seen = np.zeros(rows * (int(network.sizes[0]) + 1), self._state.dtype)
            self._space[rows] = n_convolved, network, seen
        n_convolved, network, seen = self._space[rows]
        found = np.empty((len(inputs), rows * n_outputs), self._state.dtype)
        kernels.outputs(networks, self._room, n_convolved, network, inputs, seen, found, self._panel)
        return found.reshape(len(inputs), rows, n_outputs)


class CompiledExploring:
    """See :class:`~tuner.agents.dqn.acting.Exploring`, in one call for some lanes.

    Args:
        parts: Whose networks act, and what they see.

    Attributes:
        results: ``[K, n_outputs]``: what each lane's network said last.
    """

    def __init__(self, parts: Parts) -> None:
        state, head, normalizer = parts.state, parts.head, parts.normalizer
        noise: Any = state.perturbation
        lanes = len(state.online)
        network, n_convolved = kernels.layers_of(state.layout, 1, state.dtype)
        self.results = np.zeros((lanes, state.layout.sizes[-1]), state.dtype)
        self._parts, self._as_stored = parts, parts.stored_is_input()
        self._inputs = np.zeros((lanes, parts.encoder.input_size + 1), state.dtype)
        self._actions = np.zeros(lanes, np.int64)
        self._rest = (
            state.online,
            noise_kernels.room_for(noise, n_convolved, state.dtype),
            None if noise is None else noise.acting,
            pictures.pictures_of(state.layout, 1, 0, state.dtype),
            n_convolved,
            network,
            self._inputs,
            normalizer.observations,
            normalizer.mean,
            normalizer.variance,
            head.n_actions,
            head.quantiles,
            head.dueling,
            np.zeros(int(network.sizes[0]) + 1, state.dtype),
            self.results,
            np.zeros(PANEL, state.dtype),
            self._actions,
        )

    def compile(self) -> None:
        """Compile what acts, or read it from the cache, by a call for no lane."""
        acting_kernels.best_actions(0, 0, *self._rest)

    def best(self, lanes: slice, observations: Array) -> Array:
        """See :class:`~tuner.agents.dqn.acting.Exploring`; the result is good until the next call."""
        self._inputs[lanes] = observations if self._as_stored else self._parts.to_input(observations)
        acting_kernels.best_actions(lanes.start, lanes.stop, *self._rest)
        return self._actions[lanes]
