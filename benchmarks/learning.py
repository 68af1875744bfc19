"""How fast the native DQN learns from images: the mean return of training episodes, interval by interval.

    python benchmarks/learning.py minatar           # MinAtar/Breakout-v1: frames until a mean training return of 5
    python benchmarks/learning.py pong              # PongNoFrameskip-v4: does the curve rise above random play (-20.7)?

``--device cuda`` keeps the network on a GPU. Each seed ends as soon as an interval's mean reaches the goal, or at the
end of its budget.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Task:
    """What is learned, for how long, and what counts as learned."""

    env: str
    n_timesteps: int
    interval: int
    goal: float
    hyperparameters: dict[str, Any]


TASKS = {
    "minatar": Task(
        "MinAtar/Breakout-v1",
        500_000,
        25_000,
        5.0,
        {
            "learning_rate": 5e-4, "buffer_size": 100_000, "learning_starts": 5000, "batch_size": 32, "train_freq": 4,
            "gradient_steps": 2, "target_update_interval": 1000, "exploration_fraction": 0.2,
            "exploration_final_eps": 0.02, "net_arch": (),
        },
    ),
    "pong": Task(
        "PongNoFrameskip-v4",
        1_000_000,
        20_000,
        0.0,
        {
            "learning_rate": 2e-4, "buffer_size": 100_000, "learning_starts": 5000, "batch_size": 32, "train_freq": 4,
            "gradient_steps": 2, "target_update_interval": 1000, "exploration_fraction": 0.1,
            "exploration_final_eps": 0.02, "net_arch": (), "double_q": True, "n_steps": 3,
        },
    ),
}  # fmt: skip


class Desk:
    """Hands out one run and stops it at the goal."""

    def __init__(self, spec, goal: float) -> None:
        self.specs, self.goal, self.started = [spec], goal, time.perf_counter()
        self.reached: int | None = None

    def take(self, open_shapes, *, block):  # noqa: D102
        from tuner.training.types import DONE

        return self.specs.pop() if self.specs else DONE

    def report(self, points):  # noqa: D102
        (point,) = points
        mean = point.metrics.get("train_return", float("nan"))
        minutes = (time.perf_counter() - self.started) / 60
        print(f"  {point.step:9,} steps  training return {mean:7.2f}  {minutes:5.1f} min", flush=True)
        if mean >= self.goal:
            self.reached = point.step
            return frozenset([point.run_id])
        return frozenset()

    def finish(self, outcome):  # noqa: D102
        assert outcome.kind in ("completed", "stopped"), outcome.detail


def main() -> None:
    from tuner.envs.spec import EnvSpec
    from tuner.hyperparameters import DQNHyperparameters
    from tuner.training.native import NativeTrainer
    from tuner.training.types import EvaluationSpec, RunId, RunSpec

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--steps", type=int)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    options = parser.parse_args()
    task = TASKS[options.task]
    steps = options.steps or task.n_timesteps
    grid = tuple(range(task.interval, steps + 1, task.interval))
    for seed in options.seeds:
        print(f"{task.env}, seed {seed}, {steps:,} steps", flush=True)
        spec = RunSpec(
            RunId(0), EnvSpec(task.env), "native", DQNHyperparameters(**task.hyperparameters), seed, grid,
            EvaluationSpec(1, 0, 1), options.device,
        )  # fmt: skip
        desk = Desk(spec, task.goal)
        NativeTrainer(1).train(desk)
        verdict = f"reached {task.goal:g} within {desk.reached:,}" if desk.reached else f"did not reach {task.goal:g}"
        print(f"  {verdict}", flush=True)


if __name__ == "__main__":
    main()
