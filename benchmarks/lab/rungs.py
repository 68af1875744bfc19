"""What a rung tells: how many of the runs below the median at an evaluation end outside the best quarter.

    python benchmarks/lab/rungs.py [--table benchmarks/lab/table] [--least 120]

All measured runs of an environment stand side by side, three seeds of each setting. Chance is three quarters. Where
hardly any run is below the median, as most are level with it, a share says nothing and its rung stops nobody: printed
in brackets where it is less than a tenth of the runs.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from curves import Curves, load_curves, load_design

from tuner.study.search.median_pruner import CHANCE

#: Evaluations of twenty, from 1.
RUNGS = (2, 3, 5, 7, 9, 11, 13)


def outside(curves: Curves, rung: int) -> tuple[float, float]:
    """Return the share of the stopped runs that end outside the best quarter, and the share that is stopped."""
    best = np.nanmax(np.where(np.isnan(curves.returns), -np.inf, curves.returns)[:, :, :rung], axis=2)
    stopped, bad = best < np.median(best), curves.late < np.quantile(curves.late, CHANCE)
    return float(bad[stopped].mean()) if stopped.any() else float("nan"), float(stopped.mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, default=Path(__file__).parent / "table")
    parser.add_argument("--least", type=int, default=120, help="leave out environments with fewer settings")
    options = parser.parse_args()
    _, settings = load_design(options.table / "design.json")
    print("| environment |" + "".join(f" {rung / 20:.0%} |" for rung in RUNGS))
    print("|---|" + "---:|" * len(RUNGS))
    for curves in load_curves(options.table, settings, options.least):
        cells = [outside(curves, rung) for rung in RUNGS]
        row = "".join(f" {share:.2f} |" if stopped >= 0.1 else f" ({share:.2f}) |" for share, stopped in cells)
        print(f"| {curves.member.id} |{row}")


if __name__ == "__main__":
    main()
