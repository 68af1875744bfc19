import dataclasses
import inspect
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stable_baselines3 import DQN
from stable_baselines3.common.vec_env import VecNormalize
from stable_baselines3.dqn.policies import DQNPolicy

from tuner.agents.dqn.layout import network_layout
from tuner.envs.encoders import BoxEncoder
from tuner.errors import InputError
from tuner.hyperparameters import (
    ALGORITHMS,
    DQNHyperparameters,
    algorithm_class,
    beyond_sb3,
    field_infos,
    from_mapping,
)

INFOS = field_infos(DQNHyperparameters)


def test_defaults_are_those_of_sb3() -> None:
    theirs = {name: p.default for name, p in inspect.signature(DQN.__init__).parameters.items()}
    beside = ("net_arch", *DQNHyperparameters.wrapped)
    named = [n for n, info in INFOS.items() if info.sb3 and info.place != "schedule" and n not in beside]
    assert {name: INFOS[name].default for name in named} == {name: theirs[name] for name in named}


def test_wrapped_fields_are_sb3s_normalisation_and_off_by_default() -> None:
    theirs = inspect.signature(VecNormalize.__init__).parameters
    assert {"norm_obs", "norm_reward"} <= set(theirs) and len(DQNHyperparameters.wrapped) == 2
    assert not any(getattr(DQNHyperparameters(), name) for name in DQNHyperparameters.wrapped)


def test_default_network_is_that_of_sb3() -> None:
    from gymnasium import spaces

    policy = DQNPolicy(spaces.Box(-1, 1, (3,)), spaces.Discrete(2), lr_schedule=lambda _: 1e-4)
    assert tuple(policy.net_arch) == INFOS["net_arch"].default


def test_native_only_fields_are_unknown_to_sb3_and_off_by_default() -> None:
    parameters = inspect.signature(DQN.__init__).parameters
    native = [name for name, info in INFOS.items() if not info.sb3]
    assert not set(native) & set(parameters)
    assert beyond_sb3(DQNHyperparameters()) == []
    assert beyond_sb3(DQNHyperparameters(double_q=True, loss="mse")) == ["loss", "double_q"]


def test_every_field_is_declared_completely() -> None:
    assert set(INFOS) == {f.name for f in dataclasses.fields(DQNHyperparameters)}
    for info in INFOS.values():
        assert info.help.endswith(".") and info.scope in ("lane", "shape")
        assert info.check(info.default) == info.default


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("learning_rate", 0.0),
        ("learning_rate", 1.1),
        ("learning_rate", math.nan),
        ("learning_rate", math.inf),
        ("learning_rate", "fast"),
        ("learning_rate", True),
        ("learning_rate", None),
        ("buffer_size", 0),
        ("buffer_size", 2.5),
        ("batch_size", True),
        ("gradient_steps", -2),
        ("tau", 0),
        ("gamma", -0.1),
        ("exploration_fraction", 1.01),
        ("net_arch", 64),
        ("net_arch", "64x64"),
        ("net_arch", [64, 0]),
        ("net_arch", [64, 8.0]),
        ("net_arch", [True]),
        ("loss", "mae"),
        ("loss", 3),
        ("double_q", 1),
        ("double_q", "yes"),
    ],
)
def test_value_outside_the_rule_is_refused_with_field_rule_and_value(name: str, value: Any) -> None:
    with pytest.raises(InputError) as caught:
        from_mapping("dqn", {name: value})
    message = str(caught.value)
    assert message.startswith(f"{name} must be {INFOS[name].valid_range}, got {value!r}.") and "\n" not in message


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("buffer_size", 1e4, 10_000),
        ("learning_rate", 1, 1.0),
        ("net_arch", [8, 9], (8, 9)),
        ("net_arch", [], ()),
        ("gradient_steps", -1, -1),
        ("learning_starts", 0, 0),
    ],
)
def test_value_is_kept_in_the_fields_own_type(name: str, value: Any, kept: Any) -> None:
    result = getattr(from_mapping("dqn", {name: value}), name)
    assert result == kept and type(result) is type(kept)


@pytest.mark.parametrize(("text", "written"), [("1e-5", "1.0e-05"), ("5e-4", "0.0005"), ("3e-7", "3.0e-07")])
def test_number_that_yaml_reads_as_text_shows_the_fix(text: str, written: str) -> None:
    import yaml

    with pytest.raises(InputError, match=f"YAML reads {text} as text; write {written}"):
        from_mapping("dqn", {"learning_rate": yaml.safe_load(text)})
    assert yaml.safe_load(written) == float(text)


def test_unknown_field_names_the_nearest() -> None:
    with pytest.raises(InputError, match=r"dqn has no hyperparameter 'learning_rat'\. Did you mean 'learning_rate'\?"):
        from_mapping("dqn", {"learning_rat": 0.1})
    with pytest.raises(InputError, match="Known: learning_rate, buffer_size"):
        from_mapping("dqn", {"qqq": 0.1})


def test_unknown_algorithm_names_the_known() -> None:
    with pytest.raises(InputError, match="--algo must be one of dqn"):
        algorithm_class("dddqn")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_algorithms_are_known_by_their_own_name(algorithm: str) -> None:
    assert algorithm_class(algorithm).algorithm == algorithm


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "learning_rate": st.floats(1e-9, 1.0),
            "net_arch": st.lists(st.integers(1, 4096), max_size=4),
            "train_freq": st.integers(1, 1000),
            "double_q": st.booleans(),
            "optimizer": st.sampled_from(["adam", "rmsprop"]),
        },
    )
)
def test_plain_data_and_back_is_the_same(values: dict[str, Any]) -> None:
    hyperparameters = from_mapping("dqn", values)
    mapping = hyperparameters.to_mapping()
    assert {name: mapping[name] for name in values} == values
    assert from_mapping("dqn", mapping) == hyperparameters


def test_stack_shape_is_made_of_the_shape_fields_only() -> None:
    base = DQNHyperparameters()
    for name, other in {
        "net_arch": (8,),
        "batch_size": 5,
        "optimizer": "rmsprop",
        "loss": "mse",
        "double_q": True,
    }.items():
        assert dataclasses.replace(base, **{name: other}).shape() != base.shape(), name
    for name, other in {
        "learning_rate": 0.5,
        "train_freq": 9,
        "gradient_steps": 3,
        "gamma": 0.1,
        "buffer_size": 7,
    }.items():
        assert dataclasses.replace(base, **{name: other}).shape() == base.shape(), name


@pytest.mark.parametrize(("gradient_steps", "updates"), [(-1, 6), (0, 0), (3, 3)])
def test_minus_one_means_as_many_updates_as_steps(gradient_steps: int, updates: int) -> None:
    assert DQNHyperparameters(train_freq=6, gradient_steps=gradient_steps).updates_per_call() == updates


@pytest.mark.parametrize(
    ("variant", "measured"),
    [
        ({"double_q": True}, 1.33),
        ({"munchausen": True}, 1.20),
        ({"layer_norm": True}, 1.21),
        ({"noisy": True}, 1.46),
        ({"prioritized": True}, 2.7),
        ({"quantiles": 8}, 1.40),
        ({"quantiles": 32}, 2.0),
        ({"quantiles": 50}, 3.0),
        ({"quantiles": 200}, 15.9),
        ({"quantiles": 16, "prioritized": True}, 7.0),
    ],
    ids=str,
)
def test_work_of_a_variants_update_beside_plain_dqns_is_about_what_was_measured(variant, measured):
    """Processor time of a gradient step of [64, 64] on 64 transitions of CartPole, in pairs on one core."""

    def update(**variant):
        values = DQNHyperparameters(batch_size=64, net_arch=(64, 64), train_freq=1, learning_starts=0, **variant)
        network_bytes = 16 * network_layout(BoxEncoder(4), values, 2).n_parameters
        idle = dataclasses.replace(values, gradient_steps=0)
        return values.work(network_bytes, 1000) - idle.work(network_bytes, 1000)

    assert update(**variant) / update() == pytest.approx(measured, rel=0.1)
