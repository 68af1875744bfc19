"""Throughput of training on a CUDA device: calls as one graph, launch by launch, and another checkout, interleaved.

    python benchmarks/gpu.py [--rows 1 16 128 512 atari] [--width 64] [--steps 10000] [--pairs 3] [--other PYTHON]

A row is a number of lanes, of CartPole-v1 with the values of ``throughput.py`` (batch 64, train_freq 256,
gradient_steps 128, buffer 100,000), or ``atari``: one lane of Pong's frames on Nature's convolutions with RL Zoo's
values, which no graph holds. Evaluation is excluded, environments are stepped by one process. Sides take turns, pair
by pair, each in a process of its own: ``graph`` as training does, ``eager`` without graphs (but for ``atari``),
``other`` by the interpreter of another checkout's environment (version 0.1.0 or later). Figures are medians over pairs,
with the lowest and the highest:

- environment steps per second, summed over lanes, once all have trained for a while and the graphs are captured;
- microseconds of a gradient step of all lanes, minibatches drawn on the host and copied included;
- launches: the share of that time in which the device has nothing to do;
- device memory, and the ratios of rates.

Without a CUDA device it says so and ends; ``--device cpu`` tries the script out.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from engine import ZOO, seam

#: RL Zoo's values for Atari; learning starts early.
ATARI = {
    "learning_rate": 1e-4, "batch_size": 32, "target_update_interval": 1000, "train_freq": 4, "gradient_steps": 1,
    "exploration_fraction": 0.1, "exploration_final_eps": 0.01, "learning_starts": 500, "buffer_size": 10_000,
    "net_arch": (), "cnn": "nature",
}  # fmt: skip
GAME = "PongNoFrameskip-v4"

#: Environment steps of each lane before the clock starts: past ``learning_starts`` and the calls that warm up.
WARM_UP = 2048

Figures = dict[str, float | None]


def task(row: str, width: int) -> tuple[str, dict[str, Any], int]:
    """Return a row's environment, hyperparameters and lanes."""
    return (GAME, ATARI, 1) if row == "atari" else ("CartPole-v1", {**ZOO, "net_arch": (width, width)}, int(row))


def rate(env: str, values: Mapping[str, Any], lanes: int, warm_up: int, steps: int, device: str) -> float:
    """Return environment steps per second over all lanes, from ``warm_up`` to ``steps`` of each."""
    from tuner.envs.spec import EnvSpec
    from tuner.hyperparameters import DQNHyperparameters

    done, evaluation_spec, run_id, run_spec, native_trainer = seam()
    evaluation = evaluation_spec(episodes=1, seed=0, max_steps=1)  # the seam wants one; one step costs nothing
    setting, grid = DQNHyperparameters(**values), (warm_up, steps)
    times: dict[int, float] = {}

    class Queue:
        def __init__(self) -> None:
            self.specs = [
                run_spec(run_id(i), EnvSpec(env), "native", setting, i, grid, evaluation, device) for i in range(lanes)
            ]

        def take(self, open_shapes: Any, *, block: bool) -> Any:
            return self.specs.pop() if self.specs else done

        def report(self, points: Any) -> frozenset[Any]:
            for point in points:
                times[point.step] = time.perf_counter()  # lanes keep step: the last that reports counts
            return frozenset()

        def finish(self, outcome: Any) -> None:
            assert outcome.kind == "completed", outcome

    native_trainer(lanes).train(Queue())
    return lanes * (steps - warm_up) / (times[steps] - times[warm_up])


def training_call(values: Mapping[str, Any], lanes: int, device: str) -> tuple[Callable[[], Any], int]:
    """Return (a training call of a stack on CartPole's shapes, its gradient steps)."""
    import numpy as np

    from tuner.agents.dqn.stack import DQNStack
    from tuner.envs.encoders import BoxEncoder
    from tuner.hyperparameters import DQNHyperparameters

    setting = DQNHyperparameters(**values)
    stack = DQNStack(BoxEncoder(4), 2, setting, lanes=lanes, capacity=2048, device=device)
    rng = np.random.default_rng(0)
    for lane in range(lanes):
        stack.start(lane, setting, lane, 2048)
        rows = np.ones((2048, stack.memory.width), np.float32)
        rows[:, :-3] = rng.normal(size=(2048, stack.memory.width - 3))
        rows[:, -1] = rng.integers(0, 2, 2048)
        stack.remember(lane, rows)
    return lambda: stack.learn(range(lanes)), setting.updates_per_call()  # losses come back: it waits for the device


def gradient_step(call: Callable[[], Any], steps: int, *, profiled: bool) -> tuple[float, float | None]:
    """Return (microseconds of a gradient step, the share of it in which the device has nothing to do)."""
    from torch.profiler import ProfilerActivity, profile

    took = []
    for _ in range(9):
        started = time.perf_counter()
        call()
        took.append(time.perf_counter() - started)
    call_s = statistics.median(took[4:])  # the first ones warm up
    if not profiled:
        return call_s / steps * 1e6, None
    with profile(activities=[ProfilerActivity.CUDA]) as seen:
        call()
    busy_s = sum(event.self_device_time_total for event in seen.key_averages()) / 1e6
    return call_s / steps * 1e6, max(1 - busy_s / call_s, 0.0)


def figures(side: str, row: str, width: int, warm_up: int, steps: int, device: str) -> Figures:
    """Measure one side of a row in this process."""
    import torch

    if side == "eager":
        from tuner.agents.dqn import captured

        captured.CALLS_BEFORE = sys.maxsize
    on_gpu = device == "cuda"
    there = device if on_gpu else "cpu:0"  # by that name the CPU is a device like any other
    env, values, lanes = task(row, width)
    found: Figures = {"rate": rate(env, values, lanes, warm_up, steps, there), "step_us": None, "launches": None}
    if row != "atari":
        found["step_us"], found["launches"] = gradient_step(*training_call(values, lanes, there), profiled=on_gpu)
    found["memory"] = torch.cuda.max_memory_allocated() / 2**20 if on_gpu else None
    return found


def measure(python: str, side: str, row: str, options: argparse.Namespace) -> Figures:
    """Measure one side of a row in a fresh process."""
    env = {**os.environ, **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")}
    command = [python, __file__, "--child", side, row, "--width", str(options.width), "--steps", str(options.steps),
               "--device", options.device]  # fmt: skip
    found = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=True).stdout
    result: Figures = json.loads(found.splitlines()[-1])
    return result


def spread(values: Sequence[float | None], form: str, unit: str = "") -> str:
    """Return a median, with the lowest and the highest where there are several; a dash where nothing was measured."""
    known = [value for value in values if value is not None]
    if not known:
        return "-"
    around = f" ({min(known):{form}} to {max(known):{form}})" if len(known) > 1 else ""
    return f"{statistics.median(known):{form}}{unit}{around}"


def table_rows(row: str, found: Mapping[str, Sequence[Figures]]) -> list[str]:
    """Return a row's lines of the table, one for each side; ratios are of pairs, the first side over each."""
    lines, first = [], next(iter(found.values()))
    for side, pairs in found.items():
        ratios = [mine["rate"] / theirs["rate"] for mine, theirs in zip(first, pairs, strict=True)]  # type: ignore[operator]
        cells = [
            spread([each["rate"] for each in pairs], ",.0f"),
            spread([each["step_us"] for each in pairs], ",.0f", " us"),
            spread([each["launches"] for each in pairs], ".0%"),
            spread([each["memory"] for each in pairs], ",.0f", " MiB"),
            "1" if pairs is first else spread(ratios, ".2f"),
        ]
        lines.append(f"| {row} | {side} | {' | '.join(cells)} |")
    return lines


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the rows asked for and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="+", default=["1", "16", "128", "512", "atari"], metavar="LANES|atari")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--steps", type=int, default=10_000, help=f"of each lane, {WARM_UP:,} of them to warm up")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--other", metavar="PYTHON")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu: to try the script out")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.steps <= WARM_UP:
        parser.error(f"--steps must be more than {WARM_UP}, got {options.steps}")
    if options.child:
        side, row = options.child
        print(json.dumps(figures(side, row, options.width, WARM_UP, options.steps, options.device)))
        return
    import torch

    if options.device == "cuda" and not torch.cuda.is_available():
        print("No CUDA device: torch finds none on this machine, so nothing was measured.")
        return
    name = torch.cuda.get_device_name() if options.device == "cuda" else "CPU"
    print(f"{name}, torch {torch.__version__}, [{options.width}, {options.width}], {options.steps:,} steps a lane\n")
    print("| K | side | environment steps/s | a gradient step of all lanes | launches | device memory | graph / side |")
    print("|---:|---|---:|---:|---:|---:|---:|")
    sides = {"graph": sys.executable, "eager": sys.executable} | ({"other": options.other} if options.other else {})
    for row in options.rows:
        found: dict[str, list[Figures]] = {side: [] for side in sides if (row, side) != ("atari", "eager")}
        for _ in range(options.pairs):
            for side, pairs in found.items():
                pairs.append(measure(sides[side], side, row, options))
        print("\n".join(table_rows(row, found)), flush=True)


if __name__ == "__main__":
    main()
