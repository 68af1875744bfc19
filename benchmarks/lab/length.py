"""What shorter runs cost: how good the best settings are when runs end early, and are scored by what they had by then.

    python benchmarks/lab/length.py [--table benchmarks/lab/table] [--least 90]

For each environment the five settings that two seeds call best at a length, and what the third seed says of them, in
all three ways to divide these; a share of the environment's range. Schedules are those of the whole run, while a run
that is planned shorter explores for less of its time: these costs are an upper bound.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from curves import Curves, load_curves, load_design

from tuner.contract.objective import late

#: Settings that count as the best.
TOP = 5

#: Evaluations of a shortened run.
LENGTHS = (4, 6, 8, 10, 12, 14, 16, 18, 20)


def worth_at(curves: Curves, evaluations: int) -> float:
    """Return what the best settings of runs of this many evaluations are truly worth, a share of the range."""
    finite = np.where(np.isnan(curves.returns), np.nanmin(curves.returns), curves.returns)[:, :, :evaluations]
    steps = curves.steps[:evaluations]
    scores = np.array([[late(steps, curve) for curve in seeds] for seeds in finite])  # [S, R]
    scores = curves.member.normalised(np.maximum(scores, curves.member.floor))
    seeds = range(scores.shape[1])
    found = []
    for third in seeds:
        others = scores[:, [seed for seed in seeds if seed != third]].mean(axis=1)
        found.append(scores[np.argsort(-others)[:TOP], third].mean())
    return float(np.mean(found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, default=Path(__file__).parent / "table")
    parser.add_argument("--least", type=int, default=90, help="leave out environments with fewer settings")
    options = parser.parse_args()
    _, settings = load_design(options.table / "design.json")
    everything = load_curves(options.table, settings, options.least)
    print("| environment | whole run |" + "".join(f" {length / LENGTHS[-1]:.0%} |" for length in LENGTHS))
    print("|---|---:|" + "---:|" * len(LENGTHS))
    rows = np.array([[worth_at(curves, length) for length in LENGTHS] for curves in everything])
    for curves, row in zip(everything, rows, strict=True):
        print(f"| {curves.member.id} | {curves.steps[-1]:,} |" + "".join(f" {value:.2f} |" for value in row))
    print("| mean | |" + "".join(f" {value:.3f} |" for value in rows.mean(axis=0)))


if __name__ == "__main__":
    main()
