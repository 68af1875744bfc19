"""Tuned tabular Q-learning against exact values.

    python benchmarks/tabular.py [--environments FrozenLake-v1 Taxi-v4] [--trials 30] [--seeds 5] [--study-seed 0]

`tune --env ID --algo q_learning --trials 30` searches; what it exports trains on fresh seeds; each learned table's
greedy policy is then valued exactly, by dynamic programming over the environment's own transition table and time limit.
Printed: the exact mean return of each seed over the environment's starts, beside the best that any policy can have.
"""

from __future__ import annotations

import argparse
import os
import tempfile

import gymnasium
import numpy as np
from desk import Desk, judging

import tuner
from tuner.contract.spec import EvaluationSpec
from tuner.core.dynamic_programming import Model, finite_horizon_optimum, policy_return
from tuner.envs.spec import EnvSpec
from tuner.training.registry import make_trainer


def main() -> None:
    """Search, train, value."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--environments", nargs="+", default=["FrozenLake-v1", "Taxi-v4"])
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--study-seed", type=int, default=0)
    options = parser.parse_args()
    print("| environment | exact mean return of each seed | best possible |")
    print("|---|---|---:|")
    for env_id in options.environments:
        env = gymnasium.make(env_id)
        model, start = Model.of(env.unwrapped.P), np.asarray(env.unwrapped.initial_state_distrib)
        horizon = env.spec.max_episode_steps
        env.close()
        with tempfile.TemporaryDirectory() as folder:
            before = os.getcwd()
            os.chdir(folder)
            recipe = tuner.StudyRecipe(env=env_id, algo="q_learning", trials=options.trials, seed=options.study_seed)
            result = tuner.run(recipe)
            os.chdir(before)
        grid = (result.data.grid[-1],)
        desk = Desk(judging(range(options.seeds), EnvSpec(env_id), result.best, grid, EvaluationSpec(1, 0, horizon)))
        make_trainer("native", "q_learning", 1, desk).train(desk)
        assert not desk.failed
        tables = [weights["table"] for weights in desk.weights.values()]
        found = [float(start @ policy_return(model, table.argmax(axis=1), horizon)) for table in tables]
        best = float(start @ finite_horizon_optimum(model, horizon))
        print(f"| {env_id} | {', '.join(f'{value:.4f}' for value in found)} | {best:.4f} |", flush=True)


if __name__ == "__main__":
    main()
