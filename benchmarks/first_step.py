"""Processor seconds from the command `tune` to the first training step of its first trial, in pairs.

    python benchmarks/first_step.py [--pairs 5] [--other PYTHON]

Counted are the supervisor, the processes that it has started and seen end (such as a look at the environment), and
the worker that trains, at the moment of the worker's first step. The environment, CartPole-v1 under another name, tells
it: each process notes its own time and its parent's at its first step. Looks at the environment and random play come
before; the worker is the last process to begin.
Compiled code comes from a cache that a run before the pairs has filled. ``--other`` is the interpreter of another
checkout's environment (version 0.1.0 or later), measured in turn with this one.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ENVIRONMENT = """
import os
import time

import gymnasium
import psutil
from gymnasium.envs.classic_control import CartPoleEnv


class Noted(CartPoleEnv):
    steps = 0

    def step(self, action):
        if not Noted.steps:
            parent = psutil.Process(os.getppid()).cpu_times()
            ours = sum(os.times()[:2])
            Noted.first = ours + parent.user + parent.system + parent.children_user + parent.children_system
        Noted.steps += 1
        if Noted.steps in (1, 100):
            with open(os.environ["FIRST_STEPS"], "a") as file:
                file.write(f"{Noted.steps} {Noted.first}\\n")
        return super().step(action)


gymnasium.register("Noted-v0", Noted, max_episode_steps=500)
"""

STUDY = (
    "-m tuner --env Noted-v0 --env-module noted.py --trials 1 --steps 1500 --evaluations 1 --confirm 0 --workers 1 "
    "--seed 0 --quiet --storage sqlite:///tuner.db --study first"
)


def first_step(python: str) -> float:
    """Run a small study; return the processor seconds until its worker's first step."""
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    with tempfile.TemporaryDirectory() as folder:
        notes = Path(folder, "first-steps.txt")
        Path(folder, "noted.py").write_text(ENVIRONMENT)
        done = subprocess.run(
            [python, *STUDY.split()], cwd=folder, env={**os.environ, **one_thread, "FIRST_STEPS": str(notes)},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise SystemExit(done.stderr[-2000:])
        lines = [line.split() for line in notes.read_text().splitlines()]
    return [float(seconds) for steps, seconds in lines if steps == "100"][-1]


def main() -> None:
    """Measure in pairs and print medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--other", metavar="PYTHON")
    options = parser.parse_args()
    sides = {"this": sys.executable} | ({"other": options.other} if options.other else {})
    found: dict[str, list[float]] = {side: [] for side in sides}
    for pair in range(options.pairs + 1):  # the first fills caches
        for side, python in sides.items():
            seconds = first_step(python)
            if pair:
                found[side].append(seconds)
    for side, seconds_found in found.items():
        low, high = min(seconds_found), max(seconds_found)
        print(f"{side}: {statistics.median(seconds_found):.2f} s ({low:.2f} to {high:.2f})")
    if options.other:
        more = [mine - theirs for mine, theirs in zip(found["this"], found["other"], strict=True)]
        print(f"this - other: {statistics.median(more):+.2f} s ({min(more):+.2f} to {max(more):+.2f})")


if __name__ == "__main__":
    main()
