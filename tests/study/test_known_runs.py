"""Verdict runs of baselines that another study has trained: taken over where training again gives the same bits."""

from __future__ import annotations

import contextlib
import dataclasses
import sqlite3
from pathlib import Path

import optuna
import pytest
from optuna.exceptions import StorageInternalError
from study_fakes import FakeExecutor, draw_nothing, make_plan

import tuner
from tuner.contract.rules import VERSION_0_1_0
from tuner.contract.spec import EvaluationSpec, RunId, RunSpec
from tuner.envs.spec import EnvSpec
from tuner.hyperparameters import DQNHyperparameters
from tuner.plan.recipe import StudyRecipe
from tuner.plan.resolve import plan_study
from tuner.report.numbers.evidence import evidence
from tuner.report.words.evidence import verdict
from tuner.result.confirmation import Confirmation
from tuner.result.reused import reused_text
from tuner.seeding import run_seed
from tuner.storage_url import default_storage
from tuner.study.confirm import fingerprint as fingerprints
from tuner.study.confirm import ledger, reuse
from tuner.study.confirm.fingerprint import fingerprint
from tuner.study.confirm.reuse import known_beforehand
from tuner.study.reading.study import load
from tuner.study.search import provenance
from tuner.study.store.writer import TableWriter

SMALL = {
    "env": "CartPole-v1", "steps": 300, "evaluations": 3, "eval_episodes": 2, "pruner": "none", "startup_trials": 3,
    "trials": 10, "confirm_budget": 3.0, "prior": "none",
}  # fmt: skip


@pytest.fixture(autouse=True)
def here(in_tmp, monkeypatch):
    draw_nothing(monkeypatch)


class Notes:
    def __init__(self):
        self.lines = []

    def note(self, line):
        self.lines.append(line)

    def start(self, snapshot): ...

    update = finish = start


def run(name, executor=None, notes=None, **settings):
    recipe = StudyRecipe(**{**SMALL, "study": name, **settings})
    return tuner.run(recipe, executor=executor or FakeExecutor(), progress=notes)


@pytest.fixture(scope="module")
def earlier(tmp_path_factory):
    """A database with the study ``a``, whose verdict has runs of the defaults and of RL Zoo's values."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("earlier"))
        draw_nothing(patch)
        return run("a").data, Path("studies/tuner.db").absolute()


@pytest.fixture
def after_a(earlier):
    """Stand where the study ``a`` is in the database."""
    Path("studies").mkdir()
    with (
        contextlib.closing(sqlite3.connect(earlier[1])) as old,
        contextlib.closing(sqlite3.connect("studies/tuner.db")) as new,
    ):
        old.backup(new)
    return earlier[0]


def reused(confirmation: Confirmation) -> set[tuple[str, int]]:
    """Return (role, replicate) of the runs that were taken over."""
    return {(c.role, r.replicate) for c in confirmation.contestants for r in c.runs if r.reused is not None}


def numbers(confirmation: Confirmation) -> Confirmation:
    """Return a stage without what may differ where runs were taken over: whose they are, and what they took."""

    def plain(runs):
        return tuple(
            dataclasses.replace(r, duration_s=0.0, reused=None)
            for r in sorted(runs, key=lambda r: (r.phase, r.replicate))
        )

    contestants = tuple(dataclasses.replace(c, runs=plain(c.runs)) for c in confirmation.contestants)
    return dataclasses.replace(confirmation, contestants=contestants)


OTHER = {"sampler": "random", "trials": 12, "space": "classic"}


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The confirm stage of the study ``b`` in a database of its own, and how many runs the study trained."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("alone"))
        draw_nothing(patch)
        executor = FakeExecutor()
        return run("b", executor, **OTHER).data.confirmation, len(executor.taken)


@pytest.mark.slow
def test_a_study_after_another_has_the_verdict_that_it_would_have_alone_and_trains_the_baselines_no_more(
    after_a, alone
):
    notes, executor = Notes(), FakeExecutor()
    second = run("b", executor, notes, **OTHER).data.confirmation
    assert numbers(second) == numbers(alone[0])
    first = {c.role: len(c.phase("verdict")) for c in after_a.confirmation.baselines}
    shared = {
        (c.role, r)
        for c in second.baselines
        if c.role in ("defaults", "zoo")
        for r in range(min(first[c.role], second.seeds))
    }
    assert reused(second) == shared and len(shared) >= 6
    assert alone[1] - len(executor.taken) == len(shared)
    assert alone[0].steps_spent - second.steps_spent == 300 * len(shared)
    said = next(line for line in notes.lines if line.startswith("Known"))
    assert "of the algorithm's defaults from the study 'a'" in said
    assert not reused(alone[0])


def test_the_words_name_the_study_and_the_steps_leave_its_runs_out(after_a):
    data = run("b", **OTHER).data
    found = evidence(data)
    text = " ".join(verdict(found))
    assert "Known, and not trained again" in text and "from the study 'a'" in text
    trained = sum(r.steps for c in data.confirmation.contestants for r in c.runs if r.reused is None)
    assert found["steps"]["confirmed"] == trained
    defaults = next(c for c in found["contestants"] if c["role"] == "defaults")
    origin = defaults["verdict"]["reused"][0]
    theirs = optuna.load_study(study_name="a.confirm", storage=default_storage()).trials[origin["trial"]]
    assert origin["study"] == "a" and theirs.user_attrs["seeds"] == defaults["verdict"]["seeds"][:1]


@pytest.mark.parametrize(
    "changed",
    [{"seed": 1}, {"steps": 303}, {"eval_episodes": 3}, {"evaluations": 2}, {"env_arg": {"sutton_barto_reward": True}}],
    ids=str,
)
def test_other_seeds_budget_episodes_or_arguments_reuse_nothing(after_a, changed):
    assert "Known" in known_beforehand(plan_study(StudyRecipe(**SMALL, study="b")))
    assert known_beforehand(plan_study(StudyRecipe(**{**SMALL, **changed}, study="b"))) == ""


def test_another_version_of_a_package_reuses_nothing(after_a, monkeypatch):
    monkeypatch.setattr(fingerprints, "package_versions", lambda *others: {"numpy": "0.0"})
    executor = FakeExecutor()
    found = run("b", executor, **OTHER).data.confirmation
    assert found.complete and not reused(found)


def plan_and_spec(**changes):
    plan = make_plan("sqlite:///x.db")
    return plan, dataclasses.replace(plan.run_spec(RunId(3), DQNHyperparameters(), 5), **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 6}, {"grid": (100, 200)}, {"hyperparameters": DQNHyperparameters(gamma=0.98)}, {"backend": "sb3"},
        {"rules": VERSION_0_1_0}, {"schedule_steps": 9}, {"evaluation": EvaluationSpec(2, 7, 100, late_episodes=50)},
        {"env": EnvSpec("Fake-v0", kwargs=(("size", (1, 2)),))},
    ],
    ids=lambda changes: next(iter(changes)),
)  # fmt: skip
def test_whatever_changes_a_run_changes_its_fingerprint(changes):
    plan, spec = plan_and_spec()
    assert fingerprint(plan, spec) == fingerprint(plan, dataclasses.replace(spec, run_id=RunId(4, 1), keep=True))
    assert fingerprint(plan, spec) != fingerprint(plan, dataclasses.replace(spec, **changes))


def test_the_version_of_rl_zoo_counts_where_one_of_its_wrappers_is_around_the_environment(monkeypatch):
    plan, spec = plan_and_spec()
    wrapped = dataclasses.replace(spec, env=dataclasses.replace(spec.env, wrapper=("rl_zoo3.wrappers.FrameSkip",)))
    before = [fingerprint(plan, each) for each in (spec, wrapped)]
    known = fingerprints.package_versions
    monkeypatch.setattr(
        fingerprints, "package_versions", lambda *o: {**known(*o), **({"rl_zoo3": "9"} if "rl_zoo3" in o else {})}
    )
    after = [fingerprint(plan, each) for each in (spec, wrapped)]
    assert after[0] == before[0] and after[1] != before[1]


def test_another_processor_or_numeric_path_changes_the_fingerprint_and_a_gpu_has_none(monkeypatch):
    plan, spec = plan_and_spec()
    before = fingerprint(plan, spec)
    older = dataclasses.replace(plan, rules=dataclasses.replace(plan.rules, update_path=1))
    assert older.numeric_path != plan.numeric_path and fingerprint(older, spec) != before
    assert fingerprint(plan, dataclasses.replace(spec, device="cuda")) is None
    cluster = dataclasses.replace(plan.recipe, executor="ray", ray_address="h:1")
    assert fingerprint(dataclasses.replace(plan, recipe=cluster), spec) is None
    monkeypatch.setattr(fingerprints, "machine", lambda: {"system": "Linux", "cpu": "another"})
    assert fingerprint(plan, spec) != before


def test_the_processor_is_looked_up_once_however_many_runs_there_are(monkeypatch):
    looks = []
    monkeypatch.setattr(provenance, "_cpu_model", lambda: looks.append(1) or "one")
    provenance.machine.cache_clear()
    try:
        plan, spec = plan_and_spec()
        found = {fingerprint(plan, dataclasses.replace(spec, seed=seed)) for seed in range(3)}
        assert len(found) == 3
    finally:
        provenance.machine.cache_clear()
    assert len(looks) == 1


def test_the_files_of_an_environment_of_one_s_own_are_in_the_fingerprint():
    plan, spec = plan_and_spec()
    Path("mine.py").write_text("one = 1")
    spec = dataclasses.replace(spec, env=dataclasses.replace(spec.env, module="mine.py"))
    before = fingerprint(plan, spec)
    Path("mine.py").write_text("one = 2")
    assert fingerprint(plan, spec) != before


@pytest.mark.slow
@pytest.mark.parametrize("after", [1, 30, 50])
def test_an_interrupted_stage_goes_on_with_what_it_took_over(after_a, alone, after):
    stopped = run("b", FakeExecutor(stop_after_reports=3 * OTHER["trials"] + after), **OTHER)
    assert stopped.ending == "interrupted"
    resumed = run("b", **OTHER).data.confirmation
    assert len(reused(resumed)) >= 6
    assert numbers(resumed) == numbers(alone[0])
    trials = optuna.load_study(study_name="b.confirm", storage=default_storage()).trials
    jobs = [tuple(t.user_attrs["job"]) for t in trials if t.user_attrs.get("outcome") in ("completed", "diverged")]
    assert len(jobs) == len(set(jobs))


def test_what_was_taken_over_names_who_trained_it_though_that_study_is_gone(after_a):
    run("b", **OTHER)
    for name in ("a", "a.confirm"):
        optuna.delete_study(study_name=name, storage=default_storage())
    third = run("c", **OTHER).data.confirmation
    origins = {r.reused[0] for c in third.contestants for r in c.runs if r.reused is not None and c.role == "defaults"}
    assert origins == {"a", "b"}, "b has trained the seeds that a did not have"
    assert {r.reused[0] for c in third.baselines for r in c.phase("verdict")[:3]} == {"a"}


def test_scores_are_by_the_objective_of_the_study_that_takes_them_over(after_a):
    found = run("b", **OTHER, objective="final").data.confirmation
    alone = run("b", storage="sqlite:///alone.db", **OTHER, objective="final").data.confirmation
    assert reused(found) and numbers(found) == numbers(alone)


def test_a_damaged_run_is_trained_again(after_a):
    with contextlib.closing(sqlite3.connect("studies/tuner.db")) as database, database:
        database.execute("UPDATE trial_user_attributes SET value_json = '[[1, 2]]' WHERE key = 'curve:0'")
    found = run("b", **OTHER).data.confirmation
    assert found.complete and not reused(found)


def test_runs_of_a_study_that_is_deleted_while_they_are_taken_over_are_trained_again(after_a, monkeypatch):
    find = reuse.sources

    def find_and_delete(plan, wanted, database):
        found = find(plan, wanted, database)
        if found and not isinstance(database, sqlite3.Connection):  # to copy them, not to say what is there
            optuna.delete_study(study_name="a.confirm", storage=database)
        return found

    monkeypatch.setattr(reuse, "sources", find_and_delete)
    found = run("b", **OTHER).data.confirmation
    assert found.complete and not reused(found)


def test_a_run_that_failed_or_ran_out_of_time_is_no_result_to_take_over():
    fates = iter(["failed", "timed_out", "diverged"] * 100)
    given = {}

    def behave(spec):
        if spec.evaluation.late_episodes is None or spec.hyperparameters != DQNHyperparameters():
            return "completed"
        return given.setdefault(spec.seed, next(fates))

    first = run("a", FakeExecutor(behave)).data.confirmation
    diverged = {r.replicate for c in first.baselines if c.role == "defaults" for r in c.runs if r.outcome == "diverged"}
    second = run("b", FakeExecutor(behave), **OTHER).data.confirmation
    assert diverged and {r for role, r in reused(second) if role == "defaults"} == diverged


def test_a_sentence_counts_the_runs_of_each_setting_and_study():
    assert reused_text({}) == reused_text({"defaults": {}}) == ""
    text = reused_text({"the defaults": {"a": 1, "b": 9}, "RL Zoo's values": {"a": 10}})
    assert "1 run of the defaults from the study 'a', 9 runs of the defaults from the study 'b' and 10 runs of" in text


@pytest.mark.slow
def test_real_training_taken_over_is_what_training_again_gives(monkeypatch):
    monkeypatch.setattr(ledger, "LATE_EPISODES", 2)
    tiny = {
        "env": "FrozenLake-v1", "algo": "q_learning", "steps": 100, "evaluations": 2, "eval_episodes": 2, "trials": 12,
        "executor": "inline", "startup_trials": 2, "prior": "packaged",
    }  # fmt: skip
    tuner.run(StudyRecipe(**tiny, study="a"))
    second = tuner.run(StudyRecipe(**tiny, study="b", sampler="random")).data.confirmation
    alone = tuner.run(StudyRecipe(**tiny, study="b", sampler="random", storage="sqlite:///x.db")).data.confirmation
    assert reused(second) and numbers(second) == numbers(alone)


class KilledWhileAway(FakeExecutor):
    """The confirm stage's first baseline ends while the database takes nothing, and then the process is killed."""

    def run(self, supervisor):
        if supervisor._plan.unit != "run":
            super().run(supervisor)
            return
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(TableWriter, "write", refused)
            while isinstance(spec := supervisor.take({}, block=True), RunSpec):
                for done in range(len(spec.grid)):
                    self._advance(supervisor, spec, done)
                if spec.seed == run_seed(0, "verdict", 0, 0):
                    supervisor.close = lambda: "interrupted"
                    raise KeyboardInterrupt


def refused(*arguments):
    raise StorageInternalError("database is locked")


def test_a_run_that_waits_to_be_told_is_not_taken_over_as_well():
    """Of another study that has trained it meanwhile: it would count twice in the verdict."""
    with pytest.raises(KeyboardInterrupt):
        run("a", KilledWhileAway())
    assert list(Path("studies").glob("*.confirm.spool"))
    run("b")
    found = run("a").data.confirmation
    assert not list(Path("studies").glob("*.spool"))
    runs = [(c.key, run.phase, run.replicate) for c in found.contestants for run in c.runs]
    assert len(set(runs)) == len(runs) == len(confirm_trials("a"))


def confirm_trials(name):
    study = optuna.load_study(study_name=f"{name}.confirm", storage=default_storage())
    return [trial for trial in study.trials if trial.state.name == "COMPLETE"]


def test_a_run_that_two_supervisors_have_trained_counts_once(after_a):
    """As where the lock of a confirm stage was lost for a while."""
    before, trials = load("a").confirmation, confirm_trials("a")
    for trial in trials:
        optuna.load_study(study_name="a.confirm", storage=default_storage()).add_trial(trial)
    assert load("a").confirmation == before
