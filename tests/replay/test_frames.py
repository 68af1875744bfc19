"""The frame memory against a naive one that stores whole stacks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_contents import places

from tuner.replay.frames import FrameMemory
from tuner.replay.ring import LaneRing

IMAGE = (4, 3, 2)
SIZE = 24


class Play:
    """Episodes of random frames as packed rows, stacked as Atari frames are: zeros before the first."""

    def __init__(self, memory, seed, end_probability, distinct):
        self._memory, self._rng = memory, np.random.default_rng(seed)
        self._p, self._distinct = end_probability, distinct
        self._stack = self._begin()

    def rows(self, steps):
        rows = self._memory.blank(steps)
        parts = self._memory.unpack(rows)
        for i in range(steps):
            following = np.concatenate([self._stack[1:], self._frame()[None]])
            ends = self._rng.random() < self._p
            parts.observations[i, :-1], parts.next_observations[i, :-1] = self._stack.ravel(), following.ravel()
            parts.rewards[i], parts.discounts[i] = self._rng.random(), 0.0 if ends else 0.9
            parts.actions[i] = self._rng.integers(3)
            self._stack = self._begin() if ends else following
        return rows

    def _frame(self):
        return self._rng.integers(0, self._distinct, IMAGE[1:]).astype(np.float32)

    def _begin(self):
        stack = np.zeros(IMAGE, np.float32)
        stack[-1] = self._frame()
        return stack


def assert_same_draws(memory, naive, lane, count=16):
    uniforms = memory.uniforms(lane, count)
    np.testing.assert_array_equal(uniforms, naive.uniforms(lane, count))
    assert_same_at(memory, naive, lane, (uniforms * memory.sizes[lane]).astype(np.int64))


def assert_same_at(memory, naive, lane, index):
    lanes = slice(lane, lane + 1)
    got, expected = memory.gather(lanes, index[None]), naive.unpack(naive.gather(lanes, index[None]))
    for part, wanted in zip(got[:2], expected[:2], strict=True):
        np.testing.assert_array_equal(part.reshape(1, len(index), -1), wanted[..., :-1])
    for part, wanted in zip(got[2:], expected[2:], strict=True):
        np.testing.assert_array_equal(part, wanted)


@settings(deadline=None, max_examples=60)
@given(
    capacity=st.integers(1, 40),
    stretches=st.lists(st.tuples(st.integers(0, 1), st.integers(1, 50), st.integers(0, 4)), min_size=1, max_size=12),
    end_probability=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    distinct=st.sampled_from([1, 2, 256]),
    frames=st.sampled_from([0, 4]),
)
def test_batches_equal_those_of_a_memory_of_whole_stacks(capacity, stretches, end_probability, distinct, frames):
    memory, naive = FrameMemory(2, 40, IMAGE, frames), LaneRing(2, 40, SIZE)
    plays = [Play(memory, seed, end_probability, distinct) for seed in (1, 2)]
    for lane in (0, 1):
        for each in (memory, naive):
            each.start(lane, capacity, np.random.default_rng(lane))
    for lane, steps, replaced in stretches:
        replaced = min(replaced, int(naive.sizes[lane]))
        rows = plays[lane].rows(steps + replaced)
        memory.extend(lane, rows, replaced)
        naive.extend(lane, rows, replaced)
        assert_same_draws(memory, naive, lane)
        np.testing.assert_array_equal(places(memory, lane), places(naive, lane))
        assert_same_at(memory, naive, lane, places(naive, lane))


def test_restarted_lane_forgets_everything():
    memory, naive = FrameMemory(1, 20, IMAGE, 4), LaneRing(1, 20, SIZE)
    for seed in (0, 1):
        for each in (memory, naive):
            each.start(0, 20, np.random.default_rng(seed))
        rows = Play(memory, seed, 0.2, 256).rows(33)
        memory.extend(0, rows)
        naive.extend(0, rows)
        assert_same_draws(memory, naive, 0)


@pytest.mark.parametrize("steps", [100, 350])
def test_each_frame_is_stored_once(steps):
    memory = FrameMemory(1, 100, IMAGE, 4)
    memory.start(0, 100, np.random.default_rng(0))
    rows = Play(memory, 0, 0.0, 256).rows(steps)
    for begin in range(0, steps, 25):
        memory.extend(0, rows[begin : begin + 25])
    # One frame for each transition, the one after the last, three before the first or padding, one in passing.
    assert 100 <= len(memory.snapshot(0)["frames"]) <= 100 + 6
