"""One gradient step of n lanes on the CPU, forward and backward written out in NumPy.

The same mathematics as :mod:`tuner.agents.dqn.update_torch`, held to it by test, at a fraction of the overhead: a
handful of batched matrix products and vector operations into preallocated buffers. Every operation treats lanes
separately, so a lane's numbers do not depend on how many lanes are updated together.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.agents.dqn.optimizers import FusedAdam, adam, rmsprop
from tuner.agents.dqn.state import LearnerState
from tuner.core.losses import LOSSES, quantile_loss
from tuner.core.munchausen import MUNCHAUSEN, log_policy, munchausen_bonus, soft_value
from tuner.core.targets import column_max, td_target
from tuner.hyperparameters import DQNHyperparameters
from tuner.networks.heads import QHead
from tuner.networks.mlp import Activations, Backward, Network, forward
from tuner.replay.ring import Batch

Array = NDArray[Any]

#: Parameters of a lane from which Adam's fused step pays.
FUSED_PARAMETERS = 16_000

#: Rows of a product when a call's target values are computed ahead: enough to be efficient, few enough for the cache.
AHEAD_ROWS = 256


class _Workspace:
    """Buffers for one number of lanes: contents last for one gradient step."""

    def __init__(self, state: LearnerState, lanes: int, batch_size: int, n_actions: int, quantiles: int) -> None:
        dtype, layout = state.online.dtype, state.layout
        self.activations = Activations(layout, lanes, batch_size, dtype)
        self.backward = Backward(layout, self.activations)
        self.gradient = self.backward.gradient
        self.gradient_row, self.gradient_column = self.gradient[:, None, :], self.gradient[:, :, None]
        self.scratch = np.empty_like(self.gradient)
        #: What this step has put on the online network's weights.
        self.drawn = self.gradient[:, :0]
        #: Where each row's Q-values begin among all of them; and those of each of its quantiles.
        self.rows = np.arange(lanes * batch_size).reshape(lanes, batch_size) * n_actions
        self.quantile_rows = self.rows[..., None] * quantiles + np.arange(quantiles) * n_actions


class _LaneViews:
    """Views of the state of some neighbouring lanes."""

    def __init__(self, state: LearnerState, lanes: slice) -> None:
        self.parameters = state.online[lanes]
        self.first_moment, self.second_moment = state.first_moment[lanes], state.second_moment[lanes]
        self.beta_powers = state.beta_powers[:, lanes]
        self.learning_rate, self.max_grad_norm = state.learning_rate[lanes], state.max_grad_norm[lanes]
        self.targets = state.target[lanes]
        self.online: Network = state.layout.network(self.parameters)
        self.target: Network = state.layout.network(self.targets)
        self._numbers = {name: values[lanes, None] for name, values in state.numbers.items()}  # [n, 1]

    def show(self, online: Array, target: Array, layout: Any) -> None:
        """Let passes go through these rows instead of the state's."""
        self.online, self.target = layout.network(online), layout.network(target)

    def number(self, name: str) -> Array:
        """Return what a field is on each lane, ``[n, 1]``."""
        return self._numbers[name].astype(self.parameters.dtype)


class NumpyUpdate:
    """Gradient steps on a :class:`LearnerState`, in place.

    Args:
        state: The lanes' state.
        head: From the network's outputs to Q-values.
        hyperparameters: Any lane's; only fields that a stack shares are read.
    """

    def __init__(self, state: LearnerState, head: QHead, hyperparameters: DQNHyperparameters) -> None:
        self._state = state
        self._head = head
        self._batch_size = hyperparameters.batch_size
        self._double_q, self._munchausen = hyperparameters.double_q, hyperparameters.munchausen
        self._loss, self._slope = hyperparameters.loss, LOSSES[hyperparameters.loss][1]
        wide = state.layout.n_parameters >= FUSED_PARAMETERS and state.online.dtype == np.float32
        optimizer = hyperparameters.optimizer
        rule: Any = rmsprop if optimizer != "adam" else FusedAdam() if wide else adam
        self._optimizer = partial(rule, epsilon=hyperparameters.optimizer_eps)
        self._workspaces: dict[int, _Workspace] = {}
        self._views: dict[tuple[int, int], _LaneViews] = {}
        self._ahead: Activations | None = None

    #: Gradient steps are taken one by one.
    whole_call = None

    @property
    def next_values(self) -> Callable[[int, Array], Array] | None:
        """From (lane, next observations ``[N, in + 1]``) to their values ``[N]``, once for a whole training call.

        The target network stands still during a call, so a transition drawn twice has one value. None in double
        Q-learning, where the online network has its say, and that moves; of soft values; of quantiles; and where
        each step sees other weights.
        """
        plain = self._head.quantiles == 1 and not self._double_q and not self._munchausen
        plain = plain and self._state.perturbation is None
        return self._target_values if plain else None

    def _target_values(self, lane: int, inputs: Array) -> Array:
        """Return the target network's values of a lane's next observations, all at once.

        Through blocks of one size, the last filled up, so that a product has the same shape whatever N is.
        """
        if self._ahead is None:
            self._ahead = Activations(self._state.layout, 1, AHEAD_ROWS, self._state.dtype)
            self._ahead_inputs = np.zeros((1, AHEAD_ROWS, inputs.shape[-1]), self._state.dtype)
        _, views = self._buffers(slice(lane, lane + 1))
        values = np.empty(len(inputs), self._state.dtype)
        for begin in range(0, len(inputs), AHEAD_ROWS):
            rows = inputs[begin : begin + AHEAD_ROWS]
            self._ahead_inputs[0, : len(rows)] = rows
            q_values = self._head.q_values(forward(views.target, self._ahead_inputs, self._ahead))
            values[begin : begin + len(rows)] = column_max(q_values[0, : len(rows)], np.maximum)
        return values

    def prepare(self, batches: Batch) -> Batch:
        """Return all minibatches of a training call as they are."""
        return batches

    def zeros(self, shape: tuple[int, ...]) -> Array:
        """Return a buffer for results."""
        return np.zeros(shape, self._state.online.dtype)

    def to_host(self, results: Array) -> Array:
        """Return such a buffer as a NumPy array."""
        return results

    def __call__(
        self, lanes: slice, batch: Batch, weights: Array | None = None, next_values: Array | None = None
    ) -> tuple[Array, Array, Array | None]:
        """Take one gradient step on each of some neighbouring lanes.

        Args:
            lanes: Which lanes, a slice with start and stop.
            batch: One minibatch per lane, leading axes ``[n, B]``; observations as network input with a trailing 1,
                actions as integers.
            weights: ``[n, B]`` importance weights on the losses; None where all are 1.
            next_values: ``[n, B]`` values of the next observations, from :meth:`next_values`; None computes them here.

        Returns:
            (temporal-difference errors ``Q(s, a) - target``, Q-values of the actions taken, losses where they are not
            those of the errors), ``[n, B]`` and from before the step.
        """
        work, views = self._buffers(lanes)
        perturbation = self._state.perturbation
        if perturbation is not None:
            work.drawn, of_target = perturbation.draw(lanes)
            online, target = (
                perturbation.shown(views.parameters, work.drawn),
                perturbation.shown(views.targets, of_target),
            )
            views.show(online, target, self._state.layout)
        rewards = batch.rewards
        if self._munchausen:
            rewards = rewards + self._bonus(views, batch, work)
        if self._head.quantiles > 1:
            return self._quantile_step(views, batch, rewards, weights, work)
        if next_values is None:
            next_values = self._next_values(views, batch.next_observations, work)
        targets = td_target(rewards, batch.discounts, next_values)

        q_values = self._head.q_values(forward(views.online, batch.observations, work.activations))
        taken = work.rows + batch.actions  # index of each taken action in the flattened q_values
        q_taken = q_values.reshape(-1).take(taken)
        td_error = q_taken - targets
        self._descend(views, batch, taken, self._slope(td_error), weights, work)
        return td_error, q_taken, None

    def _quantile_step(
        self, views: _LaneViews, batch: Batch, rewards: Array, weights: Array | None, work: _Workspace
    ) -> tuple[Array, Array, Array]:
        """Take the step of quantile regression towards ``r + discount * theta_j(s', a')`` for each quantile j."""
        head, activations = self._head, work.activations
        if self._munchausen:
            log_pi = self._log_policy(views, batch.next_observations, work)[..., None, :]
            values = head.quantile_values(forward(views.target, batch.next_observations, activations))
            following = soft_value(values, log_pi, views.number("munchausen_tau")[..., None, None], np)
        else:
            if self._double_q:
                best = head.preferences(forward(views.online, batch.next_observations, activations)).argmax(axis=-1)
            outputs = forward(views.target, batch.next_observations, activations)
            if not self._double_q:
                best = head.preferences(outputs).argmax(axis=-1)
            following = head.quantile_values(outputs).reshape(-1).take(work.quantile_rows + best[..., None])
        shape = following.shape
        targets = td_target(
            np.broadcast_to(rewards[..., None], shape), np.broadcast_to(batch.discounts[..., None], shape), following
        )
        values = head.quantile_values(forward(views.online, batch.observations, activations))
        taken = work.quantile_rows + batch.actions[..., None]
        quantiles = values.reshape(-1).take(taken)
        losses, slopes = quantile_loss(quantiles, targets, self._loss)
        self._descend(views, batch, taken, slopes, weights, work)
        q_taken = quantiles.mean(axis=-1)
        return q_taken - targets.mean(axis=-1), q_taken, losses

    def _descend(
        self, views: _LaneViews, batch: Batch, taken: Array, slope: Array, weights: Array | None, work: _Workspace
    ) -> None:
        """Take the step of a loss whose slope on what the head makes of the actions taken is ``slope``."""
        slope /= self._batch_size
        if weights is not None:
            slope *= weights.reshape(*weights.shape, *[1] * (slope.ndim - weights.ndim))
        self._head.spread(slope, taken, work.backward.output_delta)
        work.backward(views.online, batch.observations)
        if self._state.perturbation is not None:
            self._state.perturbation.chain(work.gradient, work.drawn)
        self._step(views, work)

    def _next_values(self, views: _LaneViews, inputs: Array, work: _Workspace) -> Array:
        head = self._head
        if self._munchausen:
            log_pi = self._log_policy(views, inputs, work)
            q_values = head.q_values(forward(views.target, inputs, work.activations))
            soft: Array = soft_value(q_values, log_pi, views.number("munchausen_tau")[..., None], np)
            return soft
        if not self._double_q:
            best_value: Array = column_max(head.q_values(forward(views.target, inputs, work.activations)), np.maximum)
            return best_value.copy()  # it may be a view of the buffer that the next forward pass overwrites
        # Double Q-learning (van Hasselt et al. 2016): the online network chooses, the target network values.
        best = work.rows + head.preferences(forward(views.online, inputs, work.activations)).argmax(axis=-1)
        chosen: Array = head.q_values(forward(views.target, inputs, work.activations)).reshape(-1).take(best)
        return chosen

    def _bonus(self, views: _LaneViews, batch: Batch, work: _Workspace) -> Array:
        """Return what Munchausen's target adds to the rewards, ``[n, B]``."""
        alpha, temperature, least = map(views.number, MUNCHAUSEN)
        taken = self._log_policy(views, batch.observations, work).reshape(-1).take(work.rows + batch.actions)
        bonus: Array = munchausen_bonus(taken, alpha, temperature, least, np)
        return bonus

    def _log_policy(self, views: _LaneViews, inputs: Array, work: _Workspace) -> Array:
        """Return the log-probabilities ``[n, B, n_actions]`` of the softmax policy that a target's value is of."""
        temperature = views.number("munchausen_tau")[..., None]
        network = views.online if self._double_q else views.target
        log_pi: Array = log_policy(self._head.preferences(forward(network, inputs, work.activations)), temperature, np)
        return log_pi

    def _step(self, views: _LaneViews, work: _Workspace) -> None:
        gradient = work.gradient
        norm = np.sqrt(np.matmul(work.gradient_row, work.gradient_column)[:, 0, 0])
        norm += 1e-6
        # torch's clip_grad_norm_: scale by max_norm / (norm + 1e-6), never up. Multiplying by 1 changes nothing.
        if (norm > views.max_grad_norm).any():
            scale = np.minimum(views.max_grad_norm / norm, 1.0)
            gradient *= scale.astype(gradient.dtype)[:, None]
        self._optimizer(
            views.parameters,
            gradient,
            views.first_moment,
            views.second_moment,
            views.beta_powers,
            views.learning_rate,
            work.scratch,
        )

    def _buffers(self, lanes: slice) -> tuple[_Workspace, _LaneViews]:
        n, key = lanes.stop - lanes.start, (lanes.start, lanes.stop)
        if n not in self._workspaces:
            self._workspaces[n] = _Workspace(
                self._state, n, self._batch_size, self._head.n_actions, self._head.quantiles
            )
        if key not in self._views:
            self._views[key] = _LaneViews(self._state, lanes)
        return self._workspaces[n], self._views[key]
