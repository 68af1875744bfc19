"""The ring memory against a deque, and its draws against chance."""

from collections import deque

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_contents import contents

from tuner.replay.ring import DRAWS, LaneRing

WIDTH = 2 * (2 + 1) + 3


def stretch(start: int, n: int) -> np.ndarray:
    return np.arange(start, start + n)[:, None] * np.ones(WIDTH, np.float32)


@settings(deadline=None)
@given(
    capacities=st.lists(st.integers(1, 12), min_size=2, max_size=3),
    adds=st.lists(st.tuples(st.integers(0, 1), st.integers(1, 30)), max_size=25),
)
def test_each_lane_holds_what_a_deque_would(capacities, adds):
    ring = LaneRing(len(capacities), 12, 2)
    twins = [deque(maxlen=c) for c in capacities]
    for lane, capacity in enumerate(capacities):
        ring.start(lane, capacity, np.random.default_rng(lane))
    clock = 0
    for lane, n in adds:
        ring.extend(lane, stretch(clock, n))
        twins[lane].extend(range(clock, clock + n))
        clock += n
        for i, twin in enumerate(twins):
            held = contents(ring, i)
            np.testing.assert_array_equal(held.rewards, np.array(twin, np.float32))
            np.testing.assert_array_equal(held.observations[:, 0], held.actions)


def test_samples_are_uniform_over_what_the_lane_holds():
    ring = LaneRing(2, 64, 2)
    ring.start(1, 10, np.random.default_rng(3))
    ring.extend(1, stretch(0, 37))  # holds 27..36
    out = np.empty((100, 50, WIDTH), np.float32)
    ring.sample(1, 100, 50, out)
    counts = np.bincount(ring.unpack(out).rewards.astype(int).reshape(-1), minlength=37)
    assert counts[:27].sum() == 0
    chi_squared = ((counts[27:] - 500) ** 2 / 500).sum()
    assert chi_squared < 27.9  # 99.9 % quantile of chi-squared with 9 degrees of freedom


def test_a_lanes_draws_do_not_depend_on_its_neighbours():
    alone, crowded = LaneRing(1, 50, 2), LaneRing(3, 50, 2)
    for ring, lane in ((alone, 0), (crowded, 2)):
        ring.start(lane, 50, np.random.default_rng(5))
        ring.extend(lane, stretch(0, 40))
    crowded.start(0, 50, np.random.default_rng(6))
    crowded.extend(0, stretch(0, 50))
    mine, theirs, other = (np.empty((7, 11, WIDTH), np.float32) for _ in range(3))
    for _ in range(DRAWS // 77 + 3):  # across a block's end
        alone.sample(0, 7, 11, mine)
        crowded.sample(0, 7, 11, other)
        crowded.sample(2, 7, 11, theirs)
        np.testing.assert_array_equal(mine, theirs)


def test_a_request_larger_than_a_block_is_served():
    ring = LaneRing(1, 50, 2)
    ring.start(0, 50, np.random.default_rng(5))
    ring.extend(0, stretch(0, 50))
    out = np.empty((40, 512, WIDTH), np.float32)
    ring.sample(0, 40, 512, out)
    assert set(np.unique(out)) == set(range(50))


@pytest.mark.parametrize("capacity", [0, 51])
def test_a_capacity_outside_the_allocation_is_refused(capacity):
    with pytest.raises(ValueError, match="between 1 and 50"):
        LaneRing(1, 50, 2).start(0, capacity, np.random.default_rng(0))


def test_a_lane_that_never_started_cannot_be_sampled():
    with pytest.raises(ValueError, match="not been started"):
        LaneRing(1, 50, 2).sample(0, 1, 1, np.empty((1, 1, WIDTH)))


@settings(deadline=None)
@given(n=st.integers(0, 12), capacity=st.integers(1, 12), larger=st.integers(0, 12), more=st.integers(1, 30))
def test_a_memory_restored_into_a_larger_one_goes_on_after_what_it_holds_or_is_refused(n, capacity, larger, more):
    ring, grown = LaneRing(1, 12, 2), LaneRing(1, 24, 2)
    ring.start(0, capacity, np.random.default_rng(0))
    grown.start(0, capacity + larger, np.random.default_rng(0))
    if n:
        ring.extend(0, stretch(0, n))
    held = contents(ring, 0).rewards.tolist()
    if larger and n > capacity and n % capacity:  # its oldest is no longer its first
        with pytest.raises(ValueError, match="begun anew"):
            grown.restore(0, ring.snapshot(0))
        return
    grown.restore(0, ring.snapshot(0))
    grown.extend(0, stretch(100, more))
    twin = deque([*held, *range(100, 100 + more)], maxlen=capacity + larger)
    assert contents(grown, 0).rewards.tolist() == list(twin)
