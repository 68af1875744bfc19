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

import tuner
from tuner.contract.roles import DONE
from tuner.contract.rules import CURRENT
from tuner.contract.spec import EvaluationSpec, RunId, RunSpec
from tuner.core.dynamic_programming import Model, finite_horizon_optimum, policy_return
from tuner.envs.spec import EnvSpec
from tuner.seeding import evaluation_seed, run_seed
from tuner.training.registry import make_trainer

#: Source of the judging seeds; the study's own seed is a small number.
JUDGE = 987_654


class Watcher:
    """Hands out runs and keeps what they have learned."""

    def __init__(self, specs):
        self.specs, self.tables = list(specs), {}

    def take(self, open_shapes, *, block):
        """Return the next run."""
        return self.specs.pop(0) if self.specs else DONE

    def report(self, points):
        """Stop nothing."""
        return frozenset()

    def finish(self, outcome):
        """Expect nothing but success."""
        assert outcome.kind == "completed", outcome

    def on_episode(self, *arguments):
        """Watch nothing."""

    on_update = on_evaluated = on_episode

    def on_end(self, run_id, weights):
        """Keep the table."""
        self.tables[run_id] = weights["table"]


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
        specs = [
            RunSpec(
                RunId(i),
                EnvSpec(env_id),
                "native",
                result.best,
                run_seed(JUDGE, "verdict", i, 0),
                grid,
                EvaluationSpec(1, evaluation_seed(JUDGE, "verdict", CURRENT.evaluation_seeds, i), horizon),
                rules=CURRENT,
            )
            for i in range(options.seeds)
        ]
        watcher = Watcher(specs)
        make_trainer("native", "q_learning", 1, watcher).train(watcher)
        found = [
            float(start @ policy_return(model, table.argmax(axis=1), horizon)) for table in watcher.tables.values()
        ]
        best = float(start @ finite_horizon_optimum(model, horizon))
        print(f"| {env_id} | {', '.join(f'{value:.4f}' for value in found)} | {best:.4f} |", flush=True)


if __name__ == "__main__":
    main()
