"""Train an exported configuration again on fresh seeds, beside RL Zoo's tuned values or the defaults of DQN.

    python benchmarks/retest.py reports/STUDY/best.yaml --env CartPole-v1 [--against zoo|defaults] [--seeds 6]

Both are trained natively on the same seeds, which no study uses: against RL Zoo's values each for its own budget,
against the defaults (Stable-Baselines3's) both for the export's. Prints each seed's `late` score (mean return over the
last third of ten evaluations) and best checkpoint, the interquartile means of `late`, and their difference with its
95 % interval.
"""

from __future__ import annotations

import argparse
import multiprocessing
from dataclasses import asdict
from pathlib import Path

from desk import Desk, judging

from tuner.contract.grid import evaluation_grid
from tuner.contract.objective import run_score
from tuner.contract.spec import EvaluationSpec
from tuner.core.statistics import iqm_difference, iqm_interval
from tuner.envs.make import inspect
from tuner.envs.spec import EnvSpec
from tuner.hyperparameters import algorithm_class, from_mapping
from tuner.report.words.evidence import range_text
from tuner.training.stack.trainer import NativeTrainer
from tuner.zoo.read import read_config


def retest(
    algorithm: str, values: dict, spec: EnvSpec, steps: int, seeds: range, episodes: int
) -> list[tuple[float, float]]:
    """Return (late score, best checkpoint) of each seed, trained as one stack."""
    hyperparameters = from_mapping(algorithm, values)
    cap = inspect(spec, algorithm).eval_max_steps
    grid = evaluation_grid(steps, 10)

    desk = Desk(judging(seeds, spec, hyperparameters, grid, EvaluationSpec(episodes, 0, cap)))
    NativeTrainer(len(seeds)).train(desk)
    complete = [points for points in desk.points.values() if len(points) == len(grid)]
    return [(run_score("late", points), max(p.mean_return for p in points)) for points in complete]


def zoo_file() -> Path:
    """Return RL Zoo's table of tuned values, found without importing it."""
    import importlib.util

    spec = importlib.util.find_spec("rl_zoo3")
    assert spec is not None and spec.origin is not None, "rl-zoo3 is not installed"
    return Path(spec.origin).parent / "hyperparams" / "dqn.yml"


def shares(seeds: int, parts: int) -> list[range]:
    """Return the seeds in up to ``parts`` equal shares."""
    size = -(-seeds // parts)
    return [range(start, min(start + size, seeds)) for start in range(0, seeds, size)]


def main() -> None:
    """Retest and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--env", required=True)
    parser.add_argument("--against", choices=("zoo", "defaults"), default="zoo")
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--episodes", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    exported = read_config(options.config, options.env)
    spec = EnvSpec(options.env, tuple(sorted(exported.env_kwargs.items())), pixels=exported.pixels)
    sides = {"exported": (exported.algorithm, exported.hyperparameters, exported.n_timesteps)}
    if options.against == "zoo":
        zoo = read_config(zoo_file(), options.env)
        sides["RL Zoo"] = (zoo.algorithm, zoo.hyperparameters, zoo.n_timesteps)
    else:
        defaults = algorithm_class(exported.algorithm)().to_mapping()
        sides["defaults"] = (exported.algorithm, defaults, exported.n_timesteps)
    estimates = []
    with multiprocessing.get_context("spawn").Pool(options.workers) as pool:
        for name, (algorithm, values, steps) in sides.items():
            jobs = [
                (algorithm, values, spec, steps, part, options.episodes)
                for part in shares(options.seeds, options.workers)
            ]
            scores = [pair for part in pool.starmap(retest, jobs) for pair in part]
            late, best = [s[0] for s in scores], [s[1] for s in scores]
            own = iqm_interval(late)
            estimates.append(late)
            print(f"{name:9} late {own.value:.1f} ({range_text(asdict(own))})  {[round(s) for s in late]}")
            print(f"{'':9} best {[round(s) for s in best]}", flush=True)
    gap = iqm_difference(*estimates)
    print(f"{' minus '.join(sides)}, late: {gap.value:+.1f} ({range_text(asdict(gap))})")


if __name__ == "__main__":
    main()
