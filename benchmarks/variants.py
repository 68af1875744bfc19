"""What DQN's variants cost: the share of plain DQN's environment steps per second that each of them keeps.

    python benchmarks/variants.py [--pairs 5] [--steps 10000] [--lanes 16] [--width 64] [--only NAME ...]

CartPole-v1 without evaluations, RL Zoo's train_freq 256 and 128 gradient steps of 64 transitions, one stack on one
core. Plain DQN and a variant take turns, each in a fresh process as `engine.py` measures (one thread, pinned, after a
short run that compiles and loads what there is to load); the figure is the median over pairs of variant / plain.
Processor time counts, so a busy machine shows in the pairs' spread and hardly in the figure.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys

from engine import THREADS, ZOO, native

VARIANTS = {
    "double": {"double_q": True},
    "dueling": {"dueling": True},
    "n-step (3)": {"n_steps": 3},
    "prioritised": {"prioritized": True},
    "linear schedule": {"learning_rate_schedule": "linear"},
    "Munchausen": {"munchausen": True},
    "layer norm": {"layer_norm": True},
    "noisy": {"noisy": True},
    "quantiles (8)": {"quantiles": 8},
    "quantiles (32)": {"quantiles": 32},
    "quantiles (50)": {"quantiles": 50},
    "quantiles (200)": {"quantiles": 200},
    "quantiles (32), double, dueling": {"quantiles": 32, "double_q": True, "dueling": True},
    "quantiles (32), noisy": {"quantiles": 32, "noisy": True},
    "all four": {"double_q": True, "dueling": True, "n_steps": 3, "prioritized": True},
}


def measure(variant: str, options: argparse.Namespace) -> float:
    """Return environment steps per second of processor time in a fresh process, all lanes together."""
    size = (options.width, options.lanes, options.steps)
    command = [sys.executable, __file__, "--child", variant, *map(str, size)]
    child = subprocess.run(command, env=os.environ | THREADS, stdout=subprocess.PIPE, text=True, check=True)
    return float(child.stdout)


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--lanes", type=int, default=16)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--only", nargs="+", default=list(VARIANTS), choices=VARIANTS, metavar="NAME")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        variant, width, lanes, steps = options.child[0], *map(int, options.child[1:])
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        print(native([{**ZOO, "net_arch": (width, width), **VARIANTS.get(variant, {})}] * lanes, steps))
        return
    print("| variant | plain steps/s | variant steps/s | share: median (min to max) |\n|---|---:|---:|---|")
    for variant in options.only:
        pairs = [(measure("plain", options), measure(variant, options)) for _ in range(options.pairs)]
        shares = [theirs / plain for plain, theirs in pairs]
        plain, theirs = (statistics.median(side) for side in zip(*pairs, strict=True))
        print(
            f"| {variant} | {plain:,.0f} | {theirs:,.0f} "
            f"| {statistics.median(shares):.2f} ({min(shares):.2f} to {max(shares):.2f}) |",
            flush=True,
        )


if __name__ == "__main__":
    main()
