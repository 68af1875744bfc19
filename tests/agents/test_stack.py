"""The stack against a naive twin, its two update functions against each other, and lanes against their neighbours."""

from __future__ import annotations

import dataclasses
import functools
import math

import numpy as np
import pytest
from agents.naive_training import naive_twin

from tuner.agents.dqn import update_compiled, update_numpy
from tuner.agents.dqn.stack import DQNStack
from tuner.agents.dqn.stepped import neighbours
from tuner.agents.dqn.update_numpy import NumpyUpdate
from tuner.envs.encoders import BoxEncoder
from tuner.hyperparameters import DQNHyperparameters, field_infos

OBSERVATION, ACTIONS = 3, 4
BASE = {"batch_size": 16, "net_arch": (12, 8), "learning_rate": 3e-3, "train_freq": 8, "gradient_steps": 4}
VARIANTS = [
    {},
    {"loss": "mse"},
    {"optimizer": "rmsprop"},
    {"optimizer_eps": 3e-3},
    {"optimizer": "rmsprop", "optimizer_eps": 0.1},
    {"double_q": True},
    {"max_grad_norm": 0.05},
    {"tau": 0.3, "target_update_interval": 3},
    {"double_q": True, "loss": "mse", "optimizer": "rmsprop", "gradient_steps": -1},
    {"dueling": True},
    {"n_steps": 3},
    {"dueling": True, "double_q": True, "n_steps": 5, "loss": "mse"},
    {"learning_rate_schedule": "linear"},
    {"learning_rate_schedule": "cosine", "optimizer": "rmsprop"},
    {"munchausen": True},
    {"munchausen": True, "munchausen_tau": 2.0, "munchausen_alpha": 0.4, "dueling": True, "n_steps": 3},
    {"munchausen": True, "munchausen_tau": 2.0, "munchausen_clip": -3.0, "double_q": True, "loss": "mse"},
    {"layer_norm": True},
    {"layer_norm": True, "dueling": True, "double_q": True, "munchausen": True},
]
QUANTILES = [
    {"quantiles": 5},
    {"quantiles": 2, "double_q": True, "dueling": True, "n_steps": 3},
    {"quantiles": 7, "munchausen": True, "munchausen_tau": 1.0, "loss": "mse"},
    {"quantiles": 33, "dueling": True, "munchausen": True, "double_q": True, "munchausen_tau": 0.5},
    {"quantiles": 19, "layer_norm": True, "optimizer": "rmsprop"},
]
NOISY = [
    {"noisy": True},
    {"noisy": True, "double_q": True, "dueling": True, "loss": "mse", "n_steps": 3},
    {"noisy": True, "munchausen": True, "munchausen_tau": 1.0, "layer_norm": True},
    {"noisy": True, "quantiles": 6, "dueling": True, "munchausen": True, "munchausen_tau": 0.3},
]
PRIORITIZED = [
    {"prioritized": True},
    {"prioritized": True, "priority_alpha": 1.0, "priority_beta": 1.0, "loss": "mse"},
    {"prioritized": True, "dueling": True, "double_q": True, "n_steps": 3, "gradient_steps": -1},
    {"prioritized": True, "munchausen": True, "double_q": True, "munchausen_tau": 1.0},
    {"prioritized": True, "layer_norm": True, "n_steps": 2},
    {"prioritized": True, "quantiles": 4, "dueling": True, "layer_norm": True},
]


#: Each number's ends; where 0 is excluded, the smallest above it.
ENDS = [
    (info.name, end)
    for info in field_infos(DQNHyperparameters).values()
    if info.kind == "float"
    for end in (math.ulp(0.0) if info.low_open else info.low, info.high)
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


def episode_ends(rows: np.ndarray, seed: int) -> np.ndarray:
    """Return where episodes end: where a row terminates, and at a few truncations."""
    return (rows[:, -2] == 0) | (np.random.default_rng(seed).random(len(rows)) < 0.1)


def make_stack(hyperparameters, lanes=1, path="numpy", dtype=np.float32, n_timesteps=400, **more) -> DQNStack:
    return DQNStack(
        BoxEncoder(OBSERVATION), ACTIONS, hyperparameters, lanes=lanes, capacity=n_timesteps, numeric_path=path,
        dtype=dtype, **more,
    )  # fmt: skip


def train(stack: DQNStack, lane: int, hyperparameters, seed: int, calls: int = 12) -> list[tuple[float, float]]:
    stack.start(lane, hyperparameters, seed, 400)
    rows = transitions(400, seed, stack.state.online.dtype)
    ends = episode_ends(rows, seed)
    results = []
    for call in range(calls):
        stretch = slice(call * 8, call * 8 + 8)
        stack.observe(lane, rows[stretch], ends[stretch])
        results.append(stack.learn([lane])[lane])
    return results


@pytest.mark.parametrize("path", ["numpy", "torch"])
@pytest.mark.parametrize(("name", "end"), ENDS)
@pytest.mark.parametrize("optimizer", ["adam", "rmsprop"])
def test_numbers_stay_finite_at_either_end_of_a_range(name, end, optimizer, path):
    h = DQNHyperparameters(**{**BASE, "munchausen": True, "optimizer": optimizer, name: end})
    stack = make_stack(h, path=path)
    assert np.isfinite(train(stack, 0, h, seed=1, calls=4)).all()
    assert all(np.isfinite(values).all() for values in stack.weights(0).values())


# Double precision of the compiled update serves this test alone, and takes half a minute to compile.
@pytest.mark.parametrize("path", ["numpy", "torch", pytest.param("compiled", marks=pytest.mark.slow)])
@pytest.mark.parametrize("variant", VARIANTS + QUANTILES + PRIORITIZED, ids=str)
def test_a_lane_equals_the_naive_twin(variant, path, monkeypatch):
    h = DQNHyperparameters(**{**BASE, "target_update_interval": 5, "buffer_size": 50, **variant})
    stack = make_stack(h, path=path, dtype=np.float64)
    stack.start(0, h, seed=7, n_timesteps=400)
    first = {name: np.array(value) for name, value in stack.weights(0).items()}
    drawn: list[np.ndarray] = []
    uniforms = stack.memory.uniforms

    def recording(lane, count):
        drawn.append(np.array(uniforms(lane, count)))
        return drawn[-1]

    monkeypatch.setattr(stack.memory, "uniforms", recording)
    rows = transitions(96, seed=1)
    ends = episode_ends(rows, seed=1)
    losses = []
    for begin in range(0, 96, 8):
        stack.observe(0, rows[begin : begin + 8], ends[begin : begin + 8])
        losses.append(stack.learn([0])[0][0])
    twin_losses, theirs = naive_twin(h, first, drawn, rows, ends)
    np.testing.assert_allclose(losses, twin_losses, rtol=1e-9)
    mine = stack.weights(0)
    assert mine.keys() == theirs.keys()
    for name in mine:
        np.testing.assert_allclose(mine[name], theirs[name], rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("variant", [{}, {"dueling": True, "double_q": True, "n_steps": 3}], ids=str)
@pytest.mark.parametrize("path", ["numpy", "torch"])
def test_prioritised_replay_with_alpha_0_is_uniform_replay_bit_for_bit(variant, path, monkeypatch):
    monkeypatch.setattr(NumpyUpdate, "next_values", None)  # both value next states step by step, in one shape
    plain = DQNHyperparameters(**{**BASE, "buffer_size": 50, **variant})
    flat = dataclasses.replace(plain, prioritized=True, priority_alpha=0.0)
    results = []
    for h in (plain, flat):
        stack = make_stack(h, path=path)
        results.append((train(stack, 0, h, seed=3), stack.state.online.tobytes()))
    assert results[0] == results[1]


@pytest.mark.parametrize("path", ["numpy", "compiled"])
@pytest.mark.parametrize("variant", VARIANTS + QUANTILES + NOISY + PRIORITIZED, ids=str)
def test_the_fast_update_stays_within_1e_6_of_the_reference(variant, path):
    h = DQNHyperparameters(**{**BASE, **variant})
    fast, reference = make_stack(h, path=path), make_stack(h, path="torch")
    one_call = {"calls": 1}
    for stack in (fast, reference):
        train(stack, 0, h, seed=3, **one_call)
    scale = np.abs(reference.state.online).max()
    # Adam's first steps have the size of the learning rate whatever the gradient, so compare against it too.
    assert np.abs(fast.state.online - reference.state.online).max() / scale < 1e-6 * h.updates_per_call() * 2


@pytest.mark.parametrize(
    "shared",
    [
        {},
        {"prioritized": True, "dueling": True},
        {"munchausen": True, "prioritized": True},
        {"layer_norm": True, "net_arch": (12, 1, 8)},
        {"quantiles": 6, "double_q": True},
        {"noisy": True, "layer_norm": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("path", ["numpy", "torch"])
@pytest.mark.parametrize("lanes", [2, 5, pytest.param(11, marks=pytest.mark.slow)])
def test_a_lane_is_bit_equal_alone_and_among_neighbours(lanes, path, shared):
    runs = [
        DQNHyperparameters(
            **{
                **BASE,
                **shared,
                "n_steps": (1, 3)[i % 2],
                "normalize_rewards": i % 4 > 1,
                "gamma": 0.97,
                "priority_alpha": 0.2 + 0.07 * i,
                "learning_rate": 1e-3 * (i + 1),
                "learning_rate_schedule": ("constant", "linear", "cosine")[i % 3],
                "munchausen_tau": 0.3 + i / 7,
                "munchausen_alpha": 0.9 - i / 20,
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
        expected, online, target = trained_alone(path, h, 100 + i)
        assert [loss[i][0] for loss in losses] == expected
        np.testing.assert_array_equal(online, together.state.online[i])
        np.testing.assert_array_equal(target, together.state.target[i])


@pytest.mark.parametrize("shared", [{}, {"prioritized": True, "quantiles": 3}], ids=str)
@pytest.mark.parametrize("path", ["numpy", "torch"])
def test_what_a_call_says_does_not_depend_on_the_steps_that_neighbours_take(path, shared):
    """More numbers are summed pair by pair, in an order that their count decides."""
    few, many = (
        DQNHyperparameters(**{**BASE, **shared, "batch_size": 48, "gradient_steps": n}) for n in (3, 37)
    )  # fmt: skip
    together, alone = make_stack(few, lanes=3, path=path), make_stack(few, path=path)
    for lane, h in enumerate((many, few, many)):
        together.start(lane, h, seed=lane, n_timesteps=400)
        together.observe(lane, transitions(96, lane, np.float32))
    alone.start(0, few, seed=1, n_timesteps=400)
    alone.observe(0, transitions(96, 1, np.float32))
    for _ in range(4):
        assert together.learn(range(3))[1] == alone.learn([0])[0]


@functools.cache
def trained_alone(path: str, h: DQNHyperparameters, seed: int) -> tuple[list[float], np.ndarray, np.ndarray]:
    """Return what a lane of its own makes of twelve training calls: losses, and both networks."""
    alone, rows = make_stack(h, path=path), transitions(96, seed, np.float32)
    alone.start(0, h, seed=seed, n_timesteps=400)
    losses = []
    for begin in range(0, 96, 8):
        alone.observe(0, rows[begin : begin + 8])
        losses.append(alone.learn([0])[0][0])
    return losses, np.array(alone.state.online[0]), np.array(alone.state.target[0])


@pytest.mark.parametrize("shared", [{}, {"prioritized": True, "n_steps": 4}], ids=str)
def test_a_refilled_lane_remembers_nothing(shared):
    first = DQNHyperparameters(**{**BASE, **shared})
    second = DQNHyperparameters(**{**BASE, **shared, "learning_rate": 1e-4, "buffer_size": 20, "tau": 0.5})
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


@pytest.mark.parametrize("variant", VARIANTS + QUANTILES + NOISY, ids=str)
@pytest.mark.parametrize("net_arch", [(), (5,), (64, 64), (37, 130)], ids=str)
def test_a_compiled_update_equals_numpys_within_a_millionth_in_single_precision(variant, net_arch, monkeypatch):
    monkeypatch.setattr(update_numpy, "FUSED_PARAMETERS", 10**9)  # torch's Adam keeps its moments in another form
    h = DQNHyperparameters(**{**BASE, **variant, "net_arch": net_arch, "gradient_steps": 1, "train_freq": 8})
    compiled, twin = (make_stack(h, path=path) for path in ("compiled", "numpy"))
    rows = transitions(400, seed=3, dtype=np.float32)
    for stack in (compiled, twin):
        stack.start(0, h, 3, 400)
        stack.observe(0, rows[:200], episode_ends(rows[:200], seed=3))
    for _ in range(5):
        twin.state.online[:], twin.state.target[:] = compiled.state.online, compiled.state.target
        twin.state.beta_powers[:] = compiled.state.beta_powers
        for name in ("first_moment", "second_moment"):
            getattr(twin.state, name)[:] = getattr(compiled.state, name)
        mine, theirs = compiled.learn([0])[0], twin.learn([0])[0]
        np.testing.assert_allclose(mine, theirs, rtol=1e-5)
        size = np.abs(twin.state.online).max()
        difference = np.abs(compiled.state.online - twin.state.online)
        # Of so many slopes of quantiles some nearly cancel: what is left is rounding, and a step of its sign.
        assert np.mean(difference > 1e-6 * size) <= (4e-3 if h.quantiles > 1 else 0)
        assert difference.max() <= (1e-4 if h.quantiles > 1 else 1e-6) * size


@pytest.mark.parametrize(
    "variant", [{}, {"quantiles": 3}, {"munchausen": True, "double_q": True}, {"prioritized": True}], ids=str
)
@pytest.mark.parametrize(("variance", "clipped"), [(0.04, True), (4.0, False)])
def test_all_paths_clip_each_reward_of_a_return_by_itself(variance, clipped, variant):
    h = DQNHyperparameters(**{**BASE, **variant, "normalize_rewards": True, "n_steps": 9, "gamma": 0.97})
    rows = transitions(200, seed=3, dtype=np.float32)
    found = []
    for path, version in (("compiled", 2), ("numpy", 2), ("torch", 2), ("compiled", 1), ("torch", 1)):
        stack = make_stack(h, path=path, reward_clip=version)
        stack.start(0, h, 3, 400)
        stack.observe(0, rows, episode_ends(rows, seed=3))
        stack.normalizer.return_variance[0] = variance
        found.append(stack.learn([0])[0])
        earned = stack.memory.unpack(stack.memory.gather(slice(0, 1), np.arange(200)[None])).rewards
        assert (np.abs(earned).max() > 10) == (clipped and version == 2)
    for one, other in ((0, 1), (0, 2), (3, 4)):
        np.testing.assert_allclose(found[one], found[other], rtol=1e-5)
    assert np.allclose(found[0], found[3], rtol=1e-3) == (not clipped)


@pytest.mark.parametrize(
    "variant",
    [
        {},
        {"double_q": True, "dueling": True},
        {"munchausen": True, "learning_rate_schedule": "linear"},
        {"layer_norm": True},
        {"quantiles": 21, "dueling": True},
        {"quantiles": 4, "double_q": True, "munchausen": True},
        {"noisy": True, "layer_norm": True},
        {"noisy": True, "quantiles": 3},
    ],
    ids=str,
)
def test_a_compiled_lane_is_bit_equal_whatever_trains_beside_it(variant):
    h = DQNHyperparameters(**{**BASE, **variant, "net_arch": (64, 31)})
    other = dataclasses.replace(h, learning_rate=0.9, gradient_steps=7, normalize_rewards=True)
    alone, crowded = make_stack(h, 1, "compiled"), make_stack(h, 3, "compiled")
    expected = train(alone, 0, h, seed=5)
    train(crowded, 0, other, seed=1)
    train(crowded, 2, h, seed=9)  # the lane held another run before
    crowded.start(2, h, 5, 400)
    rows = transitions(400, 5, np.float32)
    ends = episode_ends(rows, 5)
    for call in range(12):
        stretch = slice(call * 8, call * 8 + 8)
        crowded.observe(2, rows[stretch], ends[stretch])
        assert crowded.learn([0, 2])[2] == expected[call]
    np.testing.assert_array_equal(crowded.state.online[2], alone.state.online[0])


def test_a_compiled_call_in_several_parts_is_the_call_as_a_whole(monkeypatch):
    """What is known ahead of gradient steps has bounded room: a long call takes its steps some at a time."""
    for variant in ({"quantiles": 9}, {"noisy": True}):
        h = DQNHyperparameters(**{**BASE, **variant, "gradient_steps": 7})
        whole, parts = make_stack(h, 1, "compiled"), make_stack(h, 1, "compiled")
        expected = train(whole, 0, h, seed=5)
        with monkeypatch.context() as patch:
            patch.setattr(update_compiled, "AHEAD_NUMBERS", 3 * parts._update._step_room)
            found = train(parts, 0, h, seed=5)
        np.testing.assert_array_equal(parts.state.online, whole.state.online)
        np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize(
    "variant",
    [{"noisy": True}, {"noisy": True, "quantiles": 3, "dueling": True}, {"noisy": True, "layer_norm": True}],
    ids=str,
)
def test_compiled_networks_act_with_the_noise_that_numpys_have(variant):
    h = DQNHyperparameters(**{**BASE, **variant, "learning_starts": 0})
    stacks = [make_stack(h, 4, path) for path in ("compiled", "numpy")]
    inputs = np.ones((4, OBSERVATION + 1), np.float32)
    inputs[:, :OBSERVATION] = transitions(4, 2)[:, :OBSERVATION]
    found = []
    for stack in stacks:
        for lane in range(4):
            stack.start(lane, h, seed=lane, n_timesteps=400)
        stack.state.online *= np.linspace(0.8, 1.6, stack.state.online.shape[1])  # no gain is 1, no unit like another
        stack.act(slice(0, 2), inputs[:2], np.zeros(2, bool), np.zeros(2, np.int64))
        stack.act(slice(1, 4), inputs[1:], np.zeros(3, bool), np.zeros(3, np.int64))
        best = stack._exploring.best(slice(1, 4), inputs[1:])
        if stack is stacks[0]:
            found.append(stack._exploring.results[1:])
        else:
            found.append(stack._exploring.acting.outputs(slice(1, 4), inputs[1:]))
        np.testing.assert_array_equal(best, stack._head.preferences(found[-1]).argmax(axis=-1))
    np.testing.assert_allclose(*found, rtol=1e-5, atol=1e-6)
    plain = stacks[0]._acting.outputs(slice(1, 4), inputs[1:])
    assert np.abs(found[0] - plain).max() > 1e-3
    frozen = [stack._acting.frozen(stack.averaging.networks([1]))(inputs[None, 1:, :-1]) for stack in stacks]
    np.testing.assert_allclose(*frozen, rtol=1e-5, atol=1e-6)
