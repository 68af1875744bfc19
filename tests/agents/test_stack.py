"""The stack against a naive twin, its two update functions against each other, and lanes against their neighbours."""

from __future__ import annotations

import numpy as np
import pytest
from agents.naive_dqn import NaiveDQN

from tuner.agents.dqn.stack import DQNStack, neighbours
from tuner.agents.dqn.update_torch import TorchUpdate
from tuner.envs.encoders import BoxEncoder
from tuner.hyperparameters import DQNHyperparameters

OBSERVATION, ACTIONS = 3, 4
BASE = {"batch_size": 16, "net_arch": (12, 8), "learning_rate": 3e-3, "train_freq": 8, "gradient_steps": 4}
VARIANTS = [
    {},
    {"loss": "mse"},
    {"optimizer": "rmsprop"},
    {"double_q": True},
    {"max_grad_norm": 0.05},
    {"tau": 0.3, "target_update_interval": 3},
    {"double_q": True, "loss": "mse", "optimizer": "rmsprop", "gradient_steps": -1},
]


def transitions(n: int, seed: int, dtype=np.float64) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rows = np.ones((n, 2 * OBSERVATION + 5), dtype)
    rows[:, :OBSERVATION] = rng.normal(size=(n, OBSERVATION))
    rows[:, OBSERVATION + 1 : 2 * OBSERVATION + 1] = rng.normal(size=(n, OBSERVATION))
    rows[:, -3] = rng.normal(scale=3, size=n)
    rows[:, -2] = np.where(rng.random(n) < 0.1, 0.0, 0.97)
    rows[:, -1] = rng.integers(ACTIONS, size=n)
    return rows


def make_stack(hyperparameters, lanes=1, path="numpy", dtype=np.float32, n_timesteps=400) -> DQNStack:
    return DQNStack(
        BoxEncoder(OBSERVATION), ACTIONS, hyperparameters, lanes=lanes, capacity=n_timesteps, numeric_path=path,
        dtype=dtype,
    )  # fmt: skip


def train(stack: DQNStack, lane: int, hyperparameters, seed: int, calls: int = 12) -> list[tuple[float, float]]:
    stack.start(lane, hyperparameters, seed, 400)
    rows = transitions(400, seed, stack.state.online.dtype)
    results = []
    for call in range(calls):
        stack.observe(lane, rows[call * 8 : call * 8 + 8])
        results.append(stack.learn([lane])[lane])
    return results


@pytest.mark.parametrize("path", ["numpy", "torch"])
@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_a_lane_equals_the_naive_twin(variant, path, monkeypatch):
    h = DQNHyperparameters(**{**BASE, "target_update_interval": 5, "buffer_size": 50, **variant})
    stack = make_stack(h, path=path, dtype=np.float64)
    stack.start(0, h, seed=7, n_timesteps=400)
    twin = NaiveDQN((OBSERVATION, *h.net_arch, ACTIONS), h, dict(stack.weights(0)))
    drawn: list[np.ndarray] = []
    uniforms = stack.memory._uniforms

    def recording(lane, count):
        values = uniforms(lane, count)
        drawn.append((values * stack.memory.sizes[lane]).astype(int))
        return values

    monkeypatch.setattr(stack.memory, "_uniforms", recording)
    rows = transitions(96, seed=1)
    for begin in range(0, 96, 8):
        stack.observe(0, rows[begin : begin + 8])
        for t, row in enumerate(rows[begin : begin + 8], start=begin + 1):
            twin.remember((row[:3], row[4:7], row[-3], row[-2], row[-1]))
            if t % h.target_update_interval == 0:
                twin.update_target()
        loss, _ = stack.learn([0])[0]
        oldest = stack.memory.positions[0] if stack.memory.sizes[0] == 50 else 0
        index = (drawn[-1].reshape(-1, h.batch_size) - oldest) % stack.memory.sizes[0]
        twin_losses = [twin.gradient_step(minibatch) for minibatch in index]
        assert len(twin_losses) == h.updates_per_call()
        np.testing.assert_allclose(loss, np.mean(twin_losses), rtol=1e-9)
    mine, theirs = stack.weights(0), twin.weights()
    assert mine.keys() == theirs.keys()
    for name in mine:
        np.testing.assert_allclose(mine[name], theirs[name], rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_the_fast_update_stays_within_1e_6_of_the_reference(variant):
    h = DQNHyperparameters(**{**BASE, **variant})
    fast, reference = make_stack(h, path="numpy"), make_stack(h, path="torch")
    one_call = {"calls": 1}
    for stack in (fast, reference):
        train(stack, 0, h, seed=3, **one_call)
    scale = np.abs(reference.state.online).max()
    # Adam's first steps have the size of the learning rate whatever the gradient, so compare against it too.
    assert np.abs(fast.state.online - reference.state.online).max() / scale < 1e-6 * h.updates_per_call() * 2


@pytest.mark.parametrize("path", ["numpy", "torch"])
@pytest.mark.parametrize("lanes", [2, 5, 11])
def test_a_lane_is_bit_equal_alone_and_among_neighbours(lanes, path):
    runs = [
        DQNHyperparameters(
            **{
                **BASE,
                "learning_rate": 1e-3 * (i + 1),
                "gradient_steps": (4, 1, -1, 2)[i % 4],
                "buffer_size": 30 + 17 * i,
                "tau": (1.0, 0.2)[i % 2],
                "max_grad_norm": (10.0, 0.1)[i % 2],
                "target_update_interval": 3 + i,
            }
        )
        for i in range(lanes)
    ]
    together = make_stack(runs[0], lanes=lanes, path=path)
    for i, h in enumerate(runs):
        together.start(i, h, seed=100 + i, n_timesteps=400)
    rows = [transitions(96, 100 + i, np.float32) for i in range(lanes)]
    losses = []
    for begin in range(0, 96, 8):
        for i in range(lanes):
            together.observe(i, rows[i][begin : begin + 8])
        losses.append(together.learn(range(lanes)))
    for i, h in enumerate(runs):
        alone = make_stack(h, path=path)
        alone.start(0, h, seed=100 + i, n_timesteps=400)
        for call, begin in enumerate(range(0, 96, 8)):
            alone.observe(0, rows[i][begin : begin + 8])
            assert alone.learn([0])[0][0] == losses[call][i][0]
        np.testing.assert_array_equal(alone.state.online[0], together.state.online[i])
        np.testing.assert_array_equal(alone.state.target[0], together.state.target[i])


def test_a_refilled_lane_remembers_nothing():
    first = DQNHyperparameters(**BASE)
    second = DQNHyperparameters(**{**BASE, "learning_rate": 1e-4, "buffer_size": 20, "tau": 0.5})
    used, fresh = make_stack(first, lanes=3), make_stack(first, lanes=3)
    train(used, 1, first, seed=1)
    assert train(used, 1, second, seed=2) == train(fresh, 1, second, seed=2)
    np.testing.assert_array_equal(used.state.online[1], fresh.state.online[1])
    assert used.clock[1] == fresh.clock[1] == 96


def test_several_target_intervals_in_one_stretch_count_each():
    h = DQNHyperparameters(**{**BASE, "tau": 0.25, "target_update_interval": 3})
    stretch, steps = make_stack(h, dtype=np.float64), make_stack(h, dtype=np.float64)
    rows = transitions(14, 5)
    for stack in (stretch, steps):
        stack.start(0, h, seed=9, n_timesteps=400)
        stack.state.online[0] += 1.0
    stretch.observe(0, rows)
    for row in rows:
        steps.observe(0, row[None])
    np.testing.assert_array_equal(stretch.state.target, steps.state.target)
    assert not np.array_equal(stretch.state.target, stretch.state.online)


def test_state_carried_to_a_device_and_back_trains_the_same():
    h = DQNHyperparameters(**BASE)
    shared, carried = (make_stack(h, lanes=2, path="torch") for _ in range(2))
    carried._update = TorchUpdate(carried.state, h, "cpu", shared=False)  # a device of its own, as far as it knows
    for lane in (0, 1):
        assert train(shared, lane, h, seed=lane) == train(carried, lane, h, seed=lane)
    np.testing.assert_array_equal(shared.state.online, carried.state.online)
    np.testing.assert_array_equal(shared.state.second_moment, carried.state.second_moment)


def test_the_policy_is_a_copy():
    h = DQNHyperparameters(**BASE)
    stack = make_stack(h)
    train(stack, 0, h, seed=4)
    inputs = transitions(50, 6, np.float32)[None, :, :3]
    policy = stack.greedy_policy([0])
    before = policy(inputs)
    stack.state.online += np.random.default_rng(0).normal(size=stack.state.online.shape).astype(np.float32)
    np.testing.assert_array_equal(policy(inputs), before)


def test_neighbours_are_grouped_and_capped():
    lanes = [0, 1, 2, 5, 6, 9]
    assert neighbours(lanes) == [slice(0, 3), slice(5, 7), slice(9, 10)]
    assert neighbours(lanes, 2) == [slice(0, 2), slice(2, 3), slice(5, 7), slice(9, 10)]
    assert neighbours([]) == []
