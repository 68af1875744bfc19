"""One gradient step of n lanes with torch's autograd: the reference, for any device and any network.

It works in place on the rows of :class:`~tuner.agents.dqn.state.LearnerState`, wherever they lie: torch wraps NumPy's
arrays, and tensors on a device are taken as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  (torch's own name for it)
from numpy.typing import NDArray

from tuner.agents.dqn.captured import TrainingCalls
from tuner.agents.dqn.optimizers import BETA1, BETA2, RMS_ALPHA, adam_step
from tuner.agents.dqn.state import LearnerState
from tuner.agents.dqn.step_torch import LaneParts, adam, clip, rmsprop
from tuner.core.losses import quantile_errors, quantile_levels
from tuner.core.munchausen import MUNCHAUSEN, log_policy, munchausen_bonus, soft_value
from tuner.core.targets import column_max, td_target
from tuner.hyperparameters import DQNHyperparameters
from tuner.networks.conv import ConvLayout
from tuner.networks.forward_torch import Views, outputs
from tuner.networks.heads import QHead
from tuner.replay.ring import Batch

Array = NDArray[Any]

#: What a gradient step reads or changes, by the state's own names.
_ROWS = ("online", "target", "first_moment", "second_moment")


class TorchUpdate:
    """Gradient steps on a :class:`LearnerState`; the same calls as the NumPy update.

    Args:
        state: The lanes' state.
        head: From the network's outputs to Q-values.
        hyperparameters: Any lane's; only fields that a stack shares are read.
    """

    #: The reference computes target values in each gradient step.
    next_values = None

    def __init__(self, state: LearnerState, head: QHead, hyperparameters: DQNHyperparameters) -> None:
        self._state = state
        self._head = head
        self._hyperparameters = hyperparameters
        self._rows: dict[str, torch.Tensor] = {name: torch.as_tensor(getattr(state, name)) for name in _ROWS}
        self._device = self._rows["online"].device
        #: Levels of quantiles, ``[quantiles, 1]``.
        self._levels = torch.from_numpy(quantile_levels(head.quantiles)).to(self._rows["online"])
        #: Whole training calls; images, whose convolutions are the work, and noise, drawn here, step by step.
        self.calls: TrainingCalls | None = None
        if not (
            isinstance(state.online, np.ndarray)
            or isinstance(state.layout, ConvLayout)
            or state.perturbation is not None
        ):
            self.calls = TrainingCalls(self._step_of_call, self._rows["online"], 2 + (head.quantiles > 1))

    @property
    def whole_call(self) -> Callable[[slice, Batch], Sequence[Any]] | None:
        """See :class:`~tuner.agents.dqn.stepped.GradientStep`."""
        return None if self.calls is None else self._whole_call

    def _whole_call(self, lanes: slice, batches: Batch) -> Sequence[Any]:
        assert self.calls is not None
        found = self.calls(lanes, batches, self._numbers(lanes, batches.actions.shape[1]))
        return (*found, None)[:3]  # without quantiles there are no losses of their own

    def _step_of_call(self, lanes: slice, batch: Batch, numbers: torch.Tensor) -> tuple[torch.Tensor, ...]:
        found = self._gradient_step(lanes, batch, numbers)
        return tuple(part for part in found if part is not None)

    def prepare(self, batches: Batch) -> Batch:
        """Return all minibatches of a training call as tensors on the device."""
        return Batch(*(torch.as_tensor(part, device=self._device) for part in batches))

    def zeros(self, shape: tuple[int, ...]) -> torch.Tensor:
        """Return a buffer for results."""
        return torch.zeros(shape, dtype=self._rows["online"].dtype, device=self._device)

    def to_host(self, results: torch.Tensor) -> Array:
        """Return such a buffer as a NumPy array."""
        return results.cpu().numpy()

    def __call__(
        self, lanes: slice, batch: Batch, weights: Array | None = None, next_values: Array | None = None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Take one gradient step on each of some neighbouring lanes; see ``NumpyUpdate``."""
        batch = self.prepare(batch)  # costs nothing where it has been done
        numbers = torch.from_numpy(self._numbers(lanes, 1)[0])
        if self._hyperparameters.munchausen or not isinstance(self._state.layout, ConvLayout):  # else nobody reads them
            numbers = numbers.to(self._rows["online"])  # in one copy
        shares = None if weights is None else torch.as_tensor(weights, device=self._device)
        return self._gradient_step(lanes, batch, numbers, shares)

    def _numbers(self, lanes: slice, steps: int) -> Array:
        """Return what each gradient step needs one number of for each lane, ``[steps, 6, n]``, and count the steps.

        They are the bound on the gradient's norm, step size and epsilon (images take these from the state, part by
        part), and Munchausen's three.
        """
        state = self._state
        found = np.zeros((steps, 3 + len(MUNCHAUSEN), lanes.stop - lanes.start))
        for row, name in enumerate(MUNCHAUSEN, start=3):
            found[:, row] = state.numbers[name][lanes]
        if isinstance(state.layout, ConvLayout):
            return found
        epsilon = self._hyperparameters.optimizer_eps
        found[:, 0], found[:, 1], found[:, 2] = state.max_grad_norm[lanes], state.learning_rate[lanes], epsilon
        if self._hyperparameters.optimizer == "adam":
            for step in found:
                step[1:3] = adam_step(state.beta_powers[:, lanes], state.learning_rate[lanes], epsilon)
        return found

    def _gradient_step(
        self, lanes: slice, batch: Batch, numbers: torch.Tensor, weights: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Take the step: of vectors a function of tensors on the device alone, so that it can be captured.

        Args:
            lanes: n lanes.
            batch: As tensors.
            numbers: ``[6, n]`` from :meth:`_numbers`.
            weights: ``[n, B]`` importance weights.

        Returns:
            See :class:`~tuner.agents.dqn.stepped.GradientStep`.
        """
        observations, next_observations = batch.observations, batch.next_observations
        rewards, discounts, actions = batch.rewards, batch.discounts, batch.actions.unsqueeze(-1)
        layout, perturbation = self._state.layout, self._state.perturbation
        # Each view is a leaf: gradients of slices of one row would each be as long as the row.
        online = [(w.detach().requires_grad_(), b.detach().requires_grad_())
                  for w, b in layout.views(self._rows["online"][lanes])]  # fmt: skip
        with torch.no_grad():
            target = layout.views(self._rows["target"][lanes])
            if perturbation is not None:
                drawn, of_target = (torch.from_numpy(part).to(online[0][0]) for part in perturbation.draw(lanes))
                target = perturbation.shown_views(target, of_target)
        seen = online if perturbation is None else perturbation.shown_views(online, drawn)
        with torch.no_grad():
            # [n, B, n_actions]; of quantiles [n, B, quantiles, n_actions], each valued under one policy.
            next_q = self._values(target, next_observations)
            if self._hyperparameters.munchausen:
                alpha, tau, least = numbers[3:, :, None]
                chooser = seen if self._hyperparameters.double_q else target
                log_pi, before = (
                    log_policy(self._head.preferences(self._forward(chooser, inputs)), tau[..., None], torch)
                    for inputs in (next_observations, observations)
                )
                log_pi, temperature = self._by_quantile(log_pi), self._by_quantile(tau[..., None])
                values = soft_value(next_q, log_pi, temperature, torch)
                taken = before.gather(-1, actions).squeeze(-1)
                rewards = rewards + munchausen_bonus(taken, alpha, tau, least, torch)
            elif self._hyperparameters.double_q:
                best = self._head.preferences(self._forward(seen, next_observations)).argmax(-1, keepdim=True)
                values = self._of(next_q, best)
            elif self._head.quantiles > 1:
                values = self._of(next_q, next_q.mean(-2).argmax(-1, keepdim=True))
            else:
                values = column_max(next_q, torch.maximum)
            if self._head.quantiles > 1:
                rewards, discounts = (part.unsqueeze(-1).expand(values.shape) for part in (rewards, discounts))
            targets = td_target(rewards, discounts, values)
        taken = self._of(self._values(seen, observations), actions)
        criterion = F.smooth_l1_loss if self._hyperparameters.loss == "huber" else F.mse_loss
        own: torch.Tensor | None = None
        if self._head.quantiles > 1:
            errors = quantile_errors(taken, targets)
            shares = (self._levels - (errors < 0).to(taken)).abs()
            losses = (shares * criterion(errors, torch.zeros_like(errors), reduction="none")).mean(-1).sum(-1)
            own = losses.detach()
            q_taken, targets = taken.mean(-1), targets.mean(-1)
        else:
            q_taken = taken
            losses = criterion(q_taken, targets, reduction="none")
        if weights is not None:
            losses = losses * weights
        losses = losses.mean(dim=1)
        # Lanes share no parameters, so the gradient of the sum is each lane's own gradient.
        gradients = torch.autograd.grad(losses.sum(), [part for layer in online for part in layer])
        with torch.no_grad():
            if isinstance(layout, ConvLayout):
                self._step_by_part(lanes, gradients)
            else:
                self._step(lanes, torch.cat([gradient.flatten(1) for gradient in gradients], dim=1), numbers)
        return q_taken.detach() - targets, q_taken.detach(), own

    def _values(self, views: Views, observations: torch.Tensor) -> torch.Tensor:
        """Return Q-values ``[n, B, n_actions]``, or their quantiles ``[n, B, quantiles, n_actions]``."""
        found = self._forward(views, observations)
        values: torch.Tensor = (
            self._head.q_values(found) if self._head.quantiles == 1 else self._head.quantile_values(found)
        )
        return values

    def _of(self, values: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        """Return what values say of actions ``[n, B, 1]``: ``[n, B]``, or ``[n, B, quantiles]``."""
        actions = self._by_quantile(actions)
        return values.gather(-1, actions.expand(*values.shape[:-1], 1)).squeeze(-1)

    def _by_quantile(self, numbers: torch.Tensor) -> torch.Tensor:
        """Return numbers ``[n, B, m]`` as ``[n, B, 1, m]`` where there are quantiles."""
        return numbers.unsqueeze(-2) if self._head.quantiles > 1 else numbers

    def _forward(self, views: Views, observations: torch.Tensor) -> torch.Tensor:
        layout = self._state.layout
        return outputs(layout, views, observations if isinstance(layout, ConvLayout) else observations[..., :-1])

    def _step(self, lanes: slice, gradient: torch.Tensor, numbers: torch.Tensor) -> None:
        online, second = self._rows["online"][lanes], self._rows["second_moment"][lanes]
        bound, steps, least = numbers[:3, :, None]
        norm = torch.linalg.vector_norm(gradient, dim=1, keepdim=True)
        gradient *= (bound / (norm + 1e-6)).clamp(max=1.0)
        if self._hyperparameters.optimizer == "adam":
            first = self._rows["first_moment"][lanes]
            first.mul_(BETA1).add_(gradient)
            second.mul_(BETA2).addcmul_(gradient, gradient)
            online -= steps * first / (second.sqrt() + least)
        else:
            second.mul_(RMS_ALPHA).addcmul_(gradient, gradient, value=1 - RMS_ALPHA)
            online -= steps * gradient / (second.sqrt() + least)

    def _step_by_part(self, lanes: slice, gradients: Sequence[torch.Tensor]) -> None:
        """Take the same step without copying: a convolutional network's row is millions of numbers long."""
        state, held = self._state, self._rows
        for i, lane in enumerate(range(lanes.start, lanes.stop)):
            rows = slice(lane, lane + 1)
            kept = ("online", "first_moment", "second_moment")
            parts = LaneParts(*([p for pair in state.layout.views(held[name][rows]) for p in pair] for name in kept))
            own = [gradient[i : i + 1] for gradient in gradients]
            clip(own, float(state.max_grad_norm[lane]))
            learning_rate, epsilon = float(state.learning_rate[lane]), self._hyperparameters.optimizer_eps
            if self._hyperparameters.optimizer == "adam":
                state.beta_powers[:, lane] *= (BETA1, BETA2)
                adam(parts, own, learning_rate, state.beta_powers[:, lane].tolist(), epsilon)
            else:
                rmsprop(parts, own, learning_rate, epsilon)
