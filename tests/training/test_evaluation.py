"""Greedy evaluation against single episodes: their seeds, their cap, their random actions, whoever else plays."""

import dataclasses

import gymnasium as gym
import numpy as np
import pytest
from training.desk import make_spec

from tuner import seeding
from tuner.contract.spec import EvaluationSpec
from tuner.envs.spec import EnvSpec
from tuner.errors import DivergedError
from tuner.training.evaluation import Evaluator

EPISODES, CAP = 4, 40


def leaning(inputs):
    """Push the cart where its pole falls: episodes of very different lengths."""
    return (inputs[..., 2] > 0).astype(np.int64)


def one_by_one(env_id, seed, epsilon, act, cap=CAP):
    """Return (returns, steps) of each episode, each played alone, and how many rows all of them would have had."""
    envs = [gym.make(env_id) for _ in range(EPISODES)]
    seen = [env.reset(seed=seed + i)[0] for i, env in enumerate(envs)]
    space, stream = envs[0].action_space, seeding.stream(seed, "evaluation")
    returns, steps, over = [0.0] * EPISODES, [0] * EPISODES, [False] * EPISODES
    while not all(over):
        if epsilon:
            explores = stream.random(EPISODES) < epsilon
            if isinstance(space, gym.spaces.Discrete):
                drawn = stream.integers(0, space.n, EPISODES)
            else:
                drawn = stream.uniform(space.low, space.high, (EPISODES, *space.shape)).astype(np.float32)
        for i, env in enumerate(envs):
            if over[i]:
                continue
            action = drawn[i] if epsilon and explores[i] else act(np.asarray(seen[i]))
            seen[i], reward, terminated, truncated, _ = env.step(action)
            returns[i], steps[i] = returns[i] + float(reward), steps[i] + 1
            over[i] = terminated or truncated or steps[i] == cap
    for env in envs:
        env.close()
    return tuple(returns), tuple(steps)


@pytest.mark.parametrize("epsilon", [0.0, 0.3])
def test_policies_side_by_side_play_what_each_of_their_episodes_is_alone(epsilon):
    evaluator = Evaluator(EnvSpec("CartPole-v1"), EvaluationSpec(EPISODES, 0, CAP, epsilon))
    shapes = set()

    def act(inputs):
        shapes.add(inputs.shape)
        actions = leaning(inputs)
        actions[1] = 1 - actions[1]  # the second policy does the opposite
        return actions

    expected = [
        one_by_one("CartPole-v1", 11, epsilon, lambda seen: int(leaning(seen))),
        one_by_one("CartPole-v1", 500, epsilon, lambda seen: 1 - int(leaning(seen))),
    ]
    for _ in range(2):  # in the environments of the time before
        assert evaluator.evaluate([11, 500], act) == expected
    assert shapes == {(2, EPISODES, 4)}, "rows stay, though episodes end"
    evaluator.close()
    lengths = [steps for _, each in expected for steps in each]
    assert CAP in lengths and len(set(lengths)) > 2 and max(lengths) == CAP


def test_random_actions_of_a_continuous_space_are_uniform_in_it():
    evaluator = Evaluator(EnvSpec("Pendulum-v1"), EvaluationSpec(EPISODES, 0, 15, 0.5))
    ((returns, steps),) = evaluator.evaluate([3], lambda inputs: np.full((*inputs.shape[:-1], 1), 0.7, np.float32))
    expected = one_by_one("Pendulum-v1", 3, 0.5, lambda seen: np.full(1, 0.7, np.float32), cap=15)
    evaluator.close()
    assert returns == pytest.approx(expected[0], rel=1e-6)
    assert steps == expected[1]


def test_an_episode_of_one_step_at_the_cap_counts():
    evaluator = Evaluator(EnvSpec("CartPole-v1"), EvaluationSpec(2, 0, 1))
    assert evaluator.evaluate([5], leaning) == [((1.0, 1.0), (1, 1))]
    assert evaluator.evaluate([5, 6], leaning, 3) == [((1.0,) * 3, (1,) * 3)] * 2
    evaluator.close()


def test_a_run_plays_the_episodes_that_its_grid_point_says():
    spec = make_spec(0, steps=600, evaluations=6)
    spec = dataclasses.replace(spec, evaluation=EvaluationSpec(2, 77, 30, late_episodes=5))
    evaluator = Evaluator(spec.env, spec.evaluation)
    for step, episodes in ((100, 2), (400, 2), (500, 5), (600, 5)):
        returns, steps, seconds = evaluator.of_run(spec, step, leaning)
        assert len(returns) == len(steps) == episodes and seconds > 0
        assert [(returns, steps)] == evaluator.evaluate([spec.evaluation_seed_at(step)], leaning, episodes)
    evaluator.close()


class Endless(gym.Env):
    """Pays what it was told, until the cap."""

    observation_space = gym.spaces.Box(-1, 1, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, pays):
        self.pays = pays

    def reset(self, *, seed=None, options=None):
        return np.zeros(1, np.float32), {}

    def step(self, action):
        return np.zeros(1, np.float32), self.pays, False, False, {}


gym.register("tests/Endless-v0", Endless, disable_env_checker=True)


@pytest.mark.parametrize("pays", [np.inf, np.nan, 1e308])
def test_a_return_that_is_not_finite_is_divergence(pays):
    spec = dataclasses.replace(make_spec(0), env=EnvSpec("tests/Endless-v0", (("pays", float(pays)),)))
    evaluator = Evaluator(spec.env, spec.evaluation)
    with pytest.raises(DivergedError, match="evaluation return is not finite at sweep 200"):
        evaluator.of_run(spec, 200, lambda inputs: np.zeros(inputs.shape[:-1], np.int64), "sweep")
    evaluator.close()
