"""Continuous actions by Q-learning beside SAC's defaults: Pendulum-v1, the same steps, seeds and evaluations.

    python benchmarks/continuous.py [--seeds 10] [--steps 20000] [--keep FILE] [--processes 2]

Sides: DQN over cut actions (``--discretize``), DQN over sampled actions (uniform, and by the cross-entropy method), and
Stable-Baselines3's SAC with its defaults. The native settings are stated below, chosen beforehand and not by these
seeds. Printed are the score `late` (interquartile mean with its 95 % interval), its worst seed, the difference from SAC
in per cent of the range, -1,600 (random play's bad end) to -150 (a textbook controller), and the processor seconds of
a run.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from fresh_runs import Job, train_all

from tuner.core.statistics import iqm_difference, iqm_interval
from tuner.hyperparameters import algorithm_class

ENV, LEAST, MOST = "Pendulum-v1", -1_600.0, -150.0

#: SAC's own rhythm and discount for both: an update for each step, 0.99.
COMMON = {"learning_rate": 1e-3, "buffer_size": 20_000, "learning_starts": 500, "gamma": 0.99, "train_freq": 1,
          "gradient_steps": 1, "exploration_fraction": 0.3, "exploration_final_eps": 0.05}  # fmt: skip

#: Side -> (algorithm, backend, values, steps that actions are cut into).
SIDES: dict[str, tuple[str, str, dict[str, Any], int | None]] = {
    "SAC, defaults": ("sac", "sb3", {}, None),
    "DQN, 11 steps": ("dqn", "native", {**COMMON, "batch_size": 64, "net_arch": [64, 64],
                                        "target_update_interval": 200, "double_q": True}, 11),
    "sampled, cross-entropy": ("sampled_dqn", "native", {**COMMON, "action_search": "cross_entropy"}, None),
    "sampled, uniform": ("sampled_dqn", "native", {**COMMON, "action_search": "uniform"}, None),
}  # fmt: skip


def main() -> None:
    """Train and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    jobs = [
        Job(side, ENV, algorithm_class(algorithm)().to_mapping() | values, options.steps, seed, algorithm, backend,
            discretize=cut)
        for seed in range(options.seeds)
        for side, (algorithm, backend, values, cut) in SIDES.items()
    ]  # fmt: skip
    scores: dict[str, list[float]] = {side: [] for side in SIDES}
    seconds: dict[str, list[float]] = {side: [] for side in SIDES}
    for job, curve in train_all(jobs, options.processes, options.keep):
        scores[job.side].append(max(curve.late(LEAST), LEAST))
        seconds[job.side].append(curve.seconds)
    rival, reach = next(iter(SIDES)), MOST - LEAST
    print("| side | late | worst seed | minus SAC, % of the range | processor time of a run |\n|---|---|---:|---|---:|")
    for side, found in scores.items():
        span, gap = iqm_interval(found), ""
        if side != rival:
            d = iqm_difference(found, scores[rival])
            ends = (d.low, d.high) if d.low is not None and d.high is not None else (d.value, d.value)
            gap = f"{100 * d.value / reach:+.1f} ({100 * ends[0] / reach:+.1f} to {100 * ends[1] / reach:+.1f})"
        low, high = (span.low, span.high) if span.low is not None else (span.value, span.value)
        print(
            f"| {side} | {span.value:.1f} ({low:.1f} to {high:.1f}) | {min(found):.1f} | {gap} "
            f"| {np.median(seconds[side]):.0f} s |"
        )


if __name__ == "__main__":
    main()
