"""A study keeps what it began with: its packaged search space, and versions of the rules that decide its numbers."""

import contextlib
import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from old_files import URL
from test_version_0_1_0 import CONFIRM, LAKE, curves, rows, stored_attribute

from tuner.cli.app import main
from tuner.contract.rules import CURRENT, Rules, native_path, rules_of
from tuner.errors import InputError
from tuner.hyperparameters import DQNHyperparameters
from tuner.space.catalog import packaged_folder
from tuner.study.reading.study import load


def set_attribute(study, key, value):
    with contextlib.closing(sqlite3.connect("study.db")) as database, database:
        (study_id,) = database.execute("SELECT study_id FROM studies WHERE study_name = ?", (study,)).fetchone()
        database.execute(
            "INSERT INTO study_user_attributes (study_id, key, value_json) VALUES (?, ?, ?)",
            (study_id, key, json.dumps(value)),
        )


@pytest.fixture
def another_space(tmp_path, monkeypatch):
    """The package has another default space for q_learning: other ranges, other names, another budget."""
    folder = tmp_path / "another_package" / "search_spaces"
    shutil.copytree(packaged_folder(), folder)
    (folder / "q_learning" / "default.yaml").write_text(
        "algorithm: q_learning\n"
        "budget: {n_timesteps: 700, evaluations: 7, eval_episodes: 7}\n"
        "fixed: {exploration_final_eps: 0.5}\n"
        "search:\n  learning_rate: {type: float, low: 0.9, high: 0.95}\n"
    )
    monkeypatch.setattr("tuner.space.catalog.packaged_folder", lambda: folder)


def test_a_study_whose_packaged_space_has_changed_goes_on_in_the_space_it_stored(old, another_space, capsys):
    old("lake")
    before = load("lake", URL)
    confirmed = rows("lake.confirm")
    assert main([*LAKE, "--trials", "11", *CONFIRM]) == 0
    after = load("lake", URL)
    assert (after.space, after.grid) == (before.space, before.grid)
    assert len(after.trials) == 11
    for trial in after.trials[8:]:
        assert trial.params.keys() == before.trials[0].params.keys()
        assert [point.step for point in trial.curves[0]] == list(before.grid)[: len(trial.curves[0])]
    again = rows("lake.confirm")
    assert {number: again[number] for number in confirmed} == confirmed
    assert main(["replay", "lake", "10"]) == 0
    assert main(["confirm", "lake", "--confirm-seeds", "3", "--executor", "inline", "--quiet"]) == 0
    assert main([*LAKE, "--steps", "2001", "--trials", "12"]) == 2
    assert "--steps was 2000, now 2001" in capsys.readouterr().err


def test_the_trials_to_come_are_those_that_the_unchanged_package_would_have_made(old, request):
    kept = old("lake")
    assert main([*LAKE, "--trials", "11", "--confirm", "0"]) == 0
    unchanged = [(row[0], row[1], curves(row)) for row in rows("lake").values()]
    for file in Path().glob("study.db*"):
        file.unlink()
    request.getfixturevalue("another_space")
    assert old("lake") == kept
    assert main([*LAKE, "--trials", "11", "--confirm", "0"]) == 0
    assert [(row[0], row[1], curves(row)) for row in rows("lake").values()] == unchanged


@pytest.mark.slow
def test_a_space_of_the_users_own_that_has_changed_is_refused(old, capsys):
    space = Path("mine.yaml")
    shutil.copy(packaged_folder() / "q_learning" / "default.yaml", space)
    command = [
        "--env",
        "FrozenLake-v1",
        "--algo",
        "q_learning",
        "--space",
        "mine.yaml",
        "--steps",
        "400",
        "--study",
        "m",
    ]
    command += ["--confirm", "0", "--executor", "inline", "--quiet", "--trials"]
    assert main([*command, "2"]) == 0
    space.write_text(space.read_text().replace("low: 0.02", "low: 0.03"))
    assert main([*command, "3"]) == 2
    assert "the search space 'mine.yaml' had search: learning_rate: " in capsys.readouterr().err


def test_what_no_version_is_stored_of_follows_0_1_0():
    assert rules_of({}) == Rules(evaluation_seeds=1, update_path=1)
    assert rules_of({"update_path": 1, "recipe": {}}) == Rules(evaluation_seeds=1, update_path=1)


@pytest.mark.parametrize("version", [CURRENT.update_path + 1, 0, True, "1", None])
def test_a_version_of_a_rule_that_is_not_known_is_refused_by_name(version):
    with pytest.raises(InputError, match=f"update_path, and this tune knows 1 to {CURRENT.update_path}"):
        rules_of({"update_path": version})


@pytest.mark.slow
def test_a_new_study_and_its_confirm_study_store_the_current_rules(old):
    command = [*LAKE, "--study", "new", "--trials", "6", *CONFIRM]
    assert main(command) == 0
    for name in ("evaluation_seeds", "update_path"):
        assert json.loads(stored_attribute("new", name)) == getattr(CURRENT, name)
    assert json.loads(stored_attribute("new.confirm", "evaluation_seeds")) == CURRENT.evaluation_seeds


@pytest.mark.parametrize(
    "command",
    [[*LAKE, "--trials", "9"], ["confirm", "lake"], ["replay", "lake", "0"], ["show", "lake"], ["report", "lake"]],
    ids=["resume", "confirm", "replay", "show", "report"],
)
def test_a_study_of_a_newer_rule_is_not_touched(old, capsys, command):
    old("lake")
    set_attribute("lake", "evaluation_seeds", 99)
    before = rows("lake")
    assert main(command) == 2
    assert "The study follows version 99 of evaluation_seeds" in capsys.readouterr().err
    assert rows("lake") == before


LARGE, SMALL = (4, 84, 84), (4, 10, 10)


@pytest.mark.parametrize(
    ("device", "image", "path"),
    [("cpu", None, "numpy"), ("cpu", SMALL, "torch"), ("cpu", LARGE, "torch"), ("cuda", None, "torch")],
)
def test_update_path_1_is_numpy_for_vectors_on_the_processor(device, image, path):
    assert native_path(1, device, image) == path


@pytest.mark.parametrize(
    ("device", "image", "path"),
    [("cpu", None, "compiled"), ("cpu", SMALL, "compiled"), ("cpu", LARGE, "torch"), ("cuda", SMALL, "torch")],
)
def test_update_paths_2_and_3_are_compiled_for_vectors_and_small_images_on_the_processor(device, image, path):
    assert native_path(2, device, image) == native_path(3, device, image) == path


@pytest.mark.parametrize(
    ("variant", "first"), [({"munchausen": True}, 2), ({"noisy": True}, 3), ({"quantiles": 8}, 3)], ids=str
)
def test_compiled_code_trains_a_variant_from_the_version_on_that_knew_it(variant, first):
    hyperparameters = DQNHyperparameters(**variant)
    assert [hyperparameters.compiles(version) for version in (2, 3)] == [first <= version for version in (2, 3)]
    assert hyperparameters.compiles() and not DQNHyperparameters(**variant, prioritized=True).compiles()
