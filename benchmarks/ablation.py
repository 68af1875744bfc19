"""What each of DQN's variants is worth: the same settings with one more or one other part, on fresh seeds.

    python benchmarks/ablation.py [--seeds 10] [--best 1] [--only NAME ...] [--envs ID ...] [--keep FILE]

In each environment of the lab the table's best settings, plain (no double Q-learning, no averaged weights), are trained
as they are and with each variant, over the budgets of `lab/environments.py`. Each column is the score `late` as a share
of the environment's range, variant minus plain: mean over settings and seeds with its 95 % interval (bootstrap over
seeds); the last one is over all environments (bootstrap over environments and seeds). Settings were chosen for plain
DQN, which favours it. Runs are kept in ``--keep``, a file, and not trained again.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "lab"))

from curves import load_curves, load_design  # noqa: E402
from environments import MODULE  # noqa: E402
from fresh_runs import Job, train_all  # noqa: E402
from summary import interval, within  # noqa: E402

VARIANTS = {
    "double": {"double_q": True},
    "dueling": {"dueling": True},
    "n-step (3)": {"n_steps": 3},
    "prioritised": {"prioritized": True},
    "averaged weights": {"weight_averaging": 0.1},
    "linear schedule": {"learning_rate_schedule": "linear"},
    "cosine schedule": {"learning_rate_schedule": "cosine"},
    "Munchausen": {"munchausen": True},
    "layer norm": {"layer_norm": True},
    "noisy": {"noisy": True, "exploration_initial_eps": 0.0, "exploration_final_eps": 0.0},
    "quantiles (32)": {"quantiles": 32},
}
ENVS = ("CartPole-v1", "lab/SwingUp-v0", "lab/Catch-v0", "lab/Boiler-v0", "lab/Corridor-v0")


def main() -> None:
    """Train and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--best", type=int, default=1, help="settings of each environment")
    parser.add_argument("--only", nargs="+", default=list(VARIANTS), choices=VARIANTS)
    parser.add_argument("--envs", nargs="+", default=list(ENVS))
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    _, settings = load_design(HERE / "lab" / "table" / "design.json")
    curves = {c.member.id: c for c in load_curves(HERE / "lab" / "table", settings, 120)}
    jobs = []
    for env in options.envs:
        member, best = curves[env].member, curves[env].settings[np.argsort(-curves[env].truth)[: options.best]]
        for side in ("plain", *options.only):
            for row in best:
                plain = replace(settings[row].hyperparameters, double_q=False, weight_averaging=0.0)
                values = (plain if side == "plain" else replace(plain, **VARIANTS[side])).to_mapping()
                jobs += [
                    Job(side, env, values, member.steps, seed, episodes=member.episodes,
                        module=MODULE if env.startswith("lab/") else None)
                    for seed in range(options.seeds)
                ]  # fmt: skip
    scores: dict[tuple[str, str], list[float]] = {}
    for job, curve in train_all(jobs, options.processes, options.keep):
        member = curves[job.env].member
        scores.setdefault((job.side, job.env), []).append(
            float(member.normalised(max(curve.late(member.floor), member.floor)))
        )
        if len(scores[job.side, job.env]) == options.best * options.seeds:
            print(f"{job.env}, {job.side}: {np.mean(scores[job.side, job.env]):.3f}", file=sys.stderr, flush=True)
    by_seed = {key: np.reshape(found, (options.best, options.seeds)).mean(axis=0) for key, found in scores.items()}
    print(f"| variant | {' | '.join(options.envs)} | all |\n|---|{'---|' * (len(options.envs) + 1)}")
    print("| plain | " + " | ".join(f"{by_seed['plain', env].mean():.3f}" for env in options.envs) + " | |")
    for side in options.only:
        gains = np.array([by_seed[side, env] - by_seed["plain", env] for env in options.envs])
        spans = [(row.mean(), *within(row[None])) for row in gains]
        cells = [f"{mean:+.3f} ({low:+.3f} to {high:+.3f})" for mean, low, high in spans]
        low, high = interval(gains)
        print(f"| {side} | {' | '.join(cells)} | {gains.mean():+.3f} ({low:+.3f} to {high:+.3f}) |")


if __name__ == "__main__":
    main()
