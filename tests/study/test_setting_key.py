"""Keys of settings, which stored confirm runs are found by."""

from __future__ import annotations

from tuner.hyperparameters import DQNHyperparameters
from tuner.study.confirm.contestants import setting_key


def test_a_field_that_came_later_and_is_off_changes_no_key():
    values = DQNHyperparameters(learning_rate=0.003).to_mapping()
    before = {name: value for name, value in values.items() if name != "weight_averaging"}
    assert before != values
    # As confirm stages stored it before there were averages.
    assert setting_key("native", "dqn", values) == setting_key("native", "dqn", before) == "0af7803812f4"
    assert setting_key("native", "dqn", values | {"weight_averaging": 0.1}) != setting_key("native", "dqn", values)
