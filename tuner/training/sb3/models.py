"""Stable-Baselines3's models as the trainer sees them: what made them, what their training calls saw, how they act."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import DQN
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import NStepReplayBuffer, ReplayBuffer
from stable_baselines3.common.type_aliases import ReplayBufferSamples

from tuner.hyperparameters import Hyperparameters
from tuner.training.player import Act
from tuner.training.sb3.inputs import observations, statistics
from tuner.training.sb3.saved import spaces_of

Array = NDArray[Any]

#: What its algorithms call the loss that they minimise, or the first part of it that tells how learning goes.
LOSSES = ("train/loss", "train/critic_loss", "train/value_loss")


def model_class(hyperparameters: Hyperparameters) -> type[BaseAlgorithm]:
    """Return the class that trains an algorithm."""
    module, _, name = hyperparameters.sb3_class.rpartition(".")
    found: type[BaseAlgorithm] = getattr(importlib.import_module(module), name)
    return WatchedDQN if found is DQN else found


def after_training_calls(
    model: BaseAlgorithm, told: Callable[[BaseAlgorithm, float | None, float | None], None]
) -> None:
    """Have ``told`` called after each training call with the mean loss and the mean Q-value of the actions taken.

    Either is None where the algorithm does not say. What is learned is Stable-Baselines3's own, number for number.
    """
    learner: Any = model  # its base class leaves out that all of them have train()
    train = learner.train

    def watched(*arguments: Any, **named: Any) -> None:
        train(*arguments, **named)
        told_of = model.logger.name_to_value
        loss = next((told_of[name] for name in LOSSES if name in told_of), None)
        q_value = model.taken_q_value() if isinstance(model, WatchedDQN) else None
        told(model, None if loss is None else float(loss), q_value)

    learner.train = watched


def epsilon_now(model: BaseAlgorithm) -> float | None:
    """Return the probability that the next action is random, which is set only after the callback; None without one."""
    schedule: Callable[[float], float] | None = getattr(model, "exploration_schedule", None)
    if schedule is None:
        return None
    return float(schedule(1.0 - float(model.num_timesteps) / float(model._total_timesteps)))


def greedy(model: BaseAlgorithm) -> Act:
    """Return the model's greedy play from the first step of its episodes on.

    That is a function from network inputs ``[..., input_size]`` to actions ``[..., *shape of one]``.
    """
    memory: Any = None  # of a policy that has one

    def act(inputs: Array) -> Array:
        nonlocal memory
        normalizer, rows = model.get_vec_normalize_env(), inputs.reshape(-1, inputs.shape[-1])
        if normalizer is not None:  # does not take them in: statistics are those of training
            rows = np.asarray(normalizer.normalize_obs(rows))
        best, memory = model.predict(observations(rows, model.observation_space), memory, deterministic=True)
        return best.reshape(*inputs.shape[:-1], *best.shape[1:])

    return act


def weights_of(model: BaseAlgorithm) -> Mapping[str, Array]:
    """Return what a file holds: a Q-network's arrays, or the whole policy's and the sizes of what it sees and does."""
    network: Any = model.q_net if isinstance(model, DQN) else model.policy
    arrays = {name: value.cpu().numpy() for name, value in network.state_dict().items()}
    if not isinstance(model, DQN):
        arrays |= spaces_of(model.observation_space, model.action_space)
    return arrays | statistics(model.get_vec_normalize_env())


class WatchedDQN(DQN):
    """DQN whose training calls leave the Q-values of the actions they saw."""

    def __init__(self, *, n_steps: int = 1, **named: Any) -> None:
        memory: dict[str, Any] = {"replay_buffer_class": _WatchedReplay}
        if n_steps > 1:  # with a replay memory of one's own, the memory is told instead
            memory["replay_buffer_class"] = _WatchedNStepReplay
            memory["replay_buffer_kwargs"] = {"n_steps": n_steps, "gamma": named["gamma"]}
        super().__init__(**memory, **named)

    def _setup_model(self) -> None:
        super()._setup_model()
        self._q_means: list[torch.Tensor] = []
        self.q_net.register_forward_hook(self._note_q_values)

    def _note_q_values(self, module: torch.nn.Module, inputs: Any, output: torch.Tensor) -> None:
        if torch.is_grad_enabled():  # only the pass whose loss is minimised
            assert isinstance(self.replay_buffer, _WatchedReplay)
            taken = output.detach().gather(1, self.replay_buffer.sampled_actions.long())
            self._q_means.append(taken.mean())

    def taken_q_value(self) -> float:
        """Return the mean Q-value of the actions that gradient steps saw since this was last asked."""
        means, self._q_means = self._q_means, []
        return float(torch.stack(means).mean())


class _WatchedReplay(ReplayBuffer):
    """Remembers the actions of its last minibatch."""

    sampled_actions: torch.Tensor

    def _get_samples(self, batch_inds: Array, env: Any = None) -> ReplayBufferSamples:
        samples = super()._get_samples(batch_inds, env)
        self.sampled_actions = samples.actions
        return samples


class _WatchedNStepReplay(_WatchedReplay, NStepReplayBuffer):
    """Likewise, for n-step returns."""
