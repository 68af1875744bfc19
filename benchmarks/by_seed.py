"""One setting over many seeds: how good it is, and how much a seed decides. What probes of default values rest on.

    python benchmarks/by_seed.py CartPole-v1 --set n_steps=10 batch_size=64 [--steps 50000] [--seeds 16]

Fields that are not set are at the algorithm's defaults. Trained natively as one stack; prints the mean of `late`, its
standard deviation over seeds, the worst seed, and the seconds it took.
"""

from __future__ import annotations

import argparse
import statistics
import time

import yaml
from desk import Desk

from tuner import seeding
from tuner.cli.values import read_pairs
from tuner.contract.grid import evaluation_grid
from tuner.contract.objective import run_score
from tuner.contract.spec import EvaluationSpec, RunId, RunSpec
from tuner.envs.make import inspect
from tuner.envs.spec import EnvSpec
from tuner.hyperparameters import from_mapping
from tuner.training.stack.trainer import NativeTrainer

#: Source of the seeds; the studies' own are small numbers.
SOURCE = 777


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("env")
    parser.add_argument("--set", nargs="*", default=[], metavar="FIELD=VALUE")
    parser.add_argument("--env-arg", nargs="*", default=[], metavar="KEY=VALUE")
    parser.add_argument("--steps", type=int, default=50_000)
    parser.add_argument("--evaluations", type=int, default=20)
    parser.add_argument("--episodes", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=16)
    options = parser.parse_args()
    values = {name: yaml.safe_load(text) for name, text in (item.split("=", 1) for item in options.set)}
    kwargs = read_pairs("--env-arg", options.env_arg)
    env, hyperparameters = EnvSpec(options.env, tuple(sorted(kwargs.items()))), from_mapping("dqn", values)
    cap = inspect(env, "dqn").eval_max_steps
    evaluation = EvaluationSpec(options.episodes, seeding.evaluation_seed(SOURCE, "search", 1), cap)
    grid = evaluation_grid(options.steps, options.evaluations)
    desk = Desk(
        [
            RunSpec(
                RunId(i), env, "native", hyperparameters, seeding.run_seed(SOURCE, "search", i, 0), grid, evaluation
            )
            for i in range(options.seeds)
        ]
    )
    started = time.perf_counter()
    NativeTrainer(options.seeds).train(desk)
    late = [run_score("late", points) for points in desk.points.values() if len(points) == len(grid)]
    spread = statistics.stdev(late) if len(late) > 1 else 0.0
    print(
        f"{len(late)} of {options.seeds} seeds: mean late {statistics.mean(late):.1f}, "
        f"standard deviation {spread:.1f}, worst {min(late):.1f}; {time.perf_counter() - started:.0f} s"
    )


if __name__ == "__main__":
    main()
