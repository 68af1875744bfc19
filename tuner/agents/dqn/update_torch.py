"""One gradient step of n lanes with torch's autograd: the reference, for any device and any network.

Works in place on the arrays of :class:`~tuner.agents.dqn.state.LearnerState` (torch wraps the same memory).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  (torch's own name for it)
from numpy.typing import NDArray

from tuner.agents.dqn.optimizers import BETA1, BETA2, RMS_ALPHA, RMS_EPS, adam_step
from tuner.agents.dqn.state import LearnerState
from tuner.core.targets import column_max, td_target
from tuner.hyperparameters import DQNHyperparameters
from tuner.replay.ring import Batch

Array = NDArray[Any]


class TorchUpdate:
    """Gradient steps on a :class:`LearnerState`, in place; the same call as the NumPy update."""

    def __init__(self, state: LearnerState, hyperparameters: DQNHyperparameters) -> None:
        self._state = state
        self._hyperparameters = hyperparameters
        self._online = torch.from_numpy(state.online)
        self._target = torch.from_numpy(state.target)
        self._first_moment = torch.from_numpy(state.first_moment)
        self._second_moment = torch.from_numpy(state.second_moment)

    def __call__(self, lanes: slice, batch: Batch) -> tuple[Array, Array]:
        """Take one gradient step on each of some neighbouring lanes; see ``NumpyUpdate``."""
        observations, next_observations, rewards, discounts = (
            torch.from_numpy(np.ascontiguousarray(part))
            for part in (batch.observations[..., :-1], batch.next_observations[..., :-1], *batch[2:4])
        )
        actions = torch.from_numpy(np.ascontiguousarray(batch.actions)).unsqueeze(-1)
        online = self._online[lanes].detach().requires_grad_()
        with torch.no_grad():
            next_q = self._forward(self._target[lanes], next_observations)
            if self._hyperparameters.double_q:
                best = self._forward(online, next_observations).argmax(-1, keepdim=True)
                values = next_q.gather(-1, best).squeeze(-1)
            else:
                values = column_max(next_q, torch.maximum)
            targets = td_target(rewards, discounts, values)
        q_taken = self._forward(online, observations).gather(-1, actions).squeeze(-1)
        criterion = F.smooth_l1_loss if self._hyperparameters.loss == "huber" else F.mse_loss
        losses = criterion(q_taken, targets, reduction="none").mean(dim=1)
        # Lanes share no parameters, so the gradient of the sum is each lane's own gradient.
        (gradient,) = torch.autograd.grad(losses.sum(), online)
        with torch.no_grad():
            self._step(lanes, gradient)
        return (q_taken.detach() - targets).numpy(), q_taken.detach().numpy()

    def _forward(self, flat: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        layers = self._state.layout.views(flat)
        hidden = inputs
        for i, (weight, bias) in enumerate(layers):
            hidden = torch.baddbmm(bias, hidden, weight)
            if i < len(layers) - 1:
                hidden = torch.relu(hidden)
        return hidden

    def _step(self, lanes: slice, gradient: torch.Tensor) -> None:
        state = self._state
        norm = torch.linalg.vector_norm(gradient, dim=1)
        bound = torch.from_numpy(state.max_grad_norm[lanes]).to(gradient.dtype)
        gradient *= (bound / (norm + 1e-6)).clamp(max=1.0)[:, None]
        learning_rate = _column(state.learning_rate[lanes], gradient)
        second = self._second_moment[lanes]
        if self._hyperparameters.optimizer == "rmsprop":
            second.mul_(RMS_ALPHA).addcmul_(gradient, gradient, value=1 - RMS_ALPHA)
            self._online[lanes] -= learning_rate * gradient / (second.sqrt() + RMS_EPS)
            return
        first = self._first_moment[lanes]
        step_size, epsilon = adam_step(state.beta_powers[:, lanes], state.learning_rate[lanes])
        first.mul_(BETA1).add_(gradient)
        second.mul_(BETA2).addcmul_(gradient, gradient)
        denominator = second.sqrt() + _column(epsilon, gradient)
        self._online[lanes] -= _column(step_size, gradient) * first / denominator


def _column(values: Array, like: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(values).to(like.dtype)[:, None]
