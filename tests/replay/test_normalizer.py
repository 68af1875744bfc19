"""Running statistics of lanes against Stable-Baselines3's VecNormalize, bit for bit."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from tuner.replay.normalizer import LaneNormalizer
from tuner.replay.ring import LaneRing

SIZE, STEPS, GAMMA = 3, 60, 0.9


class Film(gym.Env):
    observation_space = gym.spaces.Box(-np.inf, np.inf, (SIZE,), np.float32)
    action_space = gym.spaces.Discrete(1)

    def __init__(self, seed: int, scale: float) -> None:
        rng = np.random.default_rng(seed)
        self.film = (rng.normal(size=(2 * STEPS + 2, SIZE)) * scale + 5).astype(np.float32)
        self.rewards = (rng.normal(size=2 * STEPS + 2) * scale).astype(np.float32)
        self.ends = rng.random(2 * STEPS + 2) < 0.1
        self.at = 0

    def reset(self, *, seed=None, options=None):
        self.at += 1
        return self.film[self.at], {}

    def step(self, action):
        self.at += 1
        return self.film[self.at], float(self.rewards[self.at]), bool(self.ends[self.at]), False, {}


@given(st.integers(0, 10**6), st.sampled_from([1e-3, 1.0, 300.0]))
def test_statistics_and_what_they_make_of_transitions_are_vecnormalizes(seed, scale):
    theirs = VecNormalize(DummyVecEnv([lambda: Film(seed, scale)]), gamma=GAMMA)
    mine = LaneNormalizer(3, SIZE)
    mine.start(1, observations=True, rewards=True, gamma=GAMMA)
    theirs.reset()
    mine.arrived(slice(0, 2), np.repeat(theirs.get_original_obs(), 2, axis=0))
    ring = LaneRing(1, 1, SIZE)
    for _ in range(STEPS):
        shown, rewards, dones, _ = theirs.step(np.zeros(1, int))
        seen, earned = theirs.get_original_obs(), theirs.get_original_reward()
        mine.arrived(slice(0, 2), np.repeat(seen, 2, axis=0))
        mine.earned(slice(0, 2), np.repeat(earned, 2), np.repeat(dones, 2))
        with_one = np.append(seen, np.ones((1, 1), np.float32), axis=1)
        np.testing.assert_array_equal(mine.inputs(slice(1, 2), with_one)[:, :SIZE], shown)
        rows = ring.blank(1)
        parts = ring.unpack(rows)
        parts.observations[:, :SIZE], parts.next_observations[:, :SIZE], parts.rewards[:] = seen, 2 * seen, earned
        mine.rows(1, rows, np.zeros(1, int))
        np.testing.assert_array_equal(parts.observations[:, :SIZE], shown)
        np.testing.assert_array_equal(parts.next_observations[:, :SIZE], theirs.normalize_obs(2 * seen))
        np.testing.assert_array_equal(parts.rewards, rewards)
        assert (parts.observations[:, SIZE] == 1).all()
    np.testing.assert_array_equal(mine.statistics(1)["obs_rms.mean"], theirs.obs_rms.mean)
    np.testing.assert_array_equal(mine.statistics(1)["obs_rms.var"], theirs.obs_rms.var)
    assert mine.statistics(1)["ret_rms.var"] == theirs.ret_rms.var


@pytest.mark.parametrize("on", [{"observations": False, "rewards": True}, {"observations": True, "rewards": False}])
def test_what_a_lane_does_not_normalise_stays_as_it_is(on):
    mine, rng = LaneNormalizer(2, SIZE), np.random.default_rng(0)
    mine.start(0, **on, gamma=GAMMA)
    for _ in range(20):
        mine.arrived(slice(0, 2), rng.normal(3, 5, (2, SIZE)))
        mine.earned(slice(0, 2), rng.normal(3, 5, 2), np.zeros(2, bool))
    before = rng.normal(size=(4, 2 * SIZE + 5))
    rows = before.copy()
    mine.rows(0, rows, np.arange(4))
    same = [np.array_equal(rows[:, :SIZE], before[:, :SIZE]), np.array_equal(rows[:, -3], before[:, -3])]
    assert same == [not on["observations"], not on["rewards"]]
    mine.rows(1, rows := before.copy(), np.arange(4))
    np.testing.assert_array_equal(rows, before)


def test_frozen_statistics_do_not_move():
    mine, rng = LaneNormalizer(2, SIZE), np.random.default_rng(0)
    mine.start(0, observations=True, rewards=False, gamma=GAMMA)
    mine.arrived(slice(0, 1), rng.normal(size=(1, SIZE)))
    shown, inputs = mine.frozen([0, 1]), rng.normal(size=(2, 5, SIZE))
    before = shown(inputs)
    mine.arrived(slice(0, 1), rng.normal(50, 1, size=(1, SIZE)))
    np.testing.assert_array_equal(shown(inputs), before)
    np.testing.assert_array_equal(before[1], inputs[1])
    assert not np.array_equal(before[0], inputs[0])
