"""How fast the native DQN learns from images: the mean return of training episodes, interval by interval.

    python benchmarks/learning.py minatar           # MinAtar/Breakout-v1: frames until a mean training return of 5
    python benchmarks/learning.py pong              # PongNoFrameskip-v4: does the curve rise above random play (-20.7)?
    python benchmarks/learning.py invaders          # SpaceInvadersNoFrameskip-v4: the same, by the game's own score

``--device cuda`` keeps the network on a GPU. Each seed ends as soon as an interval's mean reaches the goal, or at the
end of its budget. Space Invaders has no goal: training episodes there are single lives with clipped rewards, so each
interval ends with an evaluation on the game's own score, and random play is evaluated likewise for comparison.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from desk import Desk


@dataclass(frozen=True)
class Task:
    """What is learned, for how long, and what counts as learned."""

    env: str
    n_timesteps: int
    interval: int
    goal: float
    hyperparameters: dict[str, Any]
    episodes: int = 0  # of each evaluation; 0 looks at training episodes only


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
    "invaders": Task(
        "SpaceInvadersNoFrameskip-v4",
        100_000,
        10_000,
        math.inf,
        {
            "learning_rate": 2e-4, "buffer_size": 100_000, "learning_starts": 2000, "batch_size": 32, "train_freq": 4,
            "gradient_steps": 4, "target_update_interval": 2000, "exploration_fraction": 0.2,
            "exploration_final_eps": 0.02, "net_arch": (), "double_q": True, "n_steps": 3, "cnn": "data_efficient",
        },
        episodes=10,
    ),
}  # fmt: skip

#: An evaluation episode's cap in steps (108,000 frames), and its share of random actions, against games that stall.
CAP, EPSILON = 27_000, 0.01

#: Episodes of random play.
RANDOM_EPISODES = 100


class UntilGoal(Desk):
    """Hands out one run and stops it at the goal."""

    def __init__(self, spec, goal: float) -> None:
        super().__init__([spec], ends=("completed", "stopped"))
        self.goal, self.started = goal, time.perf_counter()
        self.evaluates = spec.evaluation.episodes > 1
        self.reached: int | None = None

    def report(self, points):  # noqa: D102
        (point,) = points
        mean = point.metrics.get("train_return", float("nan"))
        minutes = (time.perf_counter() - self.started) / 60
        played = f"  evaluation {point.mean_return:7.1f}" if self.evaluates else ""
        print(f"  {point.step:9,} steps  training return {mean:7.2f}{played}  {minutes:5.1f} min", flush=True)
        if mean >= self.goal:
            self.reached = point.step
            return frozenset([point.run_id])
        return frozenset()


def random_play(task: Task) -> list[float]:
    """Return the returns of random play, evaluated as the runs are: with a share of random actions of 1."""
    from tuner.contract.spec import EvaluationSpec
    from tuner.envs.spec import EnvSpec
    from tuner.training.evaluation import Evaluator

    evaluator = Evaluator(EnvSpec(task.env), EvaluationSpec(RANDOM_EPISODES, 0, CAP, 1.0))
    ((returns, _),) = evaluator.evaluate([0], lambda inputs: np.zeros(inputs.shape[:2], int))
    evaluator.close()
    return list(returns)


def main() -> None:
    from tuner.contract.spec import EvaluationSpec, RunId, RunSpec
    from tuner.envs.spec import EnvSpec
    from tuner.hyperparameters import DQNHyperparameters
    from tuner.training.stack.trainer import NativeTrainer

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--steps", type=int)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    options = parser.parse_args()
    task = TASKS[options.task]
    steps = options.steps or task.n_timesteps
    interval = min(task.interval, steps)
    grid = tuple(range(interval, steps + 1, interval))
    evaluation = EvaluationSpec(task.episodes, 0, CAP, EPSILON) if task.episodes else EvaluationSpec(1, 0, 1)
    if task.episodes:
        returns = random_play(task)
        error = statistics.stdev(returns) / len(returns) ** 0.5
        print(f"random play: {statistics.fmean(returns):.1f} (standard error {error:.1f}), {len(returns)} episodes")
    for seed in options.seeds:
        print(f"{task.env}, seed {seed}, {steps:,} steps", flush=True)
        spec = RunSpec(
            RunId(0), EnvSpec(task.env), "native", DQNHyperparameters(**task.hyperparameters), seed, grid,
            evaluation, options.device,
        )  # fmt: skip
        desk = UntilGoal(spec, task.goal)
        NativeTrainer(1).train(desk)
        assert not desk.failed
        if math.isinf(task.goal):
            continue
        verdict = f"reached {task.goal:g} within {desk.reached:,}" if desk.reached else f"did not reach {task.goal:g}"
        print(f"  {verdict}", flush=True)


if __name__ == "__main__":
    main()
