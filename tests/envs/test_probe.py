import numpy as np
import pytest

from tuner.envs.encoders import encoder_for
from tuner.envs.make import inspect, make
from tuner.envs.probe import PROBES
from tuner.envs.spec import EnvSpec

GAMMA = 0.8


@pytest.mark.parametrize("probe_id", PROBES)
def test_q_values_are_the_fixed_point_of_q_learning(probe_id: str) -> None:
    """Tabular Q-learning with falling steps, bootstrapping through truncation, ends at the documented values."""
    env = make(EnvSpec(probe_id))
    encoder = encoder_for(env.observation_space)
    truth = env.unwrapped.q_values(GAMMA)
    rng = np.random.default_rng(1)  # not the seed of the environment, whose states would follow the actions

    def index(observation) -> int:
        stored = encoder.store(observation)
        if np.ndim(stored) == 0:
            return int(stored)
        return int(np.flatnonzero((env.unwrapped.observations == stored).all(axis=1))[0])

    q = np.zeros(truth.shape)
    visits = np.zeros(truth.shape)
    state = index(env.reset(seed=0)[0])
    for _ in range(20_000 if truth.size > 4 else 4_000):
        action = int(rng.integers(truth.shape[1]))
        observation, reward, terminated, truncated, _ = env.step(env.action_space.start + action)
        following = index(observation)
        target = reward + GAMMA * (not terminated) * q[following].max()
        visits[state, action] += 1
        q[state, action] += (target - q[state, action]) / visits[state, action] ** 0.6
        state = index(env.reset()[0]) if terminated or truncated else following
    np.testing.assert_allclose(q, truth, atol=0.1)


@pytest.mark.parametrize("probe_id", PROBES)
def test_probes_fit_dqn_and_declare_honest_spaces(probe_id: str) -> None:
    facts = inspect(EnvSpec(probe_id), "dqn")
    env = make(EnvSpec(probe_id))
    assert env.reset(seed=1)[0] in facts.observation_space
    assert env.unwrapped.q_values(GAMMA).shape[1] == facts.n_actions


def test_the_noisy_probe_pays_nothing_on_average() -> None:
    env = make(EnvSpec("tune/ProbeOverestimation-v0"))
    env.reset(seed=0)
    rewards = []
    for i in range(4000):
        first, last = env.step(i % 8), env.step(0)
        assert (first[1], first[2], last[2]) == (0.0, False, True)
        rewards.append(last[1])
        env.reset()
    assert abs(np.mean(rewards)) < 4 / np.sqrt(4000)
    assert np.std(rewards) == pytest.approx(1, abs=0.05)
    assert not env.unwrapped.q_values(GAMMA).any()


def test_truncation_probe_never_terminates() -> None:
    env = make(EnvSpec("tune/ProbeTruncation-v0"))
    env.reset(seed=0)
    ends = [env.step(0)[2:4] for _ in range(10)]
    assert ends == [(False, False)] * 9 + [(False, True)]


@pytest.mark.parametrize("start", [0, 3, -2])
def test_identity_rewards_the_number_shown(start: int) -> None:
    env = make(EnvSpec("tune/ProbeIdentity-v0", (("n", 3), ("start", start))))
    shown = env.reset(seed=0)[0]
    for _ in range(20):
        assert start <= shown < start + 3
        shown, reward, *_ = env.step(shown)
        assert reward == 1.0
    wrong = start + (shown - start + 1) % 3
    assert env.step(wrong)[1] == 0.0
