"""Whether the regions that a report draws hold good settings: replayed studies, held to the table's truth.

    python benchmarks/lab/regions.py [--table benchmarks/lab/table] [--studies 20] [--first 0] [--trials 30 60]

A study of n random settings of the table (each with one of its measured seeds) draws its regions as the report does
(`tuner/core/regions.py`). The settings that it has not seen tell the truth: of each parameter with a region the mean of
those inside minus that of those outside, as shares of the environment's range, averaged over these parameters; with
95 % intervals over families and studies.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from curves import Curves, load_curves, load_design
from design import Setting
from summary import interval

from tuner import seeding
from tuner.core.regions import best_trials, favoured, good_trials, is_clear, span
from tuner.report.numbers.regions import LEVEL
from tuner.space.cube import Cube, position
from tuner.space.model import SearchSpace
from tuner.space.ranges import Dimension

HERE = Path(__file__).parent


def region(
    d: Dimension, params: list[dict], seen: np.ndarray, good: np.ndarray, best: np.ndarray, level: float
) -> np.ndarray | None:
    """Return which settings lie in a parameter's region, [S]; None where it has none.

    Args:
        d: The parameter.
        params: Of all settings.
        seen: Rows of those that the study has tried, [N].
        good: Which of these are good by the model, [N].
        best: Which are the best by their scores, [N].
        level: How sure it must be that the region is no chance.
    """
    having = np.array([d.name in p for p in params])
    known = having[seen]
    chosen, best = good[known], best[known]
    if not chosen.any():
        return None
    if d.kind == "categorical":
        names = [str(choice) for choice in d.choices]
        at = np.array([names.index(str(p[d.name])) if d.name in p else -1 for p in params], float)
        kept = favoured(at[seen[known]].tolist(), chosen)
        within = np.isin(at, kept)
        return within if is_clear(at[seen[known]], best, False, level) else None
    at = np.array([position(d, p[d.name]) if d.name in p else np.nan for p in params])
    if not is_clear(at[seen[known]], best, True, level):
        return None
    low, high = span(at[seen[known]], chosen)
    return (low <= at) & (at <= high)


def gain(space: SearchSpace, settings: list[Setting], curves: Curves, trials: int, seed: int) -> tuple[float, int]:
    """Return the mean truth of unseen settings inside minus outside, over the regions a study; and their number."""
    params = [settings[row].params for row in curves.settings]
    rng = seeding.stream(seed, "regions")
    seen = rng.choice(len(params), trials, replace=False)
    earned = rng.integers(curves.late.shape[1], size=trials)
    points = np.array([Cube(space).place(p) for p in params])
    scores = curves.late[seen, earned]
    good, best = good_trials(points[seen], scores), best_trials(scores)
    unseen = np.setdiff1d(np.arange(len(params)), seen)
    gains = []
    for d in space.dimensions:
        holds = region(d, params, seen, good, best, LEVEL / len(space.dimensions))
        if holds is not None and 0 < holds[unseen].sum() < len(unseen):
            truth = curves.truth[unseen]
            gains.append(truth[holds[unseen]].mean() - truth[~holds[unseen]].mean())
    return (float(np.mean(gains)) if gains else np.nan), len(gains)


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
    print("| random trials | inside minus outside | regions a study | families above zero |")
    print("|---|---|---|---|")
    for trials in options.trials:
        seeds = range(options.first, options.first + options.studies)
        found = np.array([[gain(space, settings, c, trials, seed) for seed in seeds] for c in everything])
        gains = np.array([row[~np.isnan(row)].mean() if (~np.isnan(row)).any() else 0.0 for row in found[..., 0]])
        gains = np.where(np.isnan(found[..., 0]), gains[:, None], found[..., 0])  # studies without a region say nothing
        low, high = interval(gains)
        print(
            f"| {trials} | {gains.mean():+.3f} ({low:+.3f} to {high:+.3f}) | {found[..., 1].mean():.1f} | "
            f"{(gains.mean(axis=1) > 0).sum()} of {len(everything)} |"
        )


if __name__ == "__main__":
    main()
