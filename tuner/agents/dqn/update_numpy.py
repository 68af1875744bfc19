"""One gradient step of n lanes on the CPU, forward and backward written out in NumPy.

The same mathematics as :mod:`tuner.agents.dqn.update_torch`, held to it by test, at a fraction of the overhead: a
handful of batched matrix products and vector operations into preallocated buffers. Every operation treats lanes
separately, so a lane's numbers do not depend on how many lanes are updated together.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.agents.dqn.optimizers import adam, rmsprop
from tuner.agents.dqn.state import LearnerState
from tuner.core.losses import LOSSES
from tuner.core.targets import column_max, td_target
from tuner.hyperparameters import DQNHyperparameters
from tuner.networks.mlp import Activations, forward
from tuner.replay.ring import Batch

Array = NDArray[Any]
Matrices = list[Array]


class _Workspace:
    """Buffers for one number of lanes: contents last for one gradient step."""

    def __init__(self, state: LearnerState, lanes: int, batch_size: int) -> None:
        dtype, layout = state.online.dtype, state.layout
        self.activations = Activations(layout, lanes, batch_size, dtype)
        # A delta has a column for the constant 1 below it too: unused, but whole buffers are multiplied faster.
        self.deltas = [np.empty_like(buffer) for buffer in self.activations.with_one]
        self.masks = [np.empty(buffer.shape, bool) for buffer in self.activations.with_one]
        self.output_delta = np.empty_like(self.activations.outputs[-1])
        self.gradient = np.empty((lanes, layout.n_parameters), dtype)
        self.scratch = np.empty_like(self.gradient)
        self.gradient_matrices: Matrices = layout.matrices(self.gradient)
        self.rows = np.arange(lanes * batch_size).reshape(lanes, batch_size) * layout.sizes[-1]


class NumpyUpdate:
    """Gradient steps on a :class:`LearnerState`, in place.

    Args:
        state: The lanes' state.
        hyperparameters: Any lane's; only fields that a stack shares are read.
    """

    def __init__(self, state: LearnerState, hyperparameters: DQNHyperparameters) -> None:
        self._state = state
        self._batch_size = hyperparameters.batch_size
        self._double_q = hyperparameters.double_q
        self._slope = LOSSES[hyperparameters.loss][1]
        self._huber = hyperparameters.loss == "huber"
        self._optimizer = adam if hyperparameters.optimizer == "adam" else rmsprop
        self._workspaces: dict[int, _Workspace] = {}
        self._views: dict[tuple[int, int], tuple[Matrices, Matrices]] = {}

    def __call__(self, lanes: slice, batch: Batch) -> tuple[Array, Array]:
        """Take one gradient step on each of some neighbouring lanes.

        Args:
            lanes: Which lanes, a slice with start and stop.
            batch: One minibatch per lane, leading axes ``[n, B]``; observations as network input with a trailing 1.

        Returns:
            (mean loss ``[n]``, mean Q-value of the actions taken ``[n]``), before the step.
        """
        work = self._workspace(lanes.stop - lanes.start)
        online, target = self._matrices(lanes)
        values = self._next_values(online, target, batch.next_observations, work)
        targets = td_target(batch.rewards, batch.discounts, values)

        q_values = forward(online, batch.observations, work.activations)
        taken = work.rows + batch.actions.astype(np.int64)  # index of each taken action in the flattened q_values
        q_taken = q_values.reshape(-1).take(taken)
        td_error = q_taken - targets

        slope = self._slope(td_error)
        # Huber: d^2/2 inside, |d| - 1/2 outside, is s * (d - s/2) with s the slope; the squared error is d * d.
        loss = np.einsum("kb,kb->k", slope, td_error - 0.5 * slope if self._huber else 0.5 * td_error)
        slope /= self._batch_size
        self._backward(online, batch.observations, taken, slope, work)
        self._step(lanes, work)
        return loss / self._batch_size, q_taken.sum(axis=1) / self._batch_size

    def _next_values(self, online: Matrices, target: Matrices, inputs: Array, work: _Workspace) -> Array:
        if not self._double_q:
            best_value: Array = column_max(forward(target, inputs, work.activations), np.maximum)
            return best_value.copy()  # it may be a view of the buffer that the next forward pass overwrites
        # Double Q-learning (van Hasselt et al. 2016): the online network chooses, the target network values.
        best = work.rows + forward(online, inputs, work.activations).argmax(axis=-1)
        chosen: Array = forward(target, inputs, work.activations).reshape(-1).take(best)
        return chosen

    def _backward(self, online: Matrices, inputs: Array, taken: Array, slope: Array, work: _Workspace) -> None:
        """Write the gradient of the mean loss into ``work.gradient``."""
        delta = work.output_delta
        delta.fill(0)
        delta.reshape(-1)[taken] = slope
        for i in range(len(online) - 1, -1, -1):
            below = work.activations.with_one[i - 1] if i else inputs
            np.matmul(below.transpose(0, 2, 1), delta, out=work.gradient_matrices[i])
            if i:
                np.matmul(delta, online[i].transpose(0, 2, 1), out=work.deltas[i - 1])
                np.greater(below, 0, out=work.masks[i - 1])
                np.multiply(work.deltas[i - 1], work.masks[i - 1], out=work.deltas[i - 1])
                delta = work.deltas[i - 1][..., :-1]

    def _step(self, lanes: slice, work: _Workspace) -> None:
        state, gradient = self._state, work.gradient
        norm = np.sqrt(np.matmul(gradient[:, None, :], gradient[:, :, None])[:, 0, 0])
        # torch's clip_grad_norm_: scale by max_norm / (norm + 1e-6), never up.
        scale = np.minimum(state.max_grad_norm[lanes] / (norm + 1e-6), 1.0)
        if (scale < 1).any():  # multiplying by one changes nothing, so skipping it is exact
            gradient *= scale.astype(gradient.dtype)[:, None]
        state.updates[lanes] += 1
        self._optimizer(
            state.online[lanes],
            gradient,
            state.first_moment[lanes],
            state.second_moment[lanes],
            state.updates[lanes],
            state.learning_rate[lanes],
            work.scratch,
        )

    def _workspace(self, lanes: int) -> _Workspace:
        if lanes not in self._workspaces:
            self._workspaces[lanes] = _Workspace(self._state, lanes, self._batch_size)
        return self._workspaces[lanes]

    def _matrices(self, lanes: slice) -> tuple[Matrices, Matrices]:
        key = (lanes.start, lanes.stop)
        if key not in self._views:
            layout = self._state.layout
            self._views[key] = (layout.matrices(self._state.online[lanes]), layout.matrices(self._state.target[lanes]))
        return self._views[key]
