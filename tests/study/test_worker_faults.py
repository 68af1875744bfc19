"""A study whose workers crash, hang and eat memory: real processes, trainers that only pretend."""

import functools
import re
import time

import psutil
import pytest
from fault_trainer import FaultTrainer
from study_fakes import make_plan, supervise

from tuner.execution import worker_process
from tuner.execution.processes import ProcessExecutor
from tuner.study.reading.study import load


def run(plan, workers=1, memory_limit=None, **trainer):
    supervisor = supervise(plan)
    factory = functools.partial(FaultTrainer, **trainer)
    ProcessExecutor(factory, workers, memory_limit=memory_limit).run(supervisor)
    assert supervisor.close() == "done"
    return load(plan.name, plan.storage)


@pytest.mark.slow
def test_runs_that_end_their_worker_fail_with_the_reason_and_the_study_goes_on(url):
    plan = make_plan(url, trials=4, in_flight=4, sampler="random", pruner="none")
    data = run(plan, lanes=4, fates={1: "exit", 2: "leave", 3: "segv"})
    assert [t.outcome for t in data.trials] == ["completed", "failed", "failed", "failed"]
    ends = ("ended with exit code 3", "ended with exit code 3", "killed by SIGSEGV")
    assert [t.reason for t in data.trials[1:]] == [f"its worker died 3 times: worker {end}" for end in ends]


@pytest.mark.slow
def test_a_run_that_closes_its_workers_connection_fails_after_three_deaths(url, monkeypatch):
    monkeypatch.setattr(worker_process, "LEAVE_S", 0.5)
    plan = make_plan(url, trials=2, in_flight=2, sampler="random", pruner="none")
    data = run(plan, fates={1: "mute"})
    assert [t.outcome for t in data.trials] == ["completed", "failed"]
    assert data.trials[1].reason == "its worker died 3 times: worker closed its connection, killed"


def test_a_killed_worker_costs_no_trial(url, tmp_path):
    plan = make_plan(url, trials=6, in_flight=4, sampler="random", pruner="none")
    (tmp_path / "once").mkdir()
    data = run(plan, workers=2, lanes=2, fates={0: "kill", 3: "kill"}, once=str(tmp_path / "once"))
    assert [t.outcome for t in data.trials] == ["completed"] * 6
    assert sorted(p.name for p in (tmp_path / "once").iterdir()) == ["0", "3"]


@pytest.mark.slow
def test_a_hung_worker_is_killed_with_its_children_and_its_neighbours_complete(url, capfd):
    plan = make_plan(url, trials=3, in_flight=2, trial_timeout=1, sampler="random", pruner="none")
    started = time.monotonic()
    data = run(plan, lanes=2, fates={1: "hang_c"})
    assert [t.outcome for t in data.trials] == ["completed", "timed_out", "completed"]
    assert re.fullmatch(r"worker silent for \d s, killed", data.trials[1].reason)
    assert time.monotonic() - started < 30
    children = [int(pid) for pid in re.findall(r"child (\d+)", capfd.readouterr().err)]
    assert len(children) == 2
    assert not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie" for pid in children)


@pytest.mark.slow
def test_a_worker_beyond_its_memory_is_killed_and_only_the_guilty_trial_fails(url):
    plan = make_plan(url, trials=3, in_flight=2, sampler="random", pruner="none")
    data = run(plan, lanes=2, fates={0: "eat"}, memory_limit=500 * 2**20)
    assert [t.outcome for t in data.trials] == ["failed", "completed", "completed"]
    assert re.fullmatch(r"out of memory: worker took \d+ MiB, limit 500 MiB, killed", data.trials[0].reason)


def test_ten_equal_failures_in_a_row_stop_the_study_with_the_reason(url):
    plan = make_plan(url, trials=30, in_flight=4, sampler="random", pruner="none")
    supervisor = supervise(plan)
    trainer = functools.partial(FaultTrainer, 2, dict.fromkeys(range(30), "bad environment"))
    ProcessExecutor(trainer, 2).run(supervisor)
    assert supervisor.close() == "failed"
    assert "10 trials in a row failed in the same way: ValueError: bad environment" in str(supervisor.failure)
