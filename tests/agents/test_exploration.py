"""Exploration decided a block of steps ahead: the decisions of one step after the other, however a run is cut."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuner import seeding
from tuner.agents.dqn.exploration import BLOCK, LaneExploration
from tuner.hyperparameters import DQNHyperparameters

STEPS = 3 * BLOCK + 100
SETTING = DQNHyperparameters(learning_starts=700, exploration_fraction=0.7, exploration_final_eps=0.1)


def one_by_one(h, seed, n_actions):
    """Return (whether to explore, the random action) of each step, each decided by itself."""
    stream = seeding.stream(seed, "exploration")
    explores, actions = [], []
    for step in range(STEPS):
        if step % BLOCK == 0:
            uniforms, choices = stream.random((2, BLOCK))
        epsilon = 0.0  # the first action, as Stable-Baselines3 sets its rate after a step
        if step > 0:
            epsilon = max(1 - step / STEPS * (1 - h.exploration_final_eps) / h.exploration_fraction, 0.1)
        explores.append(step < h.learning_starts or bool(uniforms[step % BLOCK] < epsilon))
        actions.append(int(choices[step % BLOCK] * n_actions))
    return explores, actions


def started(h, seed=3, n_actions=5):
    found = LaneExploration(2, n_actions)
    found.start(1, h, STEPS, seeding.stream(seed, "exploration"))
    return found


def decided(exploration, clock, stretches):
    """Return what is decided in stretches of these lengths, the last one to the end of the run."""
    explores, actions = [], []
    for steps in [*stretches, STEPS]:
        steps = min(steps, STEPS - clock)
        if steps:
            for kept, part in zip((explores, actions), exploration.decide(1, clock, steps), strict=True):
                assert len(part) == steps
                kept += part.tolist()
        clock += steps
    return explores, actions


@given(st.lists(st.integers(1, 2 * BLOCK), max_size=8), st.sampled_from([0, 1, 700, BLOCK, BLOCK + 1, 10**6]))
@settings(max_examples=30, deadline=None)
def test_stretches_of_any_length_decide_as_single_steps_do(stretches, learning_starts):
    h = DQNHyperparameters(**{**SETTING.to_mapping(), "learning_starts": learning_starts})
    expected = one_by_one(h, 3, 5)
    assert decided(started(h), 0, stretches) == expected


@pytest.mark.parametrize("done", [1, 100, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK])
def test_a_lane_goes_on_with_the_decisions_of_its_block(done):
    whole, other = started(SETTING), started(SETTING, seed=8)
    whole.decide(1, 0, done)
    saved = {name: np.array(value) for name, value in whole.snapshot(1).items()}
    other.restore(1, saved)
    assert decided(other, done, []) == decided(whole, done, [])


def test_another_course_of_epsilon_holds_from_where_a_lane_goes_on():
    whole, other = started(SETTING), started(DQNHyperparameters(exploration_initial_eps=0.0, exploration_final_eps=0.0))
    whole.decide(1, 0, 900)
    other.restore(1, {name: np.array(value) for name, value in whole.snapshot(1).items()})
    explores, actions = decided(other, 900, [])
    assert not any(explores)
    assert actions == decided(whole, 900, [])[1]


def test_a_lane_that_was_never_started_decides_nothing():
    with pytest.raises(ValueError, match="lane 0 has not been started"):
        started(SETTING).decide(0, 0, 1)
