"""n-step returns against the sum written out, whatever the stretches and wherever episodes end."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from memory_contents import contents

from tuner.replay.n_step import NStepLanes, n_step_rows
from tuner.replay.ring import LaneRing

GAMMA = 0.5


def experience(ends):
    """Return rows with reward i + 1 at step i, observation i, next observation i + 1, for '.', 'T' (erminated), 't'."""
    rows = LaneRing(1, 1, 1, np.float64).blank(len(ends))
    for i, end in enumerate(ends):
        rows[i] = [i, 1, i + 1, 1, i + 1, 0.0 if end == "T" else GAMMA, i % 2]
    return rows, np.array([end != "." for end in ends], bool)


def unpack(rows):
    return LaneRing(1, 1, 1).unpack(rows)


@pytest.mark.parametrize(
    ("ends", "expected"),
    [  # (reward, discount, next observation) of the first step, with n = 3
        ("....", (1 + 2 * 0.5 + 3 * 0.25, 0.125, 3)),
        (".T..", (1 + 2 * 0.5, 0.0, 2)),
        (".t..", (1 + 2 * 0.5, 0.25, 2)),
        ("T...", (1.0, 0.0, 1)),
        ("t...", (1.0, 0.5, 1)),
        ("..T.", (1 + 2 * 0.5 + 3 * 0.25, 0.0, 3)),
        ("..", (1 + 2 * 0.5, 0.25, 2)),  # the newest stand for fewer steps
    ],
)
def test_rewards_are_summed_to_the_end_of_the_episode_and_the_discount_says_how_it_ended(ends, expected):
    rows, flags = experience(ends)
    first = unpack(n_step_rows(rows, flags, 3, unpack))
    assert (first.rewards[0], first.discounts[0], first.next_observations[0, 0]) == expected
    assert unpack(rows).rewards[0] == 1, "the one-step transitions stay as they are"


@given(
    ends=st.text(alphabet="...Tt", min_size=1, max_size=40),
    n=st.integers(1, 6),
    capacity=st.integers(1, 12),
    cuts=st.lists(st.integers(1, 7), max_size=40),
)
@example(ends="." * 12, n=3, capacity=12, cuts=[2] * 6)  # stretches that fill the oldest up and go on
@example(ends="." * 5 + "t" + "." * 6, n=4, capacity=12, cuts=[1, 2, 3, 3, 3])
@settings(max_examples=200, deadline=None)
def test_memory_holds_the_newest_n_step_transitions_however_experience_is_cut_into_stretches(ends, n, capacity, cuts):
    rows, flags = experience(ends)
    ring, lanes = LaneRing(2, 12, 1, np.float64), None
    lanes = NStepLanes(2, ring.unpack)
    ring.start(1, capacity, np.random.default_rng(0))
    lanes.start(1, n)
    begin = 0
    for length in [*cuts, *[1] * len(ends)]:
        stretch = slice(begin, begin + length)
        if begin < len(ends):
            ring.extend(1, *lanes.extend(1, rows[stretch], flags[stretch]))
        begin += length
    held = contents(ring, 1)
    whole = unpack(n_step_rows(rows, flags, n, unpack)[-capacity:])
    for mine, theirs in zip(held, whole, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_one_step_is_handed_on_untouched():
    rows, flags = experience("..T.t.")
    lanes = NStepLanes(1, unpack)
    lanes.start(0, 1)
    same, replaced = lanes.extend(0, rows, flags)
    assert same is rows and replaced == 0


@pytest.mark.parametrize("before", ["....", ".T..", "...t", ".."])
def test_a_lane_goes_on_from_what_is_saved_of_it_and_from_the_one_step_transitions_of_older_files(before):
    rows, flags = experience(before + "...T..")
    whole, now, then = (NStepLanes(1, unpack) for _ in range(3))
    for lanes in (whole, now, then):
        lanes.start(0, 4)
    cut = len(before)
    whole.extend(0, rows[:cut], flags[:cut])
    now.restore(0, whole.snapshot(0))
    then.restore(0, {"rows": rows[:cut][-3:], "ends": flags[:cut][-3:]})
    for i in range(cut, len(rows)):
        expected, replaced = whole.extend(0, rows[i : i + 1], flags[i : i + 1])
        for lanes in (now, then):
            found, count = lanes.extend(0, rows[i : i + 1], flags[i : i + 1])
            assert count == replaced
            np.testing.assert_array_equal(found, expected)
