"""Values that do not go together: refused where they are given by hand, moved where a search draws them."""

import pytest
from cli.cli_shell import tune

from tuner.errors import InputError
from tuner.hyperparameters import from_mapping
from tuner.space.parse import parse_space

ALONE = {"n_steps": 1, "n_envs": 1, "normalize_advantage": True}
CLASHES = [
    ("ppo", ALONE, r"n_steps times n_envs must be at least 2 .* got 1 times 1\. Use more"),
    ("a2c", ALONE, r"n_steps times n_envs must be at least 2"),
    ("recurrent_ppo", ALONE, r"n_steps times n_envs must be at least 2"),
    ("recurrent_ppo", {"n_steps": 9, "n_envs": 1, "batch_size": 4}, r"batch_size=4 leaves a last minibatch of 1 of "),
    ("tqc", {"top_quantiles_to_drop_per_net": 5, "n_quantiles": 5}, r"must be below n_quantiles \(5\), got 5"),
]  # fmt: skip


@pytest.mark.parametrize(("algorithm", "values", "says"), CLASHES)
def test_given_by_hand_they_are_refused_in_a_line(algorithm, values, says):
    with pytest.raises(InputError, match=says) as refused:
        from_mapping(algorithm, values)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("algorithm", "values", "says"), CLASHES)
def test_of_a_drawn_setting_what_was_drawn_moves_and_what_is_fixed_stays(algorithm, values, says):
    for searched in values:
        if values[searched] is True:
            item = {"type": "categorical", "choices": [True, False]}
        else:
            item = {"type": "int", "low": values[searched], "high": values[searched] + 40}
        fixed = {name: value for name, value in values.items() if name != searched}
        budget = {"n_timesteps": 100, "evaluations": 1, "eval_episodes": 1}
        space = parse_space(
            {"algorithm": algorithm, "budget": budget, "fixed": fixed, "search": {searched: item}}, "it"
        )
        params = space.sample(_Lowest())
        found = space.resolve(params).to_mapping()
        assert {name: found[name] for name in fixed} == fixed
        assert found[searched] != values[searched]


class _Lowest:
    def float(self, name, low, high, log, step):
        return low

    def int(self, name, low, high, log, step):
        return low

    def choice(self, name, options):
        return options[0]


@pytest.mark.parametrize(
    ("algorithm", "values"),
    [("ppo", {**ALONE, "normalize_advantage": False}), ("ppo", {**ALONE, "n_envs": 2}), ("a2c", {"n_steps": 1}),
     ("ppo", {"n_steps": 9, "batch_size": 4}), ("recurrent_ppo", {"n_steps": 9, "batch_size": 3}),
     ("recurrent_ppo", {"n_steps": 5, "batch_size": 128})],
)  # fmt: skip
def test_what_stable_baselines3_trains_is_not_refused(algorithm, values):
    assert from_mapping(algorithm, values)


def test_a_command_that_fixes_them_ends_with_a_line_before_anything_is_written(in_tmp):
    shell = tune(
        "--env", "CartPole-v1", "--backend", "sb3", "--algo", "ppo", "--set", "n_steps=1", "--n-envs", "1", "--dry-run"
    )  # fmt: skip
    assert (shell.code, shell.out, shell.err.count("\n")) == (2, "", 1)
    assert "n_steps times n_envs must be at least 2" in shell.err
    assert not list(in_tmp.iterdir())
