"""Every hyperparameter of every algorithm reaches Stable-Baselines3 under its own name, in its own place."""

from __future__ import annotations

import argparse
import importlib
import inspect

import numpy as np
import pytest
import torch
import yaml
from gymnasium import spaces

from tuner.errors import InputError
from tuner.hyperparameters import ALGORITHMS, defaults, field_infos, from_mapping
from tuner.space.text import read_text
from tuner.training.sb3.arguments import constructor_arguments, noise_arguments
from tuner.zoo.literal import zoo_literal
from tuner.zoo.read import read_config
from tuner.zoo.tuned import zoo_config
from tuner.zoo.write import config_yaml

WITH_SB3 = [name for name, cls in ALGORITHMS.items() if cls.sb3_class]
FAMILY = [name for name in WITH_SB3 if not ALGORITHMS[name].native]


def class_of(algorithm):
    module, _, name = ALGORITHMS[algorithm].sb3_class.rpartition(".")
    return getattr(importlib.import_module(module), name)


def policy_of(algorithm):
    return class_of(algorithm).policy_aliases[f"Mlp{ALGORITHMS[algorithm].policy_suffix}"]


@pytest.mark.parametrize("algorithm", WITH_SB3)
@pytest.mark.parametrize("images", [False, True])
def test_hidden_layers_are_by_default_those_of_its_policy(algorithm, images):
    cls = ALGORITHMS[algorithm]
    seen = spaces.Box(0, 255, (3, 36, 36), np.uint8) if images else spaces.Box(-1, 1, (3,))
    acts = spaces.Box(-1, 1, (2,)) if cls.actions == ("Box",) else spaces.Discrete(2)
    policy = class_of(algorithm).policy_aliases[f"{'Cnn' if images else 'Mlp'}{cls.policy_suffix}"]
    theirs = policy(seen, acts, lambda _: 1e-3).net_arch
    ours = list(defaults(algorithm, images=images).net_arch)
    assert theirs == ours or theirs == {"pi": ours, "vf": ours}


@pytest.mark.parametrize("given", [{}, {"policy_kwargs": {}}, {"policy_kwargs": "dict()"}])
@pytest.mark.parametrize("algorithm", WITH_SB3)
def test_a_file_for_images_has_the_defaults_for_images(algorithm, given, tmp_path):
    policy = f"Cnn{ALGORITHMS[algorithm].policy_suffix}"
    (tmp_path / "x.yaml").write_text(yaml.safe_dump({"Some-v0": {"policy": policy, "n_timesteps": 100} | given}))
    read = read_config(tmp_path / "x.yaml", "Some-v0", algorithm)
    assert read.hyperparameters == defaults(algorithm, images=True).to_mapping()


@pytest.mark.parametrize("algorithm", WITH_SB3)
def test_each_field_is_an_argument_where_it_says(algorithm):
    taken = inspect.signature(class_of(algorithm)).parameters
    of_policy = inspect.signature(policy_of(algorithm)).parameters
    for info in field_infos(ALGORITHMS[algorithm]).values():
        if info.sb3 and info.place == "constructor":
            assert info.name in taken
        if info.sb3 and info.place == "policy":
            assert info.name in of_policy
        if info.place == "schedule":
            assert info.name.removesuffix("_schedule") in taken


@pytest.mark.parametrize("algorithm", FAMILY)
def test_defaults_are_stable_baselines3_s(algorithm):
    arguments = constructor_arguments(ALGORITHMS[algorithm](), 10_000_000)
    policy, kwargs = arguments.pop("policy"), arguments.pop("policy_kwargs")
    assert policy in class_of(algorithm).policy_aliases
    taken = inspect.signature(class_of(algorithm)).parameters
    assert arguments == {name: taken[name].default for name in arguments}
    of_policy = inspect.signature(policy_of(algorithm)).parameters
    net_arch, kwargs = kwargs.pop("net_arch"), dict(kwargs)
    if algorithm == "ddpg":  # its class says so, its policy is TD3's
        assert kwargs.pop("n_critics") == 1
    assert kwargs == {name: of_policy[name].default for name in kwargs}
    if "Discrete" in ALGORITHMS[algorithm].actions:
        observations, actions = spaces.Box(-1, 1, (3,), np.float32), spaces.Discrete(2)
    else:
        observations, actions = spaces.Box(-1, 1, (3,), np.float32), spaces.Box(-1, 1, (1,), np.float32)
    theirs = policy_of(algorithm)(
        observations, actions, lambda _: 0.0, **({"n_critics": 1} if algorithm == "ddpg" else {})
    )
    ours = policy_of(algorithm)(
        observations, actions, lambda _: 0.0, net_arch=net_arch, **({"n_critics": 1} if algorithm == "ddpg" else {})
    )
    shapes = [{name: tuple(array.shape) for name, array in p.state_dict().items()} for p in (theirs, ours)]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("field", ["learning_rate", "clip_range"])
def test_a_linear_schedule_falls_to_nothing_at_the_end(field):
    arguments = constructor_arguments(from_mapping("ppo", {field: "lin_0.01"}), 1000)
    assert [arguments[field](remaining) for remaining in (1.0, 0.5, 0.0)] == pytest.approx([0.01, 0.005, 0.0])
    constant = {"learning_rate": "clip_range", "clip_range": "learning_rate"}[field]
    assert isinstance(arguments[constant], float)


@pytest.mark.parametrize(
    ("algorithm", "text"), [("fqi", "lin_0.01"), ("dqn", "lin_2"), ("ppo", "lin_much"), ("ppo", "lin_7")]
)
def test_a_schedule_that_cannot_be_is_refused_in_a_line(algorithm, text):
    with pytest.raises(InputError, match="learning_rate must be above 0 and at most 1"):
        from_mapping(algorithm, {"learning_rate": text})


def test_a_minibatch_is_cut_to_the_rollout_and_a_memory_to_the_run():
    assert constructor_arguments(from_mapping("ppo", {"n_steps": 8, "n_envs": 4}), 1000)["batch_size"] == 32
    assert constructor_arguments(from_mapping("sac", {}), 1000)["buffer_size"] == 1000
    assert constructor_arguments(from_mapping("sac", {"n_envs": 8}), 4)["buffer_size"] == 8


def test_an_entropy_weight_that_is_not_given_is_learned():
    assert constructor_arguments(from_mapping("sac", {}), 10)["ent_coef"] == "auto"
    assert constructor_arguments(from_mapping("sac", {"ent_coef": 0.1}), 10)["ent_coef"] == 0.1


def test_an_entropy_weight_is_learned_again_by_the_word_of_stable_baselines3():
    info = field_infos(ALGORITHMS["sac"])["ent_coef"]
    assert read_text(info, "auto") is None and read_text(info, "null") is None and read_text(info, "0.2") == 0.2


def test_a_critic_that_keeps_no_quantile_is_refused_in_a_line():
    with pytest.raises(InputError, match=r"must be below n_quantiles \(5\), got 5\."):
        from_mapping("tqc", {"n_quantiles": 5, "top_quantiles_to_drop_per_net": 5})


def test_the_activation_becomes_torch_s_class():
    found = constructor_arguments(from_mapping("sac", {"activation_fn": "leaky_relu"}), 10)
    assert found["policy_kwargs"]["activation_fn"] is torch.nn.LeakyReLU


@pytest.mark.parametrize("kind", ["normal", "ornstein-uhlenbeck"])
def test_noise_has_the_shape_of_actions_and_the_deviation_asked_for(kind):
    box = spaces.Box(-2, 2, (3,), np.float32)
    noise = noise_arguments(from_mapping("td3", {"noise_type": kind, "noise_std": 0.3}), box)["action_noise"]
    assert noise._sigma.tolist() == [0.3] * 3 and noise().shape == (3,)
    assert noise_arguments(from_mapping("td3", {}), box) == {}


# RL Zoo's form.


@pytest.mark.parametrize("algorithm", FAMILY)
def test_the_zoos_loader_gives_sb3_the_arguments_our_adapter_uses(algorithm, tmp_path, monkeypatch):
    from rl_zoo3.exp_manager import ExperimentManager

    monkeypatch.chdir(tmp_path)
    env = "CartPole-v1" if "Discrete" in ALGORITHMS[algorithm].actions else "Pendulum-v1"
    values = {"learning_rate": "lin_0.002", "gamma": 0.9, "net_arch": [24, 12], "n_envs": 2, "activation_fn": "elu"}
    some = {"noise_type": "normal", "noise_std": 0.3, "batch_size": 32, "normalize_observations": True, "n_steps": 16}
    infos = field_infos(ALGORITHMS[algorithm])
    values |= {n: v for n, v in some.items() if n in infos and not (n == "n_steps" and "buffer_size" in infos)}
    values |= {"buffer_size": 300} if "buffer_size" in infos else {}
    hyperparameters = from_mapping(algorithm, values)
    path = tmp_path / "best.yaml"
    path.write_text(config_yaml(env, 4000, hyperparameters))
    name = ALGORITHMS[algorithm].zoo_name()
    manager = ExperimentManager(argparse.Namespace(), name, env, str(tmp_path), config=str(path), verbose=0)
    model, _ = manager.setup_experiment()
    model.get_env().close()
    ours = constructor_arguments(hyperparameters, 4000)
    theirs = dict(manager._hyperparams)
    for schedule in ("learning_rate", "clip_range"):
        if schedule in ours:
            expected = ours.pop(schedule)
            expected = expected(0.3) if callable(expected) else expected
            assert theirs.pop(schedule)(0.3) == pytest.approx(expected)
    noise = noise_arguments(hyperparameters, model.action_space)
    assert noise.keys() == theirs.keys() & {"action_noise"}
    theirs.pop("action_noise", None)
    policy = theirs.pop("policy_kwargs")  # in which A2C has put its optimizer
    assert {name: policy[name] for name in ours["policy_kwargs"]} == ours.pop("policy_kwargs")
    assert theirs == ours
    assert (manager.n_envs, model.get_vec_normalize_env().norm_obs) == (2, True)


@pytest.mark.parametrize("algorithm", FAMILY)
def test_the_zoos_tuned_values_are_read_but_for_what_is_done_to_an_environment(algorithm):
    path = importlib.resources.files("rl_zoo3") / "hyperparams" / f"{ALGORITHMS[algorithm].zoo_name()}.yml"
    names = [name for name in yaml.safe_load(path.read_text()) if name != "default"][:12]
    known = [env for env in names if zoo_config(env, algorithm) is not None]
    assert len(known) >= 0.6 * len(names)


def test_the_zoos_default_entry_is_tuned_for_nothing():
    assert zoo_config("Unheard-v0", "td3") is None  # though it has noise, which TD3's defaults have not


def test_the_zoos_values_of_cartpole_for_ppo_are_all_there(tmp_path):
    config = zoo_config("CartPole-v1", "ppo")
    assert config is not None and config.n_timesteps == 100_000
    changed = {n: v for n, v in config.hyperparameters.items() if v != ALGORITHMS["ppo"]().to_mapping()[n]}
    assert changed == {
        "n_envs": 8, "n_steps": 32, "batch_size": 256, "gae_lambda": 0.8, "gamma": 0.98, "n_epochs": 20,
        "learning_rate": 0.001, "learning_rate_schedule": "linear", "clip_range_schedule": "linear",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("dict(net_arch=[64, 64])", {"net_arch": [64, 64]}),
        ("dict(pi=dict(a=1), activation_fn=nn.Tanh)", {"pi": {"a": 1}, "activation_fn": "tanh"}),
        ("{'norm_obs': True}", {"norm_obs": True}),
    ],
)
def test_the_zoos_text_is_read_as_data(text, value):
    assert zoo_literal(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "dict(a=__import__('os'))",
        "dict(a=nn.Module)",
        "dict(a=os.environ)",
        "dict(**a)",
        "dict(1)",
        "a",
        "1 +",
        "9" * 2000,
    ],
)
def test_text_that_is_more_than_data_is_refused(text):
    with pytest.raises(ValueError):
        zoo_literal(text)


def test_actor_and_critic_of_different_widths_are_refused_in_a_line(tmp_path):
    path = tmp_path / "ppo.yml"
    path.write_text("X-v0: {n_timesteps: 100, policy_kwargs: 'dict(net_arch=dict(pi=[64], vf=[32]))'}")
    with pytest.raises(InputError, match="actor and critic must have the same layers here"):
        read_config(path, algorithm="ppo")
    path.write_text("X-v0: {n_timesteps: 100, policy_kwargs: 'dict(net_arch=dict(pi=[32], vf=[32]))'}")
    assert read_config(path, algorithm="ppo").hyperparameters["net_arch"] == [32]
