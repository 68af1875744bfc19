"""What a word of the command line stands for."""

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.cli.app import build_parser
from tuner.cli.console import setting
from tuner.cli.run_command import recipe_of
from tuner.cli.values import read_pairs, read_value
from tuner.errors import InputError
from tuner.plan.command_lines import recipe_command
from tuner.plan.recipe import StudyRecipe, from_mapping
from tuner.storage_url import DEFAULT_STORAGE


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("-3", -3),
        ("50_000", 50_000),
        ("1e-5", 1e-5),
        (".5", 0.5),
        ("3.", 3.0),
        ("true", True),
        ("False", False),
        ("null", None),
        ("[64, 64]", [64, 64]),
        ("[1e-5, a]", [1e-5, "a"]),
        ("'3'", "3"),
        ("4x4", "4x4"),
        ("1:30", "1:30"),
        ("2024-01-01", "2024-01-01"),
        ("5__0", "5__0"),
        ("1e999", "1e999"),
        ("on", "on"),
        ("", ""),
    ],
)
def test_words_become_plain_values(text, value):
    read = read_value(text)
    assert read == value
    assert type(read) is type(value)


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers())
def test_numbers_survive_being_written(number):
    assert read_value(repr(number)) == number


@given(st.text())
def test_any_text_is_a_plain_value_or_an_error(text):
    try:
        value = read_value(text)
    except ValueError:
        assert text[:1] in ("[", "{", "'", '"')
    else:
        assert value is None or isinstance(value, bool | int | float | str | list | dict)


@pytest.mark.parametrize("pair", ["gamma", "=3", " =3", ""])
def test_a_pair_needs_a_key_and_a_value(pair):
    with pytest.raises(InputError, match="key=value"):
        read_pairs("--set", [pair])


def test_the_last_of_equal_keys_wins():
    assert read_pairs("--set", ["a=1", "b=x=y", "a=2"]) == {"a": 2, "b": "x=y"}


def test_mappings_nest_and_their_numbers_are_numbers():
    wanted = {"duration": 5, "observation": {"type": "Kinematics", "features": ["x", 1e-3]}}
    read = read_value("{duration: 5, observation: {type: Kinematics, features: [x, 1e-3]}}")
    assert read == wanted
    spec = StudyRecipe(env="A-v0", env_arg={"config": read}).env_spec()
    assert hash(spec) == hash(StudyRecipe(env="A-v0", env_arg={"config": dict(reversed(read.items()))}).env_spec())
    assert spec.arguments() == {"config": wanted}
    spec.arguments()["config"]["observation"]["type"] = "changed by an environment"
    assert spec.arguments() == {"config": wanted}


@pytest.mark.parametrize("text", ["{a: 1", "{1: 2}", "{a: 2020-01-01}", "{a: !!python/name:os.system }"])
def test_what_is_no_plain_mapping_is_refused(text):
    with pytest.raises(ValueError, match="mapping"):
        read_value(text)


def test_a_hyperparameter_is_printed_so_that_it_can_be_told_from_its_bound():
    assert [setting(value) for value in (0.99996, 0.9999, 0.9996, 0.5, 1e-5, 3)] == [
        "0.99996",
        "0.9999",
        "0.9996",
        "0.5",
        "1e-5",
        "3",
    ]


@pytest.mark.parametrize(
    "value", ["8x8", "1e3", "0.5", "true", "None", " x", "[a", "'q'", '"', "", "a b", "é\n", 3, [1, "b"]]
)
def test_a_reports_command_reads_back_as_the_argument_it_stands_for(value):
    recipe = from_mapping({"env": "X-v0", "env_arg": {"a": value}})
    words = shlex.split(recipe_command(recipe, "x", DEFAULT_STORAGE))
    assert read_pairs("--env-arg", [words[words.index("--env-arg") + 1]]) == {"a": value}


def test_the_command_that_goes_on_keeps_what_is_this_machines_and_one_that_repeats_does_not():
    here = {
        "report_dir": "my reports", "record": True, "tensorboard": "events", "timeout": 1_036_800.0, "workers": 2,
        "worker_memory": 512, "executor": "inline", "quiet": True,
    }  # fmt: skip
    recipe = StudyRecipe(env="A-v0", lanes=3, **here)
    assert recipe_command(recipe, "x", DEFAULT_STORAGE) == "tune --env A-v0 --trials 100 --lanes 3"
    words = shlex.split(recipe_command(recipe, "x", DEFAULT_STORAGE, here=True))[1:]
    assert recipe_of(build_parser().parse_args(words)) == recipe
