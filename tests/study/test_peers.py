"""Several supervisors on one study: each knows the others' trials without reading all of them again."""

from __future__ import annotations

import optuna
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial
from study_fakes import empty_database

from tuner.study.store.buffer import BufferedStorage
from tuner.study.store.connect import open_storage
from tuner.study.store.writer import ApiWriter

LR = FloatDistribution(0, 1)


@pytest.fixture
def meet(tmp_path):
    """Return a function that gives some supervisors' storages of one study, and a plain one beside them."""
    count = 0

    def make(supervisors, api=False):
        nonlocal count
        count += 1
        path = tmp_path / f"{count}.db"
        path.write_bytes(empty_database())
        opened = [open_storage(f"sqlite:///{path}", create=False) for _ in range(supervisors + 1)]
        study = opened[0].create_new_study([optuna.study.StudyDirection.MAXIMIZE], "s")
        writers = [ApiWriter(storage) if api else None for storage in opened[1:]]
        pairs = zip(opened[1:], writers, strict=True)
        return opened[0], study, [BufferedStorage(s, study, exclusive=False, writer=w) for s, w in pairs]

    return make


def facts(trial):
    return (trial.number, trial.state, trial.values, trial.params, trial.user_attrs, trial.intermediate_values)


def begin(storage, study, lr=0.5):
    trial_id = storage.create_new_trial(study)
    storage.set_trial_param(trial_id, "lr", lr, LR)
    storage.flush()
    return trial_id


@pytest.mark.parametrize("api", [False, True])
def test_a_supervisor_sees_what_another_one_begins_and_ends(meet, api):
    _, study, (mine, theirs) = meet(2, api)
    trial_id = begin(theirs, study)
    (seen,) = mine.get_all_trials(study)
    assert (seen.state, seen.params) == (TrialState.RUNNING, {"lr": 0.5})
    theirs.set_trial_intermediate_value(trial_id, 10, 3.0)
    theirs.set_trial_state_values(trial_id, TrialState.COMPLETE, [4.0])
    (seen,) = mine.get_all_trials(study)
    assert (seen.state, seen.value, seen.intermediate_values) == (TrialState.COMPLETE, 4.0, {10: 3.0})


def test_parameters_that_come_after_the_row_are_read_then(meet):
    _, study, (mine, theirs) = meet(2)
    trial_id = theirs.create_new_trial(study)
    assert mine.get_all_trials(study)[0].params == {}
    theirs.set_trial_param(trial_id, "lr", 0.25, LR)
    theirs.flush()
    assert mine.get_all_trials(study)[0].params == {"lr": 0.25}


def test_trials_that_end_elsewhere_are_handed_on_once(meet):
    _, study, (mine, theirs) = meet(2)
    ids = [begin(theirs, study) for _ in range(3)]
    mine.look_at_others()
    assert mine.ended_elsewhere() == []
    for trial_id in ids[1:]:
        theirs.set_trial_state_values(trial_id, TrialState.COMPLETE, [1.0])
    mine.set_trial_state_values(begin(mine, study), TrialState.COMPLETE, [1.0])  # its own are not told
    mine.look_at_others()
    assert [t.number for t in mine.ended_elsewhere()] == [1, 2]
    assert mine.ended_elsewhere() == []


def test_a_queued_trial_goes_to_one_supervisor(meet):
    plain, study, (mine, theirs) = meet(2)
    queued = mine.create_new_trial(study, create_trial(state=TrialState.WAITING))
    waiting = (TrialState.WAITING,)
    assert [len(s.get_all_trials(study, states=waiting)) for s in (mine, theirs)] == [1, 1]
    assert theirs.set_trial_state_values(queued, TrialState.RUNNING) is True
    assert mine.set_trial_state_values(queued, TrialState.RUNNING) is False
    theirs.set_trial_state_values(queued, TrialState.COMPLETE, [1.0])
    assert mine.set_trial_state_values(queued, TrialState.RUNNING) is False
    assert mine.get_all_trials(study, states=waiting) == []
    assert plain.get_trial(queued).state == TrialState.COMPLETE


@pytest.mark.parametrize("api", [False, True])
def test_news_of_a_trial_that_was_closed_elsewhere_are_dropped_and_it_is_not_ended_twice(meet, api):
    plain, study, (mine, theirs) = meet(2, api)
    lost, fine = begin(mine, study), begin(mine, study)
    for trial_id in (lost, fine):
        mine.set_trial_intermediate_value(trial_id, 10, 1.0)
    theirs.set_trial_state_values(lost, TrialState.FAIL)
    mine.flush()
    assert plain.get_trial(lost).intermediate_values == {}
    assert plain.get_trial(fine).intermediate_values == {10: 1.0}
    assert mine.set_trial_state_values(lost, TrialState.COMPLETE, [1.0]) is False
    assert plain.get_trial(lost).state == mine.get_trial(lost).state == TrialState.FAIL


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from("crrefl"), st.integers(0, 2), st.integers(0, 5)), max_size=30))
def test_in_any_order_all_supervisors_end_with_what_the_database_holds(meet, steps):
    plain, study, storages = meet(3)
    ids = [[], [], []]
    for kind, who, which in steps:
        storage, own = storages[who], ids[who]
        if kind == "c" or not own:
            own.append(storage.create_new_trial(study))
            storage.set_trial_param(own[-1], "lr", which / 10, LR)
            continue
        trial_id = own[which % len(own)]
        ended = storage.get_trial(trial_id).state.is_finished()
        if kind == "r" and not ended:
            storage.set_trial_intermediate_value(trial_id, which, float(which))
        elif kind == "e" and not ended:
            storage.set_trial_state_values(trial_id, TrialState.PRUNED, [float(which)])
        elif kind == "f":
            storage.flush()
        elif kind == "l":
            storage.get_all_trials(study)
    for storage in storages:
        storage.flush()
    stored = plain.get_all_trials(study)
    assert [t.number for t in stored] == list(range(sum(map(len, ids))))
    ended = {t.number for t in stored if t.state.is_finished()}
    for storage, own in zip(storages, ids, strict=True):
        seen = storage.get_all_trials(study)
        assert [t.number for t in seen] == [t.number for t in stored]
        for mine, there in zip(seen, stored, strict=True):
            # Reports of another's trial that is not finished may be older than the database's.
            exact = mine.number in ended or mine._trial_id in own
            assert facts(mine)[: 6 if exact else 4] == facts(there)[: 6 if exact else 4]
