"""Gradient steps on images against torch's own modules and optimizers, as Stable-Baselines3 uses them."""

import copy

import gymnasium
import numpy as np
import pytest
import torch
from stable_baselines3.dqn.policies import CnnPolicy

from tuner.agents.dqn.layout import network_layout
from tuner.agents.dqn.stack import DQNStack
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
@pytest.mark.parametrize(("max_grad_norm", "epsilon"), [(10.0, 1e-8), (1e-3, 1e-4)])
def test_updates_on_images_are_those_of_torch(optimizer, max_grad_norm, epsilon):
    hyperparameters = DQNHyperparameters(
        net_arch=(),
        batch_size=BATCH,
        learning_rate=1e-4,
        optimizer=optimizer,
        max_grad_norm=max_grad_norm,
        optimizer_eps=epsilon,
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
        policies.append((policy, copy.deepcopy(policy), kind(policy.parameters(), 1e-4, eps=epsilon)))
    update = TorchUpdate(state, QHead(N_ACTIONS), hyperparameters)
    for _ in range(3):
        batch = minibatch(rng, lanes)
        td_errors, *_ = update(slice(0, lanes), batch)
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


def small_stack(hyperparameters, lanes, path):
    encoder = encoder_for(gymnasium.spaces.Box(0, 1, (10, 9, 4), np.bool_))
    return DQNStack(encoder, N_ACTIONS, hyperparameters, lanes=lanes, capacity=60, numeric_path=path)


def observe(stack, lane, seed, steps=40):
    rng = np.random.default_rng(seed)
    rows = stack.memory.blank(steps)
    parts = stack.memory.unpack(rows)
    for part in (parts.observations, parts.next_observations):
        part[:, :-1] = rng.random((steps, part.shape[1] - 1)) < 0.2
    parts.rewards[:], parts.discounts[:] = rng.random(steps), 0.9
    parts.actions[:] = rng.integers(N_ACTIONS, size=steps)
    stack.observe(lane, rows)


# Images with quantiles, and with noise, are compiled each for themselves, in ten seconds. Vectors have both, always.
VARIANTS = [
    {},
    {"net_arch": (24,), "loss": "mse", "optimizer": "rmsprop"},
    {"double_q": True, "dueling": True, "n_steps": 3, "normalize_rewards": True, "gamma": 0.9},
    {"net_arch": (24,), "layer_norm": True, "munchausen": True},
    {"normalize_rewards": True, "n_steps": 40, "gamma": 0.9},
    pytest.param({"quantiles": 5, "dueling": True}, marks=pytest.mark.slow),
    pytest.param({"net_arch": (24,), "noisy": True, "layer_norm": True}, marks=pytest.mark.slow),
]


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_compiled_updates_on_small_images_equal_torchs_within_a_millionth(variant):
    settings = {"net_arch": (), "batch_size": 12, "gradient_steps": 1, "train_freq": 4, "learning_rate": 1e-4}
    h = DQNHyperparameters(**{**settings, **variant})
    compiled, twin = (small_stack(h, 1, path) for path in ("compiled", "torch"))
    for stack in (compiled, twin):
        stack.start(0, h, 3, 60)
        observe(stack, 0, 1)
    for _ in range(4):
        first = twin.state.online.copy()
        twin.state.online[:], twin.state.target[:] = compiled.state.online, compiled.state.target
        for state in (compiled.state, twin.state):  # the two keep moments on different scales: each begins anew
            state.beta_powers[:], state.first_moment[:], state.second_moment[:] = 1, 0, 0
        mine, theirs = compiled.learn([0])[0], twin.learn([0])[0]
        np.testing.assert_allclose(mine, theirs, rtol=1e-5)
        # Adam's first step is lr * sign(gradient): where a gradient is nearly 0, its rounding decides the sign.
        far = np.abs(compiled.state.online - twin.state.online) > 1e-6 * np.abs(first).max()
        assert np.mean(far) < 1e-3
        assert np.abs(compiled.state.online - first).max() > 1e-5
    inputs = np.random.default_rng(5).random((1, 7, 360)).astype(np.float32)
    twin.state.online[:] = compiled.state.online
    whole = compiled._acting.frozen(compiled.averaging.networks([0]))(inputs)
    np.testing.assert_allclose(whole, twin._acting.frozen(twin.averaging.networks([0]))(inputs), rtol=1e-4, atol=1e-6)
    single = compiled._acting.outputs(slice(0, 1), np.ones((1, 361), np.float32) * inputs[0, 0, 0])
    np.testing.assert_allclose(
        single, twin._acting.outputs(slice(0, 1), np.ones((1, 361), np.float32) * inputs[0, 0, 0]), rtol=1e-4, atol=1e-6
    )


def test_a_compiled_lane_of_images_is_bit_equal_whatever_trains_beside_it():
    h = DQNHyperparameters(net_arch=(), batch_size=12, gradient_steps=3, train_freq=4)
    alone, crowded = small_stack(h, 1, "compiled"), small_stack(h, 3, "compiled")
    for stack, lane in ((alone, 0), (crowded, 2)):
        for other in range(lane):
            stack.start(other, h, other, 60)
            observe(stack, other, other)
        stack.start(lane, h, 5, 60)
        observe(stack, lane, 9)
    expected = [alone.learn([0])[0] for _ in range(3)]
    assert [crowded.learn([0, 1, 2])[2] for _ in range(3)] == expected
    np.testing.assert_array_equal(crowded.state.online[2], alone.state.online[0])


def test_compiled_code_sees_bytes_and_stacked_frames_as_torch_does():
    """Numbers up to 255 are shown in [0, 1], and each frame of a stack, stored once, in its place."""
    h = DQNHyperparameters(net_arch=(), batch_size=12, gradient_steps=2, train_freq=4, double_q=True, max_grad_norm=0.1)
    encoder = encoder_for(FramesBox(3, 10, 9))
    pixels = np.random.default_rng(2).integers(0, 256, (45, 90), dtype=np.uint8)  # of one episode's frames
    stacks = np.array([pixels[i : i + 3].ravel() for i in range(43)])
    found = []
    for path in ("compiled", "torch"):
        stack = DQNStack(encoder, N_ACTIONS, h, lanes=2, capacity=60, numeric_path=path)
        for lane in range(2):
            stack.start(lane, h, lane, 60)
            stack.state.target[lane] *= 1.5
        rows = stack.memory.blank(42)
        parts = stack.memory.unpack(rows)
        parts.observations[:, :-1], parts.next_observations[:, :-1] = stacks[:-1], stacks[1:]
        parts.rewards[:], parts.discounts[:], parts.actions[:] = np.arange(42) % 5, 0.9, np.arange(42) % N_ACTIONS
        stack.observe(1, rows)
        stored = np.append(stacks[:2], np.ones((2, 1)), axis=1).astype(np.float32)
        seen = stack._acting.outputs(slice(0, 2), stack._inputs(stored))
        best = stack._exploring.best(slice(0, 2), stored)
        np.testing.assert_array_equal(best, seen.argmax(axis=1))
        found.append((seen, *stack.learn([1])[1]))
    for mine, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=2e-6)
