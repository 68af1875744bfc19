"""What the processes of a study hold at most: a worker with sixteen lanes, and its supervisor, beside another checkout.

    python benchmarks/worker_memory.py [--pairs 3] [--other PYTHON] [--steps 8000]

A study of sixteen trials of CartPole-v1 in one worker; looked at ten times a second. Printed are the peaks of resident
memory in MiB, and of its anonymous part: the rest are pages of files, such as libraries, which all processes of a
machine share. ``--other`` is the interpreter of version 0.1.0's environment; what was its default space is ``classic``
today. Linux only.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from engine import THREADS

STUDY = (
    "-m tuner --env CartPole-v1 --trials 16 --evaluations 2 --confirm 0 --workers 1 --lanes 16 --seed 0 --quiet "
    "--storage sqlite:///tuner.db --study memory"
)


def held(pid: int) -> tuple[float, float]:
    """Return the (resident, anonymous) MiB of a process; zeros of one that has gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0, 0.0
    kibibytes = {line.split()[0]: int(line.split()[1]) for line in lines if line.endswith("kB")}
    return kibibytes.get("Rss:", 0) / 1024, kibibytes.get("Anonymous:", 0) / 1024


def peaks(python: str, steps: int) -> dict[str, tuple[float, float]]:
    """Run a study; return the peaks of its supervisor, and of its worker: the process that computed most besides."""
    space = ["--space", "classic"] if python == sys.executable else []
    with tempfile.TemporaryDirectory() as folder, open(os.devnull, "w") as nowhere:
        command = [python, *STUDY.split(), "--steps", str(steps), *space]
        study = subprocess.Popen(command, cwd=folder, env=os.environ | THREADS, stdout=nowhere, stderr=nowhere)
        supervisor, most, busy = psutil.Process(study.pid), {}, {}
        while study.poll() is None:
            try:
                family = [supervisor, *supervisor.children(recursive=True)]
            except psutil.Error:
                break
            for process in family:
                now = held(process.pid)
                before = most.get(process.pid, (0.0, 0.0))
                most[process.pid] = (max(before[0], now[0]), max(before[1], now[1]))
                try:
                    busy[process.pid] = sum(process.cpu_times()[:2])
                except psutil.Error:
                    continue
            time.sleep(0.1)
        if study.wait():
            raise SystemExit(f"{' '.join(command)}: exit {study.returncode}")
    worker = max((pid for pid in most if pid != study.pid), key=lambda pid: busy.get(pid, 0.0))
    return {"supervisor": most[study.pid], "worker": most[worker]}


def main() -> None:
    """Measure in pairs and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--other", metavar="PYTHON")
    parser.add_argument("--steps", type=int, default=8000)
    options = parser.parse_args()
    sides = {"this": sys.executable} | ({"other": options.other} if options.other else {})
    found: dict[str, list[dict[str, tuple[float, float]]]] = {side: [] for side in sides}
    for _ in range(options.pairs):
        for side, python in sides.items():
            found[side].append(peaks(python, options.steps))
    print("| side | process | resident | of it anonymous |\n|---|---|---:|---:|")
    for side, of in found.items():
        for process in ("supervisor", "worker"):
            resident, anonymous = (statistics.median(each[process][i] for each in of) for i in (0, 1))
            print(f"| {side} | {process} | {resident:.0f} | {anonymous:.0f} |")


if __name__ == "__main__":
    main()
