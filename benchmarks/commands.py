"""What a command costs that only looks: 200 studies of 50 trials, and `tune list`, `show` and `doctor` of them.

    python benchmarks/commands.py [--studies 200] [--trials 50] [--repeats 5]

Python's compiled files are there, as in any installation that has run once. Prints processor seconds (user and system,
the median of the repeats, commands in turn) and the largest resident memory.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import statistics
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from supervisor_cost import fill, history, make_plan

from tuner.study.search.open_study import open_study

COMMANDS = (("list",), ("show", "ours"), ("doctor",))


def make_database(path: Path, studies: int, trials: int) -> None:
    """Write one study through Optuna's tables, and copy it row by row."""
    url = f"sqlite:///{path}"
    plan = make_plan(url, trials)
    open_study(plan, {"numeric_path": plan.numeric_path})
    fill(plan.name, url, history(trials))
    with sqlite3.connect(path) as database:
        tables = [name for (name,) in database.execute("select name from sqlite_master where type = 'table'")]
        for number in range(1, studies):
            for table in tables:
                columns = [row[1] for row in database.execute(f"pragma table_info({table})")]
                key = columns[0]
                if table == "studies":
                    database.execute(f"insert into studies values ({number + 1}, 'other-{number}')")
                elif "study_id" in columns or "trial_id" in columns:
                    chosen = [f"{name} + {number * trials}" if name == "trial_id" else name for name in columns]
                    chosen = [str(number + 1) if name == "study_id" else name for name in chosen]
                    chosen[0] = chosen[0] if key in ("trial_id", "study_id") else "null"
                    own = "study_id = 1" if "study_id" in columns else f"trial_id <= {trials}"
                    database.execute(f"insert into {table} select {', '.join(chosen)} from {table} where {own}")


def cost(words: tuple[str, ...], folder: Path, environment: dict[str, str]) -> tuple[float, float]:
    """Return processor seconds and the largest resident memory, MiB, of a command."""
    pid = os.fork()
    if pid == 0:
        os.chdir(folder)
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        program = [sys.executable, "-m", "tuner", *words, "--storage", "sqlite:///many.db"]
        os.execve(sys.executable, program, environment)
    _, status, used = os.wait4(pid, 0)
    assert status == 0, words
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def main() -> None:
    """Measure, and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=200)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        make_database(Path(folder) / "many.db", args.studies, args.trials)
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": f"{folder}/compiled"}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        found = defaultdict(list)
        for repeat in range(args.repeats + 1):
            for words in COMMANDS:
                used = cost(words, Path(folder), environment)
                if repeat:  # the first compiles
                    found[words].append(used)
    print("| command | s of processor | MiB |\n|---|---:|---:|")
    for words, costs in found.items():
        seconds, memory = (list(column) for column in zip(*costs, strict=True))
        print(f"| `tune {' '.join(words)}` | {statistics.median(seconds):.2f} | {max(memory):.0f} |")


if __name__ == "__main__":
    main()
