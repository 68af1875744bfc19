"""The database is locked, full or away while trials end: results are kept on the disk and told later, exactly once."""

import json
import os
import sqlite3
import threading
import time
from collections import Counter
from datetime import datetime
from types import SimpleNamespace

import optuna
import pytest
import sqlalchemy
from optuna.exceptions import StorageInternalError
from optuna.trial import TrialState
from study_fakes import FakeExecutor, finish, make_plan, search, supervise

from tuner.contract.roles import WAIT
from tuner.contract.spec import RunSpec
from tuner.errors import InputError, StorageLostError
from tuner.study.reading.study import load
from tuner.study.search import open_study
from tuner.study.search.ledger import Ledger
from tuner.study.search.outage import PATIENCE_S, Outage
from tuner.study.search.progress import NoProgress
from tuner.study.store.connect import open_storage
from tuner.study.store.pending import PendingWrites
from tuner.study.store.spool import Spool, spool_of
from tuner.study.store.writer import TableWriter, known_tables, row_writer

ROWS = ("trials", "trial_params", "trial_values", "trial_intermediate_values", "trial_user_attributes")


class Notes(NoProgress):
    def __init__(self):
        self.lines = []

    def note(self, line):
        self.lines.append(line)


def away(*arguments):
    raise StorageInternalError("server closed the connection")


def spool_lines(url, plan):
    study = optuna.load_study(study_name=plan.name, storage=open_storage(url, create=False))
    return [number for number, _, _ in spool_of(url, plan.name, study.user_attrs["id"]).read()]


def test_a_result_told_late_is_the_result_bit_for_bit_and_told_once(url, tmp_path, monkeypatch):
    """A crash after the result was kept: the next process tells it."""
    plan = make_plan(url, trials=3, sampler="random", pruner="none")
    supervisor = supervise(plan)
    value = 0.1 + 0.2
    monkeypatch.setattr(TableWriter, "write", away)
    finish(supervisor, supervisor.take({}, block=False), value)
    assert supervisor.finished == 1
    assert spool_lines(url, plan) == [0]
    monkeypatch.undo()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    kept = (tmp_path / f"s.db.{plan.name}.spool").read_bytes()
    assert load(plan.name, url).count("running") == 1
    for _ in range(2):  # the second time as if the process had died before it could forget the spool
        (tmp_path / f"s.db.{plan.name}.spool").write_bytes(kept)
        supervise(plan)
        (row,) = load(plan.name, url).trials
        assert (row.state, row.outcome, row.score) == ("COMPLETE", "completed", value)
        assert [p.returns for p in row.curves[0]] == [(value,)] * len(plan.grid)
        assert spool_lines(url, plan) == []
    assert search(plan).finished == 3


def test_while_the_database_is_away_nothing_new_starts_and_what_runs_goes_on(url, monkeypatch, asked_again_soon):
    notes = Notes()
    plan = make_plan(url, trials=4, in_flight=2, sampler="random", pruner="none")
    supervisor = supervise(plan, progress=notes)
    first, second = (supervisor.take({}, block=False) for _ in range(2))
    for name in ("write", "create"):
        monkeypatch.setattr(TableWriter, name, away)
    finish(supervisor, first, 1.0)
    assert supervisor.take({}, block=False) is WAIT
    finish(supervisor, second, 2.0)
    assert supervisor.take({}, block=False) is WAIT  # in flight or not: the study is not over
    assert spool_lines(url, plan) == [0, 1]
    monkeypatch.setattr("tuner.study.search.ledger.FLUSH_S", -1.0)
    assert supervisor.tick()
    assert supervisor.tick()
    assert len(notes.lines) == 1
    assert f"{url} does not answer" in notes.lines[0]
    monkeypatch.undo()
    deadline = time.monotonic() + 30
    while not isinstance(spec := supervisor.take({}, block=False), RunSpec):
        assert supervisor.tick()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    finish(supervisor, spec, 3.0)
    FakeExecutor().run(supervisor)
    assert supervisor.close() == "done"
    data = load(plan.name, url)
    assert [(t.outcome, t.score) for t in data.trials[:3]] == [
        ("completed", 1.0),
        ("completed", 2.0),
        ("completed", 3.0),
    ]
    assert len(data.trials) == 4
    assert not spool_of(url, plan.name).read()
    assert notes.lines[-1] == "The storage answers again; nothing was lost."


def test_patience_ends_with_exit_code_four_and_the_results_kept(url, monkeypatch):
    now = [0.0]
    plan = make_plan(url, trials=2, in_flight=2, sampler="random", pruner="none")
    supervisor = supervise(plan, clock=lambda: now[0])
    spec = supervisor.take({}, block=False)
    for name in ("write", "create"):
        monkeypatch.setattr(TableWriter, name, away)
    finish(supervisor, spec, 1.0)
    monkeypatch.setattr("tuner.study.search.ledger.FLUSH_S", -1.0)
    assert supervisor.tick()
    now[0] += PATIENCE_S + 1
    with pytest.raises(StorageLostError, match="does not answer any more") as error:
        supervisor.tick()
    assert error.value.exit_code == 4
    with pytest.raises(StorageLostError):
        supervisor.close()
    monkeypatch.undo()
    assert search(plan).finished == 2
    assert load(plan.name, url).trials[0].score == 1.0


def test_that_there_is_nothing_to_ask_for_is_no_answer_of_a_database_that_is_away():
    class Schedule:
        """Whose runs all train."""

        away = True

        def ask(self):
            return None

        def flush(self):
            if self.away:
                raise StorageLostError("It does not answer.")
            return False

    now, said, schedule = [0.0], [], Schedule()
    outage = Outage(lambda: now[0], said.append)
    outage.failed(StorageLostError("It does not answer."))
    for _ in range(9):
        now[0] += 1.0
        assert outage.ask(schedule) is None
    assert outage.on
    assert len(said) == 1
    now[0] += PATIENCE_S
    with pytest.raises(StorageLostError):
        outage.ask(schedule)
    schedule.away = False
    assert outage.ask(schedule) is None
    assert not outage.on
    assert said[1:] == ["The storage answers again; nothing was lost."]


def test_a_lock_held_by_another_process_is_waited_for_and_said_once(url, tmp_path, monkeypatch, asked_again_soon):
    monkeypatch.setattr("tuner.study.store.connect.BRIEF_TIMEOUT_S", 0)  # so that it is asked ten times
    notes = Notes()
    plan = make_plan(url, trials=4, in_flight=2, sampler="random", pruner="none")
    supervisor = supervise(plan, progress=notes)
    other = sqlite3.connect(tmp_path / "s.db", check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    release = threading.Timer(1.0, other.rollback)
    release.start()
    started = time.monotonic()
    executor = FakeExecutor(lanes=2)
    while supervisor.finished < 4:
        executor.run(supervisor)
    assert supervisor.close() == "done"
    assert time.monotonic() - started > 0.9
    release.join()
    other.close()
    assert [t.outcome for t in load(plan.name, url).trials] == ["completed"] * 4
    assert len([line for line in notes.lines if "database is locked" in line and "s.db" in line]) == 1


def test_a_lock_held_while_a_study_goes_on_after_a_kill_is_waited_for(url, tmp_path, monkeypatch):
    """Nobody trains yet who would want answers, so it waits as any command does that opens the file."""
    monkeypatch.setattr("tuner.study.store.connect.BRIEF_TIMEOUT_S", 0)
    monkeypatch.setattr("optuna.storages._rdb.storage.random", SimpleNamespace(random=lambda: 0.0))  # its own pauses
    plan = make_plan(url, trials=2, sampler="random", pruner="none")
    supervise(plan).take({}, block=False)
    ledger, *_ = open_study.open_study(plan, {"numeric_path": plan.numeric_path})
    other = sqlite3.connect(tmp_path / "s.db", check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    release = threading.Timer(1.5, other.rollback)
    release.start()
    assert ledger.settle().lost == [0]
    release.join()
    other.close()
    assert search(plan).finished == 2


def test_a_full_disk_ends_with_exit_code_four_and_everything_finished_is_told_once_there_is_room(url):
    plan = make_plan(url, trials=200, sampler="random", pruner="none")
    supervisor = supervise(plan)
    engine = supervisor._ledger._storage._backend._backend.engine
    with engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()

    @sqlalchemy.event.listens_for(engine, "connect")
    def limit(connection, _):
        connection.execute(f"PRAGMA max_page_count={pages + 8}").fetchall()

    engine.dispose()
    with pytest.raises(StorageLostError, match=r"disk is full.*Make room on the disk") as error:
        FakeExecutor().run(supervisor)
    assert error.value.exit_code == 4
    finished = supervisor.finished
    with pytest.raises(StorageLostError):
        supervisor.close()
    assert 0 < finished < 200
    assert len(spool_lines(url, plan)) <= 1
    settled = supervise(plan)  # the disk has room again
    assert settled.finished == finished
    assert load(plan.name, url).count("running") == 0


def test_a_commit_that_is_done_and_yet_reported_as_failed_is_told_once(url, monkeypatch, asked_again_soon):
    plan = make_plan(url, trials=2, sampler="random", pruner="none")
    supervisor = supervise(plan)
    spec = supervisor.take({}, block=False)
    dialect, commit = sqlalchemy.engine.default.DefaultDialect, sqlalchemy.engine.default.DefaultDialect.do_commit

    def done_and_failed(self, connection):
        commit(self, connection)
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as patch:
        patch.setattr(dialect, "do_commit", done_and_failed)
        finish(supervisor, spec, 0.25)
    assert supervisor._ledger.unwritten == 1
    time.sleep(asked_again_soon)
    FakeExecutor().run(supervisor)
    assert supervisor.close() == "done"
    data = load(plan.name, url)
    assert [t.outcome for t in data.trials] == ["completed"] * 2
    assert data.trials[0].score == 0.25
    assert spool_lines(url, plan) == []


def test_a_database_that_has_no_room_to_be_made_says_what_to_do(url, tmp_path):
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with pytest.raises(InputError, match=r"disk I/O error\. Make room on the disk, or raise the limit .*\.$"):
            open_storage(url, create=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    open_storage(url, create=True)


def test_a_spool_that_cannot_lie_beside_the_database_lies_with_the_users_own_files(url, tmp_path, monkeypatch):
    plan = make_plan(url, trials=1, sampler="random")
    supervisor = supervise(plan)
    beside = tmp_path / f"s.db.{plan.name}.spool"
    beside.mkdir()  # stands in the way
    monkeypatch.setattr(TableWriter, "write", away)
    finish(supervisor, supervisor.take({}, block=False), 1.0)
    (elsewhere,) = (tmp_path / "state" / "tune").iterdir()
    assert elsewhere.stat().st_mode & 0o077 == 0
    monkeypatch.undo()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    supervise(plan)
    assert load(plan.name, url).trials[0].score == 1.0
    assert not elsewhere.exists()


def test_a_torn_or_foreign_line_of_the_spool_is_left_out(url, tmp_path, monkeypatch):
    plan = make_plan(url, trials=2, in_flight=2, sampler="random", pruner="none")
    supervisor = supervise(plan)
    specs = [supervisor.take({}, block=False) for _ in range(2)]
    monkeypatch.setattr(TableWriter, "write", away)
    for spec in specs:
        finish(supervisor, spec, 1.0)
    monkeypatch.undo()
    path = tmp_path / f"s.db.{plan.name}.spool"
    whole = path.read_bytes()
    first = json.loads(whole.splitlines()[0])
    foreign = json.dumps({**first, "trial_id": 4711}).encode()
    path.write_bytes(foreign + b"\n[]\n{}\nnonsense\n" + whole[: -len(whole) // 4])
    assert supervise(plan).finished == 1  # the other one goes again
    assert os.path.exists(tmp_path / "s.db")
    assert [t.outcome for t in load(plan.name, url).trials] == ["completed", "lost", "waiting"]


def test_a_result_that_neither_database_nor_spool_takes_is_exit_code_four_and_its_neighbours_are_kept(url, monkeypatch):
    plan = make_plan(url, trials=3, in_flight=3, sampler="random", pruner="none")
    supervisor = supervise(plan)
    specs = [supervisor.take({}, block=False) for _ in range(3)]
    keep = Spool.keep

    def refuse_the_first(self, number, trial_id, writes):
        if number == 0:
            raise OSError("no space")
        keep(self, number, trial_id, writes)

    monkeypatch.setattr(TableWriter, "write", away)
    monkeypatch.setattr(Spool, "keep", refuse_the_first)
    with pytest.raises(StorageLostError) as error:
        finish(supervisor, specs[0], 1.0)
    assert error.value.exit_code == 4
    for spec in specs[1:]:
        finish(supervisor, spec, 2.0)
    with pytest.raises(StorageLostError):
        supervisor.close()
    assert spool_lines(url, plan) == [1, 2]
    monkeypatch.undo()
    assert search(plan).finished == 3
    outcomes = [t.outcome for t in load(plan.name, url).trials]
    assert (outcomes.count("completed"), outcomes.count("lost"), outcomes.count("running")) == (3, len(outcomes) - 3, 0)


def test_closing_keeps_the_other_results_when_one_is_refused(url, monkeypatch):
    plan = make_plan(url, trials=3, in_flight=3, sampler="random", pruner="none")
    supervisor = supervise(plan)
    specs = [supervisor.take({}, block=False) for _ in range(3)]
    told = []

    def tell(self, number, end):
        if number == 0:
            raise StorageLostError("away")
        told.append(number)

    monkeypatch.setattr(Ledger, "tell", tell)
    for spec in specs:
        supervisor._open.trial(spec.run_id).decided = ("failed", "for a reason")
    with pytest.raises(StorageLostError, match="away"):
        supervisor.close()
    assert told == [1, 2]


def test_a_database_that_is_away_at_the_end_is_not_asked_again_for_each_trial_in_flight(url, monkeypatch):
    """One that says nothing keeps each question waiting for ten seconds, after a second Ctrl-C, too."""
    plan = make_plan(url, trials=5, in_flight=5, sampler="random", pruner="none")
    supervisor, asked = supervise(plan), []
    for _ in range(5):
        supervisor.take({}, block=False)

    def give_up(self, number, reason):
        asked.append(number)
        raise StorageLostError("away")

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "give_up", give_up)
        supervisor.interrupt()
        assert supervisor.close() == "interrupted"
    assert len(asked) == 1
    assert search(plan).finished == 5
    assert Counter(t.outcome for t in load(plan.name, url).trials) == {"completed": 5, "lost": 5}


def test_a_line_after_a_torn_one_is_told(url, tmp_path, monkeypatch):
    plan = make_plan(url, trials=2, in_flight=2, sampler="random", pruner="none")
    supervisor = supervise(plan)
    specs = [supervisor.take({}, block=False) for _ in range(2)]
    monkeypatch.setattr(TableWriter, "write", away)
    finish(supervisor, specs[0], 1.0)
    with (tmp_path / f"s.db.{plan.name}.spool").open("ab") as file:
        file.write(b'{"number": 1, "tri')
    finish(supervisor, specs[1], 2.0)
    monkeypatch.undo()
    assert supervise(plan).finished == 2


def test_a_line_that_its_living_owner_adds_while_the_file_is_told_stays(tmp_path):
    writes = PendingWrites(end=(TrialState.COMPLETE, [1.0], datetime(2026, 1, 1)))
    owner = Spool([tmp_path / "study.a"], "study.*")
    owner.keep(0, 1, writes)
    reader = Spool([tmp_path / "study.b"], "study.*")
    assert [number for number, _, _ in reader.read()] == [0]
    owner.keep(1, 2, writes)
    reader.clear(others=True)
    assert [number for number, _, _ in reader.read()] == [0, 1]
    reader.clear(others=True)
    assert not reader.read()


def test_a_spool_is_forgotten_only_after_its_results_are_on_the_disk(url, monkeypatch):
    plan = make_plan(url, trials=1, sampler="random", pruner="none")
    supervisor = supervise(plan)
    monkeypatch.setattr(TableWriter, "write", away)
    finish(supervisor, supervisor.take({}, block=False), 1.0)
    monkeypatch.undo()
    engines, modes, clear = [], [], Spool.clear

    def clear_and_look(self, **options):
        with engines[-1].connect() as connection:  # as the one that has just committed
            modes.append(connection.exec_driver_sql("PRAGMA synchronous").scalar())
        clear(self, **options)

    def look_at(storage):
        engines.append(known_tables(storage)[0])
        return row_writer(storage)

    monkeypatch.setattr(open_study, "row_writer", look_at)
    monkeypatch.setattr(Spool, "clear", clear_and_look)
    assert supervise(plan).finished == 1
    assert modes == [2]  # FULL: a commit is on the disk when it returns


def end_elsewhere(url, number, value=5.0):
    optuna.load_study(study_name="s", storage=open_storage(url, create=False)).tell(number, value)


def test_a_trial_that_another_program_ends_counts_once_with_its_value(url, caplog):
    plan = make_plan(url, trials=3, in_flight=2, sampler="random", pruner="none", study="s")
    supervisor = supervise(plan)
    first, second = (supervisor.take({}, block=False) for _ in range(2))
    end_elsewhere(url, 0)
    finish(supervisor, first, 9.0)
    finish(supervisor, second, 1.0)
    assert "trial 0 was ended by another program" in caplog.text
    assert (supervisor.finished, supervisor.snapshot().best.score) == (2, 1.0)
    FakeExecutor().run(supervisor)
    assert supervisor.close() == "done"
    trials = load("s", url).trials
    assert [t.outcome for t in trials] == ["completed"] * 3
    assert trials[0].score == 5.0


def test_a_trial_that_another_program_ends_while_the_study_is_interrupted_has_no_successor(url):
    plan = make_plan(url, trials=2, in_flight=2, sampler="random", pruner="none", study="s")
    supervisor = supervise(plan)
    for _ in range(2):
        supervisor.take({}, block=False)
    end_elsewhere(url, 0)
    supervisor.interrupt()
    assert supervisor.close() == "interrupted"
    assert [t.outcome for t in load("s", url).trials] == ["completed", "lost", "waiting"]


def test_a_result_that_waits_for_the_database_stands_in_nobodys_way_once_another_program_has_ended_its_trial(
    url, monkeypatch
):
    plan = make_plan(url, trials=2, sampler="random", pruner="none", study="s")
    supervisor = supervise(plan)
    with monkeypatch.context() as patch:
        patch.setattr(TableWriter, "write", away)
        finish(supervisor, supervisor.take({}, block=False), 9.0)
    end_elsewhere(url, 0)
    assert supervisor._ledger.flush()
    FakeExecutor().run(supervisor)
    assert supervisor.close() == "done"
    ended = load("s", url).trials
    assert [t.outcome for t in ended] == ["completed"] * 2
    assert ended[0].score == 5.0


def test_a_user_without_a_home_keeps_results_beside_the_database(url, tmp_path, monkeypatch):
    monkeypatch.delenv("XDG_STATE_HOME")

    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr("pathlib.Path.home", no_home)
    plan = make_plan(url, trials=1, sampler="random", pruner="none")
    supervisor = supervise(plan)
    write = TableWriter.write
    monkeypatch.setattr(TableWriter, "write", away)
    finish(supervisor, supervisor.take({}, block=False), 1.0)
    assert (tmp_path / f"s.db.{plan.name}.spool").exists()
    monkeypatch.setattr(TableWriter, "write", write)
    assert supervise(plan).finished == 1
