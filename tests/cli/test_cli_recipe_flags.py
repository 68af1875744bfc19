"""The flags of a search are the fields of StudyRecipe, and flags go over a recipe file."""

from pathlib import Path

import pytest
from cli_shell import tune

from tuner.cli.app import EPILOG, SCORES, build_parser
from tuner.cli.recipe_flags import GROUPS, help_text, over
from tuner.cli.run_command import recipe_of
from tuner.plan.recipe import SETTINGS, StudyRecipe, flag

FIELDS = SETTINGS


def recipe(*arguments):
    return recipe_of(build_parser().parse_args(list(arguments)))


def test_every_setting_is_offered_once_or_left_out_by_name():
    offered = [name for names in GROUPS.values() for name in names]
    assert sorted([*offered, "envs"]) == sorted(FIELDS)  # --env, given several times


@pytest.mark.parametrize("name", [n for names in GROUPS.values() for n in names])
def test_help_gives_each_flag_with_its_default(name):
    text = tune("--help").out
    assert f"\n  {flag(name)} " in text
    default, kind = FIELDS[name].default, FIELDS[name].kind
    if kind not in ("mapping", "bool") and default not in (None, "", ()):
        assert f"(default: {default})" in help_text(FIELDS[name])


def test_flags_become_typed_settings():
    made = recipe(
        "--env", "FrozenLake-v1", "--trials", "7", "--set", "gamma=0.9", "--set", "net_arch=[32]",
        "--env-arg", "is_slippery=false", "--timeout", "2h30m", "--confirm", "0", "--quiet",
    )  # fmt: skip
    assert (made.trials, made.timeout, made.confirm, made.quiet) == (7, 9000.0, 0, True)
    assert made.set == {"gamma": 0.9, "net_arch": [32]}
    assert made.env_arg == {"is_slippery": False}
    untouched = {n for n in FIELDS if n not in ("env", "trials", "set", "env_arg", "timeout", "confirm", "quiet")}
    assert all(getattr(made, n) == getattr(StudyRecipe(), n) for n in untouched)


def test_whole_floats_count_as_integers():
    assert recipe("--env", "CartPole-v1", "--steps", "1e4").steps == 10_000


def test_flags_go_over_a_recipe_file(in_tmp):
    (in_tmp / "mine.yaml").write_text("env: Acrobot-v1\ntrials: 9\nset: {gamma: 0.9, tau: 0.5}\n")
    made = recipe("--recipe", "mine.yaml", "--trials", "4", "--set", "gamma=0.8")
    assert (made.env, made.trials) == ("Acrobot-v1", 4)
    assert made.set == {"gamma": 0.8, "tau": 0.5}


def test_a_flag_at_its_default_still_goes_over_a_recipe_file(in_tmp):
    (in_tmp / "mine.yaml").write_text("env: Acrobot-v1\nsampler: random\n")
    assert recipe("--recipe", "mine.yaml", "--sampler", "tpe").sampler == "tpe"


@pytest.mark.parametrize("name", ["cartpole-dqn", "cartpole-sb3", "smoke"])
def test_committed_recipes_can_be_named(in_tmp, name):
    assert recipe("--recipe", name).env == "CartPole-v1"


def test_merging_leaves_its_inputs_alone():
    below, above = {"set": {"a": 1}}, {"set": {"b": 2}}
    assert over(below, above) == {"set": {"a": 1, "b": 2}}
    assert (below, above) == ({"set": {"a": 1}}, {"set": {"b": 2}})


def test_every_score_is_explained_in_help_and_docs():
    assert set(SCORES) == set(SETTINGS["objective"].choices)
    trust = (Path(__file__).parents[2] / "docs" / "trust.md").read_text()
    assert all(f"| `{name}`" in trust and f"  {name}" in EPILOG for name in SCORES)
