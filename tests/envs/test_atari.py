"""Atari preprocessing against Stable-Baselines3's, frame by frame, and what it promises."""

import cv2
import gymnasium
import numpy as np
import pytest
from stable_baselines3.common.atari_wrappers import AtariWrapper
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack

from tuner.envs.families import bring
from tuner.envs.make import inspect, make
from tuner.envs.resize import shrink, to_grey
from tuner.envs.spec import EnvSpec


@pytest.mark.parametrize("shape", [(210, 160), (250, 160), (400, 600), (100, 97), (84, 84)])
def test_grey_and_small_are_opencvs_byte_for_byte(shape):
    frame = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    np.testing.assert_array_equal(to_grey(frame), grey)
    np.testing.assert_array_equal(shrink(grey, 84, 84), cv2.resize(grey, (84, 84), interpolation=cv2.INTER_AREA))


@pytest.mark.slow
@pytest.mark.parametrize(
    "game",
    ["Pong", "Breakout", *(pytest.param(game, marks=pytest.mark.slow) for game in ("SpaceInvaders", "Qbert"))],
)
def test_training_frames_rewards_and_ends_are_those_of_sb3s_atari_wrapper(game):
    env_id = f"{game}NoFrameskip-v4"
    bring(env_id)
    ours = make(EnvSpec(env_id), training=True)
    theirs = VecFrameStack(DummyVecEnv([lambda: AtariWrapper(gymnasium.make(env_id))]), 4)
    theirs.seed(7)
    np.testing.assert_array_equal(ours.reset(seed=7)[0], np.moveaxis(theirs.reset()[0], -1, 0))
    rng, ends = np.random.default_rng(0), 0
    for _ in range(700):
        action = int(rng.integers(ours.action_space.n))
        observation, reward, terminated, truncated, _ = ours.step(action)
        expected, rewards, dones, infos = theirs.step([action])
        assert reward == rewards[0] and (terminated or truncated) == dones[0]
        if dones[0]:
            ends += 1
            np.testing.assert_array_equal(observation, np.moveaxis(infos[0]["terminal_observation"], -1, 0))
            observation, _ = ours.reset()
        np.testing.assert_array_equal(observation, np.moveaxis(expected[0], -1, 0))
    assert ends > 0 or game == "Pong"


@pytest.mark.parametrize(
    ("env_id", "kwargs", "skip", "sticky"),
    [
        ("ALE/Breakout-v5", (), 4, 0.25),
        ("BreakoutNoFrameskip-v4", (), 4, 0.0),
        ("ALE/Breakout-v5", (("frameskip", 2), ("repeat_action_probability", 0.0)), 2, 0.0),
    ],
)
def test_frames_are_skipped_once_and_settings_are_known(env_id, kwargs, skip, sticky):
    spec = EnvSpec(env_id, kwargs)
    settings = inspect(spec, "dqn").preprocessing
    assert (settings["frame_skip"], settings["repeat_action_probability"]) == (skip, sticky)
    env = make(spec)
    assert env.unwrapped.ale.getFloat("repeat_action_probability") == pytest.approx(sticky)
    env.reset(seed=0)
    before = env.unwrapped.ale.getEpisodeFrameNumber()
    env.step(0)
    assert env.unwrapped.ale.getEpisodeFrameNumber() - before == skip


def test_evaluation_plays_whole_games_for_the_raw_score():
    env = make(EnvSpec("BreakoutNoFrameskip-v4"))
    env.reset(seed=1)
    rng, lives, score, terminated = np.random.default_rng(0), set(), 0.0, False
    while not terminated:
        _, reward, terminated, truncated, info = env.step(int(rng.integers(4)))
        score += reward
        lives.add(info["lives"])
        assert not truncated
    assert lives == {5, 4, 3, 2, 1, 0} and score > 0
    raw = make(EnvSpec("SpaceInvadersNoFrameskip-v4"))
    raw.reset(seed=0)
    assert max(raw.step(int(rng.integers(6)))[1] for _ in range(300)) >= 5  # an invader is worth at least 5


def test_a_time_limit_counts_agent_steps():
    env = make(EnvSpec("ALE/Pong-v5", (("max_episode_steps", 3),)))
    env.reset(seed=0)
    assert [env.step(0)[3] for _ in range(3)] == [False, False, True]


def test_a_time_limit_counts_over_lives_and_a_new_game_follows():
    spec = EnvSpec("BreakoutNoFrameskip-v4", (("max_episode_steps", 70),))
    assert inspect(spec, "dqn").max_episode_steps == 70
    env = make(spec, training=True)
    for seed in (0, None):
        env.reset(seed=seed)
        assert env.unwrapped.ale.lives() == 5
        assert env.unwrapped.ale.getEpisodeFrameNumber() <= 30 + 8  # doing nothing, and what starts the ball
        ends = []
        for step in range(1, 71):
            _, _, terminated, truncated, _ = env.step(0)
            assert truncated == (step == 70)
            if terminated:
                ends.append(step)
                env.reset()
        assert ends and env.unwrapped.ale.lives() > 0
        assert not env.goes_on


@pytest.mark.parametrize("env_id", ["PongNoFrameskip-v4", "MinAtar/Breakout-v1", "MinAtar/Freeway-v0", "FlappyBird-v0"])
def test_a_seeded_episode_does_not_depend_on_those_before(env_id):
    def play(env, seed):
        rng, seen = np.random.default_rng(1), [env.reset(seed=seed)[0]]
        for _ in range(60):
            observation, reward, terminated, truncated, _ = env.step(int(rng.integers(env.action_space.n)))
            seen.append((observation, reward))
            if terminated or truncated:
                break
        return seen

    env = make(EnvSpec(env_id))
    first = play(env, 5)
    play(env, 6)
    again, fresh = play(env, 5), play(make(EnvSpec(env_id)), 5)
    for other in (again, fresh):
        assert len(other) == len(first)
        np.testing.assert_array_equal(other[0], first[0])
        for (a, r), (b, s) in zip(other[1:], first[1:], strict=True):
            np.testing.assert_array_equal(a, b)
            assert r == s


def test_pixels_are_the_last_four_rendered_frames():
    env = make(EnvSpec("CartPole-v1", pixels=True))
    first, _ = env.reset(seed=0)
    frame = first[3]
    assert not first[:3].any() and frame.shape == (84, 84)
    np.testing.assert_array_equal(frame, shrink(to_grey(env.unwrapped.render()), 84, 84))
    second, *_ = env.step(1)
    np.testing.assert_array_equal(second[2], frame)
    for _ in range(5):
        later, *_ = env.step(1)
    assert (later[3] != frame).any()
