"""What averaging a network's weights is worth: the table's best settings anew, with windows of several lengths.

    python benchmarks/lab/averaging.py [--windows 0 0.05 0.1 0.2] [--best 4] [--seeds 4] [--envs ID ...] [--processes 2]

In each environment the settings with the highest means of the table (whose runs average nothing) train on fresh seeds,
with each window (``weight_averaging``, a share of the run). Printed are the mean `late` as a share of the environment's
range, its standard deviation over seeds and its worst seed, means over the settings; then each window minus the first,
with 95 % intervals over environments and settings.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from curves import load_curves, load_design
from environments import MODULE
from environments import member as member_of
from summary import interval

sys.path.insert(0, str(Path(__file__).parent.parent))
from desk import Desk

from tuner import seeding
from tuner.contract.grid import evaluation_grid
from tuner.contract.objective import run_score
from tuner.contract.rules import CURRENT
from tuner.contract.spec import EvaluationSpec, RunId, RunSpec
from tuner.envs.make import inspect
from tuner.envs.spec import EnvSpec
from tuner.hyperparameters import DQNHyperparameters
from tuner.training.stack.trainer import NativeTrainer

CHECKPOINTS, LANES = 20, 16


def trained(task: tuple[str, list[DQNHyperparameters], list[float], int, int]) -> np.ndarray:
    """Return `late` as a share of the range, no less than random play's, [windows, settings, seeds].

    Args:
        task: Environment, settings, windows, number of seeds, and where these come from.
    """
    env, settings, windows, seeds, source = task
    member = member_of(env)
    spec = EnvSpec(env, module=MODULE if env.startswith("lab/") else None)
    cap, grid = inspect(spec, "dqn").eval_max_steps, evaluation_grid(member.steps, CHECKPOINTS)
    first = seeding.evaluation_seed(source, "verdict", CURRENT.evaluation_seeds, 0)
    evaluation, specs = EvaluationSpec(member.episodes, first, cap), []
    places = np.ndindex(len(windows), len(settings), seeds)
    for n, (j, i, seed) in enumerate(places):
        setting = replace(settings[i], weight_averaging=windows[j])
        own = seeding.run_seed(source, "verdict", seed, 0)
        specs.append(RunSpec(RunId(n), spec, "native", setting, own, grid, evaluation, rules=CURRENT))
    desk = Desk(specs)
    NativeTrainer(LANES).train(desk)
    curves = list(desk.points.values())
    scores = [run_score("late", of) if len(of) == len(grid) else member.floor for of in curves]
    shares = member.normalised(np.maximum(scores, member.floor))
    return np.reshape(shares, (len(windows), len(settings), seeds))


def main() -> None:
    """Train, and print each environment as it ends."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, default=Path(__file__).parent / "table")
    parser.add_argument("--windows", nargs="*", type=float, default=[0.0, 0.05, 0.1, 0.2])
    parser.add_argument("--best", type=int, default=4, help="settings of each environment")
    parser.add_argument("--least", type=int, default=120, help="leave out environments with fewer settings")
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--source", type=int, default=626_262, help="where the seeds come from")
    parser.add_argument("--envs", nargs="*")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    _, settings = load_design(options.table / "design.json")
    everything = [
        c
        for c in load_curves(options.table, settings, options.least)
        if not options.envs or c.member.id in options.envs
    ]
    tasks = []
    for curves in everything:
        rows = curves.settings[np.argsort(-curves.truth)[: options.best]]
        values = [settings[row].hyperparameters for row in rows]
        tasks.append((curves.member.id, values, options.windows, options.seeds, options.source))
    names = [f"{window:g}" for window in options.windows]
    print(f"| environment | {' | '.join(f'window {name}' for name in names)} |\n|---|{'---|' * len(names)}")
    found = []
    with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
        for task, shares in zip(tasks, pool.imap(trained, tasks), strict=True):
            found.append(shares)
            of = zip(
                shares.mean(axis=(1, 2)), shares.std(axis=2).mean(axis=1), shares.min(axis=2).mean(axis=1), strict=True
            )
            cells = [f"{mean:.3f}, deviation {deviation:.3f}, worst {worst:.3f}" for mean, deviation, worst in of]
            print(f"| {task[0]} | {' | '.join(cells)} |", flush=True)
    for j, name in enumerate(names[1:], 1):
        gain = np.array([shares[j] - shares[0] for shares in found]).mean(axis=2)  # [environments, settings]
        low, high = interval(gain)
        print(f"window {name} minus {names[0]}: {gain.mean():+.3f} ({low:+.3f} to {high:+.3f})")


if __name__ == "__main__":
    main()
