"""Throughput of the stack on a CUDA device: lanes trained together as one batched network.

    python benchmarks/cuda.py [--lanes 1 16 128 512] [--widths 64 256] [--steps 10000] [--repeats 3]

CartPole-v1 with the values of ``throughput.py`` (batch 64, train_freq 256, gradient_steps 128, buffer 100,000),
evaluation excluded, environments stepped by one process. A figure is the median over repeats of environment steps per
second, summed over lanes; the first, short run of each row warms the device up and is not counted. Without a CUDA
device it says so and ends. Beside it stands what a training call takes for each gradient step of all lanes (minibatches
drawn on the CPU and copied included): the rest of the time environments are stepped, on one core.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time

import numpy as np
import torch
from throughput import ZOO

from tuner.agents.dqn.stack import DQNStack
from tuner.contract.roles import DONE
from tuner.contract.spec import EvaluationSpec, RunId, RunSpec
from tuner.envs.encoders import BoxEncoder
from tuner.envs.spec import EnvSpec
from tuner.hyperparameters import DQNHyperparameters
from tuner.training.stack.trainer import NativeTrainer

#: Steps of the run that warms up: past ``learning_starts``, so that updates are warm too.
WARM_UP_STEPS = 1536


class Queue:
    """Hands out one run for each lane."""

    def __init__(self, lanes: int, width: int, steps: int, device: str) -> None:
        hyperparameters = DQNHyperparameters(**ZOO, net_arch=(width, width))
        evaluation = EvaluationSpec(episodes=1, seed=0, max_steps=1)  # the seam wants one; one step costs nothing
        env = EnvSpec("CartPole-v1")
        self._specs = [
            RunSpec(RunId(i), env, "native", hyperparameters, i, (steps,), evaluation, device) for i in range(lanes)
        ]

    def take(self, open_shapes, *, block):
        """Return the next run."""
        return self._specs.pop() if self._specs else DONE

    def report(self, points):
        """Stop nothing."""
        return frozenset()

    def finish(self, outcome):
        """Insist that the whole run was trained."""
        assert outcome.kind == "completed", outcome


def rate(lanes: int, width: int, steps: int, device: str) -> float:
    """Return environment steps per second over all lanes."""
    queue = Queue(lanes, width, steps, device)
    started = time.perf_counter()
    NativeTrainer(lanes).train(queue)
    return lanes * steps / (time.perf_counter() - started)


def gradient_step_us(lanes: int, width: int, device: str) -> float:
    """Return microseconds of a gradient step of all lanes, the call's minibatches included: median of five calls."""
    hyperparameters = DQNHyperparameters(**ZOO, net_arch=(width, width))
    stack = DQNStack(BoxEncoder(4), 2, hyperparameters, lanes=lanes, capacity=2048, device=device)
    rng = np.random.default_rng(0)
    for lane in range(lanes):
        stack.start(lane, hyperparameters, lane, 2048)
        rows = np.ones((2048, stack.memory.width), np.float32)
        rows[:, :-3] = rng.normal(size=(2048, stack.memory.width - 3))
        rows[:, -1] = rng.integers(0, 2, 2048)
        stack.remember(lane, rows)
    took = []
    for _ in range(6):
        started = time.perf_counter()
        stack.learn(range(lanes))  # its losses come back, so it waits for the device
        took.append(time.perf_counter() - started)
    return statistics.median(took[1:]) / hyperparameters.updates_per_call() * 1e6


def main() -> None:
    """Measure every number of lanes and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lanes", type=int, nargs="+", default=[1, 16, 128, 512])
    parser.add_argument("--widths", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu: to try the script out")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        print("No CUDA device: torch finds none on this machine, so nothing was measured.")
        sys.exit(0)
    name = torch.cuda.get_device_name() if options.device == "cuda" else "CPU"
    print(f"{name}, torch {torch.__version__}, {options.steps:,} steps a lane\n")
    print(
        "| network | K | environment steps/s: median (min to max) | a gradient step of all lanes | device memory |\n"
        "|---|---:|---|---:|---:|"
    )
    for width in options.widths:
        for lanes in options.lanes:
            if options.device == "cuda":
                torch.cuda.reset_peak_memory_stats()
            rate(lanes, width, WARM_UP_STEPS, options.device)
            rates = [rate(lanes, width, options.steps, options.device) for _ in range(options.repeats)]
            memory = torch.cuda.max_memory_allocated() / 2**20 if options.device == "cuda" else 0.0
            step_us = gradient_step_us(lanes, width, options.device)
            print(
                f"| [{width}, {width}] | {lanes} | {statistics.median(rates):,.0f} "
                f"({min(rates):,.0f} to {max(rates):,.0f}) | {step_us:,.0f} us | {memory:,.0f} MiB |",
                flush=True,
            )


if __name__ == "__main__":
    main()
