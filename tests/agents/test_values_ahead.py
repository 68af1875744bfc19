"""Target values computed once for each distinct transition of a training call: those of every gradient step."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.agents.dqn.minibatches import distinct
from tuner.agents.dqn.stack import DQNStack
from tuner.agents.dqn.update_numpy import NumpyUpdate
from tuner.envs.encoders import BoxEncoder, DiscreteEncoder
from tuner.hyperparameters import DQNHyperparameters

BASE = {"batch_size": 32, "net_arch": (12, 8), "train_freq": 64, "gradient_steps": 24}


@given(st.lists(st.integers(0, 40), min_size=1, max_size=200))
def test_the_distinct_ones_stand_for_all(places):
    places = np.array(places)
    taken, which = distinct(places, 41)
    assert sorted(places[taken]) == sorted(set(places.tolist()))
    np.testing.assert_array_equal(places[taken][which], places)


def filled(encoder, hyperparameters, lanes=1, path="numpy", transitions=100, each=None):
    """Return a stack that holds some transitions on each lane, with targets unlike the online networks."""
    stack = DQNStack(encoder, 3, hyperparameters, lanes=lanes, capacity=300, numeric_path=path)
    for lane in range(lanes):
        rng = np.random.default_rng(lane)
        stack.start(lane, each[lane] if each else hyperparameters, 10 + lane, 300)
        size = transitions + 37 * lane
        rows = stack.memory.blank(size)
        parts = stack.memory.unpack(rows)
        for part in (parts.observations, parts.next_observations):
            stored = rng.normal(size=(size, 5)) if isinstance(encoder, BoxEncoder) else rng.integers(0, 6, (size, 1))
            part[:, :-1] = stored
        parts.rewards[:], parts.actions[:] = rng.normal(size=size), rng.integers(0, 3, size)
        parts.discounts[:] = np.where(rng.random(size) < 0.1, 0.0, 0.9)
        stack.remember(lane, rows)
        stack.state.target[lane] += rng.normal(scale=0.3, size=stack.state.target.shape[1]).astype(np.float32)
    return stack


@pytest.mark.parametrize("encoder", [BoxEncoder(5), DiscreteEncoder(6)], ids=["vectors", "one-hot"])
@pytest.mark.parametrize("variant", [{}, {"dueling": True}], ids=str)
def test_values_ahead_are_those_of_each_gradient_step(encoder, variant, monkeypatch):
    hyperparameters = DQNHyperparameters(**{**BASE, **variant})
    ahead, stepwise = (filled(encoder, hyperparameters, lanes=3) for _ in range(2))
    valued = []
    value = ahead._update.step.next_values
    monkeypatch.setattr(
        ahead._update.step,
        "_target_values",
        lambda lane, inputs: valued.append((lane, len(inputs))) or value(lane, inputs),
    )
    first = ahead.learn([0, 1, 2])
    monkeypatch.setattr(NumpyUpdate, "next_values", None)
    second = stepwise.learn([0, 1, 2])
    # 768 draws from 100, 137 and 174 transitions: nearly all of them, each once.
    assert [lane for lane, _ in valued] == [0, 1, 2]
    assert all(0.95 * size < count <= size for (_, count), size in zip(valued, (100, 137, 174), strict=True))
    for lane in range(3):
        np.testing.assert_allclose(first[lane], second[lane], rtol=1e-5)
    np.testing.assert_allclose(ahead.state.online, stepwise.state.online, atol=2e-5)


def test_double_q_learning_chooses_by_a_network_that_moves_so_nothing_is_computed_ahead(monkeypatch):
    stack = filled(BoxEncoder(5), DQNHyperparameters(**{**BASE, "double_q": True}))
    monkeypatch.setattr(stack._update.step, "_target_values", lambda *_: pytest.fail("computed ahead"))
    stack.learn([0])
