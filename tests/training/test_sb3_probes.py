"""Stable-Baselines3 behind the seam learns the known Q-values of the probes, as the native agent does."""

import gymnasium as gym
import numpy as np
import pytest
from training.desk import Desk, make_spec

from tuner.contract.spec import RunId
from tuner.envs.probe import PROBES
from tuner.training.registry import make_trainer


def forward(weights, inputs):
    """Return the Q-network's outputs, layer by layer."""
    places = sorted({int(name.split(".")[1]) for name in weights})
    hidden = inputs.astype(np.float32)
    for place in places:
        hidden = hidden @ weights[f"q_net.{place}.weight"].T + weights[f"q_net.{place}.bias"]
        if place != places[-1]:
            hidden = np.maximum(hidden, 0)
    return hidden


@pytest.mark.learning
@pytest.mark.parametrize("n_steps", [1, 3])
@pytest.mark.parametrize("env", [p for p in PROBES if "Overestimation" not in p and "Identity" not in p])
def test_known_values_are_learned(env, n_steps):
    check(env, n_steps)


@pytest.mark.learning
def test_known_values_of_numbers_are_learned():
    check("tune/ProbeIdentity-v0", 1)  # several steps would bring in the exploration that follows


def check(env, n_steps):
    spec = make_spec(
        0, env, 1500, backend="sb3", gamma=0.5, learning_rate=5e-3, exploration_final_eps=0.5, n_steps=n_steps
    )
    desk = Desk([spec])
    make_trainer("sb3", "dqn", 1, desk).train(desk)
    assert desk.outcomes[RunId(0)].kind == "completed", desk.outcomes
    probe = PROBES[env][0]()
    discrete = isinstance(probe.observation_space, gym.spaces.Discrete)
    inputs = np.eye(probe.observation_space.n) if discrete else probe.observations
    np.testing.assert_allclose(forward(desk.weights[RunId(0)], inputs), probe.q_values(0.5), atol=0.1)
