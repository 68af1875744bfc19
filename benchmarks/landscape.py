"""Measure a landscape: many random settings of a narrow space (`spaces/narrow.yaml`), several seeds each.

    python benchmarks/landscape.py [--settings 150] [--seeds 5] [--workers 2] [-o tests/data/landscape-cartpole.npz]

Replaying studies on it (see `search_quality.py`) takes seconds instead of hours, and tests of sampler, pruner, score
and statistics use it as real data. The same command carries on where it stopped: finished runs wait in a `.jsonl`.

The file holds, for S settings, R seeds and C checkpoints: `names` of the searched fields, `values` [S, fields],
`steps` [C], and `returns` [S, R, C], each the mean of ten greedy episodes. A run that diverged holds NaN from there on.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
from pathlib import Path

import numpy as np
from desk import Desk

from tuner import seeding
from tuner.contract.grid import evaluation_grid
from tuner.contract.spec import EvaluationSpec, RunId, RunSpec
from tuner.envs.make import inspect
from tuner.envs.spec import EnvSpec
from tuner.space.catalog import load_by_name
from tuner.training.stack.trainer import NativeTrainer

LANES = 15
SPACE = Path(__file__).parent / "spaces" / "narrow.yaml"


class Draw:
    """A suggestion source that draws uniformly (in the logarithm where the range says so)."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def float(self, name, low, high, log, step):
        """Draw a float."""
        if log:
            return float(np.exp(self._rng.uniform(np.log(low), np.log(high))))
        return float(self._rng.uniform(low, high))

    def int(self, name, low, high, log, step):
        """Draw an integer."""
        if log:
            return int(np.clip(np.rint(np.exp(self._rng.uniform(np.log(low - 0.5), np.log(high + 0.5)))), low, high))
        return int(self._rng.integers(low, high + 1))

    def choice(self, name, options):
        """Draw a choice."""
        return options[self._rng.integers(len(options))]


class Scribe(Desk):
    """Hands out runs and appends each finished one to a file."""

    def __init__(self, specs: list[RunSpec], path: Path) -> None:
        super().__init__(specs)
        self.path = path

    def finish(self, outcome):
        """Write the run down."""
        assert outcome.kind in ("completed", "diverged"), outcome
        line = json.dumps([*outcome.run_id, [point.mean_return for point in self.points[outcome.run_id]]])
        with self.path.open("a") as file:
            file.write(line + "\n")


def settings(env: str, count: int):
    """Return (space, sampled values of each setting)."""
    space, _ = load_by_name(str(SPACE), "dqn").for_environment(env)
    space = space.clip_to_budget()
    rng = seeding.stream(0, "landscape")
    return space, [space.sample(Draw(rng)) for _ in range(count)]


def train(specs: list[RunSpec], path: Path) -> None:
    """Train some runs in this process."""
    NativeTrainer(LANES).train(Scribe(specs, path))


def main() -> None:
    """Train what is missing, then write the landscape."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", default="CartPole-v1")
    parser.add_argument("--settings", type=int, default=150)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("-o", "--output", type=Path, default=Path("tests/data/landscape-cartpole.npz"))
    options = parser.parse_args()

    space, drawn = settings(options.env, options.settings)
    env = EnvSpec(options.env)
    budget = space.budget
    grid = evaluation_grid(budget.n_timesteps, budget.evaluations)
    cap = inspect(env, "dqn").eval_max_steps
    evaluation = EvaluationSpec(budget.eval_episodes, seeding.evaluation_seed(0, "search", 1), cap)
    scratch = options.output.with_suffix(".jsonl")
    done = {}
    if scratch.exists():
        for line in scratch.read_text().splitlines():
            setting, seed, means = json.loads(line)
            done[setting, seed] = means
    missing = [
        RunSpec(
            RunId(s, r), env, "native", space.resolve(params), seeding.run_seed(0, "search", s, r), grid, evaluation
        )
        for r in range(options.seeds)
        for s, params in enumerate(drawn)
        if (s, r) not in done
    ]
    print(f"{len(done)} runs are there, {len(missing)} to go", flush=True)
    if missing:
        context = multiprocessing.get_context("spawn")
        workers = [
            context.Process(target=train, args=(missing[i :: options.workers], scratch)) for i in range(options.workers)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
            assert worker.exitcode == 0, "a worker failed; the same command carries on"
        done = {tuple(row[:2]): row[2] for row in map(json.loads, scratch.read_text().splitlines())}

    returns = np.full((options.settings, options.seeds, len(grid)), np.nan, np.float32)
    for (setting, seed), means in done.items():
        returns[setting, seed, : len(means)] = means
    names = sorted(drawn[0])
    values = np.array([[params[name] for name in names] for params in drawn])
    np.savez_compressed(options.output, names=np.array(names), values=values, steps=np.array(grid), returns=returns)
    print(f"{options.output}: {returns.shape}, best setting's mean late {returns[..., -4:].mean((1, 2)).max():.0f}")


if __name__ == "__main__":
    main()
