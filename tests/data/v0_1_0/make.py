"""Make the fixtures of this folder with the ``tune`` of a checkout of version 0.1.0 (commit 8ff3b66).

git worktree add ../old 8ff3b66 && python -m venv ../old/.venv && ../old/.venv/bin/pip install -e '../old[test]'
python tests/data/v0_1_0/make.py ../old/.venv/bin/tune [fixture ...]
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent

#: Of every command: a database in the working folder, and nothing of this machine's user.
STORAGE = "sqlite:///study.db"

LAKE = shlex.split(
    "--env FrozenLake-v1 --algo q_learning --study lake --steps 2000 --evaluations 4 --eval-episodes 5 --seed 3 "
    "--seeds-per-trial 2 --startup-trials 4 --workers 1 --quiet"
)
CARTPOLE = shlex.split(
    "--env CartPole-v1 --study pole --steps 600 --evaluations 4 --eval-episodes 3 --seed 5 --startup-trials 3 "
    "--set net_arch=16 --set learning_starts=64 --workers 1 --lanes 3 --quiet"
)

#: A command line whose process kills itself once this many files of unfinished runs have been written.
DIES_AFTER_SAVING = """
import os, signal, sys
from tuner.cli.app import main
from tuner.training.run_checkpoint import RunCheckpoints
RunCheckpoints.__init__.__kwdefaults__.update(every_s=0.0, cost_factor=0.0)
save, left = RunCheckpoints.save, [int(sys.argv[1])]
def counted(self, spec, arrays):
    save(self, spec, arrays)
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
RunCheckpoints.save = counted
sys.exit(main(sys.argv[2:]))
"""


class Old:
    """The old version, run in an empty folder.

    Args:
        tune: Its executable.
        folder: Where its commands run.
    """

    def __init__(self, tune: Path, folder: Path) -> None:
        self._tune, self.folder = tune, folder
        self._environment = {**os.environ, "TUNE_STORAGE": STORAGE, "XDG_STATE_HOME": str(folder / "state")}

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a command as a process group of its own."""
        command = [str(self._tune), *arguments]
        return subprocess.Popen(command, cwd=self.folder, env=self._environment, start_new_session=True)

    def run(self, *arguments: str) -> str:
        """Return what a command prints."""
        command = [str(self._tune), *arguments]
        done = subprocess.run(command, cwd=self.folder, env=self._environment, check=True, stdout=subprocess.PIPE)
        return done.stdout.decode()

    def die(self, saves: int, *arguments: str) -> None:
        """Run a command that is killed after ``saves`` files of unfinished runs."""
        command = [str(self._tune.with_name("python")), "-c", DIES_AFTER_SAVING, str(saves), *arguments]
        done = subprocess.run(command, cwd=self.folder, env=self._environment, check=False)
        assert done.returncode == -signal.SIGKILL, done.returncode


def lake(old: Old, out: Path) -> None:
    """A tabular study with its confirm study, and its export in our own schema."""
    old.run(*LAKE, "--trials", "8", "--confirm", "2", "--confirm-seeds", "3", "--confirm-budget", "4")
    keep_study(old, out, "lake")


def pole(old: Old, out: Path) -> None:
    """A native DQN study with its confirm study, and its export in RL Zoo's format."""
    old.run(*CARTPOLE, "--trials", "6", "--confirm", "2", "--confirm-seeds", "3", "--confirm-budget", "4")
    keep_study(old, out, "pole")


def keep_study(old: Old, out: Path, study: str) -> None:
    keep_database(old, out)
    shutil.copy(old.folder / "reports" / study / "best.yaml", out)
    report = json.loads((old.folder / "reports" / study / "report.json").read_text())
    (out / "report.json.gz").write_bytes(gzip.compress(json.dumps(report).encode(), mtime=0))


def spool(old: Old, out: Path) -> None:
    """A tabular study killed while its database was locked: one finished trial at least waits in the spool."""
    process = old.start(*LAKE, "--trials", "40", "--lanes", "2", "--confirm", "0")
    database, waiting = old.folder / "study.db", old.folder / "study.db.lake.spool"
    until(lambda: finished_trials(database) >= 2)
    with contextlib.closing(sqlite3.connect(database, timeout=60, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        until(lambda: waiting.exists() and waiting.read_bytes().endswith(b"\n"))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        other.execute("ROLLBACK")
    keep_database(old, out)
    shutil.copy(waiting, out)


def finished_trials(database: Path) -> int:
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(database)) as reader:
        return int(reader.execute("SELECT COUNT(*) FROM trials WHERE state = 'COMPLETE'").fetchone()[0])
    return 0


def killed_lake(old: Old, out: Path) -> None:
    """A tabular study killed midway through a run that had been saved."""
    old.die(5, *LAKE, "--trials", "6", "--executor", "inline", "--lanes", "1", "--confirm", "0")
    keep_database(old, out)
    keep_checkpoints(old, out, "lake")


def killed_pole(old: Old, out: Path) -> None:
    """A native DQN study killed midway through its first run, which had been saved."""
    one = [*CARTPOLE, "--lanes", "1", "--set", "buffer_size=600"]
    old.die(2, *one, "--trials", "3", "--executor", "inline", "--confirm", "0")
    keep_database(old, out)
    keep_checkpoints(old, out, "pole")


def keep_checkpoints(old: Old, out: Path, study: str) -> None:
    shutil.copytree(old.folder / "reports" / study / "checkpoints", out / "checkpoints")


def models(old: Old, out: Path) -> None:
    """A saved model of every algorithm, and what ``tune evaluate`` said of it."""
    shutil.copy(HERE / "bright_side.py", old.folder)
    bright = ["--env-module", "bright_side.py"]
    learns = sets("learning_rate=0.002", "exploration_fraction=0.2", "batch_size=64", "learning_starts=500")
    often = [*learns, *sets("train_freq=1", "target_update_interval=250", "net_arch=16,16")]
    train(old, out, "dqn", ["--env", "CartPole-v1", "--steps", "25000", *often])
    train(
        old,
        out,
        "dueling",
        ["--env", "CartPole-v1", "--steps", "25000", *often, *sets("dueling=true", "double_q=true")],
    )
    train(old, out, "images", ["--env", "BrightSide-v0", "--steps", "3000", *learns, *bright], bright)
    train(old, out, "q_learning", ["--env", "FrozenLake-v1", "--algo", "q_learning", "--steps", "20000"])
    small = sets("n_transitions=2000", "n_estimators=5", "min_samples_leaf=5")
    train(old, out, "fqi", ["--env", "FrozenLake-v1", "--algo", "fqi", "--steps", "20", *small])


def sets(*assignments: str) -> list[str]:
    return [word for assignment in assignments for word in ("--set", assignment)]


def train(old: Old, out: Path, name: str, arguments: list[str], trusted: list[str] | None = None) -> None:
    old.run("train", *arguments, "--evaluations", "4", "--eval-episodes", "5", "--seed", "1", "--quiet", "-o", name)
    (out / name).mkdir()
    for file in ("model.json", "weights.npz"):
        shutil.copy(old.folder / name / file, out / name)
    (out / name / "evaluate.txt").write_text(old.run("evaluate", name, "--episodes", "20", *(trusted or [])))


def keep_database(old: Old, out: Path) -> None:
    """Copy the database, its log written back into it, compressed."""
    with contextlib.closing(sqlite3.connect(old.folder / "study.db")) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.execute("PRAGMA journal_mode = DELETE")
        database.execute("VACUUM")
    (out / "study.db.gz").write_bytes(gzip.compress((old.folder / "study.db").read_bytes(), mtime=0))


def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait for a condition.

    Raises:
        TimeoutError: It does not come true.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.005)


FIXTURES: dict[str, Callable[[Old, Path], None]] = {
    make.__name__: make for make in (lake, pole, spool, killed_lake, killed_pole, models)
}


def main() -> None:
    """Make the fixtures named, or all."""
    tune, *names = sys.argv[1:]
    for name in names or FIXTURES:
        with tempfile.TemporaryDirectory() as folder:
            out = HERE / name
            shutil.rmtree(out, ignore_errors=True)
            out.mkdir()
            FIXTURES[name](Old(Path(tune).absolute(), Path(folder)), out)
        print(name, sum(file.stat().st_size for file in out.rglob("*") if file.is_file()), "bytes")


if __name__ == "__main__":
    main()
