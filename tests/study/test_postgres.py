"""Several supervisors share one study in PostgreSQL: exact totals, owners that die, a server that restarts."""

import dataclasses
import os
import random
import socket
import threading
import time
from collections import Counter
from datetime import datetime, timedelta

import optuna
import pytest
import sqlalchemy
from network import Network
from optuna.exceptions import StorageInternalError
from optuna.trial import TrialState
from postgres_server import connections_closed
from study_fakes import SPACE, FakeExecutor, finish, make_plan, supervise

from tuner.contract.roles import DONE, WAIT
from tuner.contract.spec import RunSpec
from tuner.errors import InputError, ResumeError, StorageLostError, StudyLockedError
from tuner.plan.known import known_settings
from tuner.study.confirm.stage import ConfirmStage
from tuner.study.reading.study import load
from tuner.study.reading.summaries import list_studies
from tuner.study.search import open_study
from tuner.study.search.progress import NoProgress
from tuner.study.store import connect, leases, locks, shared_writer, writer
from tuner.study.store.companion import open_companion
from tuner.study.store.connect import open_storage, storage_errors
from tuner.study.store.health import at_work, unfinished_studies
from tuner.study.store.locks import advisory_lock
from tuner.study.store.shared_writer import SharedWriter
from tuner.study.upkeep.copy import copy_study
from tuner.study.upkeep.delete import delete_study
from tuner.study.upkeep.repair import Mended, mend_study

COUNTED = ("completed", "pruned", "diverged", "timed_out", "failed")


@pytest.fixture
def url(server, request, tmp_path):
    patch = pytest.MonkeyPatch()
    patch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    patch.setattr("tuner.study.search.ledger.RECLAIM_S", 0.0)
    patch.setattr("tuner.study.search.ledger.RECOUNT_S", 0.0)
    patch.setattr("tuner.study.search.ledger.REAP_S", 0.0)
    with connections_closed():
        yield server.new_database(f"t{abs(hash(request.node.name))}", template="empty")
        for thread in threading.enumerate():
            if thread.name == "tune-lease":
                thread.join(0.1)
    patch.undo()


def sharing_of(supervisor):
    return supervisor._ledger._sharing


def kill(supervisor):
    """What ``kill -9`` leaves: a lease that nobody renews, here one that has run out."""
    held = sharing_of(supervisor)._leases
    held._stop.set()
    held._thread.join()
    held._delete([held.name])


def check_exact(plan, url, trials):
    data = load(plan.name, url)
    assert sum(data.count(o) for o in COUNTED) == trials
    assert {t.state for t in data.trials} <= {"COMPLETE", "PRUNED", "FAIL"}
    assert [t.number for t in data.trials] == list(range(len(data.trials)))
    lost = [t for t in data.trials if t.outcome == "lost"]
    assert len(data.trials) == trials + len(lost)
    return data


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="this system has no such timeout")
def test_what_a_server_does_not_acknowledge_is_given_up_after_half_a_minute(url):
    """A query is under way then, so that keepalives, which are for silent connections, would notice nothing."""
    with open_storage(url, create=True)._backend.engine.connect() as connection:
        held = socket.socket(fileno=os.dup(connection.connection.dbapi_connection.fileno()))
        with held:
            assert held.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000


@pytest.mark.slow
def test_supervisors_that_come_and_go_end_with_exactly_n_and_no_point_twice(url):
    luck = random.Random(3)
    plan = make_plan(url, trials=12, in_flight=2, sampler="random", pruner="none", study="s")
    workers = []  # (supervisor, held runs)
    killed = 0
    for turn in range(3000):
        if turn in (0, 1, 2, 25, 50):
            workers.append((supervise(plan), []))
        if turn in (20, 40):
            supervisor, _ = workers.pop(0)
            kill(supervisor)
            killed += 1
        supervisor, held = luck.choice(workers)
        answer = supervisor.take({}, block=False)
        if isinstance(answer, RunSpec):
            held.append(answer)
        elif answer is DONE:
            workers.remove((supervisor, held))
            assert supervisor.close() == "done"
            assert not held
        if held and luck.random() < 0.3:
            finish(supervisor, held.pop(0), mean=luck.random())
        if not workers:
            break
    assert killed == 2
    data = check_exact(plan, url, 12)
    attempts = Counter(str(t.params) for t in data.trials)
    lost = Counter(str(t.params) for t in data.trials if t.outcome == "lost")
    assert all(attempts[p] == lost[p] + 1 for p in attempts)  # each lost one has exactly one successor
    assert sum(lost.values()) > 0
    assert not [k for k in study_attrs(plan, url) if k.startswith(leases.PREFIX)]


def test_supervisors_that_share_a_grid_train_each_of_its_points_once(url):
    listed = {**SPACE, "search": {"learning_rate": {"choices": [1e-4, 1e-3, 1e-2]}, "tau": {"choices": [0.5, 1.0]}}}
    plan = make_plan(url, trials=6, space=listed, sampler="grid", pruner="none", study="s")
    plan = dataclasses.replace(plan, known=known_settings(plan.recipe, plan.space))
    first, second, killed = (supervise(plan) for _ in range(3))
    killed.take({}, block=False)
    asked = [supervisor.take({}, block=False) for supervisor in (first, second)]
    kill(killed)
    for supervisor, spec in zip((first, second), asked, strict=True):
        finish(supervisor, spec)
    while (spec := first.take({}, block=False)) not in (WAIT, DONE):
        finish(first, spec)
        if isinstance(spec := second.take({}, block=False), RunSpec):
            finish(second, spec)
    for supervisor in (first, second):
        supervisor.close()
    data = check_exact(plan, url, 6)
    assert Counter(str(t.params) for t in data.trials if t.outcome == "completed") == Counter(map(str, plan.known.grid))


def study_attrs(plan, url):
    import optuna

    return optuna.load_study(study_name=plan.name, storage=url).user_attrs


def test_the_last_ones_death_is_noticed_by_the_supervisor_that_waits_for_it(url):
    plan = make_plan(url, trials=2, in_flight=1, sampler="random", pruner="none", study="s")
    first, second = supervise(plan), supervise(plan)
    one, two = first.take({}, block=False), second.take({}, block=False)
    finish(first, one)
    assert first.take({}, block=False) is WAIT  # the other one may die
    kill(second)
    again = first.take({}, block=False)
    assert again.seed == two.seed
    finish(first, again)
    assert first.take({}, block=False) is DONE
    first.close()
    data = check_exact(plan, url, 2)
    assert [t.outcome for t in data.trials] == ["completed", "lost", "completed"]


def begin_both_at_once(monkeypatch, plan, other):
    """The other one begins once the first has found that nobody has; return (the first, what came of the other)."""
    describe, came = open_study._describe, []

    def begin():
        try:
            came.append(supervise(other))
        except ResumeError as error:
            came.append(error)

    thread = threading.Thread(target=begin)

    def describe_late(*arguments):
        if threading.current_thread() is not thread and not thread.ident:
            thread.start()
            thread.join(1.0)
        return describe(*arguments)

    monkeypatch.setattr(open_study, "_describe", describe_late)
    first = supervise(plan)
    thread.join()
    return first, came[0]


def test_of_two_that_begin_a_study_at_once_with_other_settings_one_is_told(url, monkeypatch):
    plans = [make_plan(url, trials=1, sampler="random", study="s", seed=seed) for seed in (1, 2)]
    first, refused = begin_both_at_once(monkeypatch, *plans)
    assert "--seed was 1, now 2" in str(refused)
    first.close()
    assert study_attrs(plans[0], url)["recipe"]["seed"] == 1


def test_two_that_begin_a_study_at_once_share_it(url, monkeypatch):
    plan = make_plan(url, trials=2, sampler="random", study="s")
    pair = begin_both_at_once(monkeypatch, plan, plan)
    for supervisor, spec in [(supervisor, supervisor.take({}, block=False)) for supervisor in pair]:
        finish(supervisor, spec)
    for supervisor in pair:
        assert supervisor.take({}, block=False) is DONE
        assert supervisor.close() == "done"
    check_exact(plan, url, 2)
    assert len(study_attrs(plan, url)["provenance"]["resumed"]) == 1


def test_a_trial_has_its_owner_from_its_first_moment(url):
    plan = make_plan(url, trials=1, sampler="random", study="s")
    killed = supervise(plan)
    writer = sharing_of(killed).writer
    writer.create(killed._ledger._study_id)  # killed between the claim and anything else
    assert [t.state for t in load(plan.name, url).trials] == ["RUNNING"]
    kill(killed)
    late = supervise(plan)
    finish(late, late.take({}, block=False))
    late.close()
    assert [t.outcome for t in check_exact(plan, url, 1).trials] == ["lost", "completed"]


def test_a_supervisor_never_takes_its_own_trials_for_dead_but_for_those_it_knows_nothing_of(url):
    plan = make_plan(url, trials=2, sampler="random", study="s")
    supervisor = supervise(plan)
    spec = supervisor.take({}, block=False)
    sharing_of(supervisor).writer.create(supervisor._ledger._study_id)  # the answer never came
    kill(supervisor)  # its lease has run out, and it lives
    assert supervisor._ledger.settle().lost == [1]
    finish(supervisor, spec)
    FakeExecutor().run(supervisor)
    supervisor.close()
    assert [t.outcome for t in check_exact(plan, url, 2).trials] == ["completed", "lost", "completed"]


def test_a_reaper_that_dies_between_closing_and_queueing_has_done_neither(url, monkeypatch):
    plan = make_plan(url, trials=1, sampler="random", study="s")
    killed = supervise(plan)
    killed.take({}, block=False)
    kill(killed)

    def dies(*arguments):
        raise StorageInternalError("killed")

    monkeypatch.setattr(SharedWriter, "_enqueue", dies)
    with pytest.raises(Exception, match="does not answer"):
        supervise(plan)
    assert [t.state for t in load(plan.name, url).trials] == ["RUNNING"]
    monkeypatch.undo()
    for _ in range(2):
        supervise(plan)
    assert [t.state for t in load(plan.name, url).trials] == ["FAIL", "WAITING"]


def test_a_live_trial_that_a_peer_took_for_dead_counts_once_and_the_late_result_is_dropped(url, caplog):
    plan = make_plan(url, trials=1, sampler="random", study="s")
    slow, peer = supervise(plan), supervise(plan)
    spec = slow.take({}, block=False)
    (trial,) = peer._ledger._study.get_trials()
    sharing_of(peer).bury([trial], "taken for dead", successors=True)
    successor = peer.take({}, block=False)
    finish(slow, spec, mean=7.0)
    assert "given to another supervisor" in caplog.text
    assert slow.take({}, block=False) is WAIT
    finish(peer, successor, mean=8.0)
    assert slow.take({}, block=False) is DONE
    for supervisor in (slow, peer):
        assert supervisor.close() == "done"
    data = check_exact(plan, url, 1)
    assert [(t.outcome, t.score) for t in data.trials] == [("lost", None), ("completed", 8.0)]


def test_a_trial_that_another_program_ends_counts_once_and_nobody_waits_for_it(url, caplog):
    plan = make_plan(url, trials=2, in_flight=2, sampler="random", study="s")
    supervisor = supervise(plan)
    first, second = (supervisor.take({}, block=False) for _ in range(2))
    optuna.load_study(study_name="s", storage=open_storage(url, create=False)).tell(0, 5.0)
    for spec in (first, second):
        finish(supervisor, spec, mean=1.0)
    assert "trial 0 was ended by another program" in caplog.text
    assert supervisor.take({}, block=False) is DONE
    assert supervisor.close() == "done"
    assert supervisor.finished == 2
    assert [(t.outcome, t.score) for t in check_exact(plan, url, 2).trials] == [("completed", 5.0), ("completed", 1.0)]


def test_the_lease_outlives_writes_that_fail_and_no_trial_is_taken_for_dead(url, monkeypatch):
    monkeypatch.setattr(leases, "BEAT_S", 0.02)
    plan = make_plan(url, trials=1, sampler="random", study="s")
    supervisor = supervise(plan)
    spec = supervisor.take({}, block=False)
    failures, original = [], leases.Leases.renew

    def renew(self):
        if len(failures) < 3:
            failures.append(1)
            raise StorageInternalError("no")
        original(self)

    monkeypatch.setattr(leases.Leases, "renew", renew)
    held, deadline = sharing_of(supervisor)._leases, time.monotonic() + 20
    before = study_attrs(plan, url)[leases.PREFIX + held.name]["beat"]
    while study_attrs(plan, url)[leases.PREFIX + held.name]["beat"] == before:
        assert time.monotonic() < deadline
    assert len(failures) == 3
    assert held._thread.is_alive()
    peer = supervise(plan)
    assert peer.take({}, block=False) is WAIT
    finish(supervisor, spec)
    for one in (supervisor, peer):
        one.close()
    assert [t.outcome for t in check_exact(plan, url, 1).trials] == ["completed"]


def test_a_lease_that_has_run_out_or_whose_process_is_gone_here_is_dead():
    here = {"host": "h", "place": leases._place(), "pid": 1, "since": "", "beat": 1000.0}
    found = leases.owners(
        {
            "owner:alive": here,
            "owner:old": {**here, "beat": 1000.0 - leases.LEASE_S - 1},
            "owner:gone": {**here, "pid": 2**22 + 1},
            "owner:elsewhere": {**here, "place": "another machine", "pid": 2**22 + 1},
            "recipe": {},
        },
        now=1000.0,
    )
    assert set(found) == {"alive", "elsewhere"}


@pytest.mark.skipif(not leases._BOOT.exists(), reason="only Linux numbers its starts")
def test_a_process_of_another_machine_of_the_same_name_is_not_looked_for_here(tmp_path, monkeypatch):
    """Outside of containers the namespace of process ids, too, has one number on all machines."""
    other = tmp_path / "boot_id"
    other.write_text("00000000-0000-0000-0000-000000000000\n")
    with monkeypatch.context() as there:
        there.setattr(leases, "_BOOT", other)
        place = leases._place()
    lease = {"host": "h", "place": place, "pid": 2**22 + 1, "since": "", "beat": 1000.0}
    assert set(leases.owners({"owner:alive": lease}, now=1000.0)) == {"alive"}
    assert leases.owners({"owner:gone": {**lease, "place": leases._place()}}, now=1000.0) == {}


def test_a_dead_lease_is_removed_by_the_next_who_reaps_and_a_living_one_stays(url, monkeypatch):
    monkeypatch.setattr(leases, "UNSURE_S", 0.0)
    plan = make_plan(url, trials=3, in_flight=2, sampler="random", study="s")
    dead, supervisor = supervise(plan), supervise(plan)
    held = sharing_of(dead)._leases
    held._stop.set()
    held._thread.join()
    study = optuna.load_study(study_name="s", storage=open_storage(url, create=False))
    key = leases.PREFIX + held.name
    study.set_user_attr(key, {**study.user_attrs[key], "beat": study.user_attrs[key]["beat"] - 3600})
    sharing_of(supervisor).reap([], (), successors=True)
    stored = [k for k in study.user_attrs if k.startswith(leases.PREFIX)]
    assert stored == [leases.PREFIX + sharing_of(supervisor).owner]
    supervisor.close()


@pytest.mark.parametrize("step", ["make_sampler", "make_pruner", "Ledger"])
def test_a_study_that_cannot_be_opened_to_its_end_has_no_lease(url, monkeypatch, step):
    """Its thread would renew it for as long as the process lives, as a notebook does."""

    def fail(*arguments, **named):
        raise InputError("on purpose")

    plan = make_plan(url, trials=1, sampler="random", study="s")
    monkeypatch.setattr(open_study, step, fail)
    with pytest.raises(InputError, match="on purpose"):
        supervise(plan)
    assert at_work(open_storage(url, create=False), None, "s") == ()


def age(url, key, seconds):
    """Let a lease look as if it had not been renewed for that long."""
    study = optuna.load_study(study_name="s", storage=open_storage(url, create=False))
    study.set_user_attr(key, {**study.user_attrs[key], "beat": study.user_attrs[key]["beat"] - seconds})


def test_an_old_lease_is_no_death_until_it_was_seen_unchanged(url, monkeypatch):
    monkeypatch.setattr(leases, "UNSURE_S", 0.5)
    plan = make_plan(url, trials=2, in_flight=1, sampler="random", pruner="none", study="s")
    one, other = supervise(plan), supervise(plan)
    spec, held = other.take({}, block=False), sharing_of(other)._leases
    assert one._ledger.settle().lost == []
    for _ in range(3):  # as after a long lock, an outage, or a jump of the database's clock, either way
        age(url, leases.PREFIX + held.name, 3600)
        assert one._ledger.settle().lost == []
        time.sleep(0.3)
        held.renew()
        assert one._ledger.settle().lost == []
        age(url, leases.PREFIX + held.name, -3600)
        assert one._ledger.settle().lost == []
        time.sleep(0.3)
        held.renew()
    finish(other, spec)
    again = other.take({}, block=False)
    age(url, leases.PREFIX + held.name, 3600)
    assert one._ledger.settle().lost == []
    time.sleep(0.6)
    assert one._ledger.settle().lost == []  # it did not look meanwhile
    deadline = time.monotonic() + 60
    while not (lost := one._ledger.settle().lost):
        assert time.monotonic() < deadline
    assert lost == [1]
    successor = one.take({}, block=False)
    assert successor.seed == again.seed
    finish(one, successor)
    for supervisor in (one, other):
        supervisor.close()
    assert [t.outcome for t in check_exact(plan, url, 2).trials] == ["completed", "lost", "completed"]


class Clock:
    """Wall clocks of machines that are ten minutes apart, and jump by up to an hour whenever they are read."""

    luck = random.Random(1)
    now = datetime.now

    @classmethod
    def read(cls, zone=None):
        return cls.now(zone) + timedelta(seconds=cls.luck.choice((-600, 600)) + cls.luck.uniform(-3600, 3600))


def test_clocks_that_differ_and_jump_change_no_total_and_take_no_trial(url, monkeypatch):
    class Wrong(datetime):
        now = Clock.read

    for module in (shared_writer, writer, leases):
        monkeypatch.setattr(module, "datetime", Wrong)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + Clock.luck.uniform(-3600, 3600))
    plan = make_plan(url, trials=8, in_flight=2, sampler="random", pruner="none", study="s")
    workers = [(supervise(plan), []) for _ in range(2)]
    while workers:
        for supervisor, held in list(workers):
            answer = supervisor.take({}, block=False)
            if isinstance(answer, RunSpec):
                held.append(answer)
            elif held:
                finish(supervisor, held.pop(0))
            elif answer is DONE:
                assert supervisor.close() == "done"
                workers.remove((supervisor, held))
    assert [t.outcome for t in check_exact(plan, url, 8).trials] == ["completed"] * 8


def test_a_table_that_is_locked_for_longer_than_a_lease_takes_no_living_supervisors_trial(url, monkeypatch):
    """Two minutes become two seconds, and all intervals a sixtieth."""
    for name, seconds in (("LEASE_S", 1.0), ("BEAT_S", 0.17), ("UNSURE_S", 1.0)):
        monkeypatch.setattr(leases, name, seconds)
    plan = make_plan(url, trials=2, in_flight=1, sampler="random", pruner="none", study="s")
    pair = [supervise(plan) for _ in range(2)]
    held = [(supervisor, supervisor.take({}, block=False)) for supervisor in pair]
    ended = threading.Event()
    reaped = []

    def reap(supervisor):
        while not ended.is_set():
            reaped.append(supervisor._ledger.settle().lost)

    threads = [threading.Thread(target=reap, args=(supervisor,)) for supervisor in pair]
    with open_storage(url, create=False)._backend.engine.begin() as connection:
        connection.exec_driver_sql("lock table study_user_attributes in access exclusive mode")
        for thread in threads:
            thread.start()
        time.sleep(2.0)
    time.sleep(1.0)
    ended.set()
    for thread in threads:
        thread.join()
    assert reaped and not any(reaped)
    for supervisor, spec in held:
        finish(supervisor, spec)
    for supervisor in pair:
        assert supervisor.take({}, block=False) is DONE
        supervisor.close()
    assert [t.outcome for t in check_exact(plan, url, 2).trials] == ["completed"] * 2


def test_a_supervisor_that_is_cut_off_without_a_word_goes_on_when_the_network_does(server, url, monkeypatch):
    for name, seconds in (("LEASE_S", 0.5), ("BEAT_S", 0.1), ("UNSURE_S", 0.3)):
        monkeypatch.setattr(leases, name, seconds)
    monkeypatch.setattr(connect, "SILENT_S", 1.0)  # it may be cut off with locks in its hands
    network = Network(server.port)
    plan = make_plan(url, trials=2, in_flight=1, sampler="random", pruner="none", study="s")
    far_plan = make_plan(url.replace(f":{server.port}/", f":{network.port}/"), trials=2, in_flight=1, sampler="random",
                         pruner="none", study="s")  # fmt: skip
    near, far = supervise(plan), supervise(far_plan)
    spec, other = near.take({}, block=False), far.take({}, block=False)
    network.cut()
    late = threading.Thread(target=finish, args=(far, other, 7.0))
    late.start()
    deadline = time.monotonic() + 60
    while not (lost := near._ledger.settle().lost):  # cut off for far longer than a lease lasts
        assert time.monotonic() < deadline
    finish(near, spec)
    again = near.take({}, block=False)
    assert again.seed == other.seed
    network.mend()
    late.join(60)
    finish(near, again, 8.0)
    for supervisor in (near, far):
        assert supervisor.take({}, block=False) is DONE
        assert supervisor.close() == "done"
    network.close()
    data = check_exact(plan, url, 2)
    assert [(t.outcome, t.score) for t in data.trials if t.number in (*lost, data.trials[-1].number)] == [
        ("lost", None), ("completed", 8.0),
    ]  # fmt: skip


def test_a_lock_whose_connection_was_cut_is_taken_again_or_given_up_when_another_has_it(url, monkeypatch):
    monkeypatch.setattr(locks, "WATCH_S", 0.1)
    monkeypatch.setattr(locks, "GIVE_UP_S", 0.3)
    admin = open_storage(url, create=False)._backend.engine

    def cut():
        with admin.begin() as connection:
            connection.exec_driver_sql(
                "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and granted"
            )

    lost = threading.Event()
    with advisory_lock(url, "s.confirm") as claim:
        claim.on_lost = lost.set
        cut()
        time.sleep(1.0)
        assert not lost.is_set()
        with advisory_lock(url, "s.confirm") as other:
            assert not other
        with admin.connect() as thief:
            cut()
            while not thief.exec_driver_sql("select pg_try_advisory_lock(hashtext('s.confirm'))").scalar():
                cut()
            assert lost.wait(30)


def test_a_server_that_restarts_in_the_middle_costs_nothing(server, url):
    plan = make_plan(url, trials=6, in_flight=2, sampler="random", pruner="none", study="s")
    supervisor = supervise(plan)
    first = supervisor.take({}, block=False)
    server.restart()
    finish(supervisor, first, mean=3.5)
    FakeExecutor(lanes=2).run(supervisor)
    assert supervisor.close() == "done"
    data = check_exact(plan, url, 6)
    assert [t.outcome for t in data.trials] == ["completed"] * 6
    assert data.trials[0].score == 3.5


@pytest.mark.parametrize("answers", [2, 3, 4])
def test_a_trial_whose_claim_was_the_servers_last_answer_is_trained(url, monkeypatch, answers):
    plan = make_plan(url, trials=3, sampler="random", pruner="none", study="s")
    supervisor = supervise(plan)
    finish(supervisor, supervisor.take({}, block=False))
    changes, left = SharedWriter.changes, [answers]

    def goes_away(self, *arguments):
        left[0] -= 1
        if left[0] < 0:
            raise StorageInternalError("server closed the connection")
        return changes(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(SharedWriter, "changes", goes_away)
        first = supervisor.take({}, block=False)
    monkeypatch.setattr("tuner.study.search.outage.RETRY_S", 0.0)
    supervisor._outage._again = 0.0
    if isinstance(first, RunSpec):
        finish(supervisor, first)
    for _ in range(5):
        if isinstance(spec := supervisor.take({}, block=False), RunSpec):
            finish(supervisor, spec)
    assert spec is DONE
    assert supervisor.close() == "done"
    check_exact(plan, url, 3)


def test_a_result_told_while_the_server_is_away_is_told_on_its_return_by_whoever_comes(server, url):
    plan = make_plan(url, trials=3, in_flight=2, sampler="random", pruner="none", study="s")
    supervisor = supervise(plan)
    first, second = (supervisor.take({}, block=False) for _ in range(2))
    server.stop()
    try:
        finish(supervisor, first, mean=0.1 + 0.2)
        assert supervisor._ledger.unwritten == 1
        assert supervisor.take({}, block=False) is WAIT
    finally:
        server.start()
    held = sharing_of(supervisor)._leases
    held._stop.set()
    held._thread.join()
    kill(supervisor)  # with its result on the disk only
    late = supervise(plan)
    assert late.finished == 1
    again = late.take({}, block=False)
    assert again.seed == second.seed
    finish(late, again)
    FakeExecutor().run(late)
    late.close()
    data = check_exact(plan, url, 3)
    assert data.trials[0].score == 0.1 + 0.2


@pytest.mark.slow
@pytest.mark.parametrize("pruner", ["median", "halving", "hyperband"])
def test_while_the_server_is_away_what_trains_goes_on_whatever_the_pruner(url, monkeypatch, pruner, asked_again_soon):
    plan = make_plan(url, trials=4, in_flight=2, sampler="random", pruner=pruner, study="s")
    supervisor = supervise(plan)
    specs = [supervisor.take({}, block=False) for _ in range(2)]

    def away(*arguments):
        raise StorageInternalError("server closed the connection")

    with monkeypatch.context() as patch:
        for name in ("changes", "write", "create", "begin"):
            patch.setattr(SharedWriter, name, away)
        for spec in specs:
            finish(supervisor, spec)
        assert supervisor.finished == 2
        assert supervisor.take({}, block=False) is WAIT
    time.sleep(asked_again_soon)
    FakeExecutor(lanes=2).run(supervisor)
    assert supervisor.close() == "done"
    data = check_exact(plan, url, 4)
    assert [t.outcome for t in data.trials[:2]] == ["completed"] * 2


def test_the_rows_a_transaction_wrote_whose_answer_never_came_may_be_written_again(url):
    plan = make_plan(url, trials=1, sampler="random", study="s")
    supervisor = supervise(plan)
    spec = supervisor.take({}, block=False)
    written, writer = [], sharing_of(supervisor).writer
    original = writer.write

    def write(pending):
        pairs = list(pending)
        written.append(pairs)
        original(pairs)
        original(pairs)

    writer.write = write
    finish(supervisor, spec)
    assert written
    assert not writer.taken_away
    supervisor.close()
    assert check_exact(plan, url, 1).trials[0].score == 1.0


def test_a_look_at_a_database_of_another_program_makes_no_table_in_it(server):
    url = server.new_database("theirs")
    for look in (list_studies, lambda url: load("s", url), lambda url: open_storage(url, create=False)):
        with pytest.raises(InputError, match=r"holds no studies, nor any table for them\. Run a study first"):
            look(url)
    engine = sqlalchemy.create_engine(url)
    try:
        assert not sqlalchemy.inspect(engine).get_table_names()
    finally:
        engine.dispose()


def test_who_may_not_write_waits_for_nothing_and_reads_what_to_ask_for(url):
    supervise(make_plan(url, trials=1, sampler="random", study="s")).close()
    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:
        for statement in ("DROP ROLE IF EXISTS reader", "CREATE ROLE reader LOGIN"):
            connection.exec_driver_sql(statement)
        connection.exec_driver_sql("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader")
    reader = sqlalchemy.make_url(url).set(username="reader").render_as_string(hide_password=False)
    try:
        assert [summary.name for summary in list_studies(reader)] == ["s"]
        storage = open_storage(reader, create=False)
        words = r"permission denied for .* Ask its owner for the rights"
        with pytest.raises(StorageLostError, match=words) as caught, storage_errors(reader):
            optuna.create_study(study_name="mine", storage=storage)
        assert not caught.value.passes
    finally:
        with engine.begin() as connection:
            connection.exec_driver_sql("DROP OWNED BY reader")
            connection.exec_driver_sql("DROP ROLE reader")
        engine.dispose()


def test_a_study_is_listed_with_those_who_work_on_it(url):
    plan = make_plan(url, trials=1, sampler="random", study="s")
    supervisor = supervise(plan)
    (summary,) = list_studies(url)
    (owner,) = summary.owners
    assert owner.endswith(f":{os.getpid()}")
    supervisor.close()
    assert list_studies(url)[0].owners == ()


def test_a_study_whose_finalists_train_is_neither_deleted_nor_copied(url, tmp_path):
    plan = make_plan(url, trials=1, sampler="random", study="s", report_dir=str(tmp_path))
    done = supervise(plan)
    FakeExecutor().run(done)
    done.close()
    storage = open_storage(url, create=False)
    confirm, _ = open_companion(optuna.load_study(study_name="s", storage=storage), storage)
    confirm.set_user_attr("confirm", {})
    there = f"sqlite:///{tmp_path}/there.db"

    def refuses(who):
        with pytest.raises(StudyLockedError, match=f"'s' is being run by {who}"):
            delete_study("s", url)
        with pytest.raises(StudyLockedError, match=f"'s' is being run by {who}"):
            copy_study("s", url, there)

    with advisory_lock(url, "s.confirm"):  # it is about to begin
        refuses("another process")
    stage = open_study.buffer_study(storage, "s.confirm", url)
    refuses(f".*:{os.getpid()}")
    assert list_studies(url)[0].owners
    stage.sharing.leave()
    assert copy_study("s", url, there) == 1
    delete_study("s", url)
    assert optuna.get_all_study_names(storage) == []


def test_a_confirm_stage_is_mended_by_nobody_while_it_begins_and_a_search_whoever_runs_a_stage(url):
    done = supervise(make_plan(url, trials=1, sampler="random", study="s"))
    FakeExecutor().run(done)
    done.close()
    storage = open_storage(url, create=False)
    confirm, _ = open_companion(optuna.load_study(study_name="s", storage=storage), storage)
    confirm.set_user_attr("confirm", {})
    with advisory_lock(url, "s.confirm"):
        with pytest.raises(StudyLockedError, match=r"'s\.confirm' is being run by another process"):
            mend_study("s.confirm", url)
        assert mend_study("s", url) == Mended(0, 0)
    assert mend_study("s.confirm", url) == Mended(0, 0)
    with advisory_lock(url, "s.confirm") as again:
        assert again


def test_a_server_lists_its_studies_alike_by_query_and_by_optunas_interface(url, monkeypatch):
    done = supervise(make_plan(url, trials=3, study="s"))
    FakeExecutor().run(done)
    done.close()
    running = supervise(make_plan(url, trials=3, study="t"))
    running.take({}, block=False)
    by_query = [dataclasses.replace(s, owners=()) for s in list_studies(url)]
    assert [s.trials for s in by_query] == [3, 0]
    assert [(u.study, u.trials, u.owner) for u in unfinished_studies(url)] == [("t", 1, "live")]
    monkeypatch.setattr(writer, "known_tables", lambda storage: None)
    assert list_studies(url) == by_query
    assert [(u.study, u.trials) for u in unfinished_studies(url)] == [("t", 1)]
    monkeypatch.undo()
    running.close()


def test_only_one_supervisor_trains_the_finalists_and_the_next_may_when_it_is_gone(url, tmp_path):
    with (
        advisory_lock(url, "s.confirm") as first,
        advisory_lock(url, "s.confirm") as second,
        advisory_lock(url, "t.confirm") as third,
    ):
        assert [bool(claim) for claim in (first, second, third)] == [True, False, True]
    with advisory_lock(url, "s.confirm") as again:
        assert again
    with advisory_lock(f"sqlite:///{tmp_path}/s.db", "s.confirm") as alone:
        assert alone


def test_trial_states_of_a_claim_are_optunas_own(url):
    plan = make_plan(url, trials=2, in_flight=2, sampler="random", study="s")
    supervisor = supervise(plan)
    spec = supervisor.take({}, block=False)
    supervisor.interrupt()
    supervisor.close()
    import optuna

    trials = optuna.load_study(study_name="s", storage=url).trials
    assert [t.state for t in trials[:1]] == [TrialState.FAIL]
    waiting = [t for t in trials if t.state == TrialState.WAITING]
    assert len(waiting) == len([t for t in trials if t.state == TrialState.FAIL])
    assert waiting[0].system_attrs["fixed_params"] == trials[0].params
    assert spec.run_id.trial == 0


@pytest.mark.slow
def test_a_stage_of_two_passes_is_at_work_in_both(url, monkeypatch):
    class Costs:
        def seconds(self, spec, share):
            return 0.5

    monkeypatch.setattr("tuner.study.confirm.affordable.time_runs", lambda plan, runs: [Costs()] * len(runs))
    plan = make_plan(url, trials=8, sampler="random", pruner="none", study="s", confirm=2, confirm_seeds=4)
    done = supervise(plan)
    FakeExecutor().run(done)
    done.close()
    stage, passes = ConfirmStage(plan, load("s", url), time.monotonic() + 600), 0
    for _, supervisor in stage.passes({"numeric_path": "none"}, NoProgress()):
        spec = supervisor.take({}, block=False)
        assert [u.owner for u in unfinished_studies(url)] == ["live"], "tune doctor leaves its runs alone"
        assert list_studies(url)[0].owners
        finish(supervisor, spec)
        FakeExecutor().run(supervisor)
        assert supervisor.close() == "done"
        assert list_studies(url)[0].owners == ()
        passes += 1
    assert passes == 2
    assert load("s", url).confirmation.complete
    assert list(stage.passes({"numeric_path": "none"}, NoProgress())) == []
    assert list_studies(url)[0].owners == (), "one that has nothing to train gives its lease back, too"
