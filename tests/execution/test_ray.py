"""Trainers on a Ray cluster: actors and nodes die, come and go; runs are the same bit for bit; nothing stays behind."""

from __future__ import annotations

import dataclasses
import functools
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import psutil
import pytest
from contracts.fakes import Books, FakeTrainer, LeavingTrainer, broken_factory, fake_spec

from tuner.contract.spec import EvaluationSpec, RunId, RunSpec
from tuner.envs.spec import EnvSpec
from tuner.errors import InputError, StudyFailedError
from tuner.execution.inline import InlineExecutor
from tuner.execution.pool import MAX_EARLY_DEATHS
from tuner.execution.ray import RayExecutor
from tuner.execution.ray_cluster import Place, room
from tuner.hyperparameters import DQNHyperparameters
from tuner.training.registry import make_trainer

pytestmark = pytest.mark.ray

FAKES = [Path(__file__).parents[1] / "contracts"]


@pytest.fixture
def place(ray_cluster):
    return Place(ray_cluster.address)


def small_runs(env: EnvSpec, count: int) -> list[RunSpec]:
    hyperparameters = DQNHyperparameters(net_arch=(16,), learning_starts=20, batch_size=8, learning_rate=1e-2)
    evaluation = EvaluationSpec(2, 0, 50)
    return [RunSpec(RunId(i), env, "native", hyperparameters, i, (100, 200), evaluation) for i in range(count)]


def test_runs_of_a_killed_actor_go_again_exactly_once_and_all_finish(place):
    killed = []

    def kill_once(books, point):
        if not killed and point.run_id == RunId(1) and point.step == 20:
            killed.append(books.pids[RunId(1)])
            os.kill(killed[0], signal.SIGKILL)

    books = Books([fake_spec(i, delay=0.01) for i in range(5)], on_point=kill_once)
    RayExecutor(FakeTrainer, 2, place, modules=FAKES).run(books)
    assert books.losses == [(RunId(1), "its actor died")]
    assert books.taken == {RunId(0): 1, RunId(1): 2, RunId(2): 1, RunId(3): 1, RunId(4): 1}
    for run_id, spec in books.specs.items():
        assert books.outcomes[run_id].kind == "completed"
        assert [p.step for p in books.points[run_id]] == list(spec.grid)


def test_a_silent_actor_is_killed_and_its_run_given_back(place):
    books = Books([fake_spec(0, hang=600), fake_spec(1)], patience_s=0.3)
    taken_back = books.lost

    def give_up(run_ids, reason, cause):
        taken_back(run_ids, reason, cause)
        books.queue.pop(0)

    books.lost = give_up
    RayExecutor(FakeTrainer, 1, place, modules=FAKES).run(books)
    assert [run_id for run_id, _ in books.losses] == [RunId(0)]
    assert books.causes == ["silent"]
    assert books.outcomes[RunId(1)].kind == "completed"


def test_a_broken_trainer_loses_its_runs_and_says_why(place):
    books = Books([fake_spec(0, breaks_trainer=True), fake_spec(1)])
    taken_back = books.lost

    def give_up_after_two(run_ids, reason, cause):
        taken_back(run_ids, reason, cause)
        if len(books.losses) == 2:
            books.queue.pop(0)

    books.lost = give_up_after_two
    RayExecutor(FakeTrainer, 1, place, modules=FAKES).run(books)
    assert books.losses == [(RunId(0), "RuntimeError: the trainer itself is broken")] * 2
    assert books.outcomes[RunId(1)].kind == "completed"


@pytest.mark.parametrize(
    ("factory", "reason"), [(broken_factory, "OSError: no such library"), (LeavingTrainer, "its trainer has ended")]
)
def test_trainers_that_die_at_the_start_are_not_replaced_for_ever(place, factory, reason):
    with pytest.raises(StudyFailedError, match=f"{MAX_EARLY_DEATHS} in a row: {reason}"):
        RayExecutor(factory, 1, place, modules=FAKES).run(Books([fake_spec(0)]))


def test_stopping_gives_back_what_hangs_and_ends_what_never_started(place):
    books = Books(
        [fake_spec(0, points=500, delay=0.02), fake_spec(1, hang=600)],
        stop_when=lambda b: len(b.points[RunId(0)]) > 2 and RunId(1) in b.in_flight,
    )
    RayExecutor(FakeTrainer, 4, place, modules=FAKES, stop_grace_s=0.5).run(books)  # two of four find no room
    assert books.outcomes[RunId(0)].kind == "stopped"
    assert books.losses == [(RunId(1), "stopped before its next evaluation")]


def test_actors_without_room_do_not_keep_a_study_from_its_end(place):
    books = Books([fake_spec(i) for i in range(3)])
    RayExecutor(FakeTrainer, 5, place, modules=FAKES).run(books)
    assert {o.kind for o in books.outcomes.values()} == {"completed"}


def test_trainers_run_one_thread_each(place):
    books = Books([fake_spec(0)])
    RayExecutor(FakeTrainer, 1, place, modules=FAKES).run(books)
    assert books.points[RunId(0)][0].metrics["threads"] == 1


def test_one_worker_sees_the_order_of_calls_that_inline_sees(place):
    specs = [fake_spec(i, points=2 + i, raises=i == 2) for i in range(4)]
    logs = []
    for executor in (InlineExecutor(FakeTrainer), RayExecutor(FakeTrainer, 1, place, modules=FAKES)):
        books = Books(specs, stop_at={RunId(3): 30})
        executor.run(books)
        logs.append(books.log)
    assert logs[0] == logs[1]


def test_runs_are_bit_for_bit_those_of_this_process_and_a_users_module_travels(place, tmp_path, monkeypatch):
    (tmp_path / "rewards.py").write_text("FALL = -1.5\n")
    (tmp_path / "own_env.py").write_text(
        textwrap.dedent("""
            import gymnasium as gym, os, tuner
            from gymnasium.envs.classic_control import CartPoleEnv
            from rewards import FALL
            class Own(CartPoleEnv):
                def __init__(self, sent=False, **others):
                    super().__init__(**others)
                    assert ("py_modules" in tuner.__file__) == sent  # this very package travels too
                def step(self, action):
                    observation, reward, terminated, truncated, info = super().step(action)
                    assert not os.path.exists("private.txt")
                    return observation, FALL if terminated else reward, terminated, truncated, info
            gym.register("Own-v0", entry_point=Own, max_episode_steps=200)
        """)
    )
    monkeypatch.chdir(tmp_path)
    factory = functools.partial(make_trainer, "native", "dqn", 3)
    inline, there = (
        Books(small_runs(EnvSpec("Own-v0", (("sent", sent),), module="own_env.py"), 4)) for sent in (False, True)
    )
    InlineExecutor(factory).run(inline)
    (tmp_path / "private.txt").write_text("stays at home")
    RayExecutor(factory, 2, place, env_id="Own-v0", env_module="own_env.py").run(there)
    assert {o.kind for o in there.outcomes.values()} == {"completed"}, there.outcomes
    assert inline.points == there.points
    assert inline.outcomes == there.outcomes


def test_room_counts_the_trainers_that_fit(ray_cluster, place):
    assert room(place) == 2
    assert room(dataclasses.replace(place, cpus=0.5)) == 4
    assert room(dataclasses.replace(place, gpus=1)) == 1  # none now; one may join


def test_what_cannot_be_had_is_one_line():
    with pytest.raises(InputError, match=r"--ray-address 127.0.0.1:1 cannot be used: no Ray cluster answers"):
        room(Place("127.0.0.1:1"))
    with pytest.raises(InputError, match=r"no room for a trainer that asks for 1 CPU and 99 GPU"):
        RayExecutor(FakeTrainer, 1, Place("local", gpus=99)).run(Books([fake_spec(0)]))


def test_a_cluster_of_its_own_prints_nothing_and_leaves_no_process_and_no_file(tmp_path):
    command = [
        sys.executable, "-m", "tuner", "--env", "CartPole-v1", "--trials", "3", "--steps", "500", "--quiet",
        "--executor", "ray", "--ray-address", "local", "--workers", "2", "--confirm", "0",
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as own:  # names of sockets are bounded, so not in pytest's own
        done = subprocess.run(
            command, cwd=tmp_path, env={**os.environ, "TMPDIR": own}, capture_output=True, text=True, timeout=120
        )
        assert list(Path(own).iterdir()) == []
        names = [" ".join(p.info["cmdline"] or []) for p in psutil.process_iter(["cmdline"])]
        assert not [name for name in names if own in name]
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Study dqn-native-CartPole-v1")
