"""README's first command against that of another installation, in one go.

    python benchmarks/first_command.py --other FOLDER/bin/tune [--theirs "--env CartPole-v1 --trials 100"] [--pairs 1]

Each runs in a fresh folder with a database of its own, on the same two cores, nothing else beside it; the order turns
from pair to pair, and the pair's number is the study seed. Printed are wall and processor time, and the verdict in the
command's own words.
"""

from __future__ import annotations

import argparse
import os
import resource
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

OURS = "--env CartPole-v1 --trials 100 --within 6m"
THEIRS = "--env CartPole-v1 --trials 100"
CORES = 2


def run(name: str, program: list[str], arguments: str, seed: int) -> str:
    """Run one command in a folder of its own, and return a row of the table."""
    with tempfile.TemporaryDirectory() as folder:
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        command = [*program, *shlex.split(arguments), "--seed", str(seed), "--storage", "sqlite:///tuner.db"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
        busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        if done.returncode != 0:
            raise SystemExit(f"{name} failed with exit code {done.returncode}:\n{done.stderr[-2000:]}")
    said = next((line for line in done.stdout.splitlines() if line.startswith("Confirmed:")), "nothing confirmed")
    return f"| {name} | {seed} | {seconds:.0f} s | {busy:.0f} s | {said} |"


def main() -> None:
    """Run the pairs and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--other", required=True, type=Path, help="the other installation's tune")
    parser.add_argument("--theirs", default=THEIRS)
    parser.add_argument("--ours", default=OURS)
    parser.add_argument("--pairs", type=int, default=1)
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    sides = [
        ("this", [sys.executable, "-m", "tuner"], options.ours),
        ("other", [str(options.other.absolute())], options.theirs),
    ]
    print("| side | study seed | wall time | processor time | verdict |\n|---|---|---|---|---|")
    for pair in range(options.pairs):
        for side in sides[:: 1 if pair % 2 else -1]:
            print(run(*side, pair), flush=True)


if __name__ == "__main__":
    main()
