"""RL Zoo's own loader, given an export and the same random streams, learns the very weights that the trial did.

And it plays an agent's zip in the environment that it makes from the export.
"""

from __future__ import annotations

import argparse
import contextlib

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import VecNormalize
from test_single import save

import tuner
from tuner.contract.rules import CURRENT
from tuner.contract.spec import EvaluationSpec, RunId, RunSpec
from tuner.envs.make import inspect
from tuner.envs.spec import EnvSpec
from tuner.hyperparameters import ALGORITHMS, from_mapping
from tuner.training.sb3.trainer import build_model
from tuner.training.sb3.write_zip import write_zip
from tuner.zoo.read import read_config
from tuner.zoo.write import setting_yaml

#: Steps of a run: whole rollouts.
STEPS = 64

SEEN = {
    "reals": spaces.Box(-1, 1, (3,)),
    "integers": spaces.Box(-5, 5, (3,), np.int32),
    "bytes": spaces.Box(0, 255, (3,), np.uint8),
    "dict": spaces.Dict(b=spaces.Box(0, 9, (2,), np.int64), a=spaces.Box(0, 255, (2,), np.uint8)),
    "matrix": spaces.Box(-1, 1, (2, 3)),
    "number": spaces.Discrete(4),
    "several": spaces.MultiDiscrete([3, 4]),
    "switches": spaces.MultiBinary([2, 3]),
}
DONE = {
    "buttons": spaces.Discrete(3),
    "vector": spaces.Box(-2, 2, (2,)),
    "matrix": spaces.Box(-2, 2, (2, 2)),
    "scalar": spaces.Box(-2, 2, ()),
}


class Noise(gymnasium.Env):
    """Observations and rewards are noise; episodes end by chance."""

    def __init__(self, seen: str, done: str) -> None:
        self.observation_space, self.action_space = SEEN[seen], DONE[done]

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self._look(), {}

    def step(self, action):
        reward = float(self.np_random.normal() + np.sum(action) / 10)
        return self._look(), reward, bool(self.np_random.random() < 0.1), False, {}

    def _look(self):
        self.observation_space.seed(int(self.np_random.integers(2**31)))
        return self.observation_space.sample()


gymnasium.register("test/Noise-v0", Noise, max_episode_steps=20)

ROLLOUTS = {"n_steps": 16, "n_envs": 2, "net_arch": [8], "learning_rate": 0.01}
REPLAY = {"learning_starts": 20, "batch_size": 8, "buffer_size": 50, "learning_rate": 0.01, "net_arch": [8]}
DQN = {**REPLAY, "train_freq": 4, "gradient_steps": -1, "target_update_interval": 13, "exploration_fraction": 0.3}
OBSERVATIONS, REWARDS = {"normalize_observations": True}, {"normalize_rewards": True}
MEMORY = {**ROLLOUTS, "lstm_hidden_size": 8}
STATE_NOISE = {"use_sde": True, "sde_sample_freq": 4, "log_std_init": -1.0}


def setting(algorithm, seen, done, values, **met):
    """Return (environment, hyperparameters, export, whether it is RL Zoo's)."""
    env = EnvSpec("test/Noise-v0", (("done", done), ("seen", seen)), **met)
    hyperparameters = from_mapping(algorithm, values)
    preprocessing = inspect(env, algorithm).preprocessing
    return env, hyperparameters, *setting_yaml(env.id, STEPS, hyperparameters, env.arguments(), preprocessing)[:2]


def a_run(env, backend, hyperparameters):
    return RunSpec(RunId(0), env, backend, hyperparameters, 7, (STEPS,), EvaluationSpec(1, 0, 20, 0.0), rules=CURRENT)


def in_rl_zoo(algorithm, env, text, folder):
    """Return the model that RL Zoo makes of an export."""
    from rl_zoo3.exp_manager import ExperimentManager

    path = folder / "best.yaml"
    path.write_text(text)
    name = ALGORITHMS[algorithm].zoo_name()
    manager = ExperimentManager(
        argparse.Namespace(), name, env.id, str(folder), config=str(path), verbose=0, seed=7, eval_freq=-1
    )
    return manager.setup_experiment()[0]


def learned(model):
    """Train a model on streams of one seed, and return its weights."""
    model.set_logger(Logger(None, []))
    model.set_random_seed(7)
    model.get_env().seed(11)
    model.learn(STEPS)
    model.get_env().close()
    return {name: array.numpy() for name, array in model.policy.state_dict().items()}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning:stable_baselines3")
@pytest.mark.parametrize(
    ("algorithm", "seen", "done", "values", "met"),
    [
        ("dqn", "reals", "buttons", DQN | OBSERVATIONS | REWARDS | {"learning_rate_schedule": "linear"}, {}),
        ("dqn", "integers", "buttons", DQN, {"frame_stack": 3}),
        ("dqn", "reals", "vector", DQN | {"n_steps": 3}, {"discretize": 3, "frame_stack": 2}),
        ("qrdqn", "bytes", "buttons", REPLAY | OBSERVATIONS | {"n_envs": 2, "gradient_steps": -1}, {}),
        ("ppo", "reals", "vector", ROLLOUTS | STATE_NOISE | {"clip_range_schedule": "linear"}, {}),
        ("ppo", "bytes", "buttons", ROLLOUTS | OBSERVATIONS | REWARDS, {}),
        ("ppo", "reals", "buttons", ROLLOUTS | REWARDS, {"frame_stack": 3}),
        ("a2c", "integers", "buttons", ROLLOUTS | OBSERVATIONS, {}),
        ("recurrent_ppo", "dict", "buttons", MEMORY | OBSERVATIONS, {}),
        ("recurrent_ppo", "several", "buttons", MEMORY, {}),
        ("recurrent_ppo", "number", "buttons", MEMORY | REWARDS, {}),
        ("td3", "reals", "vector", REPLAY | {"noise_type": "normal", "noise_std": 0.3}, {}),
        ("ddpg", "reals", "vector", REPLAY | {"noise_type": "ornstein-uhlenbeck", "n_envs": 2}, {}),
        ("sac", "reals", "matrix", REPLAY | REWARDS | {"ent_coef": 0.1}, {}),
        ("tqc", "integers", "vector", REPLAY | OBSERVATIONS | {"n_steps": 3}, {}),
    ],
)
def test_rl_zoo_learns_the_very_weights_of_the_trial(algorithm, seen, done, values, met, tmp_path, monkeypatch):
    env, hyperparameters, text, zoo = setting(algorithm, seen, done, values, **met)
    assert zoo, text
    with contextlib.ExitStack() as resources:
        ours = learned(build_model(a_run(env, "sb3", hyperparameters), resources))
    monkeypatch.chdir(tmp_path)
    theirs = learned(in_rl_zoo(algorithm, env, text, tmp_path))
    assert theirs.keys() == ours.keys()
    for array, other in zip(ours.values(), theirs.values(), strict=True):
        np.testing.assert_array_equal(array, other)


@pytest.mark.parametrize(
    ("algorithm", "seen", "done", "values", "met", "word"),
    [
        ("dqn", "reals", "buttons", DQN | REWARDS, {"frame_stack": 3}, "cannot replay stacked observations"),
        ("ppo", "reals", "buttons", ROLLOUTS | OBSERVATIONS, {"frame_stack": 3}, "before it stacks them"),
        ("sac", "reals", "scalar", REPLAY, {}, "continuous actions of one dimension, and they have 0"),
        ("td3", "reals", "matrix", REPLAY | {"noise_type": "normal"}, {}, "noise upon actions of one dimension"),
    ],
)
def test_what_rl_zoo_would_not_train_is_written_in_our_schema_and_comes_back(
    algorithm, seen, done, values, met, word, tmp_path
):
    env, hyperparameters, text, zoo = setting(algorithm, seen, done, values, **met)
    assert not zoo and word in text.partition("\n")[0]
    path = tmp_path / "best.yaml"
    path.write_text(text)
    config = read_config(path)
    assert config.hyperparameters == hyperparameters.to_mapping()
    assert (config.algorithm, config.frame_stack, config.env_kwargs) == (algorithm, env.frame_stack, env.arguments())


@pytest.mark.filterwarnings("ignore::UserWarning:stable_baselines3")
@pytest.mark.parametrize(
    ("algorithm", "backend", "seen", "values"),
    [
        ("dqn", "native", "matrix", DQN),
        ("dqn", "native", "matrix", DQN | OBSERVATIONS),
        ("dqn", "native", "number", DQN),
        ("dqn", "native", "number", DQN | REWARDS),
        ("dqn", "native", "several", DQN),
        ("dqn", "native", "switches", DQN),
        ("dqn", "native", "dict", DQN | OBSERVATIONS),
        ("ppo", "sb3", "integers", ROLLOUTS | OBSERVATIONS),
        ("ppo", "sb3", "number", ROLLOUTS | REWARDS),
        ("recurrent_ppo", "sb3", "several", MEMORY),
        ("qrdqn", "sb3", "number", REPLAY | REWARDS),
    ],
)
def test_rl_zoo_plays_an_agents_zip_in_the_environment_of_its_export(
    algorithm, backend, seen, values, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    env, hyperparameters, text, zoo = setting(algorithm, seen, "buttons", values)
    assert zoo, text
    save(a_run(env, backend, hyperparameters), tmp_path / "agent")
    written = write_zip(tmp_path / "agent", tmp_path / "model.zip")
    agent = tuner.load_agent(tmp_path / "agent")
    ours, made = agent.make_env(), in_rl_zoo(algorithm, env, text, tmp_path)
    model, theirs = type(made).load(written.path), made.get_env()
    if written.statistics is not None:
        theirs = VecNormalize.load(str(written.statistics), theirs.venv)
        theirs.training = False
    theirs.seed(3)
    observation, memory, begins = theirs.reset(), None, np.ones(theirs.num_envs, bool)
    mine, _ = ours.reset(seed=3)
    for _ in range(8):
        chosen, memory = model.predict(observation, memory, begins, deterministic=True)
        action = agent.act(mine)
        assert chosen[0] == action
        observation, _, begins, _ = theirs.step(np.repeat(chosen[:1], theirs.num_envs))
        mine, *_ = ours.step(action)
        if begins[0]:
            break
    theirs.close()
