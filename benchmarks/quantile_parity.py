"""How fast native quantile regression learns beside sb3-contrib's QRDQN: areas under the curve on CartPole-v1.

    python benchmarks/quantile_parity.py [--seeds 20] [--quantiles 10] [--steps 30000] [--keep FILE] [--processes 2]

Both sides take RL Zoo's tuned values of QRDQN for CartPole-v1 (its ten quantiles included), the same seeds and
evaluations; Adam's epsilon is 0.01 / batch size in sb3-contrib, and so it is here (``--eps 1e-8`` for torch's).
Printed are the mean areas (the mean over ten evaluations) and their difference with a 95 % interval, interquartile as
the reports have it, beside 10 % of the range (random play's 22 to 500).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from fresh_runs import Job, train_all

from tuner.core.statistics import iqm_difference
from tuner.hyperparameters import algorithm_class
from tuner.zoo.tuned import zoo_values

ENV, RANDOM, MOST = "CartPole-v1", 22.0, 500.0


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--quantiles", type=int, help="instead of RL Zoo's number")
    parser.add_argument("--eps", type=float, help="Adam's epsilon of the native side")
    parser.add_argument("--steps", type=int, default=30_000)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    theirs = dict(zoo_values(ENV, "qrdqn") or {})
    assert theirs, f"RL Zoo has no tuned values of QRDQN for {ENV}"
    theirs["n_quantiles"] = options.quantiles or theirs["n_quantiles"]
    shared = set(algorithm_class("dqn")().to_mapping())
    ours = {name: value for name, value in theirs.items() if name in shared}
    ours |= {"quantiles": theirs["n_quantiles"], "max_grad_norm": theirs.get("max_grad_norm") or 1e9}
    ours["optimizer_eps"] = options.eps or 0.01 / theirs["batch_size"]
    assert theirs["activation_fn"] == "relu" and theirs["n_envs"] == 1  # as the native agent has it
    print(f"{ENV}, {options.steps:,} steps, {theirs['n_quantiles']} quantiles")
    jobs = [
        Job(*side, options.steps, seed, *who)
        for seed in range(options.seeds)
        for side, who in (
            (("native", ENV, ours), ("dqn", "native")),
            (("sb3-contrib", ENV, theirs), ("qrdqn", "sb3")),
        )
    ]
    areas: dict[str, list[float]] = {"native": [], "sb3-contrib": []}
    seconds: dict[str, list[float]] = {"native": [], "sb3-contrib": []}
    for job, curve in train_all(jobs, options.processes, options.keep):
        areas[job.side].append(curve.area(RANDOM))
        seconds[job.side].append(curve.seconds)
    for side, found in areas.items():
        print(
            f"{side}: mean area {np.mean(found):.1f}, deviation {np.std(found, ddof=1):.1f}, median processor time "
            f"{np.median(seconds[side]):.1f} s"
        )
    span = iqm_difference(areas["native"], areas["sb3-contrib"])
    print(
        f"native - sb3-contrib: {span.value:+.1f} ({span.low:+.1f} to {span.high:+.1f}); 10 % of the range is "
        f"{0.1 * (MOST - RANDOM):.1f}"
    )


if __name__ == "__main__":
    main()
