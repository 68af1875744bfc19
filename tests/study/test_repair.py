"""What ``tune doctor`` puts right, and what ``tune copy`` carries over."""

import io

import optuna
import pytest
from optuna.exceptions import StorageInternalError
from study_fakes import FakeExecutor, empty_database, make_plan, search, supervise

from tuner.cli.app import main
from tuner.contract.outcome import EvalPoint, Outcome
from tuner.errors import InputError, StudyLockedError
from tuner.study.reading.study import load
from tuner.study.store.companion import open_companion
from tuner.study.store.connect import open_storage
from tuner.study.store.locks import study_lock
from tuner.study.store.writer import TableWriter
from tuner.study.upkeep.copy import copy_study
from tuner.study.upkeep.delete import Belongings, belongings, delete_study
from tuner.study.upkeep.repair import mend_study


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
    assert "told 1 result that had waited; 1 trial cut short" in capsys.readouterr().out
    assert [t.outcome for t in load("s", url).trials] == ["completed", "lost", "waiting"]
    assert main(["doctor", "--storage", url]) == 0
    assert "study s" not in capsys.readouterr().out
    assert search(plan).finished == 3


def test_doctor_leaves_a_study_alone_that_somebody_runs(url, tmp_path, capsys):
    plan = make_plan(url, trials=1, study="s")
    supervise(plan).take({}, block=False)
    with study_lock(tmp_path / "s.db", "s"):
        assert main(["doctor", "--storage", url]) == 0
    assert "1 trial running now" in capsys.readouterr().out
    assert load("s", url).count("running") == 1


def test_doctor_leaves_a_confirm_stage_alone_that_somebody_trains(url, tmp_path, capsys):
    search(make_plan(url, trials=1, study="s"))
    storage = open_storage(url, create=False)
    confirm, _ = open_companion(optuna.load_study(study_name="s", storage=storage), storage)
    confirm.set_user_attr("confirm", {"finalists": 1})
    confirm.ask()
    with study_lock(tmp_path / "s.db", "s"):
        assert main(["doctor", "--storage", url]) == 0
        assert "study s.confirm 1 trial running now" in " ".join(capsys.readouterr().out.split())
        with pytest.raises(StudyLockedError):
            mend_study("s.confirm", url)
    assert [t.state.name for t in confirm.trials] == ["RUNNING"]
    assert main(["doctor", "--storage", url]) == 0
    assert [t.state.name for t in confirm.trials] == ["FAIL"]


def test_a_copied_study_is_the_same_study_and_goes_on(url, tmp_path, capsys):
    there = f"sqlite:///{tmp_path}/there.db"
    search(
        make_plan(url, trials=4, study="s"), FakeExecutor(lambda s: "diverged" if s.run_id.trial == 2 else "completed")
    )
    assert main(["copy", "s", "--from", url, "--to", there]) == 0
    assert "with 4 trials to" in capsys.readouterr().out
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


@pytest.mark.slow
def test_a_copy_that_was_killed_is_completed_by_the_same_command(confirmed, tmp_path, monkeypatch):
    """Killed after any number of writes: nothing that runs then can tidy up."""

    class Killed(BaseException):
        pass

    def counted_down(method):
        def write(self, *arguments, **options):
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            return method(self, *arguments, **options)

        return write

    for writes in (0, 1, 2, 3, 4, 5, 7, 10, 19):
        there, left = f"sqlite:///{tmp_path}/{writes}.db", [writes]
        (tmp_path / f"{writes}.db").write_bytes(empty_database())
        with monkeypatch.context() as patch, pytest.raises(Killed):
            for name in ("add_trial", "set_user_attr"):
                patch.setattr(optuna.Study, name, counted_down(getattr(optuna.Study, name)))
            patch.setattr(optuna, "delete_study", lambda **_: None)
            copy_study("s", confirmed, there)
        assert copy_study("s", confirmed, there) == 2, writes
        for name in ("s", "s.confirm"):
            old, new = (optuna.load_study(study_name=name, storage=url) for url in (confirmed, there))
            assert new.user_attrs == old.user_attrs
            assert [(t.number, t.state) for t in new.trials] == [(t.number, t.state) for t in old.trials]
        with pytest.raises(InputError, match="has a study 's"):
            copy_study("s", confirmed, there)


@pytest.fixture
def confirmed(url):
    """A study of two trials whose confirm stage has trained one run, and a second one in part."""
    search(make_plan(url, trials=2, study="s"))
    storage = open_storage(url, create=False)
    stage = open_companion(optuna.load_study(study_name="s", storage=storage), storage)[0]
    stage.tell(stage.ask(), 1.0)
    stage.ask()
    stage.set_user_attr("confirm", {"contestants": []})
    return url


@pytest.mark.parametrize("name", ["s", "s.confirm"])
def test_a_copy_never_takes_a_foreign_study_for_one_that_was_cut_short(confirmed, tmp_path, name):
    there = f"sqlite:///{tmp_path}/there.db"
    foreign = optuna.create_study(study_name=name, storage=open_storage(there, create=True))
    foreign.set_user_attr("id" if name == "s" else "parent", "another")
    with pytest.raises(InputError, match=f"has a study '{name}' already"):
        copy_study("s", confirmed, there)
    assert optuna.get_all_study_names(there) == [name]


def test_a_deleted_study_takes_its_confirm_stage_its_waiting_results_and_nothing_else(url, tmp_path):
    for name in ("s", "t"):
        search(make_plan(url, trials=2, sampler="random", pruner="none", study=name, report_dir=str(tmp_path)))
    storage = open_storage(url, create=False)
    open_companion(optuna.load_study(study_name="s", storage=storage), storage)[0].set_user_attr("confirm", {})
    orphan = optuna.create_study(study_name="t.confirm", storage=storage)  # of a study deleted since
    orphan.set_user_attr("confirm", {})
    spool = tmp_path / "s.db.s.spool"
    spool.write_text('{"study": "another"}\n{"number": 0}\n')
    for name in ("s", "t"):
        (tmp_path / name / "checkpoints").mkdir(parents=True)
        (tmp_path / name / "index.html").touch()
    assert belongings("s", url) == Belongings(2, 0, tmp_path / "s", agents=False)
    delete_study("s", url)
    assert optuna.get_all_study_names(storage) == ["t", "t.confirm"]
    assert spool.read_text() == '{"study": "another"}\n'
    assert not (tmp_path / "s" / "checkpoints").exists()
    assert (tmp_path / "s" / "index.html").exists()
    assert (tmp_path / "t" / "checkpoints").exists()
    assert belongings("t", url).runs is None
    delete_study("t", url)
    assert optuna.get_all_study_names(storage) == ["t.confirm"]


def test_deleting_takes_no_file_of_others_however_its_report_folder_is_called(url, tmp_path):
    """The folder's name comes from the database: it may be that of anything."""
    search(make_plan(url, trials=1, sampler="random", study="s", report_dir=str(tmp_path)))
    ours = [
        tmp_path / "s" / "checkpoints" / f"{'0' * 40}.npz",
        tmp_path / "s" / "checkpoints" / f".{'0' * 40}.npz.tune-abcd_123",
    ]
    ours += [tmp_path / "s" / "agents" / "runs" / ("a" * 40) / "model.json"]
    names = ("checkpoints/epoch3.npz", f"checkpoints/.{'0' * 40}.npz.20261130", "checkpoints/x/y", "agents/runs/mine/z")
    others = [tmp_path / "s" / name for name in names]
    for path in (*ours, *others):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    delete_study("s", url)
    assert [path.exists() for path in ours] == [False] * 3
    assert all(path.exists() for path in others)


def test_a_study_that_is_being_run_is_not_deleted(url, tmp_path):
    search(make_plan(url, trials=1, sampler="random", study="s"))
    with study_lock(tmp_path / "s.db", "s"), pytest.raises(StudyLockedError, match="is being run by"):
        delete_study("s", url)
    assert len(load("s", url).trials) == 1


def test_deleting_asks_first_and_a_script_says_yes(url, monkeypatch, capsys):
    search(make_plan(url, trials=1, sampler="random", study="s"))
    assert main(["delete", "s", "--storage", url]) == 2
    assert "Say --yes" in capsys.readouterr().err
    terminal = io.StringIO("no\n")
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", terminal)
    assert main(["delete", "s", "--storage", url]) == 0
    assert "Nothing was deleted." in capsys.readouterr().out
    assert main(["delete", "s", "--storage", url, "--yes"]) == 0
    assert capsys.readouterr().out.startswith("Deleted the study 's' with 1 trial from sqlite:///")
    assert main(["delete", "s", "--storage", url, "--yes"]) == 2
    assert "There is no study 's'" in capsys.readouterr().err
