"""``tune --env A --env B``: one setting for several environments, from flags to page and export."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from cli_shell import tune
from event_files import Events

from tuner.cli import several_command
from tuner.cli.app import build_parser
from tuner.cli.run_command import recipe_of
from tuner.cli.several_answer import write_exports
from tuner.cli.several_command import _finalists
from tuner.core import statistics
from tuner.hyperparameters import DQNHyperparameters
from tuner.plan.recipe import StudyRecipe
from tuner.plan.several import plan_several
from tuner.report.numbers.several import OURS, chosen, environment_row
from tuner.report.pages.several import render_several
from tuner.result.confirmation import ConfirmRun, Contestant
from tuner.result.curve import CurvePoint
from tuner.study.confirm import ledger
from tuner.study.confirm.choice import choice_of
from tuner.study.store.database import sqlite_path
from tuner.study.store.locks import lock_owner
from tuner.training.saved.model_files import load_model
from tuner.zoo.read import read_config

SEARCH = (
    "--env", "FrozenLake-v1", "--env", "CliffWalking-v1", "--holdout-env", "Taxi-v4", "--algo", "q_learning",
    "--trials", "12", "--steps", "50", "--evaluations", "2", "--eval-episodes", "1", "--confirm-seeds", "3",
    "--executor", "inline", "--study", "j", "--quiet",
)  # fmt: skip


def runs(*scores):
    curve = [(CurvePoint(10, (score,)),) for score in scores]
    return [ConfirmRun("verdict", r, r, "completed", points, 10) for r, points in enumerate(curve)]


@pytest.mark.slow
def test_a_search_for_several_environments_judges_one_setting_on_each_and_on_one_it_did_not_see(
    in_tmp, monkeypatch, pages_of_one_figure
):
    monkeypatch.setattr(ledger, "LATE_EPISODES", 1)
    monkeypatch.setattr(statistics, "RESAMPLES", 200)
    first = tune(*SEARCH, "--tensorboard", "events")
    assert first.code == 0, first.err
    document = json.loads(Path("reports/j/several.json").read_text())
    assert [(row["env"], row["held_out"]) for row in document["environments"]] == [
        ("FrozenLake-v1", False), ("CliffWalking-v1", False), ("Taxi-v4", True),
    ]  # fmt: skip
    for row in document["environments"]:
        assert len(row["settings"][OURS]["seeds"]) == len(row["settings"]["defaults"]["seeds"]) == 3
    exports = [yaml.safe_load(path.read_text()) for path in sorted(Path("reports/j").glob("best-*.yaml"))]
    assert len(exports) == 3
    assert all(export["hyperparameters"] == document["hyperparameters"] for export in exports)
    page = Path("reports/j/several.html").read_text()
    assert "Taxi-v4, not seen by the search" in page
    trained = Path("reports/j/runs.jsonl").read_text()
    for row in document["environments"]:
        scores = row["settings"][OURS]["scores"]
        agents = [load_model(Path("reports/j/agents") / row["env"] / place) for place in ("best", "median")]
        for agent, score in zip(agents, (max(scores), sorted(scores)[1]), strict=True):
            assert agent.spec.env.id == row["env"]
            late = [sum(p.returns) / len(p.returns) for p in agent.evaluations[-1:]]
            assert sum(late) / len(late) == pytest.approx(score)
        assert f"Agents for {row['env']}: reports/j/agents/{row['env']}/best (the best of 3" in first.out
    assert Events("events/j.FrozenLake-v1/trial-0000").steps("eval/mean_reward") == [25, 50]
    verdict = list(Path("events/j.holdout/confirm").glob("*/verdict-seed-0"))
    assert len(verdict) == 2 and Events(verdict[0]).steps("eval/mean_reward") == [25, 50]
    again = tune(*SEARCH)
    assert again.code == 0, again.err
    assert Path("reports/j/runs.jsonl").read_text() == trained, "the same command trains nothing more"
    assert again.out == first.out
    report = json.loads(Path("reports/j.FrozenLake-v1/report.json").read_text())
    assert "--env FrozenLake-v1 --env CliffWalking-v1" in report["commands"]["reproduce"]
    assert report["commands"]["reproduce"].endswith("--study j")


def test_nobody_else_runs_the_studies_until_the_last_verdict_is_there(in_tmp, monkeypatch):
    seen = []

    def settle(plan, found, folder, events):
        seen.append([lock_owner(sqlite_path(one.storage), one.name) for one in plan.members])
        shell = tune(*SEARCH)
        assert shell.code == 2 and "is being run by" in shell.err
        return 0

    monkeypatch.setattr(several_command, "_settle_on_one", settle)
    assert tune(*(word if word != "12" else "1" for word in SEARCH)).code == 0
    ((first, second),) = seen
    assert first and first == second


def test_a_dry_run_writes_nothing_and_names_every_environment(in_tmp):
    shell = tune(*SEARCH, "--dry-run")
    assert shell.code == 0, shell.err
    assert "CliffWalking-v1" in shell.out and "j.FrozenLake-v1" in shell.out and "Taxi-v4" in shell.out
    assert not list(in_tmp.iterdir())


def test_a_held_out_environment_alone_is_refused(in_tmp):
    shell = tune("--env", "FrozenLake-v1", "--holdout-env", "Taxi-v4")
    assert shell.code == 2
    assert "--holdout-env needs several --env" in shell.err


def test_the_export_is_one_file_with_equal_values_for_each_environment_where_rl_zoo_knows_them(tmp_path):
    recipe = StudyRecipe(envs=("CartPole-v1", "Acrobot-v1"), executor="inline", storage=f"sqlite:///{tmp_path}/x.db")
    plan = plan_several(recipe)
    values = DQNHyperparameters(learning_rate=0.5, loss="huber", double_q=False).to_mapping()
    (path,) = write_exports(plan, Contestant("k", "finalist", "trial 0", 0, "native", values), tmp_path)
    found = [read_config(path, env) for env in recipe.envs]
    assert found[0].hyperparameters == found[1].hyperparameters
    assert found[0].hyperparameters["learning_rate"] == 0.5
    assert [one.n_timesteps for one in found] == [plan.members[0].grid[-1], plan.members[1].grid[-1]]


def test_the_chosen_setting_has_the_highest_mean_rank_whatever_the_returns_are():
    table = {
        "A": {"a": runs(500, 500), "b": runs(499, 499), "c": runs(1, 1)},
        "B": {"a": runs(-3.0, -3.0), "b": runs(-1.0, -1.0), "c": runs(-2.0, -2.0)},
    }
    key, means = chosen(table, "late", choice_of("late").worth)
    assert key == "b" and means == {"a": 0.5, "b": 0.75, "c": 0.25}


@pytest.mark.parametrize(("floored", "winner"), [(False, "a"), (True, "b")])
def test_a_setting_that_diverged_on_every_seed_is_not_as_good_as_those_at_the_ceiling(floored, winner):
    """By rule 5 it counted as the worst that completed, which is the best here."""
    diverged = [ConfirmRun("verdict", r, r, "diverged", (CurvePoint(5, (9.0,)),), 5) for r in range(2)]
    rest = {"b": runs(500, 500), "c": runs(500, 500)}
    table = {"A": {"a": diverged, **rest}, "B": {"a": runs(3, 3), "b": runs(2, 2), "c": runs(1, 1)}}
    key, means = chosen(table, "late", choice_of("late").worth, floored=floored)
    assert key == winner
    assert means["a"] == (0.5 if floored else 0.75)
    row = environment_row("A", 10, {OURS: diverged, "defaults": runs(*[500] * 2)}, "late", held_out=False)
    assert row["settings"][OURS]["scores"] == [9.0, 9.0] and row["comparisons"]["defaults"]["result"] != "tie"


PLACES = {"a": (1, 5), "b": (2, 4), "c": (5, 0), "d": (4, 1), "e": (3, 2), "f": (0, 3)}


@pytest.mark.parametrize(("rule", "winner"), [(4, "b"), (5, "a")])
def test_of_equal_mean_ranks_the_more_promising_setting_is_chosen(rule, winner):
    """Ranks of 0.2 and 1 sum to a little less than 0.4 and 0.8, and before rule 5 that chose the other one."""
    table = {env: {key: runs(places[at]) for key, places in PLACES.items()} for at, env in enumerate("AB")}
    choice = choice_of("late", rule=rule)
    key, means = chosen(table, "late", choice.worth, ties=not choice.exact)
    assert key == winner
    assert (means["a"] == means["b"]) is (rule == 5)
    assert means == pytest.approx({name: sum(places) / 10 for name, places in PLACES.items()})


@pytest.mark.parametrize(("rule", "winner"), [(4, "b"), (5, "a")])
def test_equal_runs_in_another_order_have_the_same_rank(rule, winner):
    choice = choice_of("late", rule=rule)
    table = {env: {"a": runs(0.3, 0.2, 0.1), "b": runs(0.1, 0.2, 0.3)} for env in "AB"}
    assert chosen(table, "late", choice.worth, ties=not choice.exact)[0] == winner


@pytest.mark.parametrize(("stored", "first"), [(4, "b"), (5, "a")])
def test_finalists_with_equal_mean_ranks_are_in_the_order_of_their_trials(stored, first):
    plan = plan_several(StudyRecipe(envs=("FrozenLake-v1", "CliffWalking-v1"), algo="q_learning", executor="inline"))
    rates = {key: (at + 1) / 10 for at, key in enumerate(PLACES)}
    found = {
        one.env.id: SimpleNamespace(
            trials=[
                SimpleNamespace(number=at, score=float(places[env]), hyperparameters={"learning_rate": rates[key]})
                for at, (key, places) in enumerate(PLACES.items())
            ]
        )
        for env, one in enumerate(plan.members)
    }
    ranked = _finalists(plan, found, choice_of("late", rule=stored))
    assert next(iter(ranked.values()))[0].hyperparameters["learning_rate"] == rates[first]


def test_the_page_escapes_names_and_says_where_nothing_has_completed():
    failed = [ConfirmRun("verdict", 0, 0, "failed", (), 0)]
    rows = [
        environment_row("<b>A</b>", 10, {OURS: runs(1, 2, 3), "defaults": runs(0, 0, 1)}, "late", held_out=False),
        environment_row("B", 10, {OURS: failed, "defaults": runs(1)}, "late", held_out=True),
    ]
    document = {"environments": rows, "points": 3, "finalists": [], "hyperparameters": {"gamma": 1}, "provenance": {}}
    page = render_several(document)
    assert "<b>A" not in page and "&lt;b&gt;A" in page
    assert "B (not seen by the search): no run of the setting has completed." in page
    assert rows[1]["comparisons"] == {}


@pytest.mark.parametrize("envs", [["FrozenLake-v1", "CliffWalking-v1"], ["FrozenLake-v1"]])
def test_a_recipe_file_may_name_several_environments(in_tmp, envs):
    Path("r.yaml").write_text(yaml.safe_dump({"envs": envs, "algo": "q_learning"}))
    shell = tune("--recipe", "r.yaml", "--dry-run", "--executor", "inline")
    assert shell.code == (0 if len(envs) > 1 else 2)


def test_an_environment_of_the_command_line_goes_over_those_of_a_recipe_file(in_tmp):
    Path("r.yaml").write_text(yaml.safe_dump({"envs": ["FrozenLake-v1", "CliffWalking-v1"], "algo": "q_learning"}))
    one = recipe_of(build_parser().parse_args(["--recipe", "r.yaml", "--env", "Taxi-v4"]))
    assert (one.env, one.envs) == ("Taxi-v4", ())
    Path("r.yaml").write_text(yaml.safe_dump({"env": "Taxi-v4", "algo": "q_learning"}))
    two = recipe_of(build_parser().parse_args(["--recipe", "r.yaml", "--env", "Acrobot-v1", "--env", "CartPole-v1"]))
    assert (two.env, two.envs) == ("", ("Acrobot-v1", "CartPole-v1"))


def test_a_recipe_file_that_names_one_environment_and_several_is_refused(in_tmp):
    Path("r.yaml").write_text("env: Taxi-v4\nenvs: [FrozenLake-v1, CliffWalking-v1]\nalgo: q_learning\n")
    shell = tune("--recipe", "r.yaml", "--dry-run")
    assert (shell.code, shell.out) == (2, "")
    assert shell.err == (
        "tune: error: r.yaml names both env, Taxi-v4, and envs, FrozenLake-v1, CliffWalking-v1. "
        "Leave one of them out.\n"
    )
