"""Processor seconds that a cold cache of compiled code costs, once: of a whole study, and function by function.

    python benchmarks/cold_compile.py [--repeats 3] [--other PYTHON] [--split]

``study`` is a small study of CartPole-v1 with two worker processes of four equally shaped lanes each, first with an
empty cache, then with what that left: the difference is what compiling costs, all processes together. ``vectors``,
``images``, ``quantiles`` and ``noise`` are one process that makes a stack with an empty cache, and again with a full
one. ``--other`` is the interpreter of another checkout's environment, measured in turn with this one; ``--split`` adds
what each function takes without those that it calls. Processor time rises with what else runs: an idle machine, or the
lowest of several.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from typing import Any

STUDY = (
    "-m tuner --env CartPole-v1 --space classic --trials 8 --steps 1500 --evaluations 2 --confirm 0 --workers 2 "
    "--lanes 4 --quiet --storage sqlite:///tuner.db --study cold"
)
#: Kind of stack to the setting that compiles it.
SETTINGS: dict[str, dict[str, Any]] = {
    "vectors": {},
    "images": {},
    "quantiles": {"quantiles": 8},
    "noise": {"noisy": True},
}
KINDS = ("study", *SETTINGS)


def make_stack(kind: str) -> None:
    """Make one stack, with what it compiles."""
    import gymnasium
    import numpy as np

    from tuner.agents.dqn.stack import DQNStack
    from tuner.envs.encoders import encoder_for
    from tuner.hyperparameters import DQNHyperparameters

    vectors, images = gymnasium.spaces.Box(-1, 1, (4,), np.float32), gymnasium.spaces.Box(0, 1, (10, 10, 4), np.bool_)
    encoder = encoder_for(images if kind == "images" else vectors)
    DQNStack(encoder, 2, DQNHyperparameters(**SETTINGS[kind]), lanes=4, capacity=100, numeric_path="compiled")


def split(kind: str) -> None:
    """Make one stack, and print what compiling each function takes without those that it calls."""
    from numba.core import event

    spent: Counter[str] = Counter()
    within: list[float] = []

    class Listener(event.Listener):
        def on_start(self, happened: Any) -> None:
            within.append(0.0)
            self.started = [*getattr(self, "started", []), time.process_time()]

        def on_end(self, happened: Any) -> None:
            seconds = time.process_time() - self.started.pop()
            name = happened.data["dispatcher"].py_func.__name__
            spent["Numba's own" if name == "impl" else name] += seconds - within.pop()
            if within:
                within[-1] += seconds

    event.register("numba:compile", Listener())
    make_stack(kind)
    print("\n".join(f"    {seconds:5.2f} s  {name}" for name, seconds in spent.most_common()))


def busy(python: str, arguments: list[str], cache: str) -> float:
    """Return the processor seconds of a command and all that it starts."""
    env = {**os.environ, **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"), "NUMBA_CACHE_DIR": cache}
    with tempfile.TemporaryDirectory() as folder:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([python, *arguments], cwd=folder, env=env, capture_output=True, text=True, check=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        raise SystemExit(f"{python} {' '.join(arguments)}\n{done.stderr[-2000:]}")
    print(done.stdout if "--child" in arguments else "", end="", flush=True)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measure, and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--other", metavar="PYTHON")
    parser.add_argument("--split", action="store_true")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        kind, what = options.child
        (split if what == "split" else make_stack)(kind)
        return
    this = os.path.abspath(__file__)
    sides = {"this": sys.executable} | ({"other": os.path.abspath(options.other)} if options.other else {})
    print("| what | side | cold | warm | compiling, median (lowest to highest) |\n|---|---|---:|---:|---|")
    for kind in options.kinds:
        arguments = STUDY.split() if kind == "study" else [this, "--child", kind, "whole"]
        found: dict[str, list[tuple[float, float]]] = {side: [] for side in sides}
        for _ in range(options.repeats):
            for side, python in sides.items():
                with tempfile.TemporaryDirectory() as cache:
                    found[side].append((busy(python, arguments, cache), busy(python, arguments, cache)))
        for side, pairs in found.items():
            cold, warm = (statistics.median(values) for values in zip(*pairs, strict=True))
            cost = sorted(first - second for first, second in pairs)
            text = f"{statistics.median(cost):.1f} s ({cost[0]:.1f} to {cost[-1]:.1f})"
            print(f"| {kind} | {side} | {cold:.1f} s | {warm:.1f} s | {text} |", flush=True)
    for kind in [kind for kind in options.kinds if options.split and kind != "study"]:
        for side, python in sides.items():
            print(f"\n{kind}, {side}: each function without those that it calls\n", flush=True)
            with tempfile.TemporaryDirectory() as cache:
                busy(python, [this, "--child", kind, "split"], cache)


if __name__ == "__main__":
    main()
