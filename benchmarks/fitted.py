"""What each regressor of fitted Q-iteration reaches on CartPole-v1 from random experience.

    python benchmarks/fitted.py [--transitions 50000] [--iterations 30] [--seeds 5] [--behavior-eps 1]
                                [--regressors NAME ...]

Each seed collects its own random transitions and iterates; ten greedy episodes are played six times. Printed: the mean
`late` score over the seeds (mean return over the last third of the evaluations), each seed's, the best evaluation, and
the seconds of a run.
"""

from __future__ import annotations

import argparse
import statistics
import time

from desk import Desk

from tuner.contract.grid import evaluation_grid
from tuner.contract.objective import run_score
from tuner.contract.spec import EvaluationSpec, RunId, RunSpec
from tuner.envs.spec import EnvSpec
from tuner.hyperparameters import FQIHyperparameters
from tuner.seeding import evaluation_seed, run_seed
from tuner.training.registry import make_trainer

#: Settings that a study of ten trials prefers, by regressor.
SETTINGS = {
    "linear": {"degree": 3},
    "tree": {"min_samples_leaf": 5},
    "forest": {"min_samples_leaf": 5, "n_estimators": 20},
    "boosting": {"min_samples_leaf": 10, "n_estimators": 60},
    "knn": {"n_neighbors": 30},
    "neural": {"learning_rate": 3e-3, "epochs": 10},
}


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--transitions", type=int, default=50_000)
    parser.add_argument("--iterations", type=int, default=30)
    parser.add_argument("--behavior-eps", type=float, default=1.0)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--regressors", nargs="+", default=list(SETTINGS))
    options = parser.parse_args()
    print("| regressor | mean late | of each seed | best evaluation | seconds of a run |")
    print("|---|---:|---|---:|---:|")
    for name in options.regressors:
        settings = FQIHyperparameters(
            regressor=name, n_transitions=options.transitions, behavior_eps=options.behavior_eps, **SETTINGS[name]
        )
        evaluation = EvaluationSpec(10, evaluation_seed(0, "verdict", 1), 500)
        grid = evaluation_grid(options.iterations, 6)
        specs = [
            RunSpec(
                RunId(i), EnvSpec("CartPole-v1"), "native", settings, run_seed(0, "verdict", i, 0), grid, evaluation
            )
            for i in range(options.seeds)
        ]
        desk, started = Desk(specs), time.perf_counter()
        make_trainer("native", "fqi", 1).train(desk)
        each = [run_score("late", points) for points in desk.points.values()]
        best = max(p.mean_return for points in desk.points.values() for p in points)
        seconds = (time.perf_counter() - started) / options.seeds
        told = ", ".join(f"{score:.0f}" for score in each)
        print(f"| {name} | {statistics.mean(each):.0f} | {told} | {best:.0f} | {seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main()
