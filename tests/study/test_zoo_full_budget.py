"""``--zoo-full-budget``: RL Zoo's values train for their own number of steps, and everything that counts knows it."""

import dataclasses
import shutil
from pathlib import Path

import pytest
from study_fakes import FakeExecutor

import tuner
import tuner.api
import tuner.zoo.tuned
from tuner.cli.run_command import _baseline_facts
from tuner.plan.recipe import StudyRecipe
from tuner.plan.resolve import plan_study
from tuner.report.numbers.evidence import evidence
from tuner.report.numbers.more_seeds import more_seeds
from tuner.report.words.evidence import verdict
from tuner.report.words.in_short import in_short
from tuner.report.words.more_seeds import more_seeds_lines
from tuner.result.sequential import Until
from tuner.study.confirm.contestants import fixed_baselines
from tuner.study.confirm.schedule import Job
from tuner.study.confirm.verdict import verdict as judge
from tuner.study.reading.study import load
from tuner.zoo.read import read_config

ZOO = """
CartPole-v1:
  n_timesteps: 900
  policy: MlpPolicy
  learning_rate: 0.002
  train_freq: 8
  batch_size: 32
  learning_starts: 20
  policy_kwargs: "dict(net_arch=[8])"
"""

SMALL = {
    "env": "CartPole-v1", "steps": 300, "evaluations": 3, "eval_episodes": 2, "pruner": "none", "startup_trials": 3,
    "study": "s", "prior": "none", "trials": 30, "confirm_budget": 1.5,
}  # fmt: skip


@pytest.fixture(scope="module")
def worlds(tmp_path_factory):
    """A search, then its stage with the flag, in a folder of their own; and the database before that stage."""
    folder = tmp_path_factory.mktemp("zoo")
    with pytest.MonkeyPatch.context() as patch:
        prepare(folder, patch)
        run(confirm=0)
        shutil.copytree(folder / "studies", folder / "before")
        executor = FakeExecutor(lanes=4)
        return folder, run(executor, zoo_full_budget=True).data, executor.taken


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch, worlds):
    """Stand where the search has ended and its confirm stage has not begun."""
    prepare(tmp_path, monkeypatch)
    shutil.copytree(worlds[0] / "before", tmp_path / "studies")


@pytest.fixture
def full(worlds):
    return worlds[1]


def prepare(folder, patch):
    patch.chdir(folder)
    patch.delenv("TUNE_STORAGE", raising=False)
    (folder / "zoo.yml").write_text(ZOO, encoding="utf-8")
    config = read_config(folder / "zoo.yml", "CartPole-v1", "dqn")
    patch.setattr(tuner.zoo.tuned, "zoo_config", lambda env, algorithm="dqn", wrapper=(): config)
    patch.setattr(tuner.api, "write_study_report", lambda *a: tuner.api.ReportPaths(Path("reports"), None))
    patch.setattr(tuner.api, "_tell_dashboard", lambda *a: None)


def run(executor=None, **settings):
    return tuner.run(StudyRecipe(**{**SMALL, **settings}), executor=executor or FakeExecutor(lanes=4))


def confirm(executor=None, **settings):
    return tuner.api.confirm("s", settings=settings, executor=executor or FakeExecutor(lanes=4)).data


def runs(found):
    return {(c.key, r.phase, r.replicate): (r.outcome, r.curve) for c in found.contestants for r in c.runs}


def by_role(data):
    return {c.role: c for c in data.confirmation.contestants}


def test_rl_zoos_runs_have_their_own_grid_and_the_others_keep_the_searchs(full, worlds):
    confirmation, zoo = full.confirmation, by_role(full)["zoo"]
    assert confirmation.complete and zoo.phase("verdict")
    assert {tuple(p.step for p in r.curve) for r in zoo.runs} == {(300, 600, 900)}
    assert {r.outcome for c in confirmation.contestants for r in c.runs} == {"completed"}
    rest = [r for c in confirmation.contestants if c.role != "zoo" for r in c.runs]
    assert {tuple(p.step for p in r.curve) for r in rest} == {(100, 200, 300)}
    assert all(r.steps == 900 for r in zoo.runs)
    assert confirmation.steps_spent <= 1.5 * confirmation.searched_steps
    assert {spec.n_timesteps for spec in worlds[2]} == {300, 900}


def test_the_flag_is_free_keeps_every_other_run_and_leaves_fewer_seeds_in_the_same_budget(full):
    def seeds(data):
        return len(by_role(data)["zoo"].phase("verdict"))

    short = confirm(confirm=1)  # without a selection, on which a dearer verdict leaves less
    again = FakeExecutor(lanes=4)
    longer = confirm(again, confirm=1, zoo_full_budget=True)
    assert by_role(short)["zoo"].key != by_role(longer)["zoo"].key
    assert {spec.n_timesteps for spec in again.taken} == {900}
    assert 3 <= seeds(longer) < seeds(short)
    back = FakeExecutor(lanes=4)
    once_more = confirm(back, confirm=1).confirmation
    assert once_more.looked == (short.confirmation.seeds,)  # the most so far, which a later stage with --until pays for
    assert dataclasses.replace(once_more, looked=()) == short.confirmation
    assert back.taken == []


@pytest.mark.slow
def test_an_interrupted_stage_with_two_budgets_goes_on_as_if_it_had_not_been(full):
    confirm(FakeExecutor(lanes=4, stop_after_reports=40), zoo_full_budget=True)
    halted = load("s").confirmation
    assert not halted.complete
    again = confirm(zoo_full_budget=True).confirmation

    assert runs(again) == runs(full.confirmation) and again.winner_key == full.confirmation.winner_key


def test_comparison_short_lines_and_dry_run_say_the_full_number(full):
    found = evidence(full)
    lines = verdict(found)
    assert any("RL Zoo's tuned values, trained for their full 900 steps" in line for line in lines), lines
    assert " in its full 900 steps" in in_short(full, found)[1]
    rows = {row["role"]: (row["n_timesteps"], row["own_steps"]) for row in found["contestants"]}
    assert rows["zoo"] == (900, True) and rows["defaults"] == (300, False)
    plan = plan_study(StudyRecipe(**SMALL, zoo_full_budget=True))
    assert _baseline_facts(plan)["RL Zoo's values"] == "train for their full 900 steps, the others for 300"
    assert "a third of the 900 steps" in _baseline_facts(plan_study(StudyRecipe(**SMALL)))["RL Zoo's values"]


def test_what_certainty_costs_counts_each_settings_own_steps(full):
    found = more_seeds(full)
    steps = {row["role"]: row["n_timesteps"] for row in found["comparisons"]}
    assert steps["zoo"] == 900 and set(steps.values()) == {300, 900}
    row = {**found["comparisons"][0], "role": "zoo", "n": 5, "n_timesteps": 900}
    row |= {"sure_after": None, "seeds_needed": 15, "result": "undecided"}
    line, _, command, _ = more_seeds_lines({**found, "comparisons": [row], "searched": 12_000}, "s")
    assert line.endswith("about 10 more of both would decide it, 15 in all, 12 k steps.")
    assert command.endswith("--confirm-seeds 15 --confirm-budget 2.5 --zoo-full-budget")  # 15 x 1,200 / 0.6 of 12,000


def test_until_it_is_sure_a_longer_run_counts_as_its_share():
    results: dict[Job, float] = {}
    until = Until(0.95, seeds=40, runs=40)
    while wanted := judge(["w", "zoo"], None, results, until, {"zoo": 3.0}).wanted:
        results |= {job: float(job.replicate % 7) for job in wanted}
    assert sum(3 if job.key == "zoo" else 1 for job in results) == 40


def test_where_the_budgets_are_equal_the_flag_changes_nothing():
    plain = fixed_baselines("dqn", "CartPole-v1", "native")
    assert fixed_baselines("dqn", "CartPole-v1", "native", zoo_beside=900) == plain
    longer = fixed_baselines("dqn", "CartPole-v1", "native", zoo_beside=300)
    assert [c.n_timesteps for c in longer] == [None, 900]
    assert dataclasses.replace(longer[1], key="", n_timesteps=None) == dataclasses.replace(plain[1], key="")


@pytest.mark.slow
def test_real_runs_of_two_lengths_train_side_by_side():
    settings = {"study": "r", "trials": 4, "confirm_budget": 20.0, "steps": 120, "seed": 1, "zoo_full_budget": True}
    fast = {"batch_size": 8, "net_arch": [8], "gradient_steps": 1, "train_freq": 8}
    data = tuner.run(StudyRecipe(**{**SMALL, **settings}, set=fast, executor="inline", confirm=1, confirm_seeds=2)).data
    assert {r.steps for r in by_role(data)["zoo"].runs} == {900}
    assert {r.steps for r in data.confirmation.winner.runs} == {120}
    assert data.confirmation.complete
