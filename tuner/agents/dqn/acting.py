"""The online network's outputs while acting and evaluating: vectors in NumPy, images in torch.

Where a device trains, large stacks and images act there, small stacks of perceptrons here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tuner.agents.dqn.seams import Parts
from tuner.agents.dqn.state import LearnerState
from tuner.networks.conv import ConvLayout
from tuner.networks.mlp import Activations, Network, append_one, forward

if TYPE_CHECKING:
    import torch

Array = NDArray[Any]


class Acting(Protocol):
    """Forward passes of K lanes."""

    def outputs(self, lanes: slice, inputs: Array) -> Array:
        """Return the outputs ``[n, n_outputs]`` of neighbouring lanes for one input each, ``[n, input_size + 1]``."""
        ...

    def frozen(self, networks: Any) -> Callable[[Array], Array]:
        """Return a function from inputs ``[n, N, input_size]`` to outputs ``[n, N, n_outputs]``.

        Args:
            networks: ``[n, P]`` parameters, kept as the state keeps its own; nothing may change them afterwards.
        """
        ...


class Exploring(Protocol):
    """What chooses greedy actions in environment steps."""

    def best(self, lanes: slice, observations: Array) -> Array:
        """Return the best action ``[n]`` of neighbouring lanes for what each observes.

        Args:
            lanes: Which lanes.
            observations: ``[n, observation_size + 1]``, as they are stored, the last number 1.
        """
        ...


class Greedy:
    """See :class:`Exploring`: by the outputs of networks.

    Args:
        acting: Their forward passes.
        parts: What the networks see, and what their outputs mean.
    """

    def __init__(self, acting: Acting, parts: Parts) -> None:
        self.acting, self._parts = acting, parts

    def best(self, lanes: slice, observations: Array) -> Array:
        """See :class:`Exploring`."""
        inputs = self._parts.to_input(self._parts.normalizer.inputs(lanes, observations))
        actions: Array = self._parts.head.preferences(self.acting.outputs(lanes, inputs)).argmax(axis=-1)
        return actions


#: Parameters of all lanes up to which a stack that trains on a device acts on the host: they fit into a core's cache,
#: where a forward pass should take less than the launches of one, the inputs' way there and the outputs' way back. Not
#: measured (docs/decisions/0019-graphs.md).
HOST_PARAMETERS = 2**18


def acting_for(state: LearnerState, *, changing: bool = False) -> Acting:
    """Return the forward passes for a state's networks.

    Args:
        state: Its rows, and what knows where these lie.
        changing: Whether the rows change with each step, so that they stay where they are.
    """
    layout = state.layout
    if not isinstance(state.online, np.ndarray):
        large = math.prod(state.online.shape) > HOST_PARAMETERS
        if changing or large or isinstance(layout, ConvLayout):
            from tuner.agents.dqn.acting_device import DeviceActing

            return DeviceActing(state)
        return VectorActing(state)
    return ImageActing(state, layout) if isinstance(layout, ConvLayout) else VectorActing(state)


class VectorActing:
    """Multilayer perceptrons, all lanes in one batched product."""

    def __init__(self, state: LearnerState) -> None:
        self._state = state
        self._buffers: dict[int, Activations] = {}
        self._views: dict[tuple[int, int], Network] = {}

    def outputs(self, lanes: slice, inputs: Array) -> Array:
        """See :class:`Acting`."""
        state, n = self._state, len(inputs)
        online = state.online_here()
        key = (lanes.start, lanes.stop)
        if key not in self._views:
            self._views[key] = state.layout.network(online[lanes])
        if n not in self._buffers:
            self._buffers[n] = Activations(state.layout, n, 1, online.dtype)
        return forward(self._views[key], inputs[:, None, :], self._buffers[n])[:, 0, :]

    def frozen(self, networks: Any) -> Callable[[Array], Array]:
        """See :class:`Acting`."""
        networks = self._state.here(networks)
        layout, dtype = self._state.layout, networks.dtype
        network = layout.network(networks)
        buffers: dict[int, Activations] = {}

        def outputs(inputs: Array) -> Array:
            rows = inputs.shape[1]
            if rows not in buffers:
                buffers[rows] = Activations(layout, len(networks), rows, dtype)
            with_one = append_one(inputs.astype(dtype, copy=False))
            return forward(network, with_one, buffers[rows])

        return outputs


class ImageActing:
    """Convolutional networks, lane by lane: the same calls whatever K is, so the same bits."""

    def __init__(self, state: LearnerState, layout: ConvLayout) -> None:
        import torch  # whoever trains on vectors does without

        self._online = torch.from_numpy(state.online)
        self._layout = layout

    def outputs(self, lanes: slice, inputs: Array) -> Array:
        """See :class:`Acting`."""
        one_each = inputs[:, None, :-1]
        rows = self._online[lanes]
        return np.stack([self._forward(rows[i : i + 1], one_each[i]) for i in range(len(inputs))])[:, 0, :]

    def frozen(self, networks: Any) -> Callable[[Array], Array]:
        """See :class:`Acting`."""
        import torch

        rows = torch.from_numpy(networks)
        return lambda inputs: np.stack([self._forward(rows[i : i + 1], inputs[i]) for i in range(len(rows))])

    def _forward(self, row: torch.Tensor, inputs: Array) -> Array:
        """Return the outputs ``[N, n_outputs]`` of one lane for inputs ``[N, input_size]``."""
        import torch

        from tuner.networks.forward_torch import outputs

        images = torch.from_numpy(np.ascontiguousarray(inputs)).to(row.dtype)
        with torch.no_grad():
            found = outputs(self._layout, self._layout.views(row), images[None])
        result: Array = found[0].numpy()
        return result
