"""Continuous actions in steps: the bounds, their middle and every combination; and who is told what where it fails."""

import math

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes

from tuner.envs.discrete_actions import MAX_ACTIONS, DiscreteActions, joint_actions, most_steps
from tuner.envs.make import inspect, make
from tuner.envs.spec import EnvSpec
from tuner.errors import UnusableEnvironmentError

PENDULUM = EnvSpec("Pendulum-v1", discretize=5)


@st.composite
def boxes(draw):
    """A Box of one to six numbers with finite bounds, and steps that fit."""
    shape = draw(array_shapes(min_dims=0, max_dims=3, max_side=3).filter(lambda found: math.prod(found) <= 6))
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    width = 32 if dtype is np.float32 else 64
    ends = st.floats(-1e6, 1e6, width=width, allow_subnormal=False)
    pairs = [sorted((draw(ends), draw(ends))) for _ in range(math.prod(shape))]
    low, high = (np.array(side, dtype).reshape(shape) for side in zip(*pairs, strict=True))
    space = spaces.Box(low, high, shape, dtype)
    return space, draw(st.integers(2, min(most_steps(space), 41)))


@given(boxes())
def test_every_combination_is_there_once_with_bounds_and_middle_exact(box):
    space, steps = box
    table = joint_actions(space, steps)
    dimensions = math.prod(space.shape)
    assert table.shape == (steps**dimensions, *space.shape) and table.dtype == space.dtype
    assert all(space.contains(np.array(action)) for action in table)
    np.testing.assert_array_equal(table[0], space.low)
    np.testing.assert_array_equal(table[-1], space.high)
    grid = table.reshape((steps,) * dimensions + (dimensions,))
    for i in range(dimensions):
        own = np.moveaxis(grid[..., i], i, 0).reshape(steps, -1)
        assert (own == own[:, :1]).all(), "a number depends on its own place alone"
        values, low, high = own[:, 0].astype(float), space.low.flat[i].astype(float), space.high.flat[i].astype(float)
        if steps % 2:
            assert values[steps // 2] == space.dtype.type(low / 2 + high / 2)
        precision = np.finfo(space.dtype).eps * max(abs(low), abs(high))
        np.testing.assert_allclose(np.diff(values), (high - low) / (steps - 1), rtol=0, atol=2 * precision)


@given(st.integers(1, 4), st.integers(2, 5), st.data())
def test_an_action_leads_to_its_index_and_back(dimensions, steps, data):
    space = spaces.Box(-1, 1, (dimensions,), np.float64)
    table = joint_actions(space, steps)
    index = data.draw(st.integers(0, len(table) - 1))
    places = np.rint((table[index] + 1) / 2 * (steps - 1)).astype(int)
    assert np.ravel_multi_index(tuple(places), (steps,) * dimensions) == index


def test_the_widest_bounds_there_are_do_not_overflow():
    most = np.finfo(np.float64).max
    (values,) = joint_actions(spaces.Box(-most, most, (1,), np.float64), 5).T
    np.testing.assert_array_equal(values[::2], [-most, 0, most])
    np.testing.assert_allclose(values, [-most, -most / 2, 0, most / 2, most], rtol=1e-15)


def test_an_action_does_what_the_environments_own_does():
    own, ours = gymnasium.make("Pendulum-v1"), make(PENDULUM)
    np.testing.assert_array_equal(own.reset(seed=4)[0], ours.reset(seed=4)[0])
    for index, torque in ((0, -2.0), (1, -1.0), (2, 0.0), (3, 1.0), (4, 2.0)):
        theirs, mine = own.step(np.array([torque], np.float32)), ours.step(index)
        np.testing.assert_array_equal(theirs[0], mine[0])
        assert theirs[1] == mine[1]


def test_an_environment_that_writes_into_its_action_spoils_no_later_one():
    class Writes(gymnasium.Env):
        observation_space, action_space = spaces.Box(-1, 1, (1,)), spaces.Box(-1, 1, (2,))

        def step(self, action):
            action += 7
            return np.zeros(1, np.float32), float(action.sum()), False, False, {}

    env = DiscreteActions(Writes(), 3)
    assert [env.step(8)[1] for _ in range(3)] == [16.0] * 3


def test_what_is_known_beforehand_says_what_is_done():
    facts = inspect(PENDULUM, "dqn")
    assert (facts.n_actions, facts.actions) == (5, "5 actions")
    assert facts.preprocessing == {"discretize": 5}
    assert facts.changes == "actions in 5 steps a dimension"


@pytest.mark.parametrize(
    ("space", "line"),
    [
        (spaces.Box(-1, 1, (6,)), "5^6 joint actions of 6 numbers, and at most 1,000 are taken. Use --discretize 3, "),
        (
            spaces.Box(-1, 1, (17,)),
            "5^17 joint actions of 17 numbers, and at most 1,000 are taken. Use --algo sampled_dqn",
        ),
        (spaces.Box(-np.inf, 1, (1,)), "must have finite bounds"),
        (spaces.Box(0, 255, (1,), np.uint8), "must be floating-point numbers, and they are uint8"),
        (spaces.Discrete(3), "--discretize needs continuous actions (Box), got Discrete. Leave it out."),
        (spaces.MultiDiscrete([3, 3]), "got MultiDiscrete. Leave it out."),
    ],
    ids=["six", "seventeen", "unbounded", "bytes", "discrete", "multi"],
)
def test_what_cannot_be_cut_is_a_line_with_the_way_out(space, line):
    with pytest.raises(UnusableEnvironmentError) as refused:
        joint_actions(space, 5)
    assert line in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize("dimensions", range(1, 10))
def test_the_way_out_that_is_named_is_the_largest_that_is_taken(dimensions):
    most = most_steps(spaces.Box(-1, 1, (dimensions,)))
    assert most**dimensions <= MAX_ACTIONS < (most + 1) ** dimensions


@pytest.mark.parametrize(
    ("spec", "algorithm", "line"),
    [
        (EnvSpec("CartPole-v1", discretize=5), "dqn", "CartPole-v1: --discretize needs continuous actions (Box)"),
        (PENDULUM, "sac", "--discretize makes continuous actions discrete, and SAC needs continuous ones."),
        (
            EnvSpec("Pendulum-v1"), "dqn", "Box(-2.0, 2.0, (1,), float32). "
            "Use --discretize 5 to cut each number into 5 steps, --algo sampled_dqn, or --backend sb3 --algo sac.",
        ),
    ],
    ids=["discrete", "sac", "dqn"],
)  # fmt: skip
def test_algorithms_and_environments_that_do_not_fit_are_told_what_does(spec, algorithm, line):
    with pytest.raises(UnusableEnvironmentError) as refused:
        inspect(spec, algorithm)
    assert line in str(refused.value) and "\n" not in str(refused.value)


def test_a_run_is_named_by_it_and_by_nothing_new_where_it_is_off():
    assert EnvSpec("A-v0").to_mapping() == {"id": "A-v0", "kwargs": (), "module": None, "pixels": False}
    assert PENDULUM.to_mapping() == {**EnvSpec("Pendulum-v1").to_mapping(), "discretize": 5}
