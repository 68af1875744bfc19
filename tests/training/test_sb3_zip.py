"""Agents as Stable-Baselines3's zip and back: they play the same, train on, and nothing in a zip is ever run."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import pickle
import random
import zipfile
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize
from test_single import Keeper, save, spec

import tuner
from tuner.cli.app import main
from tuner.envs.discrete_actions import DiscreteActions
from tuner.envs.vector_stack import VectorStack
from tuner.errors import InputError
from tuner.training.saved.checkpoint import TrainingCheckpoint, load_checkpoint
from tuner.training.saved.model_files import load_model, load_weights, save_model
from tuner.training.sb3.write_zip import VECNORMALIZE, write_zip
from tuner.training.single import train_once


class Pictures(gymnasium.Env):
    """Noise of one size; which pixel is lit says nothing."""

    action_space = spaces.Discrete(2)

    def __init__(self, size: int = 36) -> None:
        self.observation_space = spaces.Box(0, 255, (size, size, 1), np.uint8)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.left = 20
        return self._seen(), {}

    def step(self, action):
        self.left -= 1
        return self._seen(), float(action), self.left == 0, False, {}

    def _seen(self):
        return self.np_random.integers(0, 256, self.observation_space.shape, np.uint8)


gymnasium.register("test/Pictures-v0", Pictures, max_episode_steps=30)


def trained(folder: Path, run):
    """Train and leave what ``tune train`` leaves."""
    keeper, points = Keeper(), []
    files = TrainingCheckpoint(folder, lambda: {"watched": np.array(json.dumps({"step": points[-1].step}))})
    outcome = train_once(run, keeper, points.append, checkpoints=files)
    assert outcome.kind == "completed", outcome
    save_model(folder, run, keeper.weights, points)
    return run


SETTINGS = {
    "plain": {},
    "n-step": {"n_steps": 3},
    "normalised": {"normalize_observations": True, "normalize_rewards": True},
}


@pytest.mark.parametrize("env", ["CartPole-v1", "FrozenLake-v1"])
@pytest.mark.parametrize("changes", SETTINGS.values(), ids=SETTINGS)
def test_the_zip_chooses_the_same_action_on_10_000_observations(env, changes, tmp_path):
    trained(tmp_path, spec(env=env, learning_rate=0.01, train_freq=1, **changes))
    written = write_zip(tmp_path, tmp_path / "model.zip")
    model = DQN.load(written.path)
    rng = np.random.default_rng(0)
    seen = rng.normal(0, 3, (10_000, 4)).astype(np.float32) if env == "CartPole-v1" else rng.integers(0, 16, 10_000)
    shown = seen
    if written.statistics is not None:
        around = VecNormalize.load(str(written.statistics), DummyVecEnv([lambda: _plain(model)]))
        shown = around.normalize_obs(seen if env == "CartPole-v1" else np.eye(16)[seen])
    expected = tuner.load_agent(tmp_path).act_many(list(seen))
    np.testing.assert_array_equal(model.predict(shown, deterministic=True)[0], expected)
    assert env == "FrozenLake-v1" or len(set(expected.tolist())) == 2
    assert (written.statistics is not None) == bool("normalize_rewards" in changes)


def _plain(model) -> gymnasium.Env:
    """An environment of the model's spaces."""
    env = gymnasium.make("CartPole-v1").unwrapped
    env.observation_space, env.action_space = model.observation_space, model.action_space
    return env


@pytest.mark.parametrize(
    "env", ["CartPole-v1", "test/Pictures-v0"], ids=["perceptron, compiled", "convolutions, torch"]
)
def test_target_network_and_adams_moments_are_those_of_the_training(env, tmp_path):
    """After one gradient step: v = m^2 (1 - b2) / (1 - b1)^2, weights moved by the learning rate, the target not."""
    rate = 3e-3
    run = spec(env=env, learning_rate=rate, learning_starts=0, train_freq=60, net_arch=(8,), buffer_size=500)
    trained(tmp_path, dataclasses.replace(run, grid=(70, 110)))
    model = DQN.load(write_zip(tmp_path, tmp_path / "model.zip").path)
    kept = list(model.policy.optimizer.state.values())
    moved = [
        torch.abs(a - b).max().item()
        for a, b in zip(model.q_net.parameters(), model.q_net_target.parameters(), strict=True)
    ]
    assert len(kept) == len(moved)
    assert all(float(k["step"]) == 1 for k in kept)
    for k, distance in zip(kept, moved, strict=True):
        torch.testing.assert_close(k["exp_avg_sq"], 0.1 * k["exp_avg"] ** 2)
        assert distance == pytest.approx(rate, rel=0.01)
    assert (model.num_timesteps, model._n_updates, model._n_calls) == (110, 1, 110)
    assert model.buffer_size == 500


def test_training_goes_on_from_the_zip(tmp_path):
    run = trained(tmp_path, spec(learning_rate=1e-3, train_freq=4, target_update_interval=50, exploration_fraction=0.5))
    path = write_zip(tmp_path, tmp_path / "model.zip").path
    env = gymnasium.make("CartPole-v1")
    model = DQN.load(path, env=env)
    assert model.exploration_rate == pytest.approx(run.hyperparameters.exploration_final_eps)
    assert (model.train_freq.frequency, model.learning_starts, model.gamma) == (4, 20, 0.99)
    before = {name: value.clone() for name, value in model.q_net.state_dict().items()}
    steps = float(model.policy.optimizer.state_dict()["state"][0]["step"])
    assert steps == model._n_updates == len(range(24, 201, 4))
    model.learn(100, reset_num_timesteps=False)
    assert model.num_timesteps == 300
    assert float(model.policy.optimizer.state_dict()["state"][0]["step"]) == steps + 25
    assert any(not torch.equal(before[name], value) for name, value in model.q_net.state_dict().items())


def test_statistics_count_what_the_training_saw(tmp_path):
    trained(tmp_path, spec(normalize_observations=True, normalize_rewards=True))
    statistics = write_zip(tmp_path, tmp_path / "model.zip").statistics
    assert statistics == tmp_path / VECNORMALIZE
    around = VecNormalize.load(str(statistics), DummyVecEnv([lambda: gymnasium.make("CartPole-v1")]))
    kept = load_checkpoint(tmp_path).state
    assert around.obs_rms.count == pytest.approx(float(kept["agent/normalizer/seen"][0]))
    assert around.ret_rms.count > 190
    np.testing.assert_array_equal(around.obs_rms.mean, kept["agent/normalizer/mean"])
    assert around.gamma == 0.99


def streams():
    """The states of the random streams that a process shares."""
    numpy = np.random.get_state()[1].tolist()  # noqa: NPY002
    return random.getstate(), numpy, torch.get_rng_state().tolist()


def test_no_stream_that_others_draw_from_moves(tmp_path):
    trained(tmp_path, spec(env="test/Pictures-v0", net_arch=(8,)))
    assert Pictures.action_space._np_random is None, "of the class: whoever seeds it reaches every instance"
    before = streams()
    write_zip(tmp_path, tmp_path / "model.zip")
    assert streams() == before
    assert Pictures.action_space._np_random is None
    assert DQN.load(tmp_path / "model.zip").seed == 5


def test_without_a_checkpoint_the_target_is_the_network_and_it_is_said(tmp_path):
    save(spec("sb3"), tmp_path)
    written = write_zip(tmp_path, tmp_path / "model.zip")
    model = DQN.load(written.path)
    for one, other in zip(model.q_net.parameters(), model.q_net_target.parameters(), strict=True):
        assert torch.equal(one, other)
    assert any("optimizer begins afresh" in line for line in written.notes)


@pytest.mark.parametrize("due", [True, False])
def test_an_average_goes_on_with_an_optimizer_of_its_own(due, tmp_path):
    """The plain network's moments and target are not the average's, be a training call due at its last step or not."""
    run = spec(learning_rate=0.01, train_freq=4 if due else 3, weight_averaging=0.5)
    trained(tmp_path, run)
    written = write_zip(tmp_path, tmp_path / "model.zip")
    model = DQN.load(written.path, env=gymnasium.make("CartPole-v1"))
    assert model.policy.optimizer.state_dict()["state"] == {} and model._n_updates == 0
    weights = load_weights(tmp_path)
    for name, value in model.q_net.state_dict().items():
        np.testing.assert_array_equal(value, weights[name])
        assert torch.equal(value, model.q_net_target.state_dict()[name])
    assert any("average" in line and "optimizer begins afresh" in line for line in written.notes)
    model.learn(100, reset_num_timesteps=False)
    assert float(model.policy.optimizer.state_dict()["state"][0]["step"]) == model._n_updates > 0


@pytest.mark.parametrize(
    "changes",
    [
        {"dueling": True},
        {"prioritized": True},
        {"optimizer": "rmsprop"},
        {"learning_rate_schedule": "cosine"},
        {"munchausen": True},
        {"layer_norm": True},
        {"quantiles": 8},
        {"noisy": True},
    ],
)
def test_what_stable_baselines3_lacks_is_one_line_and_no_file(changes, tmp_path):
    save(spec(**changes), tmp_path)
    with pytest.raises(InputError, match=f"has no {next(iter(changes))}="):
        write_zip(tmp_path, tmp_path / "model.zip")
    assert not (tmp_path / "model.zip").exists()


# Reading


def test_a_zip_of_ours_comes_back_as_the_agent_that_went_in(tmp_path):
    trained(tmp_path, spec(normalize_observations=True))
    path = write_zip(tmp_path, tmp_path / "model.zip").path
    (tmp_path / VECNORMALIZE).unlink()
    agent, back = tuner.load_agent(tmp_path), tuner.load_agent(path)
    assert back.model.spec == agent.model.spec
    assert back.evaluate(3, 5) == agent.evaluate(3, 5)


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    """A zip that Stable-Baselines3 itself wrote."""
    path = tmp_path_factory.mktemp("foreign") / "model.zip"
    model = DQN("MlpPolicy", "CartPole-v1", policy_kwargs={"net_arch": [24, 12]}, gamma=0.97, seed=4, learning_starts=5)
    model.learn(60)
    model.save(path)
    return path, model


def test_a_zip_of_cut_actions_and_stacked_observations_plays_when_both_are_said(tmp_path, capsys):
    made = VectorStack(DiscreteActions(gymnasium.make("Pendulum-v1"), 5), 2)
    model = DQN("MlpPolicy", made, policy_kwargs={"net_arch": [8]}, seed=4)
    model.save(path := tmp_path / "model.zip")
    agent = tuner.load_agent(path, env="Pendulum-v1", discretize=5, frame_stack=2)
    observation, _ = made.reset(seed=3)
    for _ in range(5):  # the agent takes what the bare environment shows, and answers in its actions
        chosen, _ = model.predict(observation, deterministic=True)
        np.testing.assert_array_equal(agent.act(observation[3:]), np.linspace(-2, 2, 5, dtype=np.float32)[[chosen]])
        observation, *_ = made.step(chosen)
    words = ["--env", "Pendulum-v1", "--discretize", "5", "--frame-stack", "2", "--episodes", "1"]
    assert main(["evaluate", str(path), *words]) == 0
    assert "200.0 steps" in capsys.readouterr().out
    assert main(["evaluate", str(path), *words[:2]]) == 2
    assert "--discretize 5" in capsys.readouterr().err
    trained(tmp_path / "folder", spec())
    with pytest.raises(InputError, match="go with a zip"):
        tuner.load_agent(tmp_path / "folder", discretize=5)


def test_a_zip_of_stable_baselines3_plays_as_it_does_there(foreign):
    path, model = foreign
    agent = tuner.load_agent(path, env="CartPole-v1")
    seen = np.random.default_rng(1).normal(size=(1_000, 4)).astype(np.float32)
    np.testing.assert_array_equal(agent.act_many(list(seen)), model.predict(seen, deterministic=True)[0])
    values = agent.hyperparameters
    assert (values.net_arch, values.gamma, values.learning_starts) == ((24, 12), 0.97, 5)
    assert agent.model.left_out == ("optimizer", "statistics of VecNormalize if it had any", "train_freq")
    assert agent.model.spec.evaluation.max_steps == 500


def test_a_zip_plays_whatever_optimizer_has_trained_it(tmp_path):
    rule = {"optimizer_class": torch.optim.RMSprop, "optimizer_kwargs": {"eps": 1e-5}}
    model = DQN("MlpPolicy", "CartPole-v1", policy_kwargs={"net_arch": [8], **rule}, seed=4, buffer_size=10)
    model.save(tmp_path / "model.zip")
    seen = np.random.default_rng(1).normal(size=(100, 4)).astype(np.float32)
    chosen = tuner.load_agent(tmp_path / "model.zip", env="CartPole-v1").act_many(list(seen))
    np.testing.assert_array_equal(chosen, model.predict(seen, deterministic=True)[0])


def test_a_zip_does_not_say_what_it_plays(foreign):
    with pytest.raises(InputError, match="Add --env ID"):
        tuner.load_agent(foreign[0])
    with pytest.raises(InputError, match="Acrobot-v1 has 6 and 3"):
        tuner.load_agent(foreign[0], env="Acrobot-v1").act(np.zeros(6))


class Bomb:
    """Leaves a file where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return (Path.touch, (self.mark,))


def changed(path: Path, target: Path, **files: bytes | None) -> Path:
    """Copy a zip with other content for some files."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            if files.get(name, b"") is not None:
                new.writestr(name, files.get(name) or old.read(name))
        for name in files.keys() - set(old.namelist()):
            new.writestr(name, files[name])
    return target


def test_pickles_in_the_data_are_never_run(foreign, tmp_path):
    mark = tmp_path / "mark"
    data = json.loads(zipfile.ZipFile(foreign[0]).read("data"))
    assert data["policy_class"][":serialized:"]
    for name in ("policy_class", "train_freq", "lr_schedule", "learning_rate", "seed"):
        data[name] = {":type:": "x", ":serialized:": base64.b64encode(pickle.dumps(Bomb(mark))).decode()}
    path = changed(foreign[0], tmp_path / "bad.zip", data=json.dumps(data).encode())
    agent = tuner.load_agent(path, env="CartPole-v1")
    assert "learning_rate" in agent.model.left_out
    assert agent.act(np.zeros(4)) in (0, 1)
    assert not mark.exists()


def test_a_pickle_among_the_tensors_is_refused_unrun(foreign, tmp_path):
    mark = tmp_path / "mark"
    buffer = io.BytesIO()
    torch.save({"q_net.q_net.0.weight": Bomb(mark)}, buffer)
    path = changed(foreign[0], tmp_path / "bad.zip", **{"policy.pth": buffer.getvalue()})
    with pytest.raises(InputError, match=r"bad.zip is no DQN of Stable-Baselines3 that can be read"):
        tuner.load_agent(path, env="CartPole-v1")
    assert not mark.exists()


def tensors(**arrays) -> bytes:
    buffer = io.BytesIO()
    torch.save(arrays, buffer)
    return buffer.getvalue()


def deflated(raw: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(raw)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    return buffer.getvalue()


def hostile(kind: str, foreign: Path, target: Path) -> Path:
    data = json.loads(zipfile.ZipFile(foreign).read("data"))
    match kind:
        case "compressed tensors":
            return changed(foreign, target, **{"policy.pth": deflated(tensors(x=torch.zeros(1 << 22)))})
        case "one number for many":
            raw = tensors(**{"q_net.q_net.0.weight": torch.zeros(1).expand(1 << 30, 1 << 20)})
            return changed(foreign, target, **{"policy.pth": raw})
        case "data too large":
            return changed(foreign, target, data=b" " * ((1 << 26) + 1))
        case "foreign network":
            data["policy_kwargs"] = {"activation_fn": "<class 'torch.nn.modules.activation.Tanh'>", ":type:": "x"}
        case "normalised":
            target.with_suffix("").mkdir()
            (target.with_suffix("") / VECNORMALIZE).touch()
        case "deep":
            return changed(foreign, target, data=b"[" * 100_000)
        case "no policy":
            return changed(foreign, target, **{"policy.pth": None})
        case "another algorithm":
            PPO("MlpPolicy", "CartPole-v1", n_steps=8, batch_size=8).save(target)
            return target
        case "no zip":
            target.write_bytes(b"PK\x03\x04 and nothing")
            return target
    return changed(foreign, target, data=json.dumps(data).encode())


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("compressed tensors", "compressed"), ("one number for many", "no plain tensor"), ("data too large", "GB"),
        ("foreign network", "activation_fn="), ("normalised", "vecnormalize.pkl"), ("deep", "RecursionError"),
        ("no policy", "policy.pth"),
        ("another algorithm", "only DQN.s zip is read. Give the folder with model.json"),
        ("no zip", "zip"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_one_line(kind, words, foreign, tmp_path):
    with pytest.raises(InputError, match=words) as caught:
        tuner.load_agent(hostile(kind, foreign[0], tmp_path / "bad.zip"), env="CartPole-v1")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["vecnormalize.pkl", "vec_normalize.pkl"])
@pytest.mark.parametrize("place", [".", "best_model", "CartPole-v1"], ids=["beside", "named as the zip", "RL Zoo's"])
def test_a_zip_is_not_played_without_the_statistics_that_lie_there(name, place, foreign, tmp_path):
    path = changed(foreign[0], tmp_path / "best_model.zip")
    tuner.load_agent(path, env="CartPole-v1")
    (tmp_path / place).mkdir(exist_ok=True)
    (tmp_path / place / name).touch()
    with pytest.raises(InputError, match=f"trained with the statistics in .*{name}, a pickle, which is not read"):
        tuner.load_agent(path, env="CartPole-v1")


def test_files_of_a_zip_are_not_unpacked(foreign, tmp_path):
    path = changed(foreign[0], tmp_path / "sub.zip", **{"../slipped": b"x", "/tmp/slipped-home": b"x"})
    before = sorted(tmp_path.parent.rglob("*"))
    tuner.load_agent(path, env="CartPole-v1").act(np.zeros(4))
    assert sorted(tmp_path.parent.rglob("*")) == before
    assert not Path("/tmp/slipped-home").exists()


def test_a_zip_of_ours_imports_no_module_that_it_names(tmp_path):
    trained(tmp_path, spec())
    path = write_zip(tmp_path, tmp_path / "model.zip").path
    about = json.loads(zipfile.ZipFile(path).read("tune.json"))
    about["env"]["module"] = "evil"
    bad = changed(path, tmp_path / "bad.zip", **{"tune.json": json.dumps(about).encode()})
    with pytest.raises(InputError, match="--env-module evil"):
        tuner.load_agent(bad).act(np.zeros(4))
    assert load_model(tmp_path).spec.env.module is None
