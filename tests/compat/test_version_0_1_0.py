"""What version 0.1.0 wrote is read, resumed and replayed (tests/data/v0_1_0/README.md says how it was made)."""

import contextlib
import json
import re
import shlex
import shutil
import sqlite3
from pathlib import Path

import pytest
from old_files import URL, V0_1_0, report_of, unpack_database

from tuner.cli.app import main
from tuner.hyperparameters import algorithm_class, field_infos
from tuner.study.reading.study import load
from tuner.training import run_checkpoint
from tuner.training.run_checkpoint import RunCheckpoints

#: As tests/data/v0_1_0/make.py began these studies, without what a resume may change.
LAKE = shlex.split(
    "--env FrozenLake-v1 --algo q_learning --study lake --steps 2000 --evaluations 4 --eval-episodes 5 --seed 3 "
    "--seeds-per-trial 2 --startup-trials 4 --workers 1 --executor inline --quiet"
)
POLE = shlex.split(
    "--env CartPole-v1 --study pole --steps 600 --evaluations 4 --eval-episodes 3 --seed 5 --startup-trials 3 "
    "--set net_arch=16 --set learning_starts=64 --workers 1 --executor inline --quiet"
)
CONFIRM = ["--confirm", "2", "--confirm-seeds", "3", "--confirm-budget", "4"]

STUDIES = pytest.mark.parametrize(
    ("name", "command", "trials"), [("lake", LAKE, 8), ("pole", [*POLE, "--lanes", "3"], 6)], ids=["lake", "pole"]
)

#: Of a trial in report.json: what it was, whatever else a later version may say of it.
TRIAL = (
    "number", "state", "outcome", "score", "params", "hyperparameters", "curves", "seeds", "steps", "duration_s",
    "reason", "spared_at",
)  # fmt: skip


def rows(study, database="study.db"):
    """Return every trial of a study as the database holds it, by number: its state, value and user attributes."""
    with contextlib.closing(sqlite3.connect(database)) as opened:
        trials = opened.execute(
            "SELECT t.number, t.trial_id, t.state, v.value FROM trials t JOIN studies s USING (study_id) "
            "LEFT JOIN trial_values v USING (trial_id) WHERE s.study_name = ? ORDER BY t.number",
            (study,),
        ).fetchall()
        attributes = {
            trial_id: dict(
                opened.execute("SELECT key, value_json FROM trial_user_attributes WHERE trial_id = ?", (trial_id,))
            )
            for _, trial_id, _, _ in trials
        }
    return {number: (state, value, attributes[trial_id]) for number, trial_id, state, value in trials}


def curves(row):
    """Return the stored evaluations of a trial's runs, as text."""
    return {key: text for key, text in row[2].items() if key.startswith("curve:")}


def job_of(row):
    """Return (setting, phase, replicate) of a row of a confirm study."""
    return tuple(json.loads(row[2]["job"]))


@STUDIES
def test_list_show_and_doctor_read_it(old, capsys, name, command, trials):
    kept = old(name)
    assert main(["list"]) == 0
    assert f"{trials}/{trials}" in next(line for line in capsys.readouterr().out.splitlines() if name in line)
    assert main(["show", name]) == 0
    shown = capsys.readouterr().out
    assert f"{trials} of {trials}" in shown
    assert re.search(rf"^Trial {report_of(kept)['summary']['chosen']}: .* fresh seeds", shown, re.MULTILINE)
    assert main(["doctor", "--storage", URL]) == 0
    assert "All is well." in capsys.readouterr().out


@STUDIES
def test_its_report_has_the_same_trials_and_the_same_confirmation(old, name, command, trials):
    then = report_of(old(name))
    assert main(["report", name, "--report-dir", "reports"]) == 0
    now = json.loads(Path(f"reports/{name}/report.json").read_text())
    assert [{key: trial[key] for key in TRIAL} for trial in now["trials"]] == [
        {key: trial[key] for key in TRIAL} for trial in then["trials"]
    ]
    assert now["study"] == then["study"]
    assert now["evidence"]["winner"] == then["evidence"]["winner"]
    pairs = zip(now["evidence"]["curves"], then["evidence"]["curves"], strict=True)
    assert all({key: mine[key] for key in old_curve} == old_curve for mine, old_curve in pairs)  # new keys may come
    settings = [
        [(c["key"], c["name"], c["hyperparameters"]) for c in r["evidence"]["contestants"]] for r in (now, then)
    ]
    assert settings[0] == settings[1]


@STUDIES
def test_it_exports_the_same_yaml(old, name, command, trials):
    kept = old(name)
    assert main(["export", name, "-o", "again.yaml"]) == 0
    assert Path("again.yaml").read_text() == (kept / "best.yaml").read_text()


def test_every_trial_of_a_tabular_study_replays_to_the_last_bit(old, capsys):
    old("lake")
    for number in range(8):
        assert main(["replay", "lake", str(number)]) == 0
        assert "every bit is equal" in capsys.readouterr().out


@pytest.mark.slow
@STUDIES
def test_the_same_command_with_more_trials_goes_on_to_exactly_that_many(old, name, command, trials):
    old(name)
    before, confirmed = rows(name), rows(f"{name}.confirm")
    assert main([*command, "--trials", str(trials + 3), *CONFIRM]) == 0
    after = rows(name)
    assert len(load(name, URL).trials) == trials + 3
    assert len(after) == trials + 3  # nothing was cut short, so there are no successors
    assert {number: after[number] for number in before} == before
    again = rows(f"{name}.confirm")
    assert {number: again[number] for number in confirmed} == confirmed
    done = [job_of(row) for row in again.values()]
    assert len(done) == len(set(done))


def test_a_run_of_its_confirm_study_trains_again_to_the_last_bit(old):
    """Seeds of runs and of evaluation episodes follow the rule that the study began with."""
    old("lake")
    then = {job_of(row): row for row in rows("lake.confirm").values()}
    assert {phase for _, phase, _ in then} == {"select", "verdict"}
    for number in [0, max(rows("lake.confirm"))]:  # one of each phase
        forget("lake.confirm", number)
    assert main(["confirm", "lake", *CONFIRM[2:], "--executor", "inline", "--quiet"]) == 0
    now = {job_of(row): row for row in rows("lake.confirm").values()}
    assert now.keys() == then.keys()
    for job, row in then.items():
        assert curves(now[job]) == curves(row)
        assert (now[job][1], now[job][2]["seeds"]) == (row[1], row[2]["seeds"])


def forget(study, number):
    """Take a trial out of the database, as if it had never been trained."""
    with contextlib.closing(sqlite3.connect("study.db")) as database, database:
        (trial_id,) = database.execute(
            "SELECT trial_id FROM trials JOIN studies USING (study_id) WHERE study_name = ? AND number = ?",
            (study, number),
        ).fetchone()
        for table in (
            "trial_user_attributes", "trial_system_attributes", "trial_params", "trial_values",
            "trial_intermediate_values", "trials",
        ):  # fmt: skip
            database.execute(f"DELETE FROM {table} WHERE trial_id = ?", (trial_id,))


def test_a_trial_in_its_spool_is_told_once_and_the_study_ends_with_exactly_its_trials(old):
    kept = old("spool")
    (line,) = (kept / "study.db.lake.spool").read_text().splitlines()
    waiting = json.loads(line)
    number = waiting["number"]
    assert rows("lake")[number][0] == "RUNNING"
    command = [*LAKE, "--lanes", "2", "--confirm", "0", "--trials"]
    assert main([*command, "5"]) == 0
    state, value, attributes = rows("lake")[number]
    assert (state, [value]) == (waiting["state"], waiting["values"])
    assert {key: json.loads(attributes[key]) for key in waiting["user"]} == waiting["user"]
    assert sum(row[0] in ("COMPLETE", "PRUNED") for row in rows("lake").values()) == 5
    with contextlib.suppress(FileNotFoundError):
        assert Path("study.db.lake.spool").read_text() == ""
    shutil.copy(kept / "study.db.lake.spool", ".")  # as if the process had died before it could forget the spool
    told = rows("lake")
    assert main([*command, "5"]) == 0
    assert rows("lake") == told


@pytest.mark.parametrize(
    ("name", "command", "trials"),
    [("killed_lake", LAKE, 6), ("killed_pole", [*POLE, "--lanes", "1", "--set", "buffer_size=600"], 3)],
)
def test_a_run_goes_on_from_its_checkpoint(old, monkeypatch, name, command, trials):
    kept = old(name)
    study = name.removeprefix("killed_")
    (file,) = (kept / "checkpoints").iterdir()
    shutil.copytree(kept / "checkpoints", f"reports/{study}/checkpoints")
    versions = json.loads(stored_attribute(study, "provenance"))["versions"]
    # A checkpoint is of its packages' versions: with others the run starts over.
    monkeypatch.setattr(run_checkpoint, "package_versions", lambda: {p: versions[p] for p in PACKAGES})
    found = []
    load_file = RunCheckpoints.load

    def noted(self, spec):
        saved = load_file(self, spec)
        found.append((self._path(spec).name, saved is not None))
        return saved

    monkeypatch.setattr(RunCheckpoints, "load", noted)
    assert main([*command, "--lanes", "1", "--confirm", "0", "--trials", str(trials)]) == 0
    assert [name for name, there in found if there] == [file.name]
    ended = [row for row in rows(study).values() if row[0] in ("COMPLETE", "PRUNED")]
    assert len(ended) == trials
    if study == "lake":  # the study of the fixture `lake` began with the same trial, and nobody killed it
        unpack_database(V0_1_0 / "lake", Path("undisturbed.db"))
        assert curves(ended[0]) == curves(rows("lake", "undisturbed.db")[0])


#: What a checkpoint's name depends on.
PACKAGES = ("tune-dqn", "torch", "numpy", "gymnasium", "stable-baselines3")


def stored_attribute(study, key):
    with contextlib.closing(sqlite3.connect("study.db")) as database:
        (text,) = database.execute(
            "SELECT value_json FROM study_user_attributes JOIN studies USING (study_id) "
            "WHERE study_name = ? AND key = ?",
            (study, key),
        ).fetchone()
    return text


@pytest.mark.parametrize("name", ["dqn", "dueling", "images", "q_learning", "fqi"])
def test_a_model_plays_as_it_did(capsys, name):
    trusted = ["--env-module", str(V0_1_0 / "bright_side.py")] if name == "images" else []
    assert main(["evaluate", str(V0_1_0 / "models" / name), "--episodes", "20", *trusted]) == 0
    assert capsys.readouterr().out == (V0_1_0 / "models" / name / "evaluate.txt").read_text()


@pytest.mark.parametrize(("name", "env"), [("lake", "FrozenLake-v1"), ("pole", "CartPole-v1")])
def test_train_takes_its_yaml(old, capsys, name, env):
    """One is in our own schema, the other in RL Zoo's."""
    then = report_of(old(name))
    chosen = then["trials"][then["summary"]["chosen"]]["hyperparameters"]
    assert main(["train", "--env", env, "--config", "best.yaml", "--steps", "200", "--quiet", "-o", "model"]) == 0
    trained = json.loads(Path("model/model.json").read_text())["hyperparameters"]
    younger = [name for name in trained if name not in chosen]  # fields that 0.1.0 did not know are off
    infos = field_infos(algorithm_class("q_learning" if name == "lake" else "dqn"))
    assert {name: trained[name] for name in younger} == {name: infos[name].default for name in younger}
    assert {name: trained[name] for name in chosen} == chosen
