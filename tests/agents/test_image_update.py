"""Gradient steps on images against torch's own modules and optimizers, as Stable-Baselines3 uses them."""

import copy

import gymnasium
import numpy as np
import pytest
import torch
from stable_baselines3.dqn.policies import CnnPolicy

from tuner.agents.dqn.layout import network_layout
from tuner.agents.dqn.state import LearnerState
from tuner.agents.dqn.update_torch import TorchUpdate
from tuner.envs.encoders import encoder_for
from tuner.envs.frames import FramesBox
from tuner.hyperparameters import DQNHyperparameters
from tuner.networks.heads import QHead
from tuner.replay.ring import Batch

N_ACTIONS, BATCH = 4, 6


def minibatch(rng, lanes):
    def images():
        return rng.integers(0, 256, (lanes, BATCH, 4, 84, 84), dtype=np.uint8)

    rewards, discounts = rng.random((lanes, BATCH), np.float32), np.full((lanes, BATCH), 0.9, np.float32)
    return Batch(images(), images(), rewards, discounts, rng.integers(0, N_ACTIONS, (lanes, BATCH)))


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop"])
@pytest.mark.parametrize("max_grad_norm", [10.0, 1e-3])
def test_updates_on_images_are_those_of_torch(optimizer, max_grad_norm):
    hyperparameters = DQNHyperparameters(
        net_arch=(), batch_size=BATCH, learning_rate=1e-4, optimizer=optimizer, max_grad_norm=max_grad_norm
    )
    space = gymnasium.spaces.Box(0, 255, (4, 84, 84), np.uint8)
    lanes, rng = 2, np.random.default_rng(0)
    state = LearnerState(network_layout(encoder_for(FramesBox()), hyperparameters, N_ACTIONS), lanes)
    policies = []
    for lane in range(lanes):
        state.start(lane, hyperparameters, np.random.default_rng(lane))
        policy = CnnPolicy(space, gymnasium.spaces.Discrete(N_ACTIONS), lambda _: 1e-4).q_net
        named = state.layout.to_state_dict(state.online[lane])
        policy.load_state_dict({name: torch.from_numpy(weight) for name, weight in named.items()})
        kind = torch.optim.Adam if optimizer == "adam" else torch.optim.RMSprop
        policies.append((policy, copy.deepcopy(policy), kind(policy.parameters(), 1e-4)))
    update = TorchUpdate(state, QHead(N_ACTIONS), hyperparameters)
    for _ in range(3):
        batch = minibatch(rng, lanes)
        td_errors, _ = update(slice(0, lanes), batch)
        for lane, (online, target, descent) in enumerate(policies):
            part = Batch(*(torch.from_numpy(values[lane]) for values in batch))
            with torch.no_grad():
                aim = part.rewards + part.discounts * target(part.next_observations).max(dim=1).values
            taken = online(part.observations).gather(1, part.actions[:, None])[:, 0]
            np.testing.assert_allclose(td_errors[lane].numpy(), (taken - aim).detach().numpy(), rtol=1e-4, atol=2e-5)
            descent.zero_grad()
            torch.nn.functional.smooth_l1_loss(taken, aim).backward()
            torch.nn.utils.clip_grad_norm_(online.parameters(), max_grad_norm)
            descent.step()
    for lane, (online, _, _) in enumerate(policies):
        got = state.layout.to_state_dict(state.online[lane])
        moved = 0.0
        for name, weight in online.state_dict().items():
            # Adam's first steps are lr * sign(gradient): where a gradient is nearly 0, its rounding decides the sign.
            assert np.mean(np.abs(got[name] - weight.numpy()) > 1e-5) < 1e-3, name
            moved += float(np.abs(weight.numpy()).sum())
        assert moved > 0
