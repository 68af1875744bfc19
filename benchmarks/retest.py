"""Train an exported configuration again on fresh seeds, beside RL Zoo's tuned values.

    python benchmarks/retest.py reports/STUDY/best.yaml --env CartPole-v1 [--seeds 6]

Both are trained natively, each for its own budget, on the same seeds, which no search uses. Prints each seed's `late`
score (mean return over the last third of ten evaluations) and best checkpoint, and the difference of the means.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

from tuner import seeding
from tuner.envs.make import inspect
from tuner.envs.spec import EnvSpec
from tuner.hyperparameters import from_mapping
from tuner.study.config_files import read_config
from tuner.study.objective import run_score
from tuner.training.native import NativeTrainer
from tuner.training.types import DONE, EvaluationSpec, RunId, RunSpec, evaluation_grid


class Collector:
    """Hands out runs and keeps their evaluations."""

    def __init__(self, specs: list[RunSpec]) -> None:
        self.specs = list(specs)
        self.points: dict[RunId, list] = {spec.run_id: [] for spec in specs}
        self.failed: dict[RunId, str] = {}

    def take(self, open_shapes, *, block):
        """Return the next run."""
        return self.specs.pop(0) if self.specs else DONE

    def report(self, points):
        """Keep the points."""
        for point in points:
            self.points[point.run_id].append(point)
        return frozenset()

    def finish(self, outcome):
        """Complain about anything but a completed run."""
        if outcome.kind != "completed":
            self.failed[outcome.run_id] = f"{outcome.kind}: {outcome.reason}"
            print(f"run {outcome.run_id}: {self.failed[outcome.run_id]}")


def retest(config: Path, env: str, seeds: int, episodes: int) -> list[tuple[float, float]]:
    """Return (late score, best checkpoint) of each seed."""
    read = read_config(config, env)
    spec = EnvSpec(env)
    hyperparameters = from_mapping(read.algorithm, read.hyperparameters)
    cap = inspect(spec, read.algorithm).eval_max_steps
    evaluation = EvaluationSpec(episodes, seeding.evaluation_seed(0, "verdict"), cap)
    grid = evaluation_grid(read.n_timesteps, 10)
    specs = [
        RunSpec(RunId(i), spec, "native", hyperparameters, seeding.run_seed(0, "verdict", i, 0), grid, evaluation)
        for i in range(seeds)
    ]
    collector = Collector(specs)
    NativeTrainer(seeds).train(collector)
    complete = [points for points in collector.points.values() if len(points) == len(grid)]
    return [(run_score("late", points), max(p.mean_return for p in points)) for points in complete]


def zoo_file() -> Path:
    """Return RL Zoo's table of tuned values, found without importing it."""
    import importlib.util

    spec = importlib.util.find_spec("rl_zoo3")
    assert spec is not None and spec.origin is not None, "rl-zoo3 is not installed"
    return Path(spec.origin).parent / "hyperparams" / "dqn.yml"


def main() -> None:
    """Retest and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--env", required=True)
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--episodes", type=int, default=20)
    options = parser.parse_args()
    means = []
    for name, path in (("exported", options.config), ("RL Zoo", zoo_file())):
        scores = retest(path, options.env, options.seeds, options.episodes)
        late, best = [s[0] for s in scores], [s[1] for s in scores]
        means.append(statistics.mean(late))
        print(f"{name:9} late {statistics.mean(late):7.1f}  {[round(s) for s in late]}")
        print(f"{'':9} best {statistics.mean(best):7.1f}  {[round(s) for s in best]}")
    print(f"exported minus RL Zoo, mean late: {means[0] - means[1]:+.1f}")


if __name__ == "__main__":
    main()
