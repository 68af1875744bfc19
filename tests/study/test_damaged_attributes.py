"""Attributes of a study or trial that are of another kind than ``tune`` writes."""

import json
import random
import sqlite3

import pytest
from study_fakes import FakeExecutor

import tuner.api
from tuner.cli.app import main
from tuner.plan.recipe import StudyRecipe
from tuner.storage_url import default_storage

VALUES = (None, True, 7, -1, 1e300, "x", [], {}, [[1]], {"a": []}, 10**30)
COMMANDS = (("show", "s"), ("export", "s"), ("report", "s"), ("replay", "s", "0"), ("confirm", "s"), ("doctor",))


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("damaged"))
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        patch.delenv("TUNE_STORAGE", raising=False)
        for name in ("s", "other"):
            recipe = StudyRecipe(
                env="CartPole-v1", trials=2, steps=300, evaluations=3, eval_episodes=2, pruner="none", confirm=0,
                sampler="random", workers=1, executor="inline", study=name,
            )  # fmt: skip
            tuner.api.run(recipe, executor=FakeExecutor())
        path = default_storage().removeprefix("sqlite:///")
        with sqlite3.connect(path) as connection:
            connection.execute("pragma wal_checkpoint")
        yield path, patch


def places(path):
    with sqlite3.connect(path) as connection:
        for table, owner in (("study_user_attributes", "study_id"), ("trial_user_attributes", "trial_id")):
            for key, text in connection.execute(f"select key, value_json from {table} where {owner} = 1").fetchall():
                yield table, owner, key, text


def test_a_damaged_attribute_is_one_line_and_the_other_studies_are_listed(database, capsys):
    path, _ = database
    luck = random.Random(0)
    tried = 0
    for table, owner, key, good in list(places(path)):
        for value in luck.sample(VALUES, 2):
            with sqlite3.connect(path) as connection:
                change = f"update {table} set value_json = ? where key = ? and {owner} = 1"
                connection.execute(change, (json.dumps(value), key))
            capsys.readouterr()
            assert main(["list"]) == 0
            assert "other" in capsys.readouterr().out
            command = luck.choice(COMMANDS)
            # A replay that runs says with 1 that a study of a fake trainer's was trained otherwise.
            assert main(list(command)) in ((0, 1, 2) if command[0] == "replay" else (0, 2)), (key, value)
            assert "Traceback" not in capsys.readouterr().err
            tried += 1
            with sqlite3.connect(path) as connection:
                connection.execute(change, (good, key))
    assert tried > 35
    assert main(["show", "s"]) == 0


def test_an_attribute_of_another_kind_names_its_place_and_what_it_must_be(database, capsys):
    path, _ = database
    with sqlite3.connect(path) as connection:
        (good,) = connection.execute("select value_json from study_user_attributes where key = 'grid'").fetchone()
        connection.execute("update study_user_attributes set value_json = '\"x\"' where key = 'grid' and study_id = 1")
    assert main(["show", "s"]) == 2
    assert "The study 's' is damaged: 'grid' must be a rising list of environment steps, got 'x'" in (
        capsys.readouterr().err
    )
    with sqlite3.connect(path) as connection:
        connection.execute("update study_user_attributes set value_json = '{' where key = 'grid' and study_id = 1")
    assert main(["show", "s"]) == 2
    assert "is no JSON" in capsys.readouterr().err
    with sqlite3.connect(path) as connection:
        connection.execute("update study_user_attributes set value_json = ? where key = 'grid'", (good,))


@pytest.mark.parametrize(
    ("table", "owner", "key"),
    [("study_user_attributes", "study_id", "grid"), ("trial_user_attributes", "trial_id", "curve:0")],
)
def test_an_attribute_deeper_than_any_reader_goes_is_one_line(database, capsys, table, owner, key):
    path, _ = database
    change = f"update {table} set value_json = ? where key = ? and {owner} = 1"
    with sqlite3.connect(path) as connection:
        (good,) = connection.execute(f"select value_json from {table} where key = ? and {owner} = 1", (key,)).fetchone()
        connection.execute(change, ("[" * 100_000 + "]" * 100_000, key))
    assert main(["list"]) == 0
    capsys.readouterr()
    for command in COMMANDS[:-1]:
        assert main(list(command)) == 2
        said = capsys.readouterr().err
        assert "is damaged" in said and said.count("\n") == 1
    with sqlite3.connect(path) as connection:
        connection.execute(change, (good, key))


@pytest.mark.parametrize(
    ("key", "part", "value", "says"),
    [
        ("recipe", "wrapper", 5, "'wrapper' must be a list of texts, got 5"),
        ("recipe", "env_arg", "x", "'env_arg' must be a mapping, got 'x'"),
        ("recipe", "discretize", "x", "'discretize' must be a whole number, 0 or more, or nothing, got 'x'"),
        ("recipe", "pixels", [], "'pixels' must be true or false, got []"),
        ("recipe", "within", {}, "'within' must be a time or nothing, got {}"),
        ("provenance", "resumed", ["x"], "'resumed' must be a list of sittings, each with its time and versions"),
        ("provenance", "resumed", [{"created": "then"}], "'resumed' must be a list of sittings"),
        ("provenance", "preprocessing", 5, "'preprocessing' must be a mapping, got 5"),
        ("provenance", "preprocessing", {"wrapper": [5]}, "'wrapper' must be a list of texts, got [5]"),
        ("provenance", "preprocessing", {"frame_stack": [5]}, "'frame_stack' must be a whole number"),
    ],
)
def test_a_damaged_part_of_a_recipe_or_of_what_is_done_to_an_environment_is_named(
    database, capsys, key, part, value, says
):
    path, _ = database
    change = "update study_user_attributes set value_json = ? where key = ? and study_id = 1"
    with sqlite3.connect(path) as connection:
        (good,) = connection.execute(
            "select value_json from study_user_attributes where key = ? and study_id = 1", (key,)
        ).fetchone()
        connection.execute(change, (json.dumps({**json.loads(good), part: value}), key))
    for command in ("show", "export", "report"):
        assert main([command, "s"]) == 2
        said = capsys.readouterr().err
        assert says in said and said.count("\n") == 1
    with sqlite3.connect(path) as connection:
        connection.execute(change, (good, key))
