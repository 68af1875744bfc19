"""A study is written and read only while it is the one that was opened."""

import errno
import os
import resource
import shutil
import sqlite3

import optuna
import pytest
from optuna.trial import TrialState
from study_fakes import FakeExecutor, finish, make_plan, search, supervise

from tuner.contract.outcome import EvalPoint
from tuner.errors import InputError, StorageLostError, StudyLockedError
from tuner.study.reading.study import load
from tuner.study.store.connect import open_storage
from tuner.study.store.identity import Watched
from tuner.study.store.locks import study_lock


def begin(url, **settings):
    plan = make_plan(url, trials=3, in_flight=1, sampler="random", pruner="none", study="s", **settings)
    supervisor = supervise(plan)
    finish(supervisor, supervisor.take({}, block=False))
    return plan, supervisor, supervisor.take({}, block=False)


def lines(tmp_path):
    spool = tmp_path / "s.db.s.spool"
    return len(spool.read_bytes().splitlines()) if spool.exists() else 0


def move(folder, old, new):
    for end in ("", "-wal", "-shm"):
        if (folder / f"{old}{end}").exists():
            (folder / f"{old}{end}").rename(folder / f"{new}{end}")


def test_a_database_whose_place_another_takes_is_exit_code_four_and_the_results_wait_for_it(url, tmp_path):
    other = f"sqlite:///{tmp_path}/other.db"
    search(make_plan(other, trials=2, sampler="random", pruner="none", study="s"))
    before = load("s", other).trials
    plan, supervisor, spec = begin(url)
    move(tmp_path, "s.db", "mine.db")
    with sqlite3.connect(tmp_path / "other.db") as source, sqlite3.connect(tmp_path / "s.db") as backup:
        source.backup(backup)
    finish(supervisor, spec)
    with pytest.raises(StorageLostError, match=r"another file has taken its place\. Put it back") as error:
        supervisor.close()
    assert (error.value.exit_code, error.value.passes) == (4, False)
    assert load("s", url).trials == before
    assert search(plan).finished == 3  # the other study, and it takes nothing of what waits here
    assert lines(tmp_path) == 1
    move(tmp_path, "s.db", "other.db")
    move(tmp_path, "mine.db", "s.db")
    assert supervise(plan).finished == 2
    assert lines(tmp_path) == 0


def test_a_database_that_is_removed_is_exit_code_four_and_the_results_are_kept(url, tmp_path):
    _, supervisor, spec = begin(url)
    move(tmp_path, "s.db", "away.db")
    finish(supervisor, spec)
    with pytest.raises(StorageLostError, match="was removed"):
        supervisor.close()
    assert not (tmp_path / "s.db").exists()
    assert lines(tmp_path) == 1


def test_nothing_is_asked_of_a_study_that_was_deleted_and_made_anew(url):
    _, supervisor, spec = begin(url)
    optuna.delete_study(study_name="s", storage=open_storage(url, create=False))
    search(make_plan(url, trials=1, sampler="random", pruner="none", study="s"))
    finish(supervisor, spec)
    with pytest.raises(StorageLostError, match="the study was deleted, or another has taken its place"):
        supervisor.close()
    assert len(load("s", url).trials) == 1


def test_a_report_is_not_made_of_another_files_results(url, tmp_path):
    search(make_plan(url, trials=1, sampler="random", pruner="none", study="s"))
    watched = Watched(url, "s")
    watched.check()
    shutil.copy(tmp_path / "s.db", tmp_path / "copy.db")
    (tmp_path / "copy.db").replace(tmp_path / "s.db")
    with pytest.raises(StorageLostError, match="has taken its place"):
        watched.check()


def test_a_study_has_one_lock_and_one_spool_whatever_link_its_database_is_reached_by(url, tmp_path):
    search(make_plan(url, trials=1, sampler="random", pruner="none", study="s"))
    (tmp_path / "links").mkdir()
    link = tmp_path / "links" / "link.db"
    link.symlink_to(tmp_path / "s.db")
    with study_lock(tmp_path / "s.db", "s"), pytest.raises(StudyLockedError), study_lock(link, "s"):
        pass
    _, supervisor, spec = begin(f"sqlite:///{link}")
    move(tmp_path, "s.db", "away.db")
    finish(supervisor, spec)
    assert lines(tmp_path) == 1


def test_a_database_of_several_names_is_refused(url, tmp_path):
    search(make_plan(url, trials=1, sampler="random", pruner="none", study="s"))
    os.link(tmp_path / "s.db", tmp_path / "t.db")
    with pytest.raises(InputError, match="several names"), study_lock(tmp_path / "t.db", "s"):
        pass


def test_a_limit_on_the_size_of_files_is_exit_code_four_at_once(url):
    plan = make_plan(url, trials=30, sampler="random", pruner="none", study="s")
    supervisor = supervise(plan)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, hard))  # of the write-ahead log, empty so far
    try:
        with pytest.raises(StorageLostError, match="ulimit -f") as error:
            FakeExecutor().run(supervisor)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not error.value.passes
    supervisor.close()
    assert search(plan).finished == 30


def test_seconds_in_which_the_supervisor_slept_are_no_training(url):
    _, supervisor, spec = begin(url, trial_timeout="10s")
    supervisor.slept(32.0)
    assert not supervisor.overdue([spec.run_id], 41.0)
    assert supervisor.overdue([spec.run_id], 43.0)
    assert supervisor.report([EvalPoint(spec.run_id, spec.grid[0], (1.0,), (1,), 41.0)]) == frozenset()
    assert supervisor.report([EvalPoint(spec.run_id, spec.grid[1], (1.0,), (1,), 43.0)]) == {spec.run_id}


@pytest.mark.parametrize("sampler", ["random", "qmc"])
def test_a_kill_changes_neither_the_points_nor_the_seeds_of_what_comes_after_it(tmp_path, monkeypatch, sampler):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    def trained(kills):
        url = f"sqlite:///{tmp_path}/{kills}.db"
        plan = make_plan(url, trials=8, in_flight=2, sampler=sampler, pruner="none", study="s")
        for _ in range(kills):
            killed = supervise(plan)
            spec = killed.take({}, block=False)
            killed.take({}, block=False)
            finish(killed, spec)
            killed.take({}, block=False)
        search(plan)
        rows = [t for t in load("s", url).trials if t.outcome == "completed"]
        return sorted((tuple(t.seeds.values()), sorted(t.params.items())) for t in rows)

    unbroken = trained(0)
    assert len(unbroken) == 8
    assert trained(1) == unbroken
    assert trained(2) == unbroken


def test_an_enqueued_trial_that_does_not_fit_has_failed_with_the_reason_and_the_study_goes_on(url):
    plan = make_plan(url, trials=3, sampler="random", pruner="none", study="s")
    supervise(plan)
    study = optuna.load_study(study_name="s", storage=url)
    study.enqueue_trial({"double_q": "cosine"})
    study.enqueue_trial({"learning_rate": "fast"})
    search(plan)
    outcomes = {t.outcome: t.reason for t in load("s", url).trials}
    assert set(outcomes) == {"failed", "completed"}
    assert "fast" in outcomes["failed"] or "cosine" in outcomes["failed"]


ADDED = {
    "enqueued": lambda study: study.enqueue_trial({"learning_rate": 0.001, "buffer_size": 500, "double_q": False}),
    "asked": lambda study: study.ask(),
    "failed": lambda study: study.add_trial(optuna.trial.create_trial(state=TrialState.FAIL)),
    "of another study": lambda study: study.add_trial(
        optuna.trial.create_trial(state=TrialState.WAITING, user_attrs={"retry_of": 77, "root": 77})
    ),
}


@pytest.mark.parametrize("sampler", ["random", "tpe"])
@pytest.mark.parametrize("added", ADDED)
def test_a_trial_that_another_program_adds_while_a_study_runs_is_seen_and_ends_nothing(url, sampler, added):
    plan = make_plan(url, trials=5, in_flight=2, sampler=sampler, pruner="none", study="s")
    adds = [ADDED[added]]

    def behave(spec):
        if spec.run_id.trial == 1 and adds:
            adds.pop()(optuna.load_study(study_name="s", storage=url))
        return "completed"

    supervisor = supervise(plan)
    FakeExecutor(behave, lanes=2, stop_after_reports=2 * len(plan.grid) + 3).run(supervisor)
    supervisor.close()
    supervisor._ledger._storage.check_valid()
    assert search(plan).finished == 5
    trials = {t.number: t for t in load("s", url).trials}
    lost = [t for t in trials.values() if t.continued_as is not None and t.seeds]
    assert len(lost) == 2
    for trial in lost:
        again = trials[trial.continued_as]
        assert (trial.params, trial.seeds, trial.point) == (again.params, again.seeds, again.point)
    stored = optuna.load_study(study_name="s", storage=url).trials
    others = [t.number for t in stored if t.user_attrs.get("root") == 77]  # has no point of its own here
    points = [t.point for t in trials.values() if t.outcome == "completed" and t.number not in others]
    assert len(set(points)) == len(points)


def test_a_lock_that_the_disk_has_no_room_for_is_a_line_and_stands_in_nobodys_way(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(InputError, match="lock cannot be written"), study_lock(tmp_path / "s.db", "s"):
            pass
    assert not any(tmp_path.iterdir())
    with study_lock(tmp_path / "s.db", "s"):
        pass
