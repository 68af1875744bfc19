"""Every kind of space, on both backends, and as an export: one table."""

from __future__ import annotations

import argparse
import contextlib
import copy
import dataclasses

import gymnasium as gym
import numpy as np
import pytest
import torch
import yaml
from desk import Desk, make_spec
from gymnasium import spaces
from stable_baselines3.common.preprocessing import preprocess_obs

from tuner.envs.encoders import encoder_for
from tuner.envs.make import inspect, make
from tuner.envs.spec import frozen
from tuner.hyperparameters import DQNHyperparameters, from_mapping
from tuner.training.registry import make_trainer
from tuner.training.saved.agent import load_agent
from tuner.training.saved.model_files import save_model
from tuner.training.sb3.inputs import observations, what_is_normalized
from tuner.training.sb3.trainer import build_model
from tuner.zoo.read import read_config
from tuner.zoo.write import config_yaml

BYTES = np.uint8

#: Name -> (observation space, what an observation of each part's largest values becomes, or None; whether RL Zoo can).
SPACES: dict[str, tuple[spaces.Space, float | None, bool]] = {
    "discrete": (spaces.Discrete(7), None, True),
    "discrete-start": (spaces.Discrete(7, start=-3), None, False),
    "multi-discrete": (spaces.MultiDiscrete([3, 5]), None, True),
    "multi-discrete-2d": (spaces.MultiDiscrete([[3, 5], [2, 4]]), None, False),
    "multi-discrete-start": (spaces.MultiDiscrete([3, 5], start=[1, -2]), None, False),
    "multi-binary": (spaces.MultiBinary(4), 1.0, True),
    "multi-binary-2d": (spaces.MultiBinary((2, 3)), 1.0, True),
    "float32": (spaces.Box(-1, 2, (3,), np.float32), 2.0, True),
    "float64": (spaces.Box(-1, 2, (3,), np.float64), 2.0, True),
    "float16": (spaces.Box(-1, 2, (3,), np.float16), 2.0, True),
    "unbounded": (spaces.Box(-np.inf, np.inf, (3,), np.float32), None, True),
    "float-2d": (spaces.Box(-1, 2, (3, 2), np.float32), 2.0, True),
    "float-3d": (spaces.Box(-1, 2, (3, 2, 2), np.float64), 2.0, True),
    "number": (spaces.Box(-1, 2, (), np.float32), 2.0, False),
    "int8": (spaces.Box(-5, 9, (3,), np.int8), 9.0, True),
    "int64": (spaces.Box(-5, 9, (3,), np.int64), 9.0, True),
    "int64-2d": (spaces.Box(-5, 9, (3, 4), np.int64), 9.0, True),
    "byte-vector": (spaces.Box(0, 255, (6,), BYTES), 255.0, True),
    "byte-vector-0-9": (spaces.Box(0, 9, (6,), BYTES), 9.0, True),
    "bool-vector": (spaces.Box(0, 1, (6,), bool), 1.0, True),
    "tiny-picture": (spaces.Box(0, 255, (3, 3, 3), BYTES), 1.0, True),
    "tiny-grid": (spaces.Box(0, 9, (4, 4), BYTES), 1.0, False),
    "picture": (spaces.Box(0, 255, (36, 40, 3), BYTES), 1.0, True),
    "picture-first": (spaces.Box(0, 255, (3, 36, 40), BYTES), 1.0, True),
    "small-picture": (spaces.Box(0, 255, (10, 10, 3), BYTES), 1.0, False),
    "grey": (spaces.Box(0, 255, (36, 36), BYTES), 1.0, False),
    "planes-0-1": (spaces.Box(0, 1, (10, 10, 2), BYTES), 1.0, False),
    "planes-0-1-large": (spaces.Box(0, 1, (36, 36, 2), BYTES), 1.0, False),
    "planes-0-5": (spaces.Box(0, 5, (10, 10, 2), BYTES), 1.0, False),
    "planes-0-5-large": (spaces.Box(0, 5, (36, 36, 2), BYTES), 1.0, False),
    "bool-picture": (spaces.Box(0, 1, (10, 10, 4), bool), 1.0, False),
    "dict": (spaces.Dict(a=spaces.Discrete(3, start=2), b=spaces.Box(-1, 1, (2,))), None, True),
    "dict-with-picture": (spaces.Dict(a=spaces.Box(0, 255, (8, 8, 3), BYTES), b=spaces.MultiBinary(2)), 1.0, False),
    "tuple": (spaces.Tuple((spaces.Discrete(4), spaces.Discrete(2))), None, True),
    "nested": (
        spaces.Dict(
            x=spaces.Tuple((spaces.MultiDiscrete([[2, 3]], start=[[1, 1]]), spaces.Box(0, 7, (3, 3), BYTES))),
            y=spaces.Dict(z=spaces.Box(0, 1, (2,), bool)),
        ),
        None,
        False,
    ),
}


def most(space: spaces.Space):
    """The member whose numbers are all the largest ones."""
    if isinstance(space, spaces.Dict):
        return {key: most(part) for key, part in space.items()}
    if isinstance(space, spaces.MultiBinary):
        return np.ones(space.shape, space.dtype)
    assert isinstance(space, spaces.Box)
    return space.high.copy()


class Shown(gym.Env):
    """Shows members of a space at random; one of the actions pays. A step of another action is refused."""

    def __init__(self, kind: str = "discrete", start: int = 0) -> None:
        self.observation_space = SPACES[kind][0]
        self.action_space = spaces.Discrete(2, start=start)
        self.left = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        if seed is not None:
            self.observation_space.seed(seed)
        self.left = 10
        return self.observation_space.sample(), {}

    def step(self, action):
        assert self.action_space.contains(int(action))
        self.left -= 1
        return self.observation_space.sample(), float(action), self.left == 0, False, {}


class Told(Shown):
    """Likewise, with a space of its own; what an action pays depends on what was shown."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.observation_space = copy.deepcopy(self.observation_space)

    def reset(self, *, seed=None, options=None):
        self.shown, info = super().reset(seed=seed)
        return self.shown, info

    def step(self, action):
        numbers = spaces.flatten(self.observation_space, self.shown).astype(float)
        paid = float(np.cos(7 * numbers @ np.cos(np.arange(len(numbers))) + 3 * action))
        self.shown, _, *rest = super().step(action)
        return self.shown, paid, *rest


gym.register("spaces/Shown-v0", entry_point=Shown)
gym.register("spaces/Told-v0", entry_point=Told)

QUICK = {"learning_starts": 20, "train_freq": 10, "gradient_steps": 1, "batch_size": 8, "net_arch": (8,)}


def a_run(kind: str, backend: str, **kwargs):
    return make_spec(0, "spaces/Shown-v0", 60, 1, backend=backend, kwargs=frozen({"kind": kind, **kwargs}), **QUICK)


@pytest.mark.parametrize("kind", SPACES)
@pytest.mark.parametrize("backend", ["native", "sb3"])
def test_every_kind_of_space_trains(kind, backend):
    desk = Desk([a_run(kind, backend, start=3)])
    make_trainer(backend, "dqn", 1).train(desk)
    (outcome,) = desk.outcomes.values()
    assert (outcome.kind, outcome.steps) == ("completed", 60), outcome.reason


@pytest.mark.parametrize("kind", SPACES)
def test_both_backends_see_the_same_vector(kind):
    space, largest, _ = SPACES[kind]
    encoder = encoder_for(space)
    with contextlib.ExitStack() as resources:
        model = build_model(a_run(kind, "sb3"), resources)
        env = model.get_env()
        theirs_of = env.envs[0].get_wrapper_attr("observation") if _encoded(env.envs[0]) else (lambda o: o)
        space.seed(5)
        for i in range(5):
            observation = most(space) if i == 0 and largest is not None else space.sample()
            ours = encoder.to_input(np.asarray(encoder.store(observation))[None])
            shown = torch.as_tensor(np.asarray(theirs_of(observation)))[None]
            theirs = preprocess_obs(shown, env.observation_space, model.policy.normalize_images)
            np.testing.assert_allclose(ours.reshape(-1), theirs.reshape(-1).numpy(), rtol=1e-6)
            evaluated = observations(ours.reshape(1, -1), env.observation_space)
            np.testing.assert_allclose(evaluated.astype(float), shown.numpy().astype(float), rtol=1e-6)
            if i == 0 and largest is not None:
                np.testing.assert_allclose(ours, largest, rtol=1e-6)
            if i == 0 and encoder.image is not None:
                assert theirs.shape[1:] == encoder.image


@pytest.mark.parametrize("normalized", [False, True])
@pytest.mark.parametrize("kind", SPACES)
def test_stable_baselines3_is_evaluated_as_its_saved_agent_plays(kind, normalized, tmp_path):
    values = {**QUICK, "normalize_observations": normalized}
    run = make_spec(0, "spaces/Told-v0", 60, 1, backend="sb3", kwargs=frozen({"kind": kind}), **values)
    desk = Desk([run])
    make_trainer("sb3", "dqn", 1, desk).train(desk)
    (last,) = desk.points[run.run_id]
    save_model(tmp_path, run, desk.weights[run.run_id], [last])
    assert load_agent(tmp_path).evaluate(3, run.evaluation_seed_at(last.step)) == (
        pytest.approx(last.returns, abs=1e-9),
        last.lengths,
    )


@pytest.mark.parametrize("kind", ["byte-vector", "int64", "bool-vector", "float32", "discrete"])
def test_a_rollout_keeps_what_the_policy_saw(kind):
    """Stable-Baselines3 keeps normalised observations in the type of the space."""
    values = from_mapping("ppo", {"n_steps": 16, "batch_size": 16, "n_epochs": 1, "normalize_observations": True})
    with contextlib.ExitStack() as resources:
        model = build_model(dataclasses.replace(a_run(kind, "sb3"), hyperparameters=values), resources)
        seen = []
        model.policy.register_forward_pre_hook(lambda _, given: seen.append(given[0].numpy().copy()))
        model.learn(15)
        np.testing.assert_array_equal(model.rollout_buffer.observations.squeeze(), np.squeeze(seen[:16]))


def _encoded(env: gym.Env) -> bool:
    return "_Encoded" in str(env)


@pytest.mark.parametrize(("kind", "start"), [*((kind, 0) for kind in SPACES), ("float32", 1)])
def test_an_export_trains_in_rl_zoo_or_says_why_not(kind, start, tmp_path):
    spec = a_run(kind, "native", start=start)
    facts = inspect(spec.env, "dqn")
    setting = DQNHyperparameters(**{**QUICK, "buffer_size": 300})
    text = config_yaml(spec.env.id, 200, setting, spec.env.arguments(), facts.preprocessing)
    (first, *_) = text.splitlines()
    assert (yaml.safe_load(text).get("schema") is None) == (SPACES[kind][2] and start == 0), text
    if not SPACES[kind][2] or start != 0:
        assert first.startswith("# Not in RL Zoo's format: Stable-Baselines3")
        return
    train_in_rl_zoo(spec.env.id, text, tmp_path)


#: Name -> whether observations are quantities, which are normalised.
QUANTITIES = {
    "discrete": False,
    "multi-discrete": False,
    "multi-binary": False,
    "multi-binary-2d": False,
    "float32": True,
    "dict": True,
    "picture": False,
}


@pytest.mark.parametrize("rewards", [False, True])
@pytest.mark.parametrize(("kind", "quantities"), QUANTITIES.items())
def test_an_export_that_normalises_does_so_in_rl_zoo_to_quantities_only(kind, quantities, rewards, tmp_path):
    spec = a_run(kind, "native", start=0)
    setting = DQNHyperparameters(
        **{**QUICK, "buffer_size": 300}, normalize_observations=True, normalize_rewards=rewards
    )
    text = config_yaml(spec.env.id, 200, setting, spec.env.arguments(), inspect(spec.env, "dqn").preprocessing)
    if kind == "picture" and rewards:  # its VecNormalize would keep the pictures that are not yet transposed
        assert text.startswith("# Not in RL Zoo's format: RL Zoo cannot normalise rewards")
        return
    manager = train_in_rl_zoo(spec.env.id, text, tmp_path)
    assert manager.normalize == (quantities or rewards), text
    if manager.normalize:
        assert manager.normalize_kwargs["norm_obs"] == quantities
        assert manager.normalize_kwargs["norm_reward"] == rewards


@pytest.mark.parametrize("rewards", [False, True])
@pytest.mark.parametrize("kind", SPACES)
def test_an_export_that_normalises_is_read_back_as_what_was_trained(kind, rewards, tmp_path):
    spec = a_run(kind, "native", start=0)
    facts = inspect(spec.env, "dqn")
    setting = DQNHyperparameters(normalize_observations=True, normalize_rewards=rewards, net_arch=(8,))
    path = tmp_path / "best.yaml"
    path.write_text(config_yaml(spec.env.id, 200, setting, spec.env.arguments(), facts.preprocessing))
    config = read_config(path)
    again = dataclasses.replace(spec.env, wrapper=config.wrapper)
    read, seen = from_mapping("dqn", config.hyperparameters), inspect(again, "dqn")
    assert what_is_normalized(read, seen.encoder) == what_is_normalized(setting, facts.encoder)
    assert seen.encoder.input_size == facts.encoder.input_size
    ours, theirs = (
        encoder.to_input(np.asarray(encoder.store(make(env).reset(seed=3)[0]))[None])
        for encoder, env in ((facts.encoder, spec.env), (seen.encoder, again))
    )
    np.testing.assert_array_equal(theirs, ours)


def train_in_rl_zoo(env: str, text: str, tmp_path):
    """Train 200 steps from an export, and return what RL Zoo made of it."""
    from rl_zoo3.exp_manager import ExperimentManager

    path = tmp_path / "best.yaml"
    path.write_text(text)
    manager = ExperimentManager(
        argparse.Namespace(), "dqn", env, str(tmp_path), config=str(path), verbose=0, eval_freq=-1
    )
    model, _ = manager.setup_experiment()
    model.learn(200)
    model.env.close()
    assert model.num_timesteps == 200
    return manager
