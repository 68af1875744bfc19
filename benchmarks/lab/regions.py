"""Whether the regions that a report draws hold good settings: replayed studies, held to the table's truth.

    python benchmarks/lab/regions.py [--table benchmarks/lab/table] [--studies 20] [--first 0] [--trials 30 60]

A study of n random settings of the table (each with one of its measured seeds) draws its regions as the report does
(`tuner/core/regions.py`). The settings that it has not seen tell the truth: mean share of the range of those that lie
in all regions of the parameters, beside that of all unseen ones; with 95 % intervals over families and studies.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from curves import Curves, load_curves, load_design
from design import Setting
from summary import interval

from tuner import seeding
from tuner.core.regions import favoured, good_trials, span
from tuner.space.cube import Cube, position
from tuner.space.model import SearchSpace

HERE = Path(__file__).parent

#: As the report has it: a wider region says nothing.
WIDE = 0.75


def inside(space: SearchSpace, params: list[dict], seen: np.ndarray, good: np.ndarray) -> np.ndarray:
    """Return which settings lie in every region that the seen ones draw, [S].

    Args:
        space: The space.
        params: Of all settings.
        seen: Rows of those that the study has tried, [N].
        good: Which of these are good, [N].
    """
    holds = np.ones(len(params), bool)
    for d in space.dimensions:
        having = np.array([d.name in p for p in params])
        known = having[seen]
        if not (good & known).any():
            continue
        if d.kind == "categorical":
            kept = favoured([str(params[row][d.name]) for row in seen[known]], good[known])
            within = np.array([str(p.get(d.name)) in kept for p in params])
        else:
            at = np.array([position(d, p[d.name]) if d.name in p else np.nan for p in params])
            low, high = span(at[seen[known]], good[known])
            within = (low <= at) & (at <= high) if high - low <= WIDE else np.ones(len(params), bool)
        holds &= within | ~having
    return holds


def gain(space: SearchSpace, settings: list[Setting], curves: Curves, trials: int, seed: int) -> tuple[float, float]:
    """Return the mean truth of unseen settings inside the regions minus that of all unseen, and the share inside."""
    params = [settings[row].params for row in curves.settings]
    rng = seeding.stream(seed, "regions")
    seen = rng.choice(len(params), trials, replace=False)
    earned = rng.integers(curves.late.shape[1], size=trials)
    points = np.array([Cube(space).place(p) for p in params])
    good = good_trials(points[seen], curves.late[seen, earned])
    holds = inside(space, params, seen, good)
    unseen = np.setdiff1d(np.arange(len(params)), seen)
    chosen = unseen[holds[unseen]]
    if not len(chosen):
        return float("nan"), 0.0
    return float(curves.truth[chosen].mean() - curves.truth[unseen].mean()), len(chosen) / len(unseen)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, default=HERE / "table")
    parser.add_argument("--studies", type=int, default=20)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--trials", type=int, nargs="*", default=[30, 60])
    parser.add_argument("--least", type=int, default=60, help="leave out environments with fewer settings")
    options = parser.parse_args()
    space, settings = load_design(options.table / "design.json")
    everything = load_curves(options.table, settings, options.least)
    print(f"{len(everything)} environments, {options.studies} studies each")
    print("| random trials | inside minus all unseen | share of the unseen inside | families above zero |")
    print("|---|---|---|---|")
    for trials in options.trials:
        seeds = range(options.first, options.first + options.studies)
        found = np.array([[gain(space, settings, c, trials, seed) for seed in seeds] for c in everything])
        gains = np.where(np.isnan(found[..., 0]), 0.0, found[..., 0])
        low, high = interval(gains)
        print(
            f"| {trials} | {gains.mean():+.3f} ({low:+.3f} to {high:+.3f}) | {found[..., 1].mean():.2f} | "
            f"{(gains.mean(axis=1) > 0).sum()} of {len(everything)} |"
        )


if __name__ == "__main__":
    main()
