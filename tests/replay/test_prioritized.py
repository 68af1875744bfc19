"""Sum trees against plain sums, and prioritised draws against the probabilities they claim."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from tuner.replay.prioritized import PRIORITY_EPS, LanePriorities
from tuner.replay.sum_tree import LaneSumTrees, level_sizes

ONE, BOTH = slice(1, 2), slice(0, 2)


@given(st.integers(1, 70), st.data())
@settings(max_examples=60, deadline=None)
def test_a_tree_knows_its_total_and_finds_the_leaf_under_every_mass(capacity, data):
    trees, leaves = LaneSumTrees(2, capacity), np.zeros(capacity)
    for _ in range(data.draw(st.integers(1, 5))):
        start = data.draw(st.integers(0, capacity - 1))
        stop = data.draw(st.integers(start, capacity))
        value = float(data.draw(st.integers(0, 9)))
        trees.fill(1, start, stop, value)
        leaves[start:stop] = value
        index = np.array(data.draw(st.lists(st.integers(0, capacity - 1), min_size=1, max_size=4, unique=True)))
        values = np.array([float(data.draw(st.integers(1, 9))) for _ in index])
        trees.assign(ONE, index[None], values[None])
        leaves[index] = values
    assert trees.total(ONE)[0, 0] == leaves.sum()
    assert trees.total(slice(0, 1))[0, 0] == 0, "the lane beside it is untouched"
    masses = np.arange(int(leaves.sum())) + 0.5
    expected = np.searchsorted(np.cumsum(leaves), masses, side="right")
    np.testing.assert_array_equal(trees.find(ONE, masses[None].copy())[0], expected)
    np.testing.assert_array_equal(trees.leaves(ONE, expected[None])[0], leaves[expected])


@given(st.integers(1, 10_000_000))
def test_levels_halve_and_all_but_the_last_are_even(capacity):
    sizes = level_sizes(capacity)
    assert sizes[-1] == 1
    assert capacity <= sizes[0] <= capacity + 1
    for below, above in itertools.pairwise(sizes):
        assert below % 2 == 0 and below // 2 <= above <= below // 2 + 1


def draws(priorities, size, n=40_000, clock=0):
    uniforms = np.random.default_rng(5).random((1, n))
    index, weights = priorities.draw(ONE, uniforms, np.array([size]), np.array([clock]))
    return index[0], weights[0]


def test_with_alpha_0_every_transition_is_drawn_equally_often():
    priorities = LanePriorities(2, 100)
    priorities.start(1, alpha=0.0, beta=0.4, n_timesteps=1000)
    priorities.added(1, 0, 50, 50)
    priorities.update(ONE, np.arange(50)[None], np.random.default_rng(0).exponential(size=(1, 50)))
    index, weights = draws(priorities, 50)
    assert chisquare(np.bincount(index, minlength=50)).pvalue > 0.01
    assert (weights == 1).all()


@pytest.mark.parametrize("alpha", [0.5, 1.0])
def test_draws_follow_the_priorities_and_weights_undo_them(alpha):
    priorities = LanePriorities(2, 100)
    priorities.start(1, alpha=alpha, beta=1.0, n_timesteps=1000)
    priorities.added(1, 0, 20, 20)
    errors = np.linspace(-2, 2, 20)
    priorities.update(ONE, np.arange(20)[None], errors[None])
    probability = (np.abs(errors) + PRIORITY_EPS) ** alpha
    probability /= probability.sum()
    index, weights = draws(priorities, 20)
    assert chisquare(np.bincount(index, minlength=20), 40_000 * probability).pvalue > 0.01
    np.testing.assert_allclose(weights, probability[index].min() / probability[index], rtol=1e-9)


def test_the_exponent_of_the_weights_rises_to_1_by_the_end_of_the_run():
    priorities = LanePriorities(2, 10)
    priorities.start(1, alpha=1.0, beta=0.4, n_timesteps=100)
    priorities.added(1, 0, 2, 10)
    priorities.update(ONE, np.array([[0, 1]]), np.array([[1.0, 4.0]]))
    for clock, beta in ((0, 0.4), (50, 0.7), (100, 1.0)):
        index, weights = draws(priorities, 2, 100, clock)
        np.testing.assert_allclose(weights[index == 1], 4.0**-beta, rtol=1e-5)


def test_a_new_transition_has_the_largest_priority_so_far_and_a_new_run_starts_from_nothing():
    priorities = LanePriorities(2, 10)
    for _ in range(2):
        priorities.start(1, alpha=1.0, beta=0.4, n_timesteps=100)
        priorities.added(1, 0, 3, 4)
        assert priorities._trees.total(ONE)[0, 0] == 3
        priorities.update(ONE, np.array([[0, 1, 2]]), np.array([[0.0, 7.0, 0.0]]))
        priorities.added(1, 3, 2, 4)  # round the ring: places 3 and 0
        leaves = priorities._trees.leaves(ONE, np.arange(4)[None])[0]
        np.testing.assert_allclose(leaves, [7, 7, 0, 7], atol=1e-5)


def test_lanes_draw_what_they_draw_alone():
    rng = np.random.default_rng(1)
    together, alone = LanePriorities(2, 64), LanePriorities(2, 64)
    errors, uniforms = rng.normal(size=(2, 8)), rng.random((2, 200))
    for priorities in (together, alone):
        for lane in (0, 1):
            priorities.start(lane, alpha=0.3 + 0.4 * lane, beta=0.2, n_timesteps=100)
            priorities.added(lane, 0, 30 + lane, 64)
    index = np.arange(16).reshape(2, 8)
    together.update(BOTH, index, errors)
    sizes, clock = np.array([30, 31]), np.array([10, 20])
    both = together.draw(BOTH, uniforms, sizes, clock)
    for lane in (0, 1):
        own = slice(lane, lane + 1)
        alone.update(own, index[own], errors[own])
        for mine, theirs in zip(both, alone.draw(own, uniforms[own], sizes[own], clock[own]), strict=True):
            np.testing.assert_array_equal(mine[lane], theirs[0])
