import argparse
import errno
import subprocess
import sys
from collections import OrderedDict

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from study_fakes import FakeExecutor, make_plan, search

from tuner import durable
from tuner.envs.spec import EnvSpec
from tuner.errors import InputError
from tuner.hyperparameters import DQNHyperparameters
from tuner.study.reading.study import load
from tuner.study_report import write_study_report
from tuner.zoo.read import read_config
from tuner.zoo.write import config_yaml, export_trial, write_export

SB3_ONLY = st.builds(
    DQNHyperparameters,
    learning_rate=st.floats(1e-6, 0.1),
    buffer_size=st.integers(1, 10**6),
    learning_starts=st.integers(0, 5000),
    batch_size=st.integers(1, 512),
    tau=st.floats(1e-4, 1.0),
    gamma=st.floats(0.0, 1.0),
    train_freq=st.integers(1, 500),
    gradient_steps=st.integers(-1, 200),
    target_update_interval=st.integers(1, 10**5),
    exploration_fraction=st.floats(0.0, 1.0),
    exploration_initial_eps=st.floats(0.0, 1.0),
    exploration_final_eps=st.floats(0.0, 1.0),
    max_grad_norm=st.floats(0.1, 100.0),
    net_arch=st.lists(st.integers(1, 512), max_size=3).map(tuple),
    normalize_observations=st.booleans(),
    normalize_rewards=st.booleans(),
    weight_averaging=st.sampled_from([0.0, 0.05]),
)


@pytest.fixture
def data(tmp_path):
    url = f"sqlite:///{tmp_path}/s.db"
    plan = make_plan(url, trials=4, study="s", set={"double_q": False})
    search(plan, FakeExecutor(lambda spec: "failed" if spec.run_id.trial == 1 else "completed"))
    return load("s", url)


# Writing.


@given(SB3_ONLY, st.integers(1, 10**7))
@settings(max_examples=40, deadline=None)
def test_zoo_yaml_reads_back_as_the_same_hyperparameters(tmp_path_factory, hyperparameters, steps):
    path = tmp_path_factory.mktemp("x") / "best.yaml"
    path.write_text(config_yaml("ALE/Pong-v5", steps, hyperparameters, {"frameskip": 4}))
    config = read_config(path)
    assert (config.env, config.n_timesteps, config.algorithm) == ("ALE/Pong-v5", steps, "dqn")
    assert config.hyperparameters == hyperparameters.to_mapping()
    assert config.env_kwargs == {"frameskip": 4}


def test_the_zoos_loader_gives_sb3_the_arguments_our_adapter_uses(tmp_path, monkeypatch):
    from rl_zoo3.exp_manager import ExperimentManager

    from tuner.training.sb3.arguments import constructor_arguments

    monkeypatch.chdir(tmp_path)
    hyperparameters = DQNHyperparameters(
        learning_rate=1e-5, buffer_size=3000, batch_size=16, tau=0.7, gamma=0.9, train_freq=7, gradient_steps=-1,
        target_update_interval=77, exploration_fraction=0.3, exploration_initial_eps=0.8, exploration_final_eps=0.02,
        max_grad_norm=5.0, net_arch=(24, 12), learning_starts=55, weight_averaging=0.1,
    )  # fmt: skip
    path = tmp_path / "best.yaml"
    path.write_text(config_yaml("CartPole-v1", 4000, hyperparameters))
    manager = ExperimentManager(argparse.Namespace(), "dqn", "CartPole-v1", str(tmp_path), config=str(path), verbose=0)
    model, _ = manager.setup_experiment()
    model.get_env().close()  # its monitor's file, or a warning comes whenever it is collected
    ours = constructor_arguments(hyperparameters, 4000)
    theirs = dict(manager._hyperparams)
    assert theirs.pop("learning_rate")(1.0) == ours.pop("learning_rate") == 1e-5
    assert theirs == ours
    assert manager.n_timesteps == 4000
    assert model.buffer_size == 3000
    assert [layer.out_features for layer in model.q_net.q_net if hasattr(layer, "out_features")] == [24, 12, 2]
    model.env.close()


def test_files_of_several_environments_keep_how_each_is_evaluated(tmp_path):
    path = tmp_path / "best.yaml"
    averages = {"A-v0": 0.1, "B-v0": 0.0, "C-v0": 0.2}
    path.write_text("".join(config_yaml(e, 500, DQNHyperparameters(weight_averaging=w)) for e, w in averages.items()))
    assert {env: read_config(path, env).hyperparameters["weight_averaging"] for env in averages} == averages
    with pytest.raises(InputError, match=r"holds several environments \(A-v0, B-v0, C-v0\)"):
        read_config(path)
    path.write_text(path.read_text().replace("weight_averaging: 0.1", "weight_averaging: 2.5"))
    with pytest.raises(InputError, match=r"weight_averaging must be at least 0 and at most 1, got 2\.5"):
        read_config(path, "A-v0")


@pytest.mark.parametrize("env", ["ALE/Pong-v5", "PongNoFrameskip-v4"])
def test_the_zoo_sees_atari_as_we_do(env, tmp_path, monkeypatch):
    from rl_zoo3.exp_manager import ExperimentManager

    from tuner.envs.make import inspect, make

    monkeypatch.chdir(tmp_path)
    facts = inspect(EnvSpec(env), "dqn")
    path = tmp_path / "best.yaml"
    hyperparameters = DQNHyperparameters(buffer_size=10, net_arch=())
    path.write_text(config_yaml(env, 4000, hyperparameters, {}, facts.preprocessing))
    manager = ExperimentManager(argparse.Namespace(), "dqn", env, str(tmp_path), config=str(path), verbose=0)
    model, _ = manager.setup_experiment()
    game = model.env.envs[0].unwrapped
    assert game._frameskip == 1
    assert game.ale.getFloat("repeat_action_probability") == (0.25 if env == "ALE/Pong-v5" else 0.0)
    ours, theirs = make(EnvSpec(env), training=True), model.env
    theirs.seed(3)
    np.testing.assert_array_equal(theirs.reset()[0], ours.reset(seed=3)[0])
    for action in (2, 3, 0, 5) * 5:
        np.testing.assert_array_equal(theirs.step([action])[0][0], ours.step(action)[0])
    model.env.close()
    config = read_config(path)
    assert (config.env_kwargs, config.hyperparameters) == ({}, hyperparameters.to_mapping())


def test_a_frame_skip_of_ones_own_reaches_the_zoo_and_comes_back(tmp_path):
    from tuner.envs.make import inspect

    kwargs = {"frameskip": 3, "repeat_action_probability": 0.1}
    facts = inspect(EnvSpec("ALE/Pong-v5", tuple(kwargs.items())), "dqn")
    path = tmp_path / "best.yaml"
    path.write_text(config_yaml("ALE/Pong-v5", 4000, DQNHyperparameters(), kwargs, facts.preprocessing))
    written = yaml.safe_load(path.read_text())["ALE/Pong-v5"]
    assert written["env_kwargs"]["frameskip"] == 1
    assert read_config(path).env_kwargs == kwargs


def test_a_step_limit_of_a_game_is_written_in_our_schema_and_comes_back(tmp_path):
    from tuner.envs.make import inspect

    kwargs = {"max_episode_steps": 50}
    facts = inspect(EnvSpec("ALE/Pong-v5", tuple(kwargs.items())), "dqn")
    path = tmp_path / "best.yaml"
    path.write_text(config_yaml("ALE/Pong-v5", 4000, DQNHyperparameters(), kwargs, facts.preprocessing))
    assert path.read_text().startswith("# Not in RL Zoo's format: RL Zoo counts the frames of a game")
    assert read_config(path).env_kwargs == kwargs


@pytest.mark.parametrize(
    ("preprocessing", "word"),
    [({"observation": "rendered frames", "image": [4, 84, 84]}, "--pixels"), ({"image": [4, 10, 10]}, "36 x 36")],
)
def test_what_the_zoo_has_no_network_for_is_written_in_our_schema(preprocessing, word, tmp_path):
    path = tmp_path / "best.yaml"
    path.write_text(config_yaml("X-v0", 4000, DQNHyperparameters(net_arch=()), {}, preprocessing))
    assert path.read_text().startswith("# Not in RL Zoo's format: ") and word in path.read_text()
    config = read_config(path)
    assert config.pixels == ("observation" in preprocessing) and config.hyperparameters["net_arch"] == []


@pytest.mark.slow
def test_the_zoo_trains_the_exported_file(tmp_path):
    path = tmp_path / "best.yaml"
    path.write_text(config_yaml("CartPole-v1", 500, DQNHyperparameters()))
    command = [sys.executable, "-m", "rl_zoo3.train", "--algo", "dqn", "--env", "CartPole-v1", "--conf-file", str(path)]
    done = subprocess.run([*command, "--n-timesteps", "300", "-f", str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


def test_the_best_trial_is_exported_with_every_sb3_argument(data):
    export = export_trial(data)
    assert export.zoo
    assert export.trial == data.best.number
    settings = yaml.safe_load(export.text)["Fake-v0"]
    assert {"tau", "max_grad_norm", "exploration_initial_eps", "policy", "n_timesteps"} <= set(settings)
    assert settings["learning_rate"] == data.best.params["learning_rate"]
    assert isinstance(settings["learning_rate"], float)


def test_a_native_only_option_is_written_in_our_schema_with_the_reason(data, tmp_path):
    text = config_yaml("X-v0", 500, DQNHyperparameters(double_q=True, net_arch=(8,)))
    assert text.startswith("# Not in RL Zoo's format: Stable-Baselines3's DQN does not know double_q=True.")
    (tmp_path / "own.yaml").write_text(text)
    config = read_config(tmp_path / "own.yaml")
    assert config.hyperparameters == DQNHyperparameters(double_q=True, net_arch=(8,)).to_mapping()
    assert (config.env, config.n_timesteps) == ("X-v0", 500)


def test_a_linear_schedule_is_written_in_rl_zoos_words_and_a_cosine_in_our_schema(tmp_path):
    path = tmp_path / "best.yaml"
    for schedule in ("linear", "cosine"):
        values = DQNHyperparameters(learning_rate=0.002, learning_rate_schedule=schedule)
        path.write_text(config_yaml("X-v0", 500, values))
        assert ("learning_rate: lin_0.002" in path.read_text()) == (schedule == "linear")
        assert path.read_text().startswith("X-v0:") == (schedule == "linear")
        assert read_config(path).hyperparameters == values.to_mapping()
    assert "does not know learning_rate_schedule=cosine." in path.read_text()


def test_values_without_a_number_of_steps_take_the_one_that_is_asked_for(tmp_path):
    (tmp_path / "a.yaml").write_text("X-v0:\n  learning_rate: 0.001\n")
    assert read_config(tmp_path / "a.yaml", steps=700).n_timesteps == 700
    with pytest.raises(InputError, match="n_timesteps is missing"):
        read_config(tmp_path / "a.yaml")


def test_trial_zero_can_be_exported_and_missing_ones_are_named(data):
    assert export_trial(data, 0).trial == 0
    with pytest.raises(InputError, match="no trial 9; its trials are 0 to 3"):
        export_trial(data, 9)


def test_a_study_without_completed_trials_has_no_best_to_export(tmp_path):
    url = f"sqlite:///{tmp_path}/s.db"
    search(make_plan(url, trials=1, study="s"), FakeExecutor(lambda spec: "failed"))
    with pytest.raises(InputError, match="No trial of 's' has completed"):
        export_trial(load("s", url))


def test_a_write_replaces_the_file_whole(data, tmp_path):
    path = tmp_path / "out" / "best.yaml"
    for number in (0, 2):
        write_export(export_trial(data, number), path)
    assert path.read_text() == export_trial(data, 2).text
    assert [p.name for p in path.parent.iterdir()] == ["best.yaml"]


def test_a_disk_without_room_for_the_export_is_one_line_and_leaves_the_old_one(data, tmp_path, monkeypatch):
    best = write_study_report(data, f"sqlite:///{tmp_path}/s.db", tmp_path, {}).best_yaml
    before = best.read_text()

    def no_room(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(durable.os, "fsync", no_room)
    with pytest.raises(InputError, match=r"best.yaml cannot be written: No space left on device. Choose"):
        write_study_report(data, f"sqlite:///{tmp_path}/s.db", tmp_path, {})
    assert best.read_text() == before
    assert not [p.name for p in best.parent.iterdir() if p.name.startswith(".")]


# Reading.


def zoo(tmp_path, text):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("line", "observations", "rewards"),
    [
        ("normalize: true", True, True),
        ("normalize: false", False, False),
        ("normalize: {norm_obs: true, norm_reward: false}", True, False),
        ("normalize: \"{'norm_obs': False, 'norm_reward': True}\"", False, True),
        ("normalize: \"{'norm_reward': False}\"", True, False),
    ],
)
def test_the_zoos_normalisation_is_read_in_each_of_its_forms(tmp_path, line, observations, rewards):
    values = read_config(zoo(tmp_path, f"X-v0:\n  n_timesteps: 100\n  {line}\n")).hyperparameters
    assert (values["normalize_observations"], values["normalize_rewards"]) == (observations, rewards)


def test_the_zoos_own_style_is_read(tmp_path):
    path = zoo(
        tmp_path,
        """
CartPole-v1:
  n_timesteps: !!float 5e4
  policy: 'MlpPolicy'
  learning_rate: !!float 2.3e-3
  train_freq: [256, step]
  policy_kwargs: "dict(net_arch=[256, 256])"
""",
    )
    config = read_config(path)
    assert config.n_timesteps == 50_000
    assert config.hyperparameters["learning_rate"] == 2.3e-3
    assert config.hyperparameters["train_freq"] == 256
    assert config.hyperparameters["net_arch"] == [256, 256]
    assert config.hyperparameters["tau"] == 1.0


def test_the_config_that_the_zoo_leaves_beside_an_agent_is_read(tmp_path):
    """``config.yml`` in the folder of a trained agent, on the Hub too: its values alone, as an ordered dictionary."""
    values = {"batch_size": 64, "n_timesteps": 50000.0, "policy": "MlpPolicy", "normalize": False}
    kept = OrderedDict(**values, train_freq=(4, "step"), policy_kwargs="dict(net_arch=[256, 256])")
    path = tmp_path / "config.yml"
    path.write_text(yaml.dump(kept))
    config = read_config(path, "CartPole-v1")
    assert (config.env, config.n_timesteps) == ("CartPole-v1", 50_000)
    assert config.hyperparameters["net_arch"] == [256, 256] and config.hyperparameters["train_freq"] == 4


@pytest.mark.parametrize("text", ["program: train.py\nparameters: {}", '{"cells": [], "nbformat": 4}', "PPO: {a: 1}"])
def test_a_file_of_another_kind_is_told_how_settings_are_written(tmp_path, text):
    path = tmp_path / "other.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"CartPole-v1: \{n_timesteps: 50000"):
        read_config(path, "CartPole-v1")


def test_the_zoos_shipped_dqn_file_is_read_for_classic_control():
    from pathlib import Path

    import rl_zoo3

    path = Path(rl_zoo3.__file__).parent / "hyperparams" / "dqn.yml"
    for env in ("CartPole-v1", "Acrobot-v1", "MountainCar-v0"):
        assert read_config(path, env).env == env
    with pytest.raises(InputError, match="name one with --env"):
        read_config(path)
    assert read_config(path, "Taxi-v4").n_timesteps == 1_000_000  # the Zoo's own fallback


def test_an_environment_that_the_file_lacks_names_the_nearest(tmp_path):
    path = zoo(tmp_path, "CartPole-v1: {n_timesteps: 10}\nAcrobot-v1: {n_timesteps: 10}\n")
    with pytest.raises(InputError, match="Did you mean 'CartPole-v1'"):
        read_config(path, "CartPol-v1")


CANARY = "__import__('pathlib').Path('CANARY').touch()"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("learning_rate: func_0.001", ["learning_rate", "schedule", "'func_0.001'"]),
        (
            "learning_rate: lin_0.1\n  learning_rate_schedule: cosine",
            ["falls linearly", "learning_rate_schedule=cosine"],
        ),
        ("max_grad_norm: lin_5", ["max_grad_norm", "schedule", "'lin_5'"]),
        ("learning_rate: 1e-4", ["learning_rate", "0.0001", "text"]),
        ("learning_rate: -1.0", ["learning_rate", "above 0"]),
        ("lerning_rate: 0.1", ["Did you mean 'learning_rate'"]),
        ("policy: CnnLstmPolicy", ["MlpPolicy"]),
        ("normalize: {norm_obs: true, clip_obs: 5.0}", ["normalize", "clip_obs"]),
        ("frame_stack: 4.5", ["frame_stack", "whole number"]),
        ("env_wrapper: [3]", ["env_wrapper", "must be FlattenObservation, module:Class", "3"]),
        ("env_wrapper: stable_baselines3.common.atari_wrappers.AtariWrapper", ["env_wrapper", "take it out"]),
        ("train_freq: [1, episode]", ["train_freq"]),
        ("policy_kwargs: {activation_fn: x}", ["activation_fn"]),
        ('policy_kwargs: "dict(net_arch=[64], activation_fn=nn.ReLU)"', ["activation_fn is not supported"]),
        ('policy_kwargs: "dict(net_arch=[64], activation_fn=nn.Module)"', ["run as code"]),
        (f'policy_kwargs: "{CANARY}"', ["run as code"]),
        (f'policy_kwargs: "dict(net_arch={CANARY})"', ["run as code"]),
        ('policy_kwargs: "dict([1])"', ["run as code"]),
        ('policy_kwargs: "dict(**{})"', ["run as code"]),
        (f'replay_buffer_class: "{CANARY}"', ["replay_buffer_class"]),
        (f'normalize: "{CANARY}"', ["normalize"]),
        (f'gamma: "{CANARY}"', ["gamma"]),
        ("gamma: !!python/object/apply:pathlib.Path.touch [CANARY]", ["only plain data"]),
    ],
)
def test_what_cannot_be_trained_is_refused_and_nothing_is_run(tmp_path, monkeypatch, line, words):
    monkeypatch.chdir(tmp_path)
    path = zoo(tmp_path, f"X-v0:\n  n_timesteps: 100\n  {line}\n")
    with pytest.raises(InputError) as error:
        read_config(path)
    assert all(word in str(error.value) for word in [str(path), *words]), str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "CANARY").exists()


OWN_FORM = "schema: tune/1\nalgorithm: dqn\nenv: X-v0\nn_timesteps: 5\nhyperparameters: {gamma: 0.9}\n"


@pytest.mark.parametrize(
    "text",
    ["", "- 1", "X-v0: 3", "X-v0: {}", "X-v0: {n_timesteps: .nan}", "X: {n_timesteps: 0}", "[", "schema: tune/9",
     "schema: tune/1", "schema: tune/1\nalgorithm: [dqn]"],
)  # fmt: skip
def test_files_that_are_no_configuration_are_refused_in_one_line(tmp_path, text):
    with pytest.raises(InputError) as error:
        read_config(zoo(tmp_path, text))
    assert "\n" not in str(error.value)


def test_a_key_that_our_own_form_does_not_have_names_the_nearest(tmp_path):
    assert read_config(zoo(tmp_path, OWN_FORM + "frame_stack: 4")).frame_stack == 4
    with pytest.raises(InputError, match=r"frame_stak: is not a key of such a file\. Did you mean 'frame_stack'\?"):
        read_config(zoo(tmp_path, OWN_FORM + "frame_stak: 4"))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_config(tmp_path / "none.yaml")


def test_an_argument_without_a_name_is_named_with_its_file(tmp_path):
    for text in ("X-v0: {n_timesteps: 500, env_kwargs: {1: 2}}", OWN_FORM + "env_kwargs: {1: 2}"):
        with pytest.raises(InputError, match=r"yaml: env_kwargs: must be a mapping from names to values, got \{1: 2\}"):
            read_config(zoo(tmp_path, text))
