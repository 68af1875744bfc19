"""n-step returns of normalised rewards against Stable-Baselines3's NStepReplayBuffer and VecNormalize."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stable_baselines3.common.buffers import NStepReplayBuffer
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from tuner.replay.n_step import NStepLanes
from tuner.replay.normalizer import LaneNormalizer
from tuner.replay.ring import LaneRing
from tuner.replay.step_rewards import StepRewards


class Told(gym.Env):
    """Rewards and ends ('.', 'T' for terminated, 't' for truncated) as given, again and again."""

    observation_space = gym.spaces.Box(0, 1, (1,), np.float32)
    action_space = gym.spaces.Discrete(1)

    def __init__(self, rewards, ends):
        self.rewards, self.ends, self.at = rewards, ends, -1

    def reset(self, *, seed=None, options=None):
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.at += 1
        end = self.ends[self.at % len(self.ends)]
        reward = float(self.rewards[self.at % len(self.rewards)])
        return np.zeros(1, np.float32), reward, end == "T", end == "t", {}


class Both:
    """Stable-Baselines3's memory, and a lane's by each rule, of the same experience."""

    def __init__(self, rewards, ends, *, n, gamma, capacity):
        env = DummyVecEnv([lambda: Told(rewards, ends)])
        self.env = VecNormalize(env, norm_obs=False, gamma=gamma)
        space, actions = Told.observation_space, Told.action_space
        self.theirs = NStepReplayBuffer(capacity, space, actions, device="cpu", n_steps=n, gamma=gamma)
        self.steps, self.normalizer = StepRewards(capacity, n, gamma), LaneNormalizer(2, 1)
        self.normalizer.start(0, False, True, gamma, self.steps)
        self.normalizer.start(1, False, True, gamma)  # as one reward: the rule of before
        self.ring = LaneRing(2, capacity, 1, normalizer=self.normalizer)
        self.lanes = NStepLanes(2, self.ring.unpack)
        for lane in range(2):
            self.ring.start(lane, capacity, np.random.default_rng(0))
            self.lanes.start(lane, n)
        self.gamma, self.shown = gamma, self.env.reset()

    def play(self, count):
        """Take some steps, handed to the lanes as one stretch."""
        rows, ends = self.ring.blank(count), np.zeros(count, bool)
        parts = self.ring.unpack(rows)
        for i in range(count):
            after, _, dones, infos = self.env.step(np.zeros(1, int))
            earned, truncated = self.env.get_original_reward(), infos[0].get("TimeLimit.truncated", False)
            self.theirs.add(self.shown, after, np.zeros((1, 1), int), earned, dones, infos)
            self.normalizer.earned(slice(0, 2), np.repeat(earned, 2), np.repeat(dones, 2))
            parts.rewards[i], parts.discounts[i] = earned[0], 0.0 if dones[0] and not truncated else self.gamma
            ends[i], self.shown = dones[0], after
        self.steps.add(int(self.ring.positions[0]), parts.rewards, ends)
        for lane in range(2):
            self.ring.extend(lane, *self.lanes.extend(lane, rows, ends))

    def returns(self, lane=0):
        """Return what the lane and Stable-Baselines3 make of all that is held."""
        places = np.arange(int(self.ring.sizes[lane]))
        mine = self.ring.unpack(self.ring.gather(slice(lane, lane + 1), places[None])).rewards[0]
        return mine, self.theirs._get_samples(places, self.env).rewards.numpy().ravel()


@given(
    rewards=st.lists(st.sampled_from([0.0, 0.0, 0.0, 1.0, -3.0, 100.0]), min_size=1, max_size=60),
    ends=st.text(alphabet=".....Tt", min_size=1, max_size=40),
    n=st.integers(2, 9),
    capacity=st.integers(2, 25),
    stretches=st.lists(st.integers(1, 30), min_size=1, max_size=6),
)
@settings(max_examples=60, deadline=None)
def test_each_reward_is_clipped_by_itself_as_stable_baselines3_does(rewards, ends, n, capacity, stretches):
    both = Both(rewards, ends, n=n, gamma=0.9, capacity=capacity)
    for count in stretches:
        both.play(count)
        np.testing.assert_allclose(*both.returns(), rtol=2e-6, atol=2e-6)


def test_long_returns_of_like_rewards_are_beyond_10_and_were_not_by_the_rule_of_before():
    both = Both([1.0], "." * 999 + "t", n=20, gamma=0.9, capacity=3000)
    both.play(3000)
    mine, theirs = both.returns()
    np.testing.assert_allclose(mine, theirs, rtol=1e-6)
    assert mine.max() > 12 and both.steps.largest == 1
    before, _ = both.returns(lane=1)
    np.testing.assert_allclose(before, np.minimum(theirs, 10), rtol=1e-6)


@pytest.mark.parametrize("capacity", [9, 40])
def test_a_lane_goes_on_from_what_is_saved_of_it(capacity):
    both = Both([1.0, 0.0, 200.0, 0.0, 0.0], "......t...T", n=4, gamma=0.9, capacity=capacity)
    both.play(23)
    saved = {name: np.array(array) for name, array in both.normalizer.snapshot(0).items()}
    expected = both.returns()[0]
    both.normalizer.start(0, False, True, 0.9, StepRewards(capacity, 4, 0.9))
    both.normalizer.restore(0, saved)
    both.steps = both.normalizer.steps[0]
    np.testing.assert_array_equal(both.returns()[0], expected)
    both.play(5)
    np.testing.assert_allclose(*both.returns(), rtol=2e-6, atol=2e-6)
    assert both.steps.largest == 200
