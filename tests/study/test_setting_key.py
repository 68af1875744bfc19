"""Keys of settings and names of runs, which stored results are found by."""

from __future__ import annotations

import dataclasses

import pytest
from training.desk import make_spec

from tuner.contract.rules import Rules
from tuner.hyperparameters import DQNHyperparameters, field_infos
from tuner.study.confirm.contestants import setting_key
from tuner.training.run_checkpoint import fingerprint


def test_a_field_that_came_later_and_is_off_changes_no_key():
    values = DQNHyperparameters(learning_rate=0.003).to_mapping()
    later = {"weight_averaging", *(name for name, info in field_infos(DQNHyperparameters).items() if info.younger)}
    before = {name: value for name, value in values.items() if name not in later}
    assert before != values
    # As confirm stages stored it before there were averages.
    assert setting_key("native", "dqn", values) == setting_key("native", "dqn", before) == "0af7803812f4"
    assert setting_key("native", "dqn", values | {"weight_averaging": 0.1}) != setting_key("native", "dqn", values)


@pytest.mark.parametrize(
    "changes",
    [
        {"learning_rate_schedule": "cosine"},
        {"munchausen": True, "munchausen_tau": 0.1},
        {"layer_norm": True},
        {"quantiles": 8},
        {"noisy": True},
    ],
    ids=str,
)
def test_a_younger_field_names_a_run_only_where_it_is_on(changes):
    spec = dataclasses.replace(make_spec(0), rules=Rules(evaluation_seeds=2, update_path=3, picture_scale=2))
    assert not {name for name, info in field_infos(DQNHyperparameters).items() if info.younger} & {
        *spec.hyperparameters.named_mapping()
    }
    on = dataclasses.replace(spec.hyperparameters, **changes)
    assert on.named_mapping() == spec.hyperparameters.named_mapping() | changes
    other = dataclasses.replace(spec, hyperparameters=on)
    assert other.signature() != spec.signature() == "e424dab483c8645f45f71f2b"  # as stored runs are named
    assert fingerprint(other) != fingerprint(spec)
    assert setting_key("native", "dqn", on.to_mapping()) != setting_key(
        "native", "dqn", DQNHyperparameters().to_mapping()
    )


def test_how_rewards_are_clipped_names_runs_that_sum_normalised_ones_alone():
    before = Rules(evaluation_seeds=2, update_path=3, picture_scale=2)
    for changes in ({"normalize_rewards": True, "n_steps": 5}, {"normalize_rewards": True}, {"n_steps": 5}):
        for backend in ("native", "sb3"):
            old = dataclasses.replace(make_spec(0, backend=backend, **changes), rules=before)
            new = dataclasses.replace(old, rules=dataclasses.replace(before, reward_clip=2))
            differ = backend == "native" and len(changes) == 2
            assert (new.signature() != old.signature()) == (fingerprint(new) != fingerprint(old)) == differ
            if differ:
                assert old.signature() == "c19dbc5eec60f6ae90910d38"  # as stored runs are named


def test_rules_that_choose_among_runs_are_no_part_of_a_runs_names():
    spec = make_spec(0)
    for field in dataclasses.fields(spec.rules):
        other = dataclasses.replace(spec, rules=dataclasses.replace(spec.rules, **{field.name: 1}))
        of_runs = field.name in {"evaluation_seeds", "update_path", "picture_scale"}
        assert (other.signature() != spec.signature()) == of_runs, field.name
        assert (fingerprint(other) != fingerprint(spec)) == of_runs, field.name
