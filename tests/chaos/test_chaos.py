"""Minutes of violence: ``make chaos``. Each test prints its figures; docs/faults.md says what they are about."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest
import sqlalchemy
from network import Network
from postgres_server import PostgresServer, connections_closed, server_binaries

from tuner.study.reading.study import load

pytestmark = pytest.mark.chaos

TESTS = Path(__file__).parents[1]
COUNTED = ("completed", "pruned", "diverged", "timed_out", "failed")


def tune(*arguments, cwd, **options):
    words = [sys.executable, "-m", "tuner", *map(str, arguments)]
    environment = {**os.environ, "XDG_STATE_HOME": str(cwd / "state"), "PYTHONPATH": str(TESTS.parent)}
    return subprocess.Popen(words, cwd=cwd, env=environment, text=True, stderr=subprocess.PIPE, **options)


def ended(process) -> tuple[int, str]:
    _, text = process.communicate(timeout=1500)
    return process.returncode, text


def workers_of(process) -> list[psutil.Process]:
    try:
        children = psutil.Process(process.pid).children(recursive=True)
        return [c for c in children if "spawn_main" in " ".join(c.cmdline())]
    except psutil.Error:
        return []


def check_exact(name, storage, trials):
    data = load(name, storage)
    counts = {o: data.count(o) for o in COUNTED if data.count(o)}
    print(f"{name}: {counts}, {data.count('lost')} lost, {len(data.trials)} rows", flush=True)
    assert sum(counts.values()) == trials
    assert {t.state for t in data.trials} <= {"COMPLETE", "PRUNED", "FAIL"}
    assert [t.number for t in data.trials] == list(range(len(data.trials)))
    return data


STUDY = (
    "--env", "CartPole-v1", "--study", "s", "--sampler", "random", "--steps", 12000, "--evaluations", 12,
    "--eval-episodes", 2, "--confirm", 0, "--workers", 2, "--lanes", 2, "--quiet",
)  # fmt: skip

# Sleeps instead of computing, so that a run lasts as long on a busy machine.
SLOW = """
import time
import gymnasium as gym
from gymnasium.envs.classic_control import CartPoleEnv

class Slow(CartPoleEnv):
    def step(self, action):
        time.sleep(0.002)
        return super().step(action)

if "SlowCart-v0" not in gym.registry:
    gym.register("SlowCart-v0", entry_point=Slow, max_episode_steps=60)
"""


def slow_study(folder, trials):
    """Return the words of a study whose runs last for about ten seconds each, and what names its module."""
    (folder / "slow.py").write_text(SLOW)
    module = ("--env-module", "slow.py")
    words = (
        "--env", "SlowCart-v0", *module, "--study", "s", "--sampler", "random", "--pruner", "none", "--steps", 4000,
        "--evaluations", 8, "--eval-episodes", 2, "--confirm", 0, "--workers", 4, "--lanes", 1, "--quiet",
        "--trials", trials, "--storage", f"sqlite:///{folder}/s.db",
    )  # fmt: skip
    return words, module


def test_fifty_kills_of_workers_in_a_study_of_a_hundred_trials_cost_no_trial(tmp_path):
    luck, kills, trials = random.Random(1), 0, 100
    storage = f"sqlite:///{tmp_path}/s.db"
    study, module = slow_study(tmp_path, trials)
    started = time.monotonic()
    process = tune(*study, cwd=tmp_path)
    while kills < 50 and process.poll() is None:
        time.sleep(luck.uniform(3, 8))
        found = workers_of(process)
        if found:
            luck.choice(found).kill()
            kills += 1
    code, text = ended(process)
    print(f"{kills} kills in {time.monotonic() - started:.0f} s", flush=True)
    assert code == 0, text
    assert kills == 50, "the study was over before all kills were done"
    data = check_exact("s", storage, trials)
    assert [t.outcome for t in data.trials] == ["completed"] * trials
    for number in luck.sample(range(trials), 10):
        code, text = ended(
            tune("replay", "s", number, *module, "--storage", storage, cwd=tmp_path, stdout=subprocess.DEVNULL)
        )
        assert code == 0, text
    print("ten trials drawn at random replay bit for bit", flush=True)


def test_twenty_kills_of_the_supervisor_end_with_exactly_a_hundred(tmp_path):
    luck = random.Random(2)
    storage = f"sqlite:///{tmp_path}/s.db"
    command, _ = slow_study(tmp_path, 100)
    for _ in range(20):
        process = tune(*command, cwd=tmp_path)
        time.sleep(luck.uniform(5, 12))
        left = workers_of(process)
        process.kill()
        process.communicate()
        psutil.wait_procs(left, timeout=5)
        assert not any(p.is_running() and p.status() != "zombie" for p in left), "workers die with their supervisor"
    code, text = ended(tune(*command, cwd=tmp_path))
    assert code == 0, text
    data = check_exact("s", storage, 100)
    assert len(data.trials) == 100 + data.count("lost")


SUPERVISOR = textwrap.dedent("""
    import functools, sys
    from fault_trainer import FaultTrainer
    from study_fakes import make_plan, supervise
    from tuner.execution.processes import ProcessExecutor
    url, trials, delay, workers, lanes = sys.argv[1], int(sys.argv[2]), *map(float, sys.argv[3:])
    places = int(workers * lanes)
    plan = make_plan(url, trials=trials, in_flight=places, sampler="random", pruner="none", study="s")
    supervisor = supervise(plan)
    ProcessExecutor(functools.partial(FaultTrainer, lanes=int(lanes), delay=delay), int(workers)).run(supervisor)
    print(supervisor.close(), supervisor.finished, flush=True)
""")


def supervisor(url, trials, delay, cwd, workers=1, lanes=4, before="", more=()):
    environment = {**os.environ, "XDG_STATE_HOME": str(cwd / "state")}
    environment["PYTHONPATH"] = os.pathsep.join(map(str, (TESTS, TESTS / "study", TESTS.parent)))
    words = [sys.executable, "-c", before + SUPERVISOR, url, *map(str, (trials, delay, workers, lanes, *more))]
    return subprocess.Popen(words, cwd=cwd, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.fixture
def server():
    if server_binaries() is None:
        pytest.skip("no PostgreSQL server is installed")
    server = PostgresServer()
    with connections_closed():
        yield server
    server.remove()


def test_four_supervisors_one_killed_and_one_late_end_with_exactly_two_hundred(server, tmp_path):
    url = server.new_database("four")
    first = [supervisor(url, 200, 0.15, tmp_path)]
    time.sleep(8)  # it makes the tables
    first += [supervisor(url, 200, 0.15, tmp_path) for _ in range(2)]
    time.sleep(8)
    first[1].kill()
    late = supervisor(url, 200, 0.15, tmp_path)
    for process in (first[0], first[2], late):
        out, text = process.communicate(timeout=600)
        assert process.returncode == 0, text
        assert "deadlock" not in text
        print(out.strip(), flush=True)
    first[1].communicate()
    data = check_exact("s", url, 200)
    attempts = Counter(json.dumps(t.params, sort_keys=True) for t in data.trials)
    lost = Counter(json.dumps(t.params, sort_keys=True) for t in data.trials if t.outcome == "lost")
    assert all(attempts[p] == 1 + lost[p] for p in attempts), "no point twice, but for lost ones"


def test_fifty_kills_among_four_supervisors_end_with_exactly_two_hundred(server, tmp_path):
    """Each stands for a machine with workers of its own; all they share is the database."""
    url, luck, kills, trials = server.new_database("fifty"), random.Random(3), 0, 200

    def start():
        return supervisor(url, trials, 2.0, tmp_path)

    at_work = [start()]
    time.sleep(8)  # it makes the tables
    at_work += [start() for _ in range(3)]
    while kills < 50:
        time.sleep(luck.uniform(2, 6))
        place = luck.randrange(4)
        assert at_work[place].poll() is None, "the study was over before all kills were done"
        at_work[place].kill()
        at_work[place].communicate()
        at_work[place] = start()
        kills += 1
    for process in at_work:
        _, text = process.communicate(timeout=600)
        assert process.returncode == 0, text
        assert "deadlock" not in text
    data = check_exact("s", url, trials)
    attempts = Counter(json.dumps(t.params, sort_keys=True) for t in data.trials)
    lost = Counter(json.dumps(t.params, sort_keys=True) for t in data.trials if t.outcome == "lost")
    assert lost.total() > 0
    assert all(attempts[p] == 1 + lost[p] for p in attempts), "no attempt is made again twice"


def test_a_server_restarted_and_then_away_for_a_minute_costs_nothing(server, tmp_path):
    url = server.new_database("away")
    process = supervisor(url, 150, 0.5, tmp_path)
    time.sleep(20)
    server.restart()
    time.sleep(10)
    before = load("s", url)
    done = {t.number: t.score for t in before.trials if t.outcome == "completed"}
    server.restart(away_s=60)
    out, text = process.communicate(timeout=600)
    assert process.returncode == 0, text
    print(f"{len(done)} trials before the minute; {out.strip()}", flush=True)
    data = check_exact("s", url, 150)
    assert 0 < len(done) < 150
    assert all(data.trials[n].score == score for n, score in done.items())
    assert [t.outcome for t in data.trials] == ["completed"] * 150


def test_ten_thousand_trials_keep_memory_and_files_flat(tmp_path):
    sys.path.insert(0, str(TESTS / "study"))
    from study_fakes import FakeExecutor, make_plan, supervise

    url = f"sqlite:///{tmp_path}/s.db"
    plan = make_plan(url, trials=10_000, in_flight=4, sampler="random")
    watched = supervise(plan)
    me, marks = psutil.Process(), []

    class Watch(FakeExecutor):
        def _advance(self, supervisor, spec, done):
            finished = supervisor.finished
            if finished % 1000 == 0 and (not marks or marks[-1][0] != finished):
                marks.append((finished, me.memory_info().rss / 2**20, me.num_fds(), time.perf_counter()))
            return super()._advance(supervisor, spec, done)

    Watch(lanes=4).run(watched)
    assert watched.close() == "done"
    marks.append((10_000, me.memory_info().rss / 2**20, me.num_fds(), time.perf_counter()))
    for (a, _, _, then), (b, memory, files, now) in itertools.pairwise(marks):
        each = (now - then) / (b - a) * 1000
        print(f"{b:6d} trials: {memory:6.0f} MiB, {files} files, {each:.1f} ms each", flush=True)
    assert marks[-1][2] <= marks[1][2]
    assert marks[-1][1] < 1024
    per_trial = (marks[-1][1] - marks[1][1]) * 1024 / 9000
    print(f"{per_trial:.1f} KiB of memory a trial", flush=True)
    assert per_trial < 40, "the history of a study, and nothing else"
    started = time.perf_counter()
    assert supervise(plan).finished == 10_000
    print(f"opened again in {time.perf_counter() - started:.1f} s", flush=True)
    assert time.perf_counter() - started < 60


def test_sixteen_workers_on_sqlite_end_with_exactly_five_hundred_and_no_lock_in_the_way(tmp_path):
    url = f"sqlite:///{tmp_path}/s.db"
    started = time.monotonic()
    process = supervisor(url, 500, 0.08, tmp_path, workers=16, lanes=1)  # six evaluations: half a second each
    _, text = process.communicate(timeout=600)
    print(f"500 trials of 16 workers in {time.monotonic() - started:.0f} s", flush=True)
    assert process.returncode == 0, text
    assert "locked" not in text
    assert len(check_exact("s", url, 500).trials) == 500


@pytest.mark.skipif(os.getuid() != 0, reason="only root may mount a small disk")
def test_a_disk_that_is_really_full_is_exit_code_four_and_nothing_is_lost(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip(f"no disk of our own: {mounted.stderr.decode().strip()}")
    try:
        storage = f"sqlite:///{disk}/s.db"
        command = [*STUDY, "--trials", 60, "--storage", storage]
        process = tune(*command, cwd=tmp_path)
        time.sleep(8)
        filler = disk / "filler"
        with contextlib.suppress(OSError), open(filler, "wb") as file:
            while True:
                file.write(b"x" * 4096)
                file.flush()
        code, text = ended(process)
        assert code == 4, text
        print(f"exit {code}: {text.strip().splitlines()[-1] if text.strip() else ''}", flush=True)
        filler.unlink(missing_ok=True)
        before = load("s", storage)
        done = {t.number: t.score for t in before.trials if t.outcome == "completed"}
        code, text = ended(tune(*command, cwd=tmp_path))
        assert code == 0, text
        data = check_exact("s", storage, 60)
        assert done
        assert all(data.trials[n].score == score for n, score in done.items())
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)


def test_a_second_signal_leaves_no_process_within_two_seconds(tmp_path):
    process = tune(*STUDY, "--trials", 100, "--storage", f"sqlite:///{tmp_path}/s.db", cwd=tmp_path)
    while len(workers_of(process)) < 2:
        assert process.poll() is None
        time.sleep(0.2)
    time.sleep(3)
    left = workers_of(process)
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    started = time.monotonic()
    psutil.wait_procs(left, timeout=10)
    seconds = time.monotonic() - started
    code, _ = ended(process)
    print(f"workers gone after {seconds:.2f} s, exit {code} after {time.monotonic() - started:.2f} s", flush=True)
    assert code == 130
    assert seconds < 2
    assert not any(p.is_running() and p.status() != "zombie" for p in left)


def test_a_second_signal_ends_a_command_whose_database_does_not_answer(server, tmp_path):
    url, network = server.new_database("deaf"), Network(server.port)
    far = url.replace(f":{server.port}/", f":{network.port}/")
    process = tune(*STUDY, "--trials", 100, "--storage", far, cwd=tmp_path)
    while len(left := workers_of(process)) < 2:
        assert process.poll() is None
        time.sleep(0.2)
    time.sleep(3)
    network.cut()
    time.sleep(5)
    process.send_signal(signal.SIGINT)
    time.sleep(4)
    process.send_signal(signal.SIGINT)
    started = time.monotonic()
    code, text = ended(process)
    print(f"exit {code} after {time.monotonic() - started:.2f} s", flush=True)
    assert code == 130, text
    psutil.wait_procs(left, timeout=1)
    assert not any(p.is_running() and p.status() != "zombie" for p in left)


#: A supervisor on a machine whose clock is wrong by so many seconds and jumps by up to an hour whenever it is read.
BAD_CLOCK = textwrap.dedent("""
    import datetime, random, sys, time
    offset, luck, real, now = float(sys.argv.pop()), random.Random(1), time.time, datetime.datetime.now
    class Wrong(datetime.datetime):
        @classmethod
        def now(cls, zone=None):
            return now(zone) + datetime.timedelta(seconds=offset + luck.uniform(-3600, 3600))
    datetime.datetime = Wrong
    time.time = lambda: real() + offset + luck.uniform(-3600, 3600)
""")


def check_no_attempt_was_taken(name, url, trials):
    data = check_exact(name, url, trials)
    assert [t.outcome for t in data.trials] == ["completed"] * trials
    assert len({json.dumps(t.params, sort_keys=True) for t in data.trials}) == trials


def test_two_supervisors_with_bad_clocks_and_a_lock_of_two_minutes_end_with_exactly_sixty(server, tmp_path):
    url = server.new_database("clocks")
    pair = [supervisor(url, 60, 1.0, tmp_path, before=BAD_CLOCK, more=[-600])]
    time.sleep(8)  # it makes the tables
    pair.append(supervisor(url, 60, 1.0, tmp_path, before=BAD_CLOCK, more=[600]))
    time.sleep(8)
    # Another program's lock: our own connections' transactions end when they are silent for a minute.
    with sqlalchemy.create_engine(url).begin() as connection:
        for table in ("study_user_attributes", "trials"):
            connection.exec_driver_sql(f"lock table {table} in access exclusive mode")
        time.sleep(120)
    for process in pair:
        out, text = process.communicate(timeout=600)
        assert process.returncode == 0, text
        print(out.strip(), flush=True)
    check_no_attempt_was_taken("s", url, 60)


def test_a_partition_of_a_minute_ends_with_exactly_sixty(server, tmp_path):
    """One of two supervisors reaches the database through a network that forgets its packets for a minute."""
    url = server.new_database("cut")
    network = Network(server.port)
    near = supervisor(url, 60, 1.0, tmp_path)
    time.sleep(8)  # it makes the tables
    far = supervisor(url.replace(f":{server.port}/", f":{network.port}/"), 60, 1.0, tmp_path)
    time.sleep(15)
    network.cut()
    time.sleep(60)
    network.mend()
    for process in (near, far):
        out, text = process.communicate(timeout=900)
        assert process.returncode == 0, text
        print(out.strip(), flush=True)
    check_exact("s", url, 60)
