"""Random play: what it measures, that it ends, and that an environment which breaks in it has been looked at."""

import gymnasium
import numpy as np
import pytest

from tuner.envs import random_play
from tuner.envs.preflight import preflight
from tuner.envs.random_play import EPISODES, play_at_random
from tuner.envs.spec import EnvSpec
from tuner.seeding import stream

CART = EnvSpec(id="CartPole-v1")

MODULE = """
import os, time
import gymnasium, numpy as np

class Odd(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)
    def __init__(self, how, steps=10**9):
        self.how, self.left, self.steps = how, 100, steps
    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return np.zeros(2, np.float32), {}
    def step(self, action):
        self.left -= 1
        self.t += 1
        if self.left < 0 and self.how == "raises":
            raise ValueError("worn out")
        if self.left < 0 and self.how == "exits":
            os._exit(3)
        if self.how == "sleeps":
            time.sleep(0.002)
        reward = float("nan") if self.left < 0 and self.how == "nan" else 1.0
        return np.zeros(2, np.float32), reward, self.t == self.steps, False, {}

gymnasium.register("Odd-v0", Odd, max_episode_steps=200)
"""


@pytest.fixture
def odd(tmp_path):
    (tmp_path / "odd_random_play.py").write_text(MODULE)
    return lambda **kwargs: EnvSpec("Odd-v0", tuple(sorted(kwargs.items())), str(tmp_path / "odd_random_play.py"))


def test_returns_are_those_of_a_plain_loop_over_the_evaluations_own_episodes():
    played = play_at_random(CART, 42, 500)
    env, draws, returns = gymnasium.make("CartPole-v1"), stream(42, "random play"), []
    for episode in range(EPISODES):
        env.reset(seed=42 + episode)
        total, over = 0.0, False
        while not over:
            _, reward, terminated, truncated, _ = env.step(draws.integers(2))
            total, over = total + reward, terminated or truncated
        returns.append(total)
    assert played.returns == tuple(returns)
    assert played.length == sum(returns) / EPISODES  # a reward of 1 a step
    assert 15 < np.mean(returns) < 30


def test_episodes_are_cut_at_the_cap():
    assert set(play_at_random(CART, 0, 5).returns) == {5.0}


def test_it_is_bounded_by_seconds_and_a_whole_episode_is_worth_waiting_for(odd, monkeypatch):
    monkeypatch.setattr(random_play, "SECONDS", 0.01)
    sleeping = play_at_random(odd(how="sleeps", steps=20), 0, 1000)
    assert sleeping.returns == (20.0,)
    assert sleeping.step_s >= 0.002 > 4 * sleeping.computing_s
    monkeypatch.setattr(random_play, "PATIENCE_S", 0.02)
    assert play_at_random(odd(how="sleeps"), 0, 1000).returns == ()


@pytest.mark.parametrize("how", ["raises", "exits"])
def test_an_environment_that_breaks_in_random_play_has_been_looked_at(odd, how):
    facts = preflight(odd(how=how), "dqn", play_from=0)
    assert facts.n_actions == 2 and facts.random_play is None


def test_a_return_that_is_no_number_is_none(odd):
    assert play_at_random(odd(how="nan"), 0, 1000) is None


def test_nobody_plays_unless_asked():
    assert preflight(CART, "dqn").random_play is None
    assert len(preflight(CART, "dqn", play_from=1).random_play.returns) == EPISODES
