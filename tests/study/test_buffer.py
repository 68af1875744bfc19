"""The buffered storage: the rows that Optuna writes, in fewer transactions; a trial is finished whole or not at all."""

import gc
import sqlite3

import optuna
import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.trial import TrialState, create_trial
from study_fakes import FakeExecutor, empty_database, make_plan, search, supervise

from tuner.contract.outcome import EvalPoint, Outcome
from tuner.study.reading.study import load
from tuner.study.store import writer as rows
from tuner.study.store.buffer import BufferedStorage
from tuner.study.store.connect import open_storage
from tuner.study.store.writer import ApiWriter, TableWriter, row_writer

NAMES = {
    "trials": "trial_id, number, study_id, state",
    "trial_params": "param_id, trial_id, param_name, param_value, distribution_json",
    "trial_values": "trial_id, objective, value, value_type",
    "trial_intermediate_values": "trial_id, step, intermediate_value, intermediate_value_type",
    "trial_user_attributes": "trial_id, key, value_json",
    "trial_system_attributes": "trial_id, key, value_json",
}


def stored_rows(path):
    with sqlite3.connect(path) as connection:
        found = {t: sorted(connection.execute(f"SELECT {c} FROM {t}"), key=repr) for t, c in NAMES.items()}
    connection.close()
    return found


@pytest.fixture
def new_storage(tmp_path):
    """Return a function that gives a database of its own with one study: (path, storage, study id)."""

    def make(name):
        path = tmp_path / f"{name}.db"
        path.write_bytes(empty_database())
        storage = open_storage(f"sqlite:///{path}", create=False)
        return path, storage, storage.create_new_study([optuna.study.StudyDirection.MAXIMIZE], "s")

    return make


def play(storage, study_id, flush):
    """Do everything the supervisor does to trials, and more."""
    lr, size, kind = (
        FloatDistribution(1e-5, 1e-2, log=True),
        IntDistribution(1, 9),
        CategoricalDistribution((True, "a")),
    )
    queued = create_trial(state=TrialState.WAITING, user_attrs={"root": 1}, system_attrs={"fixed_params": {"lr": 1e-3}})
    ids = [storage.create_new_trial(study_id), storage.create_new_trial(study_id)]
    ids.append(storage.create_new_trial(study_id, queued))
    assert storage.set_trial_state_values(ids[2], TrialState.RUNNING)
    for number, trial_id in enumerate(ids):
        storage.set_trial_param(trial_id, "lr", 1e-3 * (number + 1), lr)
        storage.set_trial_param(trial_id, "size", 3, size)
        storage.set_trial_param(trial_id, "kind", 1, kind)
        storage.set_trial_user_attr(trial_id, "root", [1, "two", None, {"three": 4.5}])
        storage.set_trial_system_attr(trial_id, "rung", 7)
    flush()
    for step, value in ((10, 1.5), (20, float("nan")), (30, float("inf")), (40, -1e300)):
        for trial_id in ids:
            storage.set_trial_intermediate_value(trial_id, step, value)
    flush()
    storage.set_trial_intermediate_value(ids[0], 10, 2.5)  # corrected after it was written
    storage.set_trial_intermediate_value(ids[0], 50, 3.0)
    storage.set_trial_intermediate_value(ids[0], 50, 4.0)  # corrected before
    storage.set_trial_user_attr(ids[0], "root", "again")
    storage.set_trial_system_attr(ids[1], "rung", "again")
    storage.set_trial_state_values(ids[0], TrialState.COMPLETE, [12.5])
    storage.set_trial_state_values(ids[1], TrialState.PRUNED, [float("-inf")])
    storage.set_trial_state_values(ids[2], TrialState.FAIL)
    return ids


@pytest.mark.parametrize("writer", [TableWriter, ApiWriter])
def test_the_rows_are_those_that_optuna_writes(new_storage, writer):
    plain_path, plain, plain_study = new_storage("plain")
    path, backend, study = new_storage("buffered")
    chosen = row_writer(backend) if writer is TableWriter else ApiWriter(backend)
    assert type(chosen) is writer
    buffered = BufferedStorage(backend, study, exclusive=True, writer=chosen)
    assert play(buffered, study, buffered.flush) == play(plain, plain_study, lambda: None)
    assert stored_rows(path) == stored_rows(plain_path)
    for mine, theirs in zip(backend.get_all_trials(study), plain.get_all_trials(plain_study), strict=True):
        for moment in ("datetime_start", "datetime_complete"):
            assert abs(getattr(mine, moment) - getattr(theirs, moment)).total_seconds() < 60


@pytest.mark.parametrize("writer", [row_writer, ApiWriter])
def test_a_study_that_is_let_go_of_lets_go_of_its_database(new_storage, writer):
    def opened():
        gc.collect()
        return [file.path for file in psutil.Process().open_files() if file.path.startswith(str(path))]

    path, backend, study = new_storage("s")
    buffered = BufferedStorage(backend, study, exclusive=True, writer=writer(backend))
    play(buffered, study, buffered.flush)
    assert opened()
    del backend, buffered
    assert opened() == []


@pytest.mark.parametrize("exclusive", [True, False])
def test_trials_in_memory_are_those_in_the_database(new_storage, exclusive):
    _, backend, study = new_storage("s")
    buffered = BufferedStorage(backend, study, exclusive=exclusive)
    play(buffered, study, buffered.flush)
    for mine, theirs in zip(buffered.get_all_trials(study), backend.get_all_trials(study), strict=True):
        for field in ("number", "state", "values", "params", "distributions", "user_attrs", "system_attrs"):
            assert getattr(mine, field) == getattr(theirs, field)
        assert repr(mine.intermediate_values) == repr(theirs.intermediate_values)
        assert buffered.get_trial(mine._trial_id) == mine or mine.state == TrialState.PRUNED or exclusive is False


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from("urpfce"), st.integers(0, 2), st.integers(0, 3)), max_size=40))
def test_in_any_order_of_writes_the_database_holds_what_was_written(new_storage, steps):
    global counter
    counter += 1
    _, backend, study = new_storage(f"s{counter}")
    buffered, ids = BufferedStorage(backend, study, exclusive=True), []
    for kind, which, key in [("c", 0, 0), *steps]:
        buffered.check_valid()
        if kind == "c":
            ids.append(buffered.create_new_trial(study))
            continue
        trial_id = ids[which % len(ids)]
        if kind == "f":
            buffered.flush()
        elif buffered.get_trial(trial_id).state.is_finished():
            with pytest.raises(UpdateFinishedTrialError):
                buffered.set_trial_user_attr(trial_id, "k", 1)
        elif kind == "u":
            buffered.set_trial_user_attr(trial_id, f"k{key}", key)
        elif kind == "r":
            buffered.set_trial_intermediate_value(trial_id, key, float(which))
        elif kind == "e":
            buffered.set_trial_state_values(trial_id, TrialState.COMPLETE, [float(key)])
    buffered.flush()
    buffered.check_valid()
    for mine, theirs in zip(buffered.get_all_trials(study), backend.get_all_trials(study), strict=True):
        assert (mine.number, mine.state, mine.values) == (theirs.number, theirs.state, theirs.values)
        assert (mine.user_attrs, mine.intermediate_values) == (theirs.user_attrs, theirs.intermediate_values)


counter = 0


def test_where_optunas_tables_look_different_its_public_api_writes(new_storage, tmp_path, monkeypatch):
    monkeypatch.setitem(rows._COLUMNS, "TrialParamModel", {"trial_id", "something_new"})
    assert type(row_writer(new_storage("s")[1])) is ApiWriter
    assert type(row_writer(optuna.storages.InMemoryStorage())) is ApiWriter
    studies = []
    for name in ("api", "tables"):
        plan = make_plan(f"sqlite:///{tmp_path}/{name}.db", trials=6, startup_trials=2)
        search(plan, FakeExecutor(lambda spec: "diverged" if spec.run_id.trial == 1 else "completed"))
        studies.append([(t.params, t.outcome, t.score, t.curves) for t in load(plan.name, plan.storage).trials])
        monkeypatch.undo()
    assert studies[0] == studies[1]


def test_a_trial_ends_with_all_its_values_or_not_at_all(tmp_path, monkeypatch):
    url = f"sqlite:///{tmp_path}/s.db"
    plan = make_plan(url, trials=1)
    supervisor = supervise(plan)
    run_id = supervisor.take({}, block=False).run_id
    for step in plan.grid:
        supervisor.report([EvalPoint(run_id, step, (1.0,), (1,))])

    def power_cut(*arguments):
        raise StorageInternalError("gone")

    monkeypatch.setattr(TableWriter, "_end", power_cut)  # the transaction's last statement
    supervisor.finish(Outcome(run_id, "completed", 1000))  # kept in the spool
    monkeypatch.undo()
    (trial,) = load(plan.name, url).trials
    assert (trial.state, trial.outcome, trial.score, trial.curves) == ("RUNNING", "running", None, {})
    supervisor._ledger.flush()  # the database is back: nothing was forgotten
    (trial,) = load(plan.name, url).trials
    assert [p.step for p in trial.curves[0]] == list(plan.grid)
    assert search(plan).finished == 1


def test_a_shared_study_shows_the_trials_of_others_and_gives_every_number_once(new_storage):
    path, backend, study = new_storage("s")
    both = [
        BufferedStorage(storage, study, exclusive=False)
        for storage in (backend, open_storage(f"sqlite:///{path}", create=False))
    ]
    for turn in range(4):
        storage = both[turn % 2]
        trial_id = storage.create_new_trial(study)
        storage.set_trial_intermediate_value(trial_id, 10, float(turn))
        storage.set_trial_state_values(trial_id, TrialState.COMPLETE, [float(turn)])
        storage.check_valid()
    for storage in both:
        assert [(t.number, t.value) for t in storage.get_all_trials(study)] == [(i, float(i)) for i in range(4)]


@pytest.mark.parametrize("memory", ["_pending", "_open", "_all"])
def test_a_memory_that_has_lost_a_trial_is_not_valid(new_storage, memory):
    _, backend, study = new_storage("s")
    buffered = BufferedStorage(backend, study, exclusive=True)
    buffered.create_new_trial(study)
    buffered.check_valid()
    getattr(buffered, memory).clear()
    with pytest.raises((AssertionError, KeyError)):
        buffered.check_valid()


def test_what_a_reader_has_got_does_not_change_under_its_hands(new_storage):
    _, backend, study = new_storage("s")
    buffered = BufferedStorage(backend, study, exclusive=True)
    trial_id = buffered.create_new_trial(study)
    before = buffered.get_all_trials(study, deepcopy=False)[0]
    buffered.set_trial_user_attr(trial_id, "a", 1)
    buffered.set_trial_intermediate_value(trial_id, 1, 1.0)
    buffered.set_trial_state_values(trial_id, TrialState.COMPLETE, [1.0])
    assert (before.user_attrs, before.intermediate_values, before.state) == ({}, {}, TrialState.RUNNING)
