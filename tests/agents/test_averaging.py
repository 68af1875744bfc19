"""Averages of the network: what is evaluated and saved, while learning stays what it was."""

from __future__ import annotations

import numpy as np
import pytest

from tuner.agents.dqn.averaging import SAMPLES
from tuner.agents.dqn.stack import DQNStack
from tuner.envs.encoders import BoxEncoder
from tuner.hyperparameters import DQNHyperparameters

OBSERVATION, ACTIONS, TRAIN_FREQ = 3, 2, 5


def setting(share: float) -> DQNHyperparameters:
    return DQNHyperparameters(
        net_arch=(5,), batch_size=4, train_freq=TRAIN_FREQ, learning_rate=0.01, weight_averaging=share
    )


def started(*windows: int, calls: int, path="numpy", device="cpu") -> DQNStack:
    """Return a stack whose lanes look back on so many of a run's training calls."""
    kind = {"numeric_path": path, "device": device}
    stack = DQNStack(BoxEncoder(OBSERVATION), ACTIONS, setting(0.0), lanes=len(windows), capacity=5_000, **kind)
    for lane, window in enumerate(windows):
        stack.start(lane, setting(window / calls), seed=11, n_timesteps=calls * TRAIN_FREQ)
    return stack


def train(stack: DQNStack, lane: int, calls: int, seed: int = 3) -> list[np.ndarray]:
    """Return the online network after each training call, [P]."""
    rng, seen = np.random.default_rng(seed), []
    for _ in range(calls):
        rows = stack.memory.blank(TRAIN_FREQ)
        rows[:, :OBSERVATION], rows[:, -3] = rng.normal(size=(TRAIN_FREQ, OBSERVATION)), rng.normal(size=TRAIN_FREQ)
        rows[:, -1] = rng.integers(ACTIONS, size=TRAIN_FREQ)
        stack.observe(lane, rows)
        stack.learn([lane])
        seen.append(np.array(stack.state.row("online", lane)))
    return seen


@pytest.mark.parametrize("path", ["numpy", "compiled", "torch"])
@pytest.mark.parametrize("window", [1, 7, 2 * SAMPLES])
def test_the_average_is_the_mean_of_the_first_samples_and_an_exponential_one_from_then_on(window, path):
    calls, device = 3 * SAMPLES, "cpu:0" if path == "torch" else "cpu"
    stack = started(window, calls=calls, path="numpy" if path == "torch" else path, device=device)
    seen = train(stack, 0, calls)
    period = 2 if window > SAMPLES else 1
    expected = np.zeros_like(seen[0], np.float64)
    for n, network in enumerate(seen[period - 1 :: period], start=1):
        expected += max(1 / n, period / window) * (network - expected)
    np.testing.assert_allclose(stack.averaging.network(0), expected, rtol=1e-4, atol=1e-6)
    saved = stack.state.layout.from_state_dict(stack.weights(0))
    np.testing.assert_array_equal(saved, stack.averaging.network(0))
    assert (window == 1) == np.array_equal(stack.averaging.network(0), seen[-1])


def test_the_mean_of_the_first_samples_is_the_plain_one():
    seen = train(stack := started(40, calls=100), 0, 30)
    np.testing.assert_allclose(stack.averaging.network(0), np.mean(seen, axis=0), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("path", ["numpy", "compiled"])
def test_learning_does_not_depend_on_it(path):
    plain, averaged = (started(window, calls=40, path=path) for window in (0, 10))
    np.testing.assert_array_equal(train(plain, 0, 40), train(averaged, 0, 40))
    inputs = np.random.default_rng(0).normal(size=(1, 400, OBSERVATION))
    last = plain.greedy_policy([0])(inputs)
    assert (averaged.greedy_policy([0])(inputs) != last).any()
    averaged.state.online[0] = averaged.averaging.network(0)
    np.testing.assert_array_equal(
        averaged.greedy_policy([0])(inputs), started_with(averaged).greedy_policy([0])(inputs)
    )


def started_with(stack: DQNStack) -> DQNStack:
    """Return a stack without an average whose network is another's."""
    other = started(0, calls=40)
    other.state.online[0] = stack.state.online[0]
    return other


def test_lanes_have_averages_of_their_own_and_a_new_run_begins_without_one():
    stack = started(10, 0, 10, calls=40)
    seen = [train(stack, lane, 20, seed=lane) for lane in range(3)]
    np.testing.assert_array_equal(stack.averaging.networks([1])[0], seen[1][-1])
    alone = started(10, calls=40)
    train(alone, 0, 20, seed=2)
    np.testing.assert_array_equal(stack.averaging.network(2), alone.averaging.network(0))
    stack.start(2, setting(0.25), seed=12, n_timesteps=200)
    np.testing.assert_array_equal(stack.averaging.networks([2])[0], stack.state.online[2])
    assert stack.averaging.snapshot(1) == {}


@pytest.mark.parametrize("done", [0, 1, 13])
def test_a_run_goes_on_to_the_same_average(done):
    whole = started(2 * SAMPLES, calls=400)
    train(whole, 0, done)
    saved = {name: np.array(value) for name, value in whole.snapshot(0).items()}
    other = started(0, 2 * SAMPLES, calls=400)
    other.restore(1, saved)
    np.testing.assert_array_equal(train(whole, 0, 20, seed=4), train(other, 1, 20, seed=4))
    np.testing.assert_array_equal(whole.averaging.network(0), other.averaging.network(1))


@pytest.mark.parametrize(("done", "before", "after"), [(3, 400, 10), (7, 10, 400), (40, 400, 10)])
def test_a_run_that_goes_on_with_another_window_keeps_its_average(done, before, after):
    old, new = started(before, calls=1_000), started(after, calls=1_000)
    train(old, 0, done)
    new.restore(0, {name: np.array(value) for name, value in old.snapshot(0).items()})
    np.testing.assert_array_equal(new.averaging.network(0), old.averaging.network(0))
    seen = train(new, 0, 1, seed=4)
    assert np.isfinite(new.averaging.network(0)).all() and len(seen) == 1


def test_a_state_that_was_kept_before_there_were_averages_goes_on():
    old = started(0, calls=40)
    train(old, 0, 5)
    saved = {name: np.array(value) for name, value in old.snapshot(0).items()}
    assert not [name for name in saved if "averaging" in name]
    stack = started(10, calls=40)
    stack.restore(0, saved)
    np.testing.assert_array_equal(train(old, 0, 5, seed=4), train(stack, 0, 5, seed=4))
