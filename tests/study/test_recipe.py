import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tuner.durations import parse_duration, show_duration
from tuner.errors import InputError
from tuner.hyperparameters import DQNHyperparameters
from tuner.plan.naming import confirm_name, file_name, study_name
from tuner.plan.recipe import NAME_PATTERN, StudyRecipe, from_mapping
from tuner.plan.recipe_files import list_recipes, read_recipe


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, ["--env", "missing"]),
        ({"trials": 0}, ["--trials", "at least 1", "0"]),
        ({"trials": -3}, ["--trials", "-3"]),
        ({"trials": "abc"}, ["--trials", "'abc'"]),
        ({"trials": True}, ["--trials", "True"]),
        ({"trials": 1.5}, ["--trials", "1.5"]),
        ({"trials": float("nan")}, ["--trials", "nan"]),
        ({"workers": 0}, ["--workers", "at least 1"]),
        ({"lanes": 0}, ["--lanes"]),
        ({"lanes": 1_000_000}, ["--lanes", "at most 4096", "1000000"]),
        ({"eval_episodes": 10**9}, ["--eval-episodes", "at most 100000"]),
        ({"timeout": -1}, ["--timeout", "above 0"]),
        ({"timeout": "soon"}, ["--timeout", "2h30m"]),
        ({"sampler": "tpee"}, ["--sampler", "tpe, random, gp, qmc", "Did you mean 'tpe'"]),
        ({"algo": "pqo"}, ["--algo", "dqn", "'pqo'"]),
        ({"algo": "ppo"}, ["--backend native trains", "dqn", "--algo ppo", "Use --backend sb3"]),
        ({"seed": -1}, ["--seed", "at least 0"]),
        ({"steps": 5, "evaluations": 6}, ["--evaluations", "--steps", "5", "6"]),
        ({"study": "../../x"}, ["--study", "../../x", "letters"]),
        ({"study": "a/b"}, ["--study"]),
        ({"study": "a" * 129}, ["--study", "128"]),
        ({"study": "x\n"}, ["--study"]),
        ({"study": ""}, ["--study"]),
        ({"study": "<script>"}, ["--study"]),
        ({"pixels": "yes"}, ["--pixels", "true or false"]),
        ({"discretize": 1}, ["--discretize", "at least 2", "got 1"]),
        ({"discretize": 2.5}, ["--discretize", "2.5"]),
        ({"frame_stack": 0}, ["--frame-stack", "at least 2", "got 0"]),
        ({"wrapper": "FlattenObservation"}, ["--wrapper", "list", "FlattenObservation"]),
        ({"wrapper": ["a b"]}, ["--wrapper", "module:Class", "'a b'"]),
        ({"report_dir": "a\0b"}, ["--report-dir", "NUL"]),
        ({"storage": "sqlite:///a\0b.db"}, ["--storage", "NUL"]),
        ({"start_with": ["zoo", "a\0b"]}, ["--start-with", "NUL"]),
        ({"set": ["x"]}, ["--set", "key=value"]),
        ({"set": {"a": "lin_1", "a_schedule": "cosine"}}, ["--set a=lin_1", "a_schedule=cosine", "Leave one out"]),
        ({"trails": 3}, ["'trails'", "Did you mean 'trials'"]),
    ],
)
def test_a_broken_rule_is_one_line_with_flag_rule_and_value(settings, words):
    with pytest.raises(InputError) as error:
        from_mapping({"env": "X-v0", **settings} if settings else {}).validated()
    message = str(error.value)
    assert "\n" not in message
    assert all(word in message for word in words), message


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("10m", 600),
        ("2h30m", 9000),
        ("1.5h", 5400),
        ("1d2h", 93600),
        (12.5, 12.5),
        ("45s", 45),
        ("1m30", 90),
        ("1h30", 5400),
        ("1d2", 93600),
        ("1h30m10", 5410),
    ],
)
def test_durations_are_read_as_people_write_them(text, seconds):
    assert parse_duration(text, "--timeout") == seconds


@pytest.mark.parametrize(
    "text", ["", "0", "m", "-5", "5x", "10m2h", "1s30", "1h30 5", float("inf"), float("nan"), True, None, "1e999s"]
)
def test_what_is_not_a_duration_is_refused(text):
    with pytest.raises(InputError, match="--timeout"):
        parse_duration(text, "--timeout")


@given(st.integers(1, 10**6))
def test_shown_durations_read_back_within_a_percent_or_a_minute(seconds):
    assert abs(parse_duration(show_duration(seconds), "x") - seconds) <= max(60, 0.05 * seconds)


def test_the_plain_command_names_its_study_by_algorithm_backend_and_environment():
    assert study_name(StudyRecipe(env="ALE/Pong-v5")) == "dqn-native-ALE-Pong-v5"
    assert study_name(StudyRecipe(env="my.mod:Env-v0", backend="sb3")) == "dqn-sb3-my.mod-Env-v0"


def test_free_settings_do_not_change_the_name_and_every_pinned_one_does():
    base = StudyRecipe(env="X-v0")
    free = dataclasses.replace(base, trials=7, workers=3, lanes=2, timeout=9.0, storage="sqlite:///y.db", quiet=True)
    assert study_name(free) == study_name(base)
    changes = {
        "space": "zoo", "set": {"gamma": 0.9}, "steps": 5, "evaluations": 5, "eval_episodes": 5, "seeds_per_trial": 2,
        "objective": "best", "sampler": "gp", "pruner": "none", "startup_trials": 3, "seed": 1, "env_arg": {"a": 1},
        "env_module": "m", "pixels": True, "prior": "none", "start_with": ("defaults",),
        "envs": ("A-v0", "B-v0"), "holdout_env": "C-v0", "n_envs": 2, "discretize": 5, "frame_stack": 4,
            "wrapper": ("gymnasium.wrappers.FlattenObservation",),
    }  # fmt: skip
    assert set(changes) == {n for n in base.pinned() if n not in ("env", "algo", "backend")}
    names = {study_name(dataclasses.replace(base, **{k: v})) for k, v in changes.items()} | {study_name(base)}
    assert len(names) == len(changes) + 1


@given(st.text(min_size=1, max_size=300), st.integers(0, 3))
def test_default_names_always_fit_the_pattern(env, seed):
    assert NAME_PATTERN.match(study_name(StudyRecipe(env=env, seed=seed)))


def test_the_three_packaged_recipes_are_valid_and_found_by_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert {"cartpole-dqn", "cartpole-sb3", "smoke"} <= set(list_recipes())
    for name in list_recipes():
        assert from_mapping(read_recipe(name)).validated().env


def test_a_recipe_in_the_working_directory_hides_the_packaged_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "smoke.yaml").write_text("env: Mine-v0\ntimeout: 10m\n")
    assert read_recipe("smoke") == {"env": "Mine-v0", "timeout": 600.0}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("trials: 0", ["--trials"]),
        ("trails: 3", ["Did you mean 'trials'"]),
        ("- 1", ["mapping"]),
        ("env: [", ["YAML"]),
        ("env: !!python/object/apply:os.getcwd []", ["only plain data"]),
    ],
)
def test_a_bad_recipe_file_is_named_with_its_mistake(tmp_path, text, words):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        read_recipe(str(path))
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    assert all(word in str(error.value) for word in words)


def test_an_unknown_recipe_names_the_nearest():
    with pytest.raises(InputError, match="Did you mean 'smoke'"):
        read_recipe("smok")


def test_a_written_recipe_reads_back_equal(tmp_path):
    recipe = StudyRecipe(env="X-v0", trials=9, set={"net_arch": [8, 8]}, timeout=90.0, sampler="random")
    path = tmp_path / "r.yaml"
    path.write_text(yaml.safe_dump(recipe.to_mapping()))
    assert from_mapping(read_recipe(str(path))) == recipe


@given(st.text(max_size=600))
def test_a_name_of_any_kind_becomes_one_file_inside_the_folder_it_is_joined_to(name):
    file = file_name(name)
    assert Path("reports", file).parts == ("reports", file)
    assert file not in ("", ".", "..") and not file.startswith(".")
    assert len(os.fsencode(file)) <= 140
    assert file == name or not NAME_PATTERN.match(name)


def test_two_names_never_share_a_file():
    names = ["a/b", "a%2Fb", "a b", "a:b", "..", "../..", "", "%", "x" * 200, "x" * 201, "\ud800", "\ud801", "a\0b"]
    assert len({file_name(name) for name in names}) == len(names)


def test_a_study_and_its_confirm_study_keep_their_names_as_files():
    for name in ("dqn-native-CartPole-v1", "x" * 128):
        assert file_name(name) == name
        assert file_name(confirm_name(name)) == confirm_name(name)


def test_numbers_of_numpy_and_paths_are_what_they_stand_for():
    given = StudyRecipe(
        env="CartPole-v1", trials=np.int64(7), steps=np.array(300), timeout=np.float32(1.5), quiet=np.True_,
        report_dir=Path("a/b"), start_with=[Path("best.yaml")], seed=np.uint8(3),
    ).validated()  # fmt: skip
    plain = StudyRecipe(
        env="CartPole-v1", trials=7, steps=300, timeout=1.5, quiet=True, report_dir=str(Path("a/b")),
        start_with=("best.yaml",), seed=3,
    ).validated()  # fmt: skip
    assert given == plain
    assert [type(given.trials), type(given.steps), type(given.report_dir)] == [int, int, str]
    assert DQNHyperparameters(net_arch=np.array([64, 32]), batch_size=np.int32(16)) == DQNHyperparameters(
        net_arch=(64, 32), batch_size=16
    )


@pytest.mark.parametrize("value", [np.int64(0), np.float64("nan"), np.array([1, 2]), np.array(["x"])])
def test_what_a_number_of_numpy_may_not_be_is_refused_as_any_other(value):
    with pytest.raises(InputError, match=r"^--trials must be an integer of at least 1"):
        StudyRecipe(env="CartPole-v1", trials=value).validated()
