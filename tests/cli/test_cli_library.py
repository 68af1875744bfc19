"""``tune settings``, ``tune verify`` and ``tune train`` without a file: what the library gives, in words and files."""

import dataclasses
import json
from pathlib import Path

import pytest
from cli_shell import tune
from library.library_samples import DRY, ENTRY, TABLE, judged

from tuner.cli import forecast_lines
from tuner.cli.verify_command import outcome_of
from tuner.hyperparameters import DQNHyperparameters
from tuner.library import catalog
from tuner.library.entry import LibraryRun
from tuner.library.files import write_library
from tuner.result.confirmation import ConfirmRun
from tuner.seeding import run_seed
from tuner.study.confirm import ledger
from tuner.training.saved.model_files import load_model

SHORT = ("--steps", "100", "--evaluations", "2", "--eval-episodes", "1", "-o", "out")


@pytest.fixture(autouse=True)
def library(in_tmp, monkeypatch):
    """Let the library hold a few entries."""
    monkeypatch.setattr(ledger, "LATE_EPISODES", 1)
    monkeypatch.setattr(catalog, "library_folder", lambda: in_tmp / "library")
    write_library([ENTRY, DRY, TABLE], in_tmp / "library")
    return in_tmp / "library"


def test_the_list_has_a_row_for_each_with_verdict_seeds_and_defaults():
    shell = tune("settings")
    assert shell.code == 0 and shell.err == ""
    rows = [line.split() for line in shell.out.splitlines()]
    assert [row[0] for row in rows[2:5]] == [ENTRY.name, DRY.name, TABLE.name]
    assert rows[2][1:4] == ["dqn", "300", "0.45"] and rows[2][-5:] == ["10", "0", "–", "0.2", "2026-01-31"]
    assert len(tune("settings", "--algo", "q_learning").out.splitlines()) == 4


def test_one_is_shown_as_its_file_and_as_data(library):
    shell = tune("settings", DRY.name)
    assert shell.out == (library / "dqn" / "FrozenLake-v1,is_slippery=false.yaml").read_text()
    data = json.loads(tune("settings", "FrozenLake-v1", "--json").out)
    assert data["verdict"]["value"] == pytest.approx(0.45)
    assert data["hyperparameters"]["learning_rate"] == 0.003
    assert [run["seed"] for run in data["settings"][0]["runs"]] == list(range(101, 111))
    assert data["beside"][0]["result"] == "better"
    assert [row["name"] for row in json.loads(tune("settings", "--json").out)] == [ENTRY.name, DRY.name, TABLE.name]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("settings", "FrozenLak-v1"), "Did you mean 'FrozenLake-v1'?"),
        (("settings", "CliffWalking-v1"), "Use --algo q_learning."),
        (("settings", "--algo", "dqm"), "--algo must be one of"),
        (("verify", "Pong"), "The library has no setting of dqn for 'Pong'."),
        (("verify", "FrozenLake-v1", "--seeds", "0"), "--seeds must be an integer of at least 1"),
        (
            ("train", "--env", "CartPole-v1", "--config", "library"),
            "The library has no setting of dqn for CartPole-v1.",
        ),
        (("train", "--config", "library"), "--env is missing: which environment's setting of the library"),
    ],
)
def test_what_is_not_there_is_one_line(arguments, words):
    shell = tune(*arguments)
    assert shell.code == 2 and shell.out == ""
    assert words in shell.err and shell.err.count("\n") == 1


def test_training_without_values_takes_the_library_s_and_says_so():
    shell = tune("train", "--env", "FrozenLake-v1", *SHORT)
    assert shell.code == 0, shell.err
    assert "Values are the library's for FrozenLake-v1, verdict 0.45 (" in shell.err
    assert "(tune settings FrozenLake-v1). --config defaults takes the defaults." in shell.err
    assert load_model(Path("out")).spec.hyperparameters == ENTRY.hyperparameters
    shell = tune("train", "--env", "FrozenLake-v1", "--env-arg", "is_slippery=false", "--quiet", *SHORT)
    spec = load_model(Path("out")).spec
    assert spec.hyperparameters == DRY.hyperparameters and spec.env.arguments() == {"is_slippery": False}
    assert shell.err == ""


def test_a_library_s_setting_trains_as_many_steps_as_its_verdict_unless_told():
    tune("train", "--env", "FrozenLake-v1", "--evaluations", "1", "--eval-episodes", "1", "-o", "out", "--quiet")
    assert load_model(Path("out")).spec.n_timesteps == 300


@pytest.mark.parametrize(
    ("flags", "words", "expected"),
    [
        (("--set", "learning_starts=20"), "Values without --set are Stable-Baselines3's defaults", {}),
        (("--config", "defaults", "--set", "learning_starts=20"), "Values without --set are", {}),
        (
            ("--config", "library", "--set", "learning_starts=20"),
            "Values are the library's for FrozenLake-v1",
            {"learning_rate": 0.003},
        ),
        (
            ("--env-arg", "map_name=4x4", "--set", "learning_starts=20"),
            "Values without --set are Stable-Baselines3's defaults (tune spaces --fields --algo dqn); --config takes",
            {},
        ),
    ],
)
def test_values_that_are_named_come_first(flags, words, expected):
    shell = tune("train", "--env", "FrozenLake-v1", *flags, *SHORT)
    assert shell.code == 0 and words in shell.err
    assert load_model(Path("out")).spec.hyperparameters == DQNHyperparameters(learning_starts=20, **expected)


def test_where_the_library_has_none_the_defaults_train_and_it_says_both():
    shell = tune("train", "--env", "FrozenLake-v1", "--env-arg", "map_name=4x4", *SHORT)
    assert "The library has no setting of dqn for FrozenLake-v1 with these arguments: values without" in shell.err
    assert load_model(Path("out")).spec.hyperparameters == DQNHyperparameters()


def test_a_backend_that_lacks_what_the_library_uses_trains_defaults(library):
    own = judged("library", [0.1] * 10, double_q=True)
    write_library([dataclasses.replace(ENTRY, settings=(own,))], library)
    shell = tune("train", "--env", "FrozenLake-v1", "--backend", "sb3", *SHORT)
    assert shell.code == 0, shell.err
    assert "uses what --backend sb3 lacks: values without --set are" in shell.err
    assert tune("train", "--env", "FrozenLake-v1", "--backend", "sb3", "--config", "library").code == 2


def verify(*arguments):
    return tune("verify", TABLE.name, "--algo", "q_learning", "--executor", "inline", "--quiet", *arguments)


def with_scores(library, *scores, seeds=range(101, 200)):
    own = TABLE.own
    runs = tuple(LibraryRun(seed, "completed", score, 90) for seed, score in zip(seeds, scores, strict=False))
    write_library([dataclasses.replace(TABLE, settings=(dataclasses.replace(own, runs=runs),))], library)


def test_a_verdict_that_new_seeds_are_like_holds(library):
    first = verify("--seeds", "6", "--json")
    scores = [run["score"] for run in json.loads(first.out)["runs"]]
    with_scores(library, *scores, *scores)
    shell = verify("--seeds", "6")
    assert shell.code == 0, shell.out
    assert "The verdict held." in shell.out and shell.out.count("  seed ") == 6
    assert "Mean of 6 new seeds:" in shell.out and "The 12 of the verdict predict" in shell.out


def test_a_verdict_that_new_seeds_are_unlike_does_not(library):
    with_scores(library, *[1000.0 + i for i in range(10)])
    shell = verify("--seeds", "3")
    assert shell.code == 1 and "The verdict did not hold" in shell.out
    assert json.loads(verify("--seeds", "3", "--json").out)["held"] is False


@pytest.mark.slow
def test_new_seeds_are_none_of_the_evidence_s_and_what_is_trained_stays(library):
    first = json.loads(verify("--seeds", "3", "--json").out)
    kept = Path("reports/verify-q_learning-CliffWalking-v1/runs.jsonl")
    lines = kept.read_text().splitlines()
    more = json.loads(verify("--seeds", "4", "--json").out)
    assert more["runs"][:3] == first["runs"] and kept.read_text().splitlines()[:3] == lines
    taken = [run["seed"] for run in first["runs"]]
    assert taken[0] == run_seed(0, "verdict", 1, 1_000_001)
    with_scores(library, *[-100.0] * 10, seeds=[taken[0], *range(101, 120)])
    assert [r["seed"] for r in json.loads(verify("--seeds", "2", "--json").out)["runs"]] == taken[1:3]
    other = json.loads(verify("--seeds", "2", "--seed", "7", "--json").out)
    assert not {run["seed"] for run in other["runs"]} & {run["seed"] for run in more["runs"]}


@pytest.mark.slow
def test_a_plan_and_a_search_say_that_there_is_a_verdict_and_one_that_asks_for_it_trains_it_first(monkeypatch):
    monkeypatch.setattr(forecast_lines, "cost_facts", lambda plan, need: {})
    search = ("--env", TABLE.env, "--algo", "q_learning", "--evaluations", "2", "--eval-episodes", "1", "--trials", "2")
    said = "The library holds a verdict for this environment: -104 ("
    assert said in tune(*search, "--steps", "90", "--dry-run").out
    assert said not in tune(*search, "--steps", "80", "--dry-run").out
    search = (*search, "--steps", "90", "--executor", "inline", "--confirm", "0")
    shell = tune(*search, "--study", "plain")
    assert shell.code == 0 and said in shell.err
    shell = tune(*search, "--start-with", "library", "--study", "asked")
    assert shell.code == 0 and said not in shell.err
    first = json.loads(Path("reports/asked/report.json").read_text())["trials"][0]
    assert (first["source"], first["hyperparameters"]["learning_rate"]) == ("library", 0.5)
    others = json.loads(Path("reports/plain/report.json").read_text())["trials"]
    assert "library" not in {trial["source"] for trial in others}


def test_new_runs_that_diverge_do_not_hold_a_verdict_whose_runs_all_scored_the_same():
    """They count as random play at most, as in a verdict, and not as the worst of ten that never failed."""
    steady = dataclasses.replace(ENTRY, settings=(judged("library", [1.0] * 10), judged("defaults", [1.0] * 10)))
    diverged = [ConfirmRun("verdict", r, r, "diverged", (), 10) for r in range(5)]
    found = outcome_of(steady, diverged)
    assert (found["mean"], found["held"]) == (ENTRY.random_play, False)
    assert outcome_of(dataclasses.replace(steady, random_play=None), diverged)["mean"] == 1.0
