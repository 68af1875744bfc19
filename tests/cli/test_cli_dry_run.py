"""A dry run plans what the same command would do, with the studies that are there, and changes nothing."""

import hashlib
import sqlite3
from pathlib import Path

import optuna
import pytest
from cli_shell import TINY, tune

SEARCH = ("--env", "CartPole-v1", *TINY, "--study", "tiny", "--executor", "inline")

TABLES = ("--env", "FrozenLake-v1", "--algo", "q_learning", "--steps", "200", "--evaluations", "2")


def content(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


@pytest.fixture
def planned_in_a_moment(monkeypatch):
    """Leave out what is measured: how long runs take says nothing here."""
    monkeypatch.setattr("tuner.cli.forecast_lines.cost_facts", lambda plan, need: {})


@pytest.mark.parametrize("changes", [(), ("--within", "30m")])
@pytest.mark.parametrize("tables", [False, True])
def test_a_database_without_studies_is_planned_for_and_left_as_it_is(
    tmp_path, monkeypatch, planned_in_a_moment, changes, tables
):
    monkeypatch.chdir(tmp_path)
    with sqlite3.connect("studies.db") as database:
        if tables:
            database.execute("CREATE TABLE notes (text TEXT)")
    before = content("studies.db")
    shell = tune(*TABLES, "--storage", "sqlite:///studies.db", "--dry-run", *changes)
    assert shell.code == 0, shell.err
    assert "Nothing was written" in shell.out
    assert content("studies.db") == before
    assert [path.name for path in tmp_path.iterdir()] == ["studies.db"]


def test_a_storage_that_cannot_be_used_is_refused_as_by_the_search(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("notes.db").write_text("milk, eggs")
    shell = tune(*TABLES, "--storage", "sqlite:///notes.db", "--dry-run")
    assert shell.code == 2
    assert "file is not a database" in shell.err


def test_a_dry_run_for_a_time_reads_the_study_once(in_tmp, monkeypatch, planned_in_a_moment):
    search = (*TABLES, "--study", "s", "--trials", "2", "--confirm", "0", "--executor", "inline", "--quiet")
    assert tune(*search).code == 0
    read, opened = optuna.load_study, []
    monkeypatch.setattr(optuna, "load_study", lambda **how: opened.append(how["study_name"]) or read(**how))
    shell = tune(*search, "--within", "30m", "--dry-run")
    assert shell.code == 0, shell.err
    assert "2 of 2 trials are there" in shell.out or "has 2 trials" in shell.out
    assert opened == ["s"]


@pytest.mark.parametrize("changed", [("--steps", "700"), ("--seed", "5"), ("--set", "gamma=0.9")])
def test_a_resume_that_would_be_refused_is_refused_in_the_same_words(study, changed):
    planned = tune(*SEARCH, *changed, "--dry-run")
    assert planned.code == 2
    assert planned.out == ""
    assert planned.err == tune(*SEARCH, *changed, "--quiet").err.splitlines(keepends=True)[-1]


def test_lists_in_a_refused_resume_are_written_alike(study):
    shell = tune(*SEARCH, "--start-with", "defaults", "--dry-run")
    assert "--start-with was [], now ['defaults']." in shell.err


@pytest.mark.parametrize(
    ("trials", "said"),
    [
        ("5", "Going on with the study 'tiny': 3 of 5 trials are there."),
        ("3", "Going on with the study 'tiny': 3 of 3 trials are there."),
        ("2", "The study 'tiny' has 3 trials, and --trials asks for 2 in all: none is added."),
    ],
)
def test_what_is_there_is_said(study, planned_in_a_moment, trials, said):
    database = study / "studies" / "tuner.db"
    before = content(database)
    shell = tune(*SEARCH, "--trials", trials, "--dry-run")
    assert shell.code == 0, shell.err
    assert said in shell.out.splitlines()
    assert content(database) == before


def test_fewer_trials_than_are_there_is_said_and_shown_as_what_it_is(own_study):
    shell = tune(*SEARCH, "--trials", "2", "--confirm", "0")
    assert shell.code == 0, shell.err
    assert "The study 'tiny' has 3 trials, and --trials asks for 2 in all: none is added." in shell.err
    assert "3/2" not in tune("list").out
    assert "3 of 2" not in tune("show", "tiny").out


@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_of_several_environments_storage_and_settings_are_held_to_the_same_rules(tmp_path, monkeypatch, dry):
    monkeypatch.chdir(tmp_path)
    several = (*TABLES, "--env", "CliffWalking-v1", "--eval-episodes", "1", "--trials", "1", "--executor", "inline")
    several = (*several, "--confirm", "0", "--study", "two", "--quiet")
    assert tune(*several).code == 0
    other = tune(*several, "--seed", "4", *dry)
    assert other.code == 2
    assert "--seed was 0, now 4" in other.err


def test_of_several_environments_a_folder_that_cannot_be_made_is_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("notes").write_text("milk")
    shell = tune(*TABLES, "--env", "CliffWalking-v1", "--storage", "sqlite:///notes/studies.db")
    assert shell.code == 2
    assert (
        shell.err
        == "tune: error: --storage: the folder notes cannot be made (File exists). Choose another --storage.\n"
    )


def row(shell, head):
    return next(line.removeprefix(head).strip() for line in shell.out.splitlines() if line.startswith(head))


def test_a_search_too_short_for_a_verdict_is_told_beforehand_what_it_will_be_told_then(
    tmp_path, monkeypatch, planned_in_a_moment
):
    monkeypatch.chdir(tmp_path)
    flags = (*TABLES, "--eval-episodes", "1", "--executor", "inline", "--trials", "6")
    planned = tune(*flags, "--dry-run")
    why = "that takes at least 8 full runs, and the search {} 6.0. Use more --trials, or --confirm-budget 1.4."
    assert row(planned, "then confirm") == f"nothing: {why.format('spends')}"
    assert f"The finalists were not trained again: {why.format('spent')}" in tune(*flags).err
    enough = tune(*flags, "--confirm-budget", "1.4", "--dry-run")
    assert row(enough, "then confirm").startswith("up to 5 finalists")


def test_no_more_settings_and_trials_are_promised_than_were_asked_for(tmp_path, monkeypatch, planned_in_a_moment):
    monkeypatch.chdir(tmp_path)
    planned = tune("--env", "CartPole-v1", "--steps", "2000", "--trials", "2", "--workers", "2", "--dry-run")
    assert row(planned, "begins with") == "2 settings: 2 of the portfolio"
    assert row(planned, "in parallel").endswith("2 trials in flight")


@pytest.mark.parametrize(("steps", "said"), [("1000", True), ("1001", False)])
def test_runs_that_end_before_their_first_update_are_told_so(tmp_path, monkeypatch, planned_in_a_moment, steps, said):
    monkeypatch.chdir(tmp_path)
    search = ("--env", "CartPole-v1", "--steps", steps, "--trials", "2", "--dry-run")
    words = (
        "Nothing is learned: the first 1,000 environment steps of a run only fill its memory (learning_starts), and a "
        "run has 1,000. Use more --steps, or --set learning_starts=100."
    )
    assert (words in tune(*search).err) == said
    assert "Nothing is learned" not in tune(*search, "--set", "learning_starts=100").err


def test_where_episodes_end_that_have_no_limit_of_their_own_is_said(tmp_path, monkeypatch, planned_in_a_moment):
    monkeypatch.chdir(tmp_path)
    cliff = ("--env", "CliffWalking-v1", "--algo", "q_learning", "--trials", "2", "--dry-run")
    endless = row(tune(*cliff), "each run")
    assert endless.endswith("(at most 1,000 steps each, as it has no limit; --env-arg max_episode_steps=N sets one)")
    assert row(tune(*cliff, "--env-arg", "max_episode_steps=70"), "each run").endswith("(at most 70 steps each)")
