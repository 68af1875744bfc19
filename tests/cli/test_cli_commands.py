"""The commands over one tiny study, from the search to the dashboard."""

import contextlib
import dataclasses
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
import tomllib
import urllib.request
from pathlib import Path

import optuna
import pytest
import yaml
from cli_shell import TINY, tune

from tuner.cli import dashboard
from tuner.cli.app import main
from tuner.errors import TunerError
from tuner.report.numbers.evidence import evidence
from tuner.report.words.evidence import luck_sentences
from tuner.report.words.in_short import in_short
from tuner.study.confirm.choice import no_finalist
from tuner.study.reading.study import load
from tuner.text import number
from tuner.zoo import write


def test_a_search_says_what_it_found_and_where_it_is(finished):
    folder, shell = finished
    assert shell.code == 0
    assert "Study tiny: 3 trials" in shell.out
    chosen = json.loads((folder / "reports" / "tiny" / "report.json").read_text())["summary"]["chosen"]
    assert f"\nTrial {chosen}: " in shell.out and "\nRandom play: " in shell.out
    report = folder / "reports" / "tiny"
    assert {p.name for p in report.iterdir()} == {"index.html", "report.json", "trials.csv", "best.yaml"}
    assert "Report: reports/tiny/index.html" in shell.out
    assert "3/3 trials" in shell.err
    json.loads((report / "report.json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize("how", [("--backend", "sb3", "--executor", "inline"), ("--workers", "2")], ids=" ".join)
def test_every_way_to_train_gives_the_same_kind_of_study(in_tmp, how):
    shell = tune("--env", "CartPole-v1", *TINY, "--study", "other", *how)
    assert shell.code == 0, shell.err
    data = load("other")
    assert [t.outcome for t in data.trials] == ["completed"] * 3
    assert data.grid == (200, 400, 600)
    exported = yaml.safe_load((in_tmp / "reports" / "other" / "best.yaml").read_text())["CartPole-v1"]
    assert exported["learning_rate"] == data.best.hyperparameters["learning_rate"]


def test_the_same_command_again_changes_nothing(study):
    before = load("tiny").trials
    shell = tune("--env", "CartPole-v1", *TINY, "--study", "tiny", "--executor", "inline")
    assert shell.code == 0
    assert load("tiny").trials == before


def test_quiet_says_nothing_on_stderr(study):
    shell = tune("--env", "CartPole-v1", *TINY, "--study", "tiny", "--executor", "inline", "--quiet")
    assert (shell.code, shell.err) == (0, "")


def test_a_resume_with_another_pinned_setting_names_it(study):
    shell = tune("--env", "CartPole-v1", *TINY, "--study", "tiny", "--seed", "9")
    assert shell.code == 2
    assert "--seed was 0, now 9" in shell.err
    assert shell.err.count("\n") == 1


def test_list_as_data_says_what_the_table_says(study):
    (row,) = json.loads(tune("list", "--json").out)
    assert (row["name"], row["env"], row["trials"], row["asked"], row["owners"]) == ("tiny", "CartPole-v1", 3, 3, [])


def test_list_shows_the_study(study):
    shell = tune("list")
    assert shell.code == 0
    row = next(line for line in shell.out.splitlines() if "tiny" in line)
    assert "CartPole-v1" in row
    assert "3/3" in row


def test_show_gives_the_best_values(study):
    best = load("tiny").best
    shell = tune("show", "tiny")
    assert shell.code == 0
    assert f"\nTrial {best.number}: " in shell.out and f"values of trial {best.number}" in shell.out
    assert "learning_rate" in shell.out
    assert "1,800 environment steps" in shell.out


def test_show_names_the_nearest_study(study):
    shell = tune("show", "tinny")
    assert shell.code == 2
    assert "'tiny'" in shell.err


def test_export_prints_the_best_as_rl_zoo_yaml(study):
    settings = yaml.safe_load(tune("export", "tiny").out)["CartPole-v1"]
    assert settings["n_timesteps"] == 600
    assert settings["learning_rate"] == load("tiny").best.hyperparameters["learning_rate"]


def test_export_says_what_its_training_costs(study, monkeypatch):
    shell, best = tune("export", "tiny"), load("tiny").best
    assert shell.err == f"One training run of trial {best.number} took {number(best.duration_s, 3)} s of a worker.\n"
    export = dataclasses.replace(write.export_trial(load("tiny"), None), seconds=1234.5)
    monkeypatch.setattr(write, "export_trial", lambda data, trial: export)
    assert "took 1,234 s of a worker" in tune("export", "tiny").err


def test_export_writes_any_trial(study, tmp_path):
    target = tmp_path / "new" / "one.yaml"
    shell = tune("export", "tiny", "--trial", "1", "-o", str(target))
    assert shell.code == 0
    assert str(target) in shell.out
    written = yaml.safe_load(target.read_text())["CartPole-v1"]
    assert written["learning_rate"] == load("tiny").trials[1].hyperparameters["learning_rate"]


def test_export_to_a_folder_is_one_line(study, tmp_path):
    shell = tune("export", "tiny", "-o", str(tmp_path))
    assert shell.code == 2
    assert shell.err.count("\n") == 1


def test_export_leaves_a_database_alone(study, tmp_path):
    target = tmp_path / "studies.db"
    with contextlib.closing(sqlite3.connect(target)) as connection:
        connection.execute("CREATE TABLE trials (number INTEGER)")
    before = target.read_bytes()
    shell = tune("export", "tiny", "-o", str(target))
    assert (shell.code, shell.err.count("\n")) == (2, 1)
    assert "a SQLite database" in shell.err and target.read_bytes() == before


def test_report_is_written_where_it_is_asked_for(study, tmp_path):
    shell = tune("report", "tiny", "--report-dir", str(tmp_path))
    assert shell.out.strip() == str(tmp_path / "tiny" / "index.html")
    assert (tmp_path / "tiny" / "index.html").stat().st_size > 100_000


def test_storage_is_taken_from_the_environment(finished, in_tmp, monkeypatch):
    folder, _ = finished
    monkeypatch.setenv("TUNE_STORAGE", f"sqlite:///{folder}/studies/tuner.db")
    assert tune("show", "tiny").code == 0
    assert list(in_tmp.iterdir()) == []


def test_the_dashboard_lists_the_study(study):
    app = dashboard.application("sqlite:///studies/tuner.db")
    server = dashboard.serve(app, "127.0.0.1", range(18_080, 18_180))
    import threading

    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/api/studies", timeout=20) as answer:
            studies = json.load(answer)["study_summaries"]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert [s["study_name"] for s in studies] == ["tiny"]


def test_the_dashboard_takes_the_next_free_port():
    first = dashboard.serve(lambda environ, start: [], "127.0.0.1", range(18_200, 18_300))
    second = dashboard.serve(lambda environ, start: [], "127.0.0.1", range(first.server_port, 18_300))
    try:
        assert second.server_port != first.server_port
    finally:
        first.server_close()
        second.server_close()


def test_the_dashboard_says_which_port_is_taken():
    server = dashboard.serve(lambda environ, start: [], "127.0.0.1", range(18_300, 18_400))
    port = server.server_port
    try:
        with pytest.raises(Exception, match=f"port {port}"):
            dashboard.serve(lambda environ, start: [], "127.0.0.1", range(port, port + 1))
    finally:
        server.server_close()


@pytest.mark.parametrize("name", ["default", "extended", "zoo"])
def test_spaces_shows_each_space(in_tmp, name):
    assert name in tune("spaces").out
    shown = tune("spaces", name)
    assert shown.code == 0
    assert "learning_rate" in shown.out


def test_a_space_shown_for_an_environment_that_it_does_not_list_says_so():
    mistyped = tune("spaces", "default", "--env", "CartPol-v1")
    assert mistyped.code == 0
    assert mistyped.err == (
        "The search space 'default' has no budget for CartPol-v1: its own is shown. Did you mean 'CartPole-v1'?\n"
    )
    assert tune("spaces", "default", "--env", "CartPole-v1").err == ""


def test_one_evaluation_of_one_episode_is_no_plural(in_tmp):
    budget = "{n_timesteps: 100, evaluations: 1, eval_episodes: 1}"
    Path("one.yaml").write_text(f"algorithm: dqn\nbudget: {budget}\nsearch: {{gamma: {{low: 0.9, high: 0.99}}}}\n")
    assert "100 environment steps, 1 evaluation of 1 episode\n" in tune("spaces", "one.yaml").out


def test_spaces_explains_every_hyperparameter(in_tmp):
    from tuner.hyperparameters import DQNHyperparameters, field_infos

    text = tune("spaces", "--fields").out
    for info in field_infos(DQNHyperparameters).values():
        assert info.name in text
        assert info.help in text
    assert re.search(r"max_grad_norm +null ", tune("spaces", "--fields", "--algo", "qrdqn").out), "as a file has it"


def test_doctor_finds_a_good_machine_good(study):
    shell = tune("doctor")
    assert shell.code == 0, shell.out
    assert "storage" in shell.out
    assert shell.out.endswith("All is well.\n")


def test_doctor_exits_1_when_the_storage_cannot_work(in_tmp):
    shell = tune("doctor", "--storage", "mongodb://user:s3cret@host/x")
    assert shell.code == 1
    assert "s3cret" not in shell.out + shell.err
    assert list(in_tmp.iterdir()) == []


def test_doctor_finds_trials_that_nobody_runs(in_tmp):
    import optuna

    storage = "sqlite:///left.db"
    optuna.create_study(study_name="left", storage=storage).ask()
    shell = tune("doctor", "--storage", storage)
    assert shell.code == 0
    assert "1 trial cut short, and another program made the study" in shell.out


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ([], ["18 settings: 16 of the portfolio, 2 at random"]),
        (["--start-with", "zoo", "--startup-trials", "30"], ["17 settings: 1 of --start-with, 16 of the portfolio"]),
        (["--prior", "none", "--start-with", "zoo"], ["1 setting: 1 of --start-with"]),
        (["--prior", "none"], []),
    ],
)
def test_a_dry_run_says_what_a_study_begins_with(in_tmp, monkeypatch, flags, said):
    monkeypatch.setattr("tuner.cli.forecast_lines.cost_facts", lambda plan, need: {})  # takes seconds; tested by itself
    shell = tune("--env", "CartPole-v1", "--trials", "20", "--steps", "1000", "--dry-run", *flags)
    assert shell.code == 0
    assert [line.split(maxsplit=2)[2] for line in shell.out.splitlines() if line.startswith("begins with")] == said


def test_a_dry_run_writes_nothing(in_tmp, monkeypatch):
    monkeypatch.setattr("tuner.cli.forecast_lines.cost_facts", lambda plan, need: {})  # takes seconds; tested by itself
    shell = tune("--env", "CartPole-v1", "--trials", "20", "--seeds-per-trial", "2", "--steps", "1000", "--dry-run")
    assert shell.code == 0
    assert "at most 40,000 environment steps" in shell.out
    assert list(in_tmp.iterdir()) == []


def test_an_environment_without_a_budget_of_its_own_gets_a_line(in_tmp, monkeypatch):
    monkeypatch.setattr("tuner.cli.forecast_lines.cost_facts", lambda plan, need: {})  # takes seconds; tested by itself
    assert tune("--env", "CartPole-v1", "--dry-run").err == ""
    shell = tune("--env", "MountainCar-v0", "--space", "mine.yaml", "--dry-run")
    assert shell.code == 2
    (in_tmp / "mine.yaml").write_text(
        "algorithm: dqn\nbudget: {n_timesteps: 1000}\nsearch: {gamma: {type: float, low: 0.9, high: 0.99}}\n"
    )
    shell = tune("--env", "MountainCar-v0", "--space", "mine.yaml", "--dry-run")
    assert shell.code == 0
    assert "no budget for MountainCar-v0" in shell.err


def test_help_and_version_exit_0(in_tmp):
    from tuner import __version__

    assert tune("--version").out == f"tune {__version__}\n"
    for command in ([], ["list"], ["show"], ["train"], ["doctor"]):
        shell = tune(*command, "--help")
        assert (shell.code, shell.err) == (0, "")


def test_a_closed_pipe_is_no_error(study):
    done = subprocess.run(
        f"{sys.executable} -m tuner spaces --fields | true; exit ${{PIPESTATUS[0]}}",
        shell=True, executable="/bin/bash", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr


def _has_finished_one(name):
    """Whether a search is under way, however long this machine takes to get there."""
    try:
        return load(name).count("completed") > 0
    except TunerError:
        return False


def test_an_interrupt_keeps_what_is_finished_and_exits_130(in_tmp):
    command = [sys.executable, "-m", "tuner", "--env", "CartPole-v1", "--trials", "500", "--steps", "500"]
    command += ["--algo", "q_learning"]  # which trains without torch
    process = subprocess.Popen(
        [*command, "--evaluations", "2", "--eval-episodes", "1", "--executor", "inline", "--study", "cut"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and not _has_finished_one("cut"):
            time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert "Interrupted" in out
    again = next(line for line in out.splitlines() if "Go on with: tune --env CartPole-v1 " in line)
    assert all(flag in again for flag in ("--trials 500", "--algo q_learning", "--steps 500", "--study cut"))
    assert all(t.outcome != "running" for t in load("cut").trials)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_an_interrupt_while_python_still_loads_the_command_is_one_line(name):
    scripts = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]["scripts"]
    assert set(scripts.values()) == {"tuner.__main__:main"}
    code = f"""
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # as in the foreground, wherever the tests run
from tuner.__main__ import main
class CtrlC:
    def find_spec(self, name, path=None, target=None):
        if name == "tuner.cli.app":
            signal.raise_signal(signal.{name})
sys.meta_path.insert(0, CtrlC())
sys.exit(main())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "tune: interrupted\n")


def test_main_takes_its_arguments_from_the_process(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["tune", "--version"])
    assert main() == 0
    assert capsys.readouterr().out.startswith("tune ")


def test_nothing_is_left_in_the_working_directory_by_reading(study):
    before = sorted(os.listdir(study))
    tune("list")
    tune("show", "tiny")
    assert sorted(os.listdir(study)) == before


def test_confirm_trains_the_finalists_again_and_says_how_good_the_winner_is(own_study):
    shell = tune("confirm", "tiny", "--confirm-budget", "6", "--confirm-seeds", "3", "--executor", "inline", "--quiet")
    assert shell.code == 0, shell.err
    data = load("tiny")
    assert data.confirmation.complete
    found = evidence(data)
    for line in [*in_short(data, found), *luck_sentences(found)]:
        assert line in shell.out  # the page's own
    assert shell.out.startswith(f"Trial {data.chosen.number}: ") and "3 fresh seeds" in shell.out.splitlines()[0]
    assert "Defaults: " in shell.out and "RL Zoo: " in shell.out and "random play: " in shell.out
    assert "carries on" not in shell.out
    assert f"values of trial {data.chosen.number}:" in tune("show", "tiny").out
    settings = yaml.safe_load(tune("export", "tiny").out)["CartPole-v1"]
    assert settings["learning_rate"] == data.chosen.hyperparameters["learning_rate"]


def test_confirm_dry_run_says_what_would_be_trained_then_what_more_seeds_would_decide_and_writes_nothing(own_study):
    asked = ("confirm", "tiny", "--confirm-budget", "6", "--confirm-seeds", "3", "--executor", "inline", "--quiet")
    before = tune(*asked, "--dry-run")
    assert (before.code, load("tiny").confirmation) == (0, None)
    assert before.out.startswith("Confirming: ")
    assert tune(*asked).code == 0
    after = tune("confirm", "tiny", "--dry-run", "--until", "0.9")
    assert after.code == 0, after.err
    assert "at 0.9 for all comparisons together and at every look" in after.out
    assert len([line for line in after.out.splitlines() if ": open" in line or ": decided" in line]) == 2
    assert load("tiny").confirmation.until is None


def test_confirm_dry_run_of_a_search_without_finalists_says_what_confirm_would_train(own_study):
    searched = ("--env", "CartPole-v1", *TINY, "--study", "tiny", "--executor", "inline", "--quiet")
    assert tune(*searched, "--confirm", "0").code == 0
    assert load("tiny").recipe["confirm"] == 0
    asked = ("confirm", "tiny", "--confirm-budget", "6", "--confirm-seeds", "3", "--executor", "inline", "--dry-run")
    said = tune(*asked)
    assert (said.code, said.out) == (0, tune(*asked, "--confirm", "5").out)
    assert said.out.startswith("Confirming: ")


def test_finalists_that_the_other_backend_cannot_train_are_not_called_trials_that_did_not_complete(own_study):
    data = load("tiny")
    assert no_finalist(dataclasses.replace(data, trials=()), [], "sb3").startswith("No trial has completed")
    assert "sb3 trains none of their settings" in no_finalist(data, [], "sb3")


def test_confirm_without_enough_budget_is_one_line_and_exit_code_2(own_study):
    shell = tune("confirm", "tiny", "--executor", "inline")
    assert shell.code == 2
    assert "--confirm-budget" in shell.err
    assert shell.err.count("\n") == 1


@pytest.mark.parametrize("value", ["-1", "much", "inf"])
def test_a_confirm_budget_that_is_none_is_one_line(value):
    shell = tune("--env", "CartPole-v1", "--confirm-budget", value, "--dry-run")
    assert shell.code == 2
    assert "--confirm-budget must be a number of at least 0 and at most 1000" in shell.err


def test_a_study_whose_trials_sample_nothing_is_shown_without_importances(in_tmp):
    study = optuna.create_study(study_name="fixed", storage="sqlite:///f.db", direction="maximize")
    study.add_trials([optuna.trial.create_trial(value=float(value)) for value in range(12)])
    shell = tune("show", "fixed", "--storage", "sqlite:///f.db")
    assert shell.code == 0, shell.err
    assert "12 trials" in shell.out


def test_doctor_has_nothing_against_a_database_without_tables(in_tmp):
    with contextlib.closing(sqlite3.connect("empty.db")) as database:
        database.execute("CREATE TABLE somebodys (x)")
    shell = tune("doctor", "--storage", "sqlite:///empty.db")
    assert "sqlite:///empty.db is empty: the first study makes its tables" in shell.out
    assert "holds no studies" not in shell.out + shell.err
