"""A stored trial trains again to the same bits; a difference names its field and what explains it."""

import json
import math
import sqlite3
from contextlib import closing

import pytest

import tuner
from tuner import seeding
from tuner.cli.app import main
from tuner.contract.outcome import EvalPoint
from tuner.contract.spec import RunId
from tuner.errors import InputError
from tuner.study.search.provenance import provenance
from tuner.study.upkeep.reproduce import explanations, first_difference, read_trial


@pytest.fixture(scope="module", params=["native", "sb3"])
def study(request, tmp_path_factory):
    """A study with completed and pruned trials of two runs each, trained side by side where the backend can."""
    folder = tmp_path_factory.mktemp(request.param)
    recipe = tuner.StudyRecipe(
        env="CartPole-v1", trials=6, backend=request.param, steps=360, evaluations=6, eval_episodes=2,
        seeds_per_trial=2, startup_trials=2, lanes=4 if request.param == "native" else 1,
        set={"learning_starts": 64}, space="classic", pruner="halving", executor="inline", study="s",
        storage=f"sqlite:///{folder / 'study.db'}", report_dir=str(folder / "reports"),
    )  # fmt: skip
    return tuner.run(recipe).data, recipe.storage


@pytest.mark.slow
def test_replay_of_random_trials_is_bit_identical(study, capsys):
    data, storage = study
    chosen = seeding.stream(0, "replay").permutation(len(data.trials))[:3]
    for number in map(int, chosen):
        assert main(["replay", "s", str(number), "--storage", storage]) == 0
        said = capsys.readouterr().out
        curves = data.trials[number].curves.values()
        evaluations, runs = sum(map(len, curves)), len(curves)
        assert f"Trial {number} of s ({data.trials[number].outcome}): {evaluations} evaluations of {runs} run" in said
        assert "every bit is equal" in said
        assert "Although" not in said


def alter(storage, key, change):
    with closing(sqlite3.connect(storage.removeprefix("sqlite:///"))) as database, database:
        for table in ("trial_user_attributes", "study_user_attributes"):
            for row_id, text in database.execute(f"SELECT rowid, value_json FROM {table} WHERE key = ?", (key,)):
                value = json.loads(text)
                database.execute(
                    f"UPDATE {table} SET value_json = ? WHERE rowid = ?", (json.dumps(change(value)), row_id)
                )


@pytest.mark.slow
def test_a_changed_bit_is_found_and_a_changed_version_explains_it(study, tmp_path, capsys):
    _, storage = study
    copy = tmp_path / "copy.db"
    with (
        closing(sqlite3.connect(storage.removeprefix("sqlite:///"))) as source,
        closing(sqlite3.connect(copy)) as target,
    ):
        source.backup(target)
    url = f"sqlite:///{copy}"

    def nudge(rows):
        rows[1][1][0] += 1.0
        return rows

    alter(url, "curve:1", nudge)
    assert main(["replay", "s", "0", "--storage", url]) == 1
    said = capsys.readouterr().out
    assert "differs: run 1, step 120, returns: [" in said
    assert "stored numbers were changed" in said

    def other(value):
        return {**value, "versions": {**value["versions"], "numpy": "1.0.0"}, "threads": 8}

    alter(url, "provenance", other)
    assert main(["replay", "s", "0", "--storage", url]) == 1
    said = capsys.readouterr().out
    assert "versions.numpy: 1.0.0 then" in said
    assert "threads: 8 then, 1 now" in said


def test_explanations_name_every_recorded_field_that_differs():
    here = provenance(numeric_path="numpy-cpu")
    assert explanations(here, "numpy-cpu") == []
    there = {**here, "numeric_path": "torch-cuda", "hardware": {**here["hardware"], "cpu": "another"}}
    named = [line.partition(":")[0] for line in explanations(there, "numpy-cpu")]
    assert named == ["numeric_path", "hardware.cpu"]


def test_first_difference_looks_at_returns_lengths_and_metrics_in_order():
    point = EvalPoint(RunId(0), 10, (1.0, 2.0), (3, 4), 0.0, {"loss": 0.5})
    row = [10, [1.0, 2.0], [3, 4], {"loss": 0.5}]
    assert first_difference(0, [row], [point]) is None
    assert first_difference(0, [row], [point, point]) is None
    assert first_difference(0, [row, row], [point]).field == "evaluation"
    assert first_difference(0, [[10, [1.0, 2.5], [3, 4], {}]], [point]).field == "returns"
    assert first_difference(0, [[10, [1.0, 2.0], [3, 5], {}]], [point]).field == "lengths"
    nearest = math.nextafter(0.5, 1.0)
    assert first_difference(0, [[10, [1.0, 2.0], [3, 4], {"loss": nearest}]], [point]).field == "loss"


def test_what_cannot_be_replayed_is_said_in_one_line(study):
    _, storage = study
    with pytest.raises(InputError, match=r"no study 't'"):
        read_trial("t", 0, storage)
    with pytest.raises(InputError, match=r"no trial 99; its trials are 0 to 5"):
        read_trial("s", 99, storage)
