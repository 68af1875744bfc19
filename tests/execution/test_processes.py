"""Workers die, hang, and are stopped: nothing is lost, nothing counted twice, nothing left behind."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest
from contracts.fakes import Books, FakeTrainer, LeavingTrainer, broken_factory, fake_spec

from tuner.contract.outcome import Outcome
from tuner.contract.spec import EvaluationSpec, RunId, RunSpec
from tuner.envs.spec import EnvSpec
from tuner.errors import InputError, StudyFailedError
from tuner.execution import pool, processes, worker_process
from tuner.execution.pool import MAX_EARLY_DEATHS
from tuner.execution.processes import ProcessExecutor
from tuner.execution.worker_process import ONE_THREAD
from tuner.hyperparameters import DQNHyperparameters
from tuner.training.registry import make_trainer

TESTS = Path(__file__).parents[1]
PYTHONPATH = os.pathsep.join([str(TESTS), str(TESTS.parent)])


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def gone_within(seconds: float, pids) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not any(is_alive(pid) for pid in pids):
            return True
        time.sleep(0.05)
    return False


def worker_pids() -> set[int]:
    found = set()
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):  # it ends in this very moment
            if "multiprocessing.spawn" in " ".join(child.cmdline()):
                found.add(child.pid)
    return found


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_runs_of_a_killed_worker_go_again_exactly_once_and_all_finish(number):
    killed = []

    def kill_once(books, point):
        if not killed and point.run_id == RunId(1) and point.step == 20:
            killed.append(books.pids[RunId(1)])
            os.kill(killed[0], number)

    specs = [fake_spec(i, delay=0.01) for i in range(5)]
    books = Books(specs, on_point=kill_once)
    ProcessExecutor(FakeTrainer, 2).run(books)
    assert books.losses == [(RunId(1), f"worker killed by {number.name}")]
    assert books.taken == {RunId(0): 1, RunId(1): 2, RunId(2): 1, RunId(3): 1, RunId(4): 1}
    for spec in specs:
        assert books.outcomes[spec.run_id].kind == "completed"
        assert [p.step for p in books.points[spec.run_id]] == list(spec.grid)
    assert not any(is_alive(pid) for pid in [*killed, *books.pids.values()])


def test_a_supervisor_that_was_held_up_is_told_for_how_long(monkeypatch):
    monkeypatch.setattr(pool, "ASLEEP_S", 0.2)
    held_up = Books([fake_spec(0)], on_point=lambda books, point: time.sleep(0.3))
    ProcessExecutor(FakeTrainer, 1).run(held_up)
    assert held_up.slept_s >= 3 * 0.3


def test_the_death_of_the_last_worker_is_seen_at_once_and_it_is_replaced():
    died = []

    def kill_once(books, point):
        if not died:
            died.append(time.monotonic())
            os.kill(books.pids[point.run_id], signal.SIGKILL)
        elif len(died) == 1:
            died.append(time.monotonic())

    books = Books([fake_spec(0)], on_point=kill_once)
    ProcessExecutor(FakeTrainer, 1).run(books)
    assert [reason for _, reason in books.losses] == ["worker killed by SIGKILL"]
    assert books.outcomes[RunId(0)].kind == "completed"
    assert died[1] - died[0] < 5


def test_workers_ignore_ctrl_c_and_lead_their_own_session():
    sessions = []

    def interrupt(books, point):
        pid = books.pids[point.run_id]
        sessions.append((os.getsid(pid), os.getpgid(pid), pid))
        os.kill(pid, signal.SIGINT)

    books = Books([fake_spec(0)], on_point=interrupt)
    ProcessExecutor(FakeTrainer, 1).run(books)
    assert books.outcomes[RunId(0)].kind == "completed"
    assert all(sid == pgid == pid for sid, pgid, pid in sessions)
    assert not books.losses


def test_stopping_leaves_no_process_alive_and_gives_back_what_hangs():
    specs = [fake_spec(0, points=500, delay=0.02), fake_spec(1, hang=600)]
    before, seen, since = worker_pids(), set(), []

    def stop(books):
        seen.update(worker_pids() - before)
        ready = len(books.points[RunId(0)]) > 2 and RunId(1) in books.in_flight
        if ready and not since:
            since.append(time.monotonic())
        return ready

    books = Books(specs, stop_when=stop)
    ProcessExecutor(FakeTrainer, 3, stop_grace_s=0.5).run(books)
    assert time.monotonic() - since[0] < 10
    assert books.outcomes[RunId(0)].kind == "stopped"
    assert books.losses == [(RunId(1), "stopped before its next evaluation")]
    assert len(seen) == 3
    assert not any(is_alive(pid) for pid in seen)


def test_what_a_killed_worker_has_started_dies_with_it():
    children = []

    def kill_once(books, point):
        if point.run_id not in dict(books.losses) and not children:
            children.append(int(point.metrics["child"]))
            os.kill(books.pids[point.run_id], signal.SIGKILL)
        else:
            children.append(int(point.metrics["child"]))

    books = Books([fake_spec(0, spawns=True)], on_point=kill_once)
    ProcessExecutor(FakeTrainer, 1).run(books)
    assert books.outcomes[RunId(0)].kind == "completed"
    assert len(set(children)) == 2
    assert gone_within(5, children)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
@pytest.mark.parametrize("then", ["raises", "goes_on"])
def test_a_child_that_comes_back_out_of_an_environment_does_not_speak_for_its_worker(then):
    books = Books([fake_spec(0, forks=then, delay=0.05), *(fake_spec(i) for i in range(1, 4))])
    ProcessExecutor(FakeTrainer, 1).run(books)
    assert {outcome.kind for outcome in books.outcomes.values()} == {"completed"}
    assert set(books.taken.values()) == {1}
    assert [[p.step for p in points] for points in books.points.values()] == [[10, 20, 30]] * 4
    assert len(set(books.pids.values())) == 1
    assert not books.losses


def test_two_workers_share_the_runs():
    stop_at = {}

    def release(books, point):
        if len(books.outcomes) == 3:
            stop_at[RunId(0)] = 0

    # Run 0 occupies its worker until the other one has trained all the rest.
    specs = [fake_spec(0, points=10_000, delay=0.02), *(fake_spec(i) for i in range(1, 4))]
    books = Books(specs, on_point=release, stop_at=stop_at)
    ProcessExecutor(FakeTrainer, 2).run(books)
    assert set(books.outcomes) == set(books.specs)
    assert books.pids[RunId(0)] not in [books.pids[RunId(i)] for i in (1, 2, 3)]


def test_a_broken_trainer_loses_its_runs_and_says_why():
    books = Books([fake_spec(0, breaks_trainer=True), fake_spec(1)])
    taken_back = books.lost

    def give_up_after_two(run_ids, reason, cause):
        taken_back(run_ids, reason, cause)
        if len(books.losses) == 2:
            books.queue.pop(0)

    books.lost = give_up_after_two
    ProcessExecutor(FakeTrainer, 1).run(books)
    assert books.losses == [(RunId(0), "RuntimeError: the trainer itself is broken")] * 2
    assert books.outcomes[RunId(1)].kind == "completed"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("factory", "reason"), [(broken_factory, "OSError: no such library"), (LeavingTrainer, "ended with exit code 0")]
)
def test_workers_that_die_at_the_start_are_not_replaced_for_ever(factory, reason):
    before = worker_pids()
    with pytest.raises(StudyFailedError, match=f"{MAX_EARLY_DEATHS} in a row: .*{reason}"):
        ProcessExecutor(factory, 2).run(Books([fake_spec(0)]))
    assert worker_pids() == before


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.EMFILE, ", or raise the limit of open files (ulimit -n)"),
        (errno.EAGAIN, ", or raise the limit of processes (ulimit -u)"),
        (errno.ENOMEM, ""),
    ],
)
def test_a_worker_that_the_system_does_not_start_is_one_line_and_the_others_are_ended(monkeypatch, number, advice):
    def start(slot, make_trainer):
        if slot == 1:
            raise OSError(number, os.strerror(number))
        return worker_process.WorkerProcess(slot, make_trainer)

    before = worker_pids()
    monkeypatch.setattr(processes, "WorkerProcess", start)
    with pytest.raises(InputError) as error:
        ProcessExecutor(FakeTrainer, 3).run(Books([fake_spec(0)]))
    assert str(error.value) == (
        f"Worker 2 cannot be started: {os.strerror(number)}. Use fewer --workers{advice}; the same command carries on."
    )
    assert worker_pids() == before


def test_workers_run_one_thread_each_and_the_caller_keeps_its_own_setting(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    books = Books([fake_spec(0)])
    ProcessExecutor(FakeTrainer, 1).run(books)
    assert books.points[RunId(0)][0].metrics["threads"] == 1
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "MKL_NUM_THREADS" not in os.environ
    assert {"OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"} <= set(ONE_THREAD)


@pytest.mark.parametrize("how", ["script", "stdin"])
def test_a_script_without_a_main_guard_runs_once(how, tmp_path):
    text = textwrap.dedent("""
        from contracts.fakes import Books, FakeTrainer, fake_spec
        from tuner.execution.processes import ProcessExecutor
        books = Books([fake_spec(i) for i in range(3)])
        ProcessExecutor(FakeTrainer, 2).run(books)
        print(sorted(o.kind for o in books.outcomes.values()))
    """)
    script = tmp_path / "script.py"
    script.write_text(text)
    done = subprocess.run(
        [sys.executable, *([str(script)] if how == "script" else ["-"])],
        input=text if how == "stdin" else None,
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
        cwd=tmp_path, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.stdout, done.returncode) == ("['completed', 'completed', 'completed']\n", 0), done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="other systems notice at the worker's next message")
def test_workers_die_with_a_killed_parent(tmp_path):
    text = textwrap.dedent("""
        from contracts.fakes import Books, FakeTrainer, fake_spec
        from tuner.execution.processes import ProcessExecutor
        def show(books, point):
            print(books.pids[point.run_id], flush=True)
        long_runs = [fake_spec(i, stall=600) for i in range(2)]
        ProcessExecutor(FakeTrainer, 2).run(Books(long_runs, on_point=show))
    """)
    parent = subprocess.Popen(
        [sys.executable, "-c", text], env={**os.environ, "PYTHONPATH": PYTHONPATH}, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    pids = set()
    while len(pids) < 2:
        pids.add(int(parent.stdout.readline()))
    assert all(is_alive(pid) for pid in pids)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert gone_within(5, pids)


CHATTY = """
    import gymnasium as gym, numpy as np
    class Chatty(gym.Env):
        observation_space = gym.spaces.Box(-1, 1, (1,), np.float32)
        action_space = gym.spaces.Discrete(2)
        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed)
            print("hello from the environment", flush=True)
            return np.zeros(1, np.float32), {}
        def step(self, action):
            return np.zeros(1, np.float32), 1.0, True, False, {}
    gym.register("Chatty-v0", entry_point=Chatty)
"""


def train_chatty() -> Outcome:
    hyperparameters = DQNHyperparameters(net_arch=(4,), learning_starts=5, batch_size=4)
    spec = RunSpec(
        RunId(0), EnvSpec("chatty_env:Chatty-v0"), "native", hyperparameters, 1, (10, 20), EvaluationSpec(1, 0, 5)
    )
    books = Books([spec])
    ProcessExecutor(functools.partial(make_trainer, "native", "dqn", 2), 1).run(books)
    return books.outcomes[RunId(0)]


def test_what_environments_print_does_not_reach_standard_output(tmp_path, monkeypatch, capfd):
    (tmp_path / "chatty_env.py").write_text(textwrap.dedent(CHATTY))
    monkeypatch.chdir(tmp_path)  # the worker finds the module in the working directory of its caller
    assert train_chatty().kind == "completed"
    captured = capfd.readouterr()
    assert "hello" not in captured.out
    assert "hello" in captured.err


@pytest.mark.slow
def test_an_environment_that_prints_where_nobody_reads_completes(tmp_path):
    """As in ``tune ... 2>&1 | head``, once the reader has gone."""
    (tmp_path / "chatty_env.py").write_text(textwrap.dedent(CHATTY))
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-c", "from execution.test_processes import train_chatty; print(train_chatty())"],
        env={**os.environ, "PYTHONPATH": PYTHONPATH}, cwd=tmp_path, stdout=subprocess.PIPE, stderr=writing, text=True,
    )  # fmt: skip
    os.close(writing)
    assert "kind='completed'" in done.stdout


def test_workers_train_bit_for_bit_what_this_process_trains():
    from tuner.execution.inline import InlineExecutor

    hyperparameters = DQNHyperparameters(net_arch=(16,), learning_starts=20, batch_size=8, learning_rate=1e-2)
    specs = [
        RunSpec(RunId(i), EnvSpec("CartPole-v1"), "native", hyperparameters, i, (100, 200), EvaluationSpec(2, 0, 50))
        for i in range(4)
    ]
    factory = functools.partial(make_trainer, "native", "dqn", 3)
    inline, processes = Books(specs), Books(specs)
    InlineExecutor(factory).run(inline)
    ProcessExecutor(factory, 2).run(processes)
    assert inline.points == processes.points
    assert inline.outcomes == processes.outcomes


def test_a_number_that_another_process_has_got_is_sent_no_signal():
    stranger = psutil.Process().parent()  # not a child: as where the number of a reaped worker was given out again
    assert stranger is not None and worker_process._is_a_strangers(stranger.pid)
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert not worker_process._is_a_strangers(child.pid)  # dead, and not reaped


def test_an_exceptions_text_of_megabytes_is_cut_and_says_so():
    outcome = Outcome(RunId(0), "failed", 0, 0.0, "e" * 5_000_000, "t" * 4096)
    assert outcome.reason == "e" * 4096 + " ... (4_995_904 more characters)"
    assert outcome.detail == "t" * 4096
