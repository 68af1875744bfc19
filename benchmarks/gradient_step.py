"""Microseconds of a compiled gradient step of plain DQN, alone on one pinned core, in pairs with another checkout.

    python benchmarks/gradient_step.py [--widths 64 256] [--pairs 5] [--other PYTHON]

One lane, batch 64, 128 gradient steps a training call, random transitions of CartPole's shape; processor time, the best
of ten rounds in each process. ``--other`` is the interpreter of another checkout's environment whose stack has compiled
updates (not version 0.1.0).
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time

from engine import THREADS

BATCH, STEPS, CALLS, ROUNDS, TRANSITIONS = 64, 128, 5, 10, 8000


def microseconds(width: int) -> float:
    """Return what a gradient step takes in this process."""
    import numpy as np

    from tuner.agents.dqn.stack import DQNStack
    from tuner.envs.encoders import BoxEncoder
    from tuner.hyperparameters import DQNHyperparameters

    setting = DQNHyperparameters(
        net_arch=(width, width), batch_size=BATCH, gradient_steps=STEPS, buffer_size=10_000, learning_rate=2.3e-3
    )
    stack = DQNStack(BoxEncoder(4), 2, setting, lanes=1, capacity=10_000, numeric_path="compiled")
    stack.start(0, setting, 0, 100_000)
    rng = np.random.default_rng(0)
    rows = np.ones((TRANSITIONS, stack.memory.width), np.float32)
    rows[:, :-3] = rng.normal(size=(TRANSITIONS, stack.memory.width - 3))
    rows[:, -1] = rng.integers(0, 2, TRANSITIONS)
    stack.remember(0, rows)
    stack.learn([0])  # compiles what there is to compile
    best = float("inf")
    for _ in range(ROUNDS):
        started = time.process_time()
        for _ in range(CALLS):
            stack.learn([0])
        best = min(best, (time.process_time() - started) / CALLS / STEPS * 1e6)
    return best


def measure(python: str, width: int) -> float:
    """Return it in a fresh process."""
    command = [python, __file__, "--child", str(width)]
    return float(
        subprocess.run(command, env=os.environ | THREADS, stdout=subprocess.PIPE, text=True, check=True).stdout
    )


def main() -> None:
    """Measure in pairs and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--widths", nargs="+", type=int, default=[64, 256])
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--other", metavar="PYTHON")
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        print(microseconds(options.child))
        return
    sides = {"this": sys.executable} | ({"other": options.other} if options.other else {})
    print("| network | side | a gradient step: median (lowest to highest) |\n|---|---|---|")
    for width in options.widths:
        found: dict[str, list[float]] = {side: [] for side in sides}
        for _ in range(options.pairs):
            for side, python in sides.items():
                found[side].append(measure(python, width))
        for side, took in found.items():
            around = f"({min(took):.1f} to {max(took):.1f})"
            print(f"| [{width}, {width}] | {side} | {statistics.median(took):.1f} us {around} |", flush=True)


if __name__ == "__main__":
    main()
