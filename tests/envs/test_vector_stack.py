"""The last observations as one: what Stable-Baselines3's VecFrameStack shows, number for number."""

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack

from tuner.envs.last_vectors import LastVectors
from tuner.envs.make import inspect, make
from tuner.envs.spec import EnvSpec
from tuner.envs.vector_stack import VectorStack, stacked_space
from tuner.errors import UnusableEnvironmentError


class Counting(gymnasium.Env):
    """Shows (episode, step), never 0; episodes end at their fourth step, every other one cut off by a limit."""

    def __init__(self, dtype=np.float32):
        self.observation_space, self.action_space = spaces.Box(1, 99, (2,), dtype), spaces.Discrete(2)
        self.episode = self.step_in = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.episode, self.step_in = self.episode + 1, 1
        return self._seen(), {}

    def step(self, action):
        self.step_in += 1
        over = self.step_in == 5
        return self._seen(), float(action), over and self.episode % 2 == 0, over and self.episode % 2 == 1, {}

    def _seen(self):
        return np.array([self.episode, self.step_in], self.observation_space.dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8, np.int64])
@pytest.mark.parametrize("n", [2, 3, 7])
def test_every_observation_is_that_of_vec_frame_stack_the_last_of_an_episode_too(n, dtype):
    ours, theirs = VectorStack(Counting(dtype), n), VecFrameStack(DummyVecEnv([lambda: Counting(dtype)]), n)
    seen = ours.reset()[0]
    np.testing.assert_array_equal(seen, theirs.reset()[0])
    ends = []
    for step in range(25):
        seen, reward, terminated, truncated, _ = ours.step(step % 2)
        following, rewards, dones, infos = theirs.step([step % 2])
        assert (rewards[0], dones[0]) == (reward, terminated or truncated)
        if terminated or truncated:
            ends.append(truncated)
            np.testing.assert_array_equal(seen, infos[0]["terminal_observation"])
            seen = ours.reset()[0]
        np.testing.assert_array_equal(seen, following[0])
        assert seen.dtype == following.dtype == dtype
        assert ours.observation_space.contains(seen)
    assert True in ends and False in ends


@given(st.integers(2, 6), st.lists(st.integers(0, 5), min_size=1, max_size=6), st.integers(1, 3))
def test_what_is_seen_is_the_end_of_the_episode_with_zeros_before_it(n, lengths, side):
    last, rng = LastVectors(n), np.random.default_rng(0)
    for length in lengths:
        last.begin()
        episode = rng.normal(size=(length, side, 2))
        whole = np.concatenate([np.zeros((n, side, 2)), episode])
        handed = []
        for t, vectors in enumerate(episode):
            expected = np.concatenate(list(whole[t + 1 : t + 1 + n]), axis=-1)
            np.testing.assert_array_equal(last.with_next(vectors), expected)
            handed.append((last.push(vectors), expected))
        for seen, expected in handed:  # what was handed out stays as it was
            np.testing.assert_array_equal(seen, expected)


def test_the_bounds_are_those_of_each_observation_and_hold_zeros():
    _, space = stacked_space(spaces.Box(np.array([1, -3], np.float32), np.array([2, -1], np.float32)), 2)
    np.testing.assert_array_equal(space.low, [0, -3, 0, -3])
    np.testing.assert_array_equal(space.high, [2, 0, 2, 0])


@pytest.mark.parametrize(
    ("spec", "line"),
    [
        (EnvSpec("FrozenLake-v1", frame_stack=2), "got Discrete. Leave it out."),
        (EnvSpec("MinAtar/Breakout-v1", frame_stack=2), "got Box(10, 10, 4). Leave it out."),
        (EnvSpec("CartPole-v1", pixels=True, frame_stack=2), "--pixels shows the last frames already."),
    ],
    ids=["numbers", "images", "pixels"],
)
def test_what_is_no_vector_is_a_line_with_the_way_out(spec, line):
    with pytest.raises(UnusableEnvironmentError) as refused:
        inspect(spec, "dqn")
    assert str(refused.value).startswith(f"{spec.id}: ") and line in str(refused.value)


def test_what_is_known_beforehand_says_what_is_done():
    facts = inspect(EnvSpec("Pendulum-v1", discretize=3, frame_stack=4), "dqn")
    assert facts.encoder.input_size == 12
    assert facts.preprocessing == {"discretize": 3, "frame_stack": 4}
    assert facts.changes == "actions in 3 steps a dimension, the last 4 observations at once"
    assert facts.max_episode_steps == 200


def test_the_probe_of_memory_pays_for_the_first_observation_and_nothing_for_the_second():
    env = make(EnvSpec("tune/ProbeMemory-v0"))
    probe, paid = env.unwrapped, {}
    for i in range(200):
        first = float(env.reset(seed=i)[0][0])
        second, nothing, *over = env.step(i % 2)[:4]
        reward, *ended = env.step(i % 2)[1:4]
        assert (nothing, over, ended) == (0.0, [False, False], [True, False])
        paid.setdefault((first, float(second[0]), i % 2), set()).add(reward)
    assert len(paid) == 8 and all(rewards == {first * (2 * a - 1)} for (first, _, a), rewards in paid.items())
    for first, second, action in paid:
        row = np.flatnonzero((probe.observations == (first, second)).all(axis=1))[0]
        assert probe.q_values(0.9)[row, action] == first * (2 * action - 1)
    np.testing.assert_allclose(probe.q_values(0.9)[:2], 0.9)
