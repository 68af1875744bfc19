"""Agents that see their last observations as one learn what one alone does not tell, and remember it in any loop."""

import dataclasses

import gymnasium
import numpy as np
import pytest
from test_agent import play
from test_run_checkpoint import assert_go_on_and_feel_no_neighbours
from test_single import save, spec
from training.desk import Desk, make_spec

import tuner
from tuner.contract.spec import RunId
from tuner.envs.make import make
from tuner.envs.probe import HIDING_PROBES
from tuner.envs.spec import EnvSpec
from tuner.envs.vector_stack import VectorStack
from tuner.training.registry import make_trainer
from tuner.training.saved.model_files import load_model

MEMORY = "tune/ProbeMemory-v0"
CARTPOLE = EnvSpec("CartPole-v1", frame_stack=3)


def learned(backend, frame_stack):
    """Return what a run on the probe has learned: its greedy returns, and its network's outputs where it saw two."""
    made = make_spec(0, MEMORY, 2000, 1, backend=backend, gamma=0.5, learning_rate=5e-3, exploration_final_eps=0.5)
    evaluation = dataclasses.replace(made.evaluation, episodes=40)
    run = dataclasses.replace(made, env=EnvSpec(MEMORY, frame_stack=frame_stack), evaluation=evaluation)
    desk = Desk([run])
    make_trainer(backend, "dqn", 1, desk).train(desk)
    (point,) = desk.points[RunId(0)]
    return np.array(point.returns), desk.weights[RunId(0)]


@pytest.mark.parametrize("backend", ["native", pytest.param("sb3", marks=pytest.mark.learning)])
def test_what_was_seen_a_step_before_is_learned_with_two_and_cannot_be_with_one(backend):
    from tuner.training.registry import registered

    returns, weights = learned(backend, 2)
    assert (returns == 1).all()
    probe = HIDING_PROBES[MEMORY][0]()
    policy = registered("dqn").policy(weights, make_spec(0).hyperparameters, 0)
    np.testing.assert_allclose(policy.q_values(probe.observations), probe.q_values(0.5), atol=0.15)
    blind, _ = learned(backend, None)
    assert abs(blind.mean()) < 0.6, "40 throws of a coin, whatever it does"


@pytest.mark.parametrize("backend", ["native", "sb3"])
def test_an_agent_remembers_in_the_bare_environment_and_earns_what_its_evaluation_says(backend, tmp_path):
    save(dataclasses.replace(spec(backend), env=CARTPOLE), tmp_path)
    agent, env = tuner.load_agent(tmp_path), gymnasium.make("CartPole-v1")
    returns, _ = agent.evaluate(episodes=4, seed=11)
    earned = []
    for i in range(4):
        agent.begin()
        earned.append(play(agent, env, 11 + i))
    assert earned == list(returns)
    stacked = tuner.load_agent(tmp_path, env=make(CARTPOLE))  # whose environment remembers
    assert [play(stacked, make(CARTPOLE), 11 + i) for i in range(4)] == list(returns)


def test_several_episodes_side_by_side_are_remembered_apart(tmp_path):
    save(dataclasses.replace(spec(), env=CARTPOLE), tmp_path)
    agent = tuner.load_agent(tmp_path)
    policy = load_model(tmp_path).policy
    episodes = np.random.default_rng(3).normal(size=(6, 5, 4)).astype(np.float32)
    before = np.concatenate([np.zeros((2, 5, 4), np.float32), episodes])
    agent.begin()
    for t in range(6):
        seen = np.concatenate([before[t], before[t + 1], before[t + 2]], axis=-1)
        np.testing.assert_array_equal(agent.act_many(list(episodes[t])), policy.act(seen))
    agent.begin()
    for t in range(3):
        seen = np.concatenate([before[t, 0], before[t + 1, 0], before[t + 2, 0]])
        for _ in range(2):  # asking changes nothing
            np.testing.assert_array_equal(agent.q_values(episodes[t, 0]), policy.q_values(seen[None])[0])
        assert agent.act(episodes[t, 0]) == policy.act(seen[None])[0]


def test_runs_go_on_bit_for_bit_and_do_not_feel_their_neighbours(tmp_path, monkeypatch):
    made = [make_spec(i, **changes) for i, changes in enumerate(({}, {"n_steps": 3}, {}))]
    specs = [dataclasses.replace(one, env=EnvSpec("CartPole-v1", frame_stack=2 + i % 2)) for i, one in enumerate(made)]
    assert_go_on_and_feel_no_neighbours(specs, tmp_path, monkeypatch)


def test_both_backends_see_the_same(tmp_path):
    env = make(CARTPOLE)
    assert isinstance(env, VectorStack) and env.observation_space.shape == (12,)
    from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack

    theirs = VecFrameStack(DummyVecEnv([lambda: gymnasium.make("CartPole-v1")]), 3)
    theirs.seed(5)
    np.testing.assert_array_equal(theirs.reset()[0], env.reset(seed=5)[0])
    for action in (0, 1, 1, 0, 1):
        np.testing.assert_array_equal(theirs.step([action])[0][0], env.step(action)[0])
