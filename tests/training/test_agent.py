"""An agent in the user's own code: it plays as its evaluation did, and speaks the environment's own language."""

from __future__ import annotations

import re
import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from test_single import save, spec

import tuner
from tuner.errors import InputError
from tuner.training.player import begun


def play(agent, env, seed: int) -> float:
    observation, _ = env.reset(seed=seed)
    total = 0.0
    while True:
        observation, reward, terminated, truncated, _ = env.step(agent.act(observation))
        total += reward
        if terminated or truncated:
            return total


class Places(gymnasium.Env):
    """Dict observations, and actions that begin at 5."""

    observation_space = spaces.Dict(
        {"place": spaces.Discrete(5), "lights": spaces.MultiBinary(2), "wind": spaces.Box(-1, 1, (3,))}
    )
    action_space = spaces.Discrete(3, start=5)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.left = 9
        return self._seen(), {}

    def step(self, action):
        assert self.action_space.contains(np.int64(action))
        self.left -= 1
        return self._seen(), float(action - 5), self.left == 0, False, {}

    def _seen(self):
        return {
            "place": int(self.np_random.integers(5)),
            "lights": self.np_random.integers(0, 2, 2).astype(np.int8),
            "wind": self.np_random.uniform(-1, 1, 3).astype(np.float32),
        }


gymnasium.register("test/Places-v0", Places, max_episode_steps=20)


@pytest.mark.parametrize("env_id", ["CartPole-v1", "FrozenLake-v1", "test/Places-v0"])
def test_an_agent_earns_in_the_users_loop_what_its_evaluation_says(env_id, tmp_path):
    save(spec(env=env_id), tmp_path)
    agent = tuner.load_agent(tmp_path)
    returns, lengths = agent.evaluate(episodes=4, seed=11)
    env = agent.make_env()
    assert [play(agent, env, 11 + i) for i in range(4)] == list(returns)
    assert all(1 <= length <= 100 for length in lengths)


def test_one_pass_over_many_observations_gives_the_action_of_each(tmp_path):
    save(spec(env="test/Places-v0"), tmp_path)
    agent = tuner.load_agent(str(tmp_path))
    space = Places.observation_space
    space.seed(3)
    observations = [space.sample() for _ in range(40)]
    actions = agent.act_many(observations)
    assert actions.shape == (40,)
    assert set(actions.tolist()) <= {5, 6, 7}
    assert [agent.act(o) for o in observations] == actions.tolist()
    for observation, action in zip(observations, actions, strict=True):
        values = agent.q_values(observation)
        assert values.shape == (3,)
        assert values.argmax() + 5 == action


def test_an_environment_that_is_there_is_not_made_again(tmp_path, monkeypatch):
    save(spec(env="test/Places-v0"), tmp_path)
    monkeypatch.delitem(gymnasium.registry, "test/Places-v0")
    env = Places()
    assert tuner.load_agent(tmp_path, env=env).act(env.reset(seed=1)[0]) in (5, 6, 7)
    with pytest.raises(InputError, match="test/Places-v0"):
        tuner.load_agent(tmp_path).act(env.reset(seed=1)[0])


def test_an_environment_that_does_not_fit_is_named(tmp_path):
    save(spec(), tmp_path)
    agent = tuner.load_agent(tmp_path, env=gymnasium.make("Acrobot-v1"))
    with pytest.raises(InputError, match="reads 4 numbers and chooses among 2 actions; Acrobot-v1 has 6 and 3"):
        agent.act(np.zeros(6, np.float32))


@pytest.mark.parametrize(
    "wrong",
    [
        {"place": 1},
        3,
        [1.0, 2.0],
        None,
        {"place": 9, "lights": [0, 1], "wind": "north"},
        {"place": 1, "lights": [0, 1], "wind": [10**400] * 3},
    ],
)
def test_what_is_no_observation_of_the_environment_is_one_line(wrong, tmp_path):
    save(spec(env="test/Places-v0"), tmp_path)
    with pytest.raises(InputError, match=r"This is no observation of test/Places-v0: \w+Error"):
        tuner.load_agent(tmp_path).act(wrong)


@pytest.mark.parametrize("wrong", [0, -1, "3", 2.5, 2.0, None, True])
def test_episodes_that_cannot_be_played_are_refused(wrong, tmp_path):
    save(spec(), tmp_path)
    said = re.escape(f"episodes must be an integer of at least 1, got {wrong!r}.")
    with pytest.raises(InputError, match=said):
        tuner.load_agent(tmp_path).evaluate(episodes=wrong)


@pytest.mark.parametrize("wrong", [-1, "3", 1.5, None, False])
def test_seeds_that_cannot_be_played_are_refused(wrong, tmp_path):
    save(spec(), tmp_path)
    with pytest.raises(InputError, match=re.escape(f"seed must be an integer of at least 0, got {wrong!r}.")):
        tuner.load_agent(tmp_path).evaluate(2, seed=wrong)


def test_whole_numbers_of_numpy_are_whole_numbers(tmp_path):
    save(spec(), tmp_path)
    agent = tuner.load_agent(tmp_path)
    assert agent.evaluate(np.int64(2), seed=np.int32(3)) == agent.evaluate(2, seed=3)


@pytest.mark.parametrize("wrong", [None, 3, iter([1]), np.array(3)])
def test_what_is_no_list_of_observations_is_refused(wrong, tmp_path):
    save(spec(), tmp_path)
    with pytest.raises(InputError, match="observations must be a list of observations, got "):
        tuner.load_agent(tmp_path).act_many(wrong)


@pytest.mark.parametrize("wrong", [None, 3, b"folder", ["folder"]])
def test_what_is_no_path_is_no_folder_of_an_agent(wrong):
    with pytest.raises(InputError, match=re.escape(f"folder must be the path of a folder or a zip, got {wrong!r}.")):
        tuner.load_agent(wrong)


@pytest.mark.parametrize(
    ("name", "wrong"), [("env", 3), ("env", ["x"]), ("env_module", 3), ("discretize", "x"), ("frame_stack", 1)]
)
@pytest.mark.parametrize("place", ["", "model.zip"])
def test_arguments_of_another_kind_are_refused_by_name(name, wrong, place, tmp_path):
    save(spec(), tmp_path)
    with pytest.raises(InputError, match=rf"{name} must be .*, got {re.escape(repr(wrong))}\."):
        tuner.load_agent(tmp_path / place, **{name: wrong})


def test_a_folder_that_no_file_can_be_in_is_one_line():
    with pytest.raises(InputError, match=r"a\x00b.model.json|cannot be read: embedded null byte"):
        tuner.load_agent("a\0b")


def test_numbers_that_are_too_few_are_no_observation(tmp_path):
    save(spec(), tmp_path)
    with pytest.raises(InputError, match=r"no observation of CartPole-v1: ValueError: \(3,\) numbers, not \(4,\)"):
        tuner.load_agent(tmp_path).act([1.0, 2.0, 3.0])


def test_loading_an_agent_brings_neither_torch_nor_optuna_nor_plotly(tmp_path):
    save(spec(), tmp_path)
    code = (
        "import sys, numpy as np, tuner\n"
        f"agent = tuner.load_agent({str(tmp_path)!r})\n"
        "agent.act(np.zeros(4, np.float32))\n"
        "print([m for m in ('torch', 'optuna', 'plotly', 'numba', 'pandas', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_flags_of_the_processor_while_an_agent_plays_are_no_warnings():
    class Flagged:
        """Raises what some kernels of BLAS do, beside the same results."""

        def act(self, inputs):
            np.array([np.inf]) - np.inf
            return np.zeros(len(inputs), np.int64)

    with pytest.warns(RuntimeWarning, match="invalid value"):  # so does the probe by itself
        Flagged().act(np.zeros((2, 1)))
    assert begun(Flagged())(np.zeros((2, 1))).tolist() == [0, 0]
