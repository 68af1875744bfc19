"""What ``tune doctor`` puts right, and what ``tune copy`` carries over."""

import optuna
import pytest
from optuna.exceptions import StorageInternalError
from study_fakes import FakeExecutor, make_plan, search, supervise

from tuner.cli.app import main
from tuner.contract.outcome import EvalPoint, Outcome
from tuner.errors import InputError, StudyLockedError
from tuner.study.reading.study import load
from tuner.study.store.locks import study_lock
from tuner.study.store.writer import TableWriter
from tuner.study.upkeep.copy import copy_study


@pytest.fixture
def url(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return f"sqlite:///{tmp_path}/s.db"


def test_doctor_settles_what_a_killed_process_left_and_tells_what_it_had_kept(url, monkeypatch, capsys):
    plan = make_plan(url, trials=3, in_flight=2, sampler="random", pruner="none", study="s")
    killed = supervise(plan)
    first, _ = (killed.take({}, block=False) for _ in range(2))
    for step in first.grid:
        killed.report([EvalPoint(first.run_id, step, (1.0,), (1,))])

    def away(*arguments):
        raise StorageInternalError("away")

    with monkeypatch.context() as patch:
        patch.setattr(TableWriter, "write", away)
        killed.finish(Outcome(first.run_id, "completed", 1000))
    assert main(["doctor", "--storage", url]) == 0
    assert "1 results that had waited were told; 1 trials were cut short" in capsys.readouterr().out
    assert [t.outcome for t in load("s", url).trials] == ["completed", "lost", "waiting"]
    assert main(["doctor", "--storage", url]) == 0
    assert "study s" not in capsys.readouterr().out
    assert search(plan).finished == 3


def test_doctor_leaves_a_study_alone_that_somebody_runs(url, tmp_path, capsys):
    plan = make_plan(url, trials=1, study="s")
    supervise(plan).take({}, block=False)
    with study_lock(tmp_path / "s.db", "s"):
        assert main(["doctor", "--storage", url]) == 0
    assert "1 trials are running now" in capsys.readouterr().out
    assert load("s", url).count("running") == 1


def test_a_copied_study_is_the_same_study_and_goes_on(url, tmp_path, capsys):
    there = f"sqlite:///{tmp_path}/there.db"
    search(
        make_plan(url, trials=4, study="s"), FakeExecutor(lambda s: "diverged" if s.run_id.trial == 2 else "completed")
    )
    assert main(["copy", "s", "--from", url, "--to", there]) == 0
    assert "4 trials" in capsys.readouterr().out
    assert load("s", there) == load("s", url)
    assert search(make_plan(there, trials=6, study="s")).finished == 6


def test_a_copy_never_mixes_two_studies_nor_takes_one_that_somebody_runs(url, tmp_path):
    there = f"sqlite:///{tmp_path}/there.db"
    search(make_plan(url, trials=1, study="s"))
    search(make_plan(there, trials=2, study="s"))
    with pytest.raises(InputError, match="has a study 's' already"):
        copy_study("s", url, there)
    with pytest.raises(InputError, match="There is no study 't'"):
        copy_study("t", url, there)
    with study_lock(tmp_path / "s.db", "s"), pytest.raises(StudyLockedError, match="being run by"):
        copy_study("s", url, f"sqlite:///{tmp_path}/third.db")
    assert len(load("s", there).trials) == 2


def test_a_copy_that_was_cut_short_leaves_nothing(url, tmp_path, monkeypatch):
    there = f"sqlite:///{tmp_path}/there.db"
    search(make_plan(url, trials=2, study="s"))

    def dies(*arguments):
        raise StorageInternalError("gone")

    monkeypatch.setattr(optuna.Study, "set_user_attr", dies)
    with pytest.raises(Exception, match="does not answer"):
        copy_study("s", url, there)
    assert optuna.get_all_study_names(there) == []
