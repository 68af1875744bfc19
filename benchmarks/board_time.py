"""How long ``tune board`` takes over many studies, in processor time.

    python benchmarks/board_time.py [--studies 50]

One search of twelve trials of tabular Q-learning on FrozenLake-v1 is run with its confirm stage; copies of both under
other names fill the database. Printed: seconds of processor and of wall time of ``tune board``, the median of three.
"""

from __future__ import annotations

import argparse
import os
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

DATABASE = "s.db"

#: Tables with a row or more for each study, and for each trial: their own key comes first and is made anew.
OF_STUDIES = ("study_directions", "study_user_attributes", "study_system_attributes")
OF_TRIALS = ("trial_params", "trial_values", "trial_intermediate_values", "trial_user_attributes",
             "trial_system_attributes")  # fmt: skip


def tune(*arguments: str) -> None:
    """Run a command of tune."""
    subprocess.run([sys.executable, "-m", "tuner", *arguments], check=True, stdout=subprocess.DEVNULL)


def copy(database: sqlite3.Connection, name: str, target: str) -> None:
    """Copy a study's rows under another name."""
    (study,) = database.execute("SELECT study_id FROM studies WHERE study_name = ?", (name,)).fetchone()
    made = database.execute("INSERT INTO studies (study_name) VALUES (?)", (target,)).lastrowid
    for table in OF_STUDIES:
        _rows(database, table, "study_id", study, made)
    for (trial,) in database.execute("SELECT trial_id FROM trials WHERE study_id = ?", (study,)).fetchall():
        (another,) = _rows(database, "trials", "trial_id", trial, None, study_id=made)
        for table in OF_TRIALS:
            _rows(database, table, "trial_id", trial, another)


def _rows(database: sqlite3.Connection, table: str, of: str, old: int, new: int | None, **changed: object) -> list[int]:
    """Insert copies of the rows that belong to ``old``, for ``new``; return their row ids."""
    names = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
    made = []
    for row in database.execute(f"SELECT * FROM {table} WHERE {of} = ?", (old,)).fetchall():
        values = {**dict(zip(names, row, strict=True)), of: new, **changed}
        values.pop(names[0]) if names[0] != of else values.pop(of)
        marks = ", ".join("?" * len(values))
        query = f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})"
        made.append(database.execute(query, tuple(values.values())).lastrowid or 0)
    return made


def main() -> None:
    """Make the studies, the board, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=50)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        tune(
            "--env", "FrozenLake-v1", "--algo", "q_learning", "--trials", "12", "--steps", "2000", "--study", "first",
            "--storage", f"sqlite:///{DATABASE}", "--confirm-budget", "9", "--executor", "inline", "--quiet",
        )  # fmt: skip
        with sqlite3.connect(DATABASE) as database:
            for number in range(1, options.studies):
                for name in ("first", "first.confirm"):
                    copy(database, name, name.replace("first", f"study-{number}"))
        taken = []
        for _ in range(3):
            before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
            tune("board", "--storage", f"sqlite:///{DATABASE}")
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            taken.append((processor, time.perf_counter() - began))
        rows = Path("reports/board.json").read_text(encoding="utf-8").count('"study":')
        processor, wall = (statistics.median(each) for each in zip(*taken, strict=True))
        print(f"{rows} studies: {processor:.2f} s of processor, {wall:.2f} s in all")


if __name__ == "__main__":
    main()
