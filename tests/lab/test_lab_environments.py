"""Every environment of the lab is what its entry says."""

import gymnasium
import numpy as np
import pytest
from classic import DoublePendulum, SwingUp
from environments import FAMILIES, MEMBERS, MODULE
from gymnasium.envs.classic_control.acrobot import AcrobotEnv
from gymnasium.envs.classic_control.pendulum import PendulumEnv
from gymnasium.utils.env_checker import check_env
from optima import best_policy
from probe import play, random_policy

from tuner.envs.make import inspect, make
from tuner.envs.spec import EnvSpec

#: What is written here, not Gymnasium's with other arguments.
OWN = [m for m in MEMBERS if m.id.startswith("lab/") and not isinstance(gymnasium.registry[m.id].entry_point, str)]
ids = [m.id for m in MEMBERS]


def made(member):
    return make(EnvSpec(member.id, module=MODULE))


def test_there_are_at_least_ten_families_of_at_least_two_members():
    assert len(FAMILIES) >= 10
    assert len(set(ids)) == len(ids)
    assert all(sum(m.family == family for m in MEMBERS) >= 2 for family in FAMILIES)


@pytest.mark.parametrize("member", OWN, ids=lambda m: m.id)
@pytest.mark.filterwarnings("ignore")  # the checker advises on bounds that mean something here
def test_own_environments_keep_gymnasiums_contract(member):
    env = gymnasium.make(member.id, disable_env_checker=True)
    check_env(env.unwrapped, skip_render_check=True)
    if env.spec.max_episode_steps is not None:
        assert env.spec.max_episode_steps <= 500
    env.close()


@pytest.mark.parametrize("member", MEMBERS, ids=ids)
def test_an_episode_is_a_function_of_its_seed_and_actions(member):
    traces = []
    for _ in range(2):
        env = made(member)
        actions, trace = np.random.default_rng(5), []
        for seed in (3, 4):
            observation, _ = env.reset(seed=seed)
            for _ in range(40):
                trace.append(gymnasium.spaces.flatten(env.observation_space, observation))
                action = int(env.action_space.start + actions.integers(env.action_space.n))
                observation, reward, terminated, truncated, _ = env.step(action)
                trace.append(np.array([float(reward)]))
                if terminated or truncated:
                    break
        traces.append(np.concatenate([np.ravel(x).astype(float) for x in trace]))
        env.close()
    np.testing.assert_array_equal(*traces)


@pytest.mark.parametrize("member", MEMBERS, ids=ids)
def test_every_member_can_be_trained_by_the_tuner(member):
    facts = inspect(EnvSpec(member.id, module=MODULE), "dqn")
    assert facts.n_actions >= 2
    assert member.floor < member.ceiling
    assert member.steps % 20 == 0


@pytest.mark.parametrize("member", MEMBERS, ids=ids)
def test_random_play_earns_the_floor(member):
    env = made(member)
    returns, _ = play(env, random_policy(env, 1), 40, first_seed=50_000)
    env.close()
    error = returns.std() / len(returns) ** 0.5
    if member.idle:  # a limit's worth of steps at the price of one; random play makes mistakes too
        assert member.floor == -made(member).spec.max_episode_steps
        assert returns.mean() < member.floor
    else:
        assert abs(returns.mean() - member.floor) < 4 * error + 0.03 * (member.ceiling - member.floor)


@pytest.mark.slow
@pytest.mark.parametrize("member", [m for m in MEMBERS if m.known == "policy"], ids=lambda m: m.id)
def test_the_known_policy_earns_the_ceiling(member):
    env = made(member)
    returns, _ = play(env, best_policy(env), 200, first_seed=60_000)
    env.close()
    error = returns.std() / len(returns) ** 0.5
    assert abs(returns.mean() - member.ceiling) < 4 * error + 0.02 * (member.ceiling - member.floor)


@pytest.mark.parametrize("member", [m for m in MEMBERS if m.known == "bound"], ids=lambda m: m.id)
def test_no_known_policy_passes_a_bound(member):
    env = made(member)
    policy = best_policy(env) or random_policy(env)
    returns, _ = play(env, policy, 5)
    env.close()
    assert returns.max() <= member.ceiling + 1e-9


def test_a_double_pendulum_of_acrobots_links_moves_as_acrobot_does():
    ours, theirs = DoublePendulum(), AcrobotEnv()
    rng = np.random.default_rng(0)
    ours.reset(seed=1)
    theirs.reset(seed=1)
    for _ in range(60):
        action = int(rng.integers(3))
        mine, other = ours.step(action), theirs.step(action)
        np.testing.assert_allclose(mine[0], other[0], atol=1e-4)
        assert mine[1:3] == other[1:3]


def test_swing_up_moves_as_the_pendulum_does():
    ours, theirs = SwingUp(torques=5), PendulumEnv()
    rng = np.random.default_rng(0)
    ours.reset(seed=1)
    theirs.reset(seed=1)
    theirs.state = np.array([ours.angle, ours.speed])
    for _ in range(100):
        action = int(rng.integers(5))
        mine, other = ours.step(action), theirs.step(np.array([action - 2.0]))
        np.testing.assert_allclose(mine[0], other[0], atol=1e-5)
        assert mine[1] == pytest.approx(other[1], abs=1e-6)
