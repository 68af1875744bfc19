"""One trial is marked as best, wherever one looks: the one that is exported. Ties go by one rule."""

import dataclasses
import json
import sqlite3
from pathlib import Path
from wsgiref.util import setup_testing_defaults

import optuna
import pytest
import yaml
from study_fakes import FakeExecutor, make_plan, search

import tuner
import tuner.api
from tuner.cli import dashboard
from tuner.cli.progress import plain_line
from tuner.contract.objective import rank
from tuner.plan import resolve
from tuner.plan.recipe import StudyRecipe
from tuner.report import figures
from tuner.report.pages import study as study_page
from tuner.report.pages.dashboard import dashboard_figures, dashboard_note
from tuner.seeding import run_seed
from tuner.study.reading.study import load
from tuner.study.search.progress import NoProgress

SMALL = {
    "env": "CartPole-v1", "steps": 300, "evaluations": 3, "eval_episodes": 2, "pruner": "none", "startup_trials": 3,
    "study": "s", "space": "extended", "trials": 30,
}  # fmt: skip


class Tied(FakeExecutor):
    """Trials 2, 5 and 9 tie at the top of the search; 5 learned soonest. On fresh seeds 2, 5 and 9 are the worst."""

    def _advance(self, supervisor, spec, done):
        lucky = {run_seed(0, "search", n, 0): n for n in (2, 5, 9)}
        if spec.seed in lucky:
            first = {2: 0.0, 5: 400.0, 9: 100.0}[lucky[spec.seed]]
            return super()._advance(Flat(supervisor, 500.0 if done else first), spec, done)
        if any(spec.hyperparameters == other.hyperparameters for other in self.taken if other.seed in lucky):
            return super()._advance(Flat(supervisor, -500.0), spec, done)
        return super()._advance(supervisor, spec, done)


class Flat:
    def __init__(self, supervisor, mean):
        self._supervisor, self._mean = supervisor, mean

    def report(self, points):
        return self._supervisor.report([dataclasses.replace(p, returns=(self._mean, self._mean)) for p in points])

    def __getattr__(self, name):
        return getattr(self._supervisor, name)


class Watch(NoProgress):
    def __init__(self):
        self.seen = []

    def update(self, snapshot):
        self.seen.append(snapshot)

    finish = update


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("one-best"))
        patch.delenv("TUNE_STORAGE", raising=False)
        undrawn = tuple(dataclasses.replace(f, draw=lambda data, found: None) for f in study_page.FIGURES)
        patch.setattr(study_page, "FIGURES", undrawn)  # they are drawn below
        watch = Watch()
        return tuner.run(StudyRecipe(**SMALL), executor=Tied(), progress=watch), watch.seen, Path.cwd()


def marked(figure):
    """The trials that a figure calls best."""
    names = {trace.name for trace in figure.data if trace.name and trace.name.startswith("best: trial ")}
    return {int(name.removeprefix("best: trial ")) for name in names}


def test_seven_places_mark_the_trial_that_is_exported(study):
    result, _, folder = study
    data, best = result.data, result.data.chosen.number
    assert data.best.number == 5 != best  # the search's favourite was luck
    written = yaml.safe_load((folder / "reports/s/best.yaml").read_text())
    exported = written.get("CartPole-v1") or written["hyperparameters"]
    assert exported["learning_rate"] == data.chosen.hyperparameters["learning_rate"]
    document = json.loads((folder / "reports/s/report.json").read_text())
    assert document["summary"]["chosen"] == best
    assert document["words"]["in_short"][0].startswith(f"Trial {best}: ")
    page = (folder / "reports/s/index.html").read_text()
    assert f"Trial {best}: searched values" in page and page.count('class="outcome best"') == 1
    drawn = [
        figures.learning_curves(data), figures.optimization_history(data), figures.parallel_coordinates(data),
        figures.score_against_cost(data), *figures.slices(data).values(), *figures.contours(data).values(),
    ]  # fmt: skip
    assert set().union(*(marked(figure) for figure in drawn if figure is not None)) == {best}
    assert marked(dashboard_figures(data)["learning-curves"]) == {best}
    assert f"- Trial {best}: " in dashboard_note(data)
    from tuner.cli.run_command import answer

    lines = answer(result, StudyRecipe(**SMALL))
    mine = answer(result, StudyRecipe(**SMALL, env_module="my envs.py"))
    assert f"  tune train --env CartPole-v1 --env-module 'my envs.py' --config {result.export}" in mine
    assert lines[1].startswith(f"Trial {best}: ") and f"Values of trial {best}:" in lines


def best_in_the_dashboard(url, name):
    """Return the numbers of the trials that optuna-dashboard calls a study's best."""
    app = dashboard.application(url)

    def ask(path):
        environ = {"PATH_INFO": path, "QUERY_STRING": ""}
        setup_testing_defaults(environ)
        return json.loads(b"".join(app(environ, lambda *_: None)))

    ids = {s["study_name"]: s["study_id"] for s in ask("/api/studies")["study_summaries"]}
    return [trial["number"] for trial in ask(f"/api/studies/{ids[name]}")["best_trials"]]


def test_optuna_dashboards_box_of_the_best_trial_shows_the_exported_one(study, tmp_path):
    result, _, folder = study
    assert best_in_the_dashboard(f"sqlite:///{folder}/studies/tuner.db", "s") == [result.data.chosen.number] != [5]
    plan = make_plan(f"sqlite:///{tmp_path}/s.db", trials=12)
    search(plan, Tied())
    theirs = optuna.create_study(study_name="theirs", storage=plan.storage, direction="maximize")
    theirs.add_trials([optuna.trial.create_trial(value=value) for value in (1.0, 3.0, 2.0)])
    assert best_in_the_dashboard(plan.storage, plan.name) == [5]  # of equal scores as everywhere
    assert best_in_the_dashboard(plan.storage, "theirs") == [1]


def test_the_confirm_stage_shows_how_settings_stand_and_no_best_run(study):
    result, seen, _ = study
    stage = [plain_line(s) for s in seen if s.unit == "run"]
    assert not any("best" in line for line in stage)
    assert any("settings left, ahead: trial " in line for line in stage)
    winner = result.data.confirmation.winner
    mean = sum(result.data.confirmation.scores(winner, "verdict")) / len(winner.phase("verdict"))
    assert f"{winner.name}: {mean:.1f} on " in stage[-1] and "defaults: " in stage[-1]


def test_the_live_line_follows_the_one_rule_for_ties(study, tmp_path):
    result, seen, _ = study
    assert [s for s in seen if s.unit == "trial"][-1].best.number == result.data.best.number == 5
    plan = make_plan(f"sqlite:///{tmp_path}/s.db", trials=12)
    first = search(plan, Tied()).snapshot().best
    again = search(dataclasses.replace(plan, trials=12), Tied()).snapshot().best  # from the database alone
    assert first == again


def test_of_equal_scores_the_curve_that_was_higher_throughout_is_best_then_the_earlier_trial():
    trials = {7: (500.0, 300.0), 3: (500.0, 300.0), 1: (500.0, 200.0), 9: (499.0, 499.0)}
    assert sorted(trials, key=lambda n: rank(*trials[n], n)) == [3, 7, 1, 9]


def test_random_play_is_measured_once_for_a_study_and_read_by_whoever_looks(study, monkeypatch):
    result, _, folder = study
    monkeypatch.chdir(folder)
    monkeypatch.setattr(tuner.api, "write_study_report", lambda *_: tuner.api.ReportPaths(folder, None))
    monkeypatch.setattr(tuner.api, "_tell_dashboard", lambda *_: None)
    before = result.data.random_play
    assert len(before) == 50 and 15 < result.data.random_mean < 30
    document = json.loads((folder / "reports/s/report.json").read_text())
    assert document["summary"]["random_play"] == {"mean": result.data.random_mean, "episodes": 50}
    stored = optuna.load_study(study_name="s", storage="sqlite:///studies/tuner.db")
    with sqlite3.connect("studies/tuner.db") as database:  # as a study of version 0.1.0 has it
        database.execute("DELETE FROM study_user_attributes WHERE key = 'random_play'")
    assert load("s").random_play == () and load("s").random_mean is None
    tuner.run(StudyRecipe(**SMALL), executor=Tied())
    assert load("s").random_play == before
    stored.set_user_attr("random_play", [1.0])
    played, looks = [], resolve.preflight
    monkeypatch.setattr(resolve, "preflight", lambda *a, **k: (played.append(k["play_from"]), looks(*a, **k))[1])
    tuner.run(StudyRecipe(**SMALL), executor=Tied())
    tuner.api.confirm("s", executor=Tied())
    assert played == [None, None]  # nobody plays again
    assert load("s").random_play == (1.0,)
    tuner.run(StudyRecipe(**{**SMALL, "study": "new", "confirm": 0, "trials": 1}), executor=FakeExecutor())
    assert played[2] is not None and len(load("new").random_play) == 50
