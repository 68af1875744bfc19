"""What `--until` takes and tells with other rules: where the corridor is cut off, and when a comparison is given up.

    python benchmarks/until_rules.py [--seeds 20] [--repeats 4000] [--caps 1.2 1.3 ...] [--give-up 0 0.05 ...]

Simulated verdicts of a winner beside three baselines at level 0.95: two are clearly worse, the third is one of nine,
from alike to 1.3 deviations apart and from 80 to 40 % of the runs that solve. For each rule, means over the nine: steps
as a share of those of a fixed number of seeds, how often the third is told where it differs, and how often that says
what a single look at the end says, each comparison by itself at 5 %; below, how often two such verdicts on different
seeds say the same. Nothing is trained.
"""

from __future__ import annotations

import argparse
from itertools import product

import numpy as np
from scipy.stats import norm
from sequence_coverage import LEVEL, mixture, normal_scores, power

from tuner import seeding
from tuner.core import sequential_ranks
from tuner.core.sequential_ranks import corridor, height, looks
from tuner.result.sequential import SPENT


def simulated(repeats: int, seeds: int) -> tuple[list[np.ndarray], dict[str, np.ndarray]]:
    """Return the two clear comparisons and the third ones by name: normal scores after each seed, [studies, seeds]."""
    shape = (repeats, seeds)

    def draws(name: str) -> tuple[np.random.Generator, np.random.Generator]:
        return seeding.stream(1, name), seeding.stream(2, name)

    def apart(effect: float) -> np.ndarray:
        ours, theirs = draws(f"apart {effect} {seeds}")
        return normal_scores(ours.normal(effect, 1, shape), theirs.normal(0, 1, shape))

    def solving(more: float, fewer: float) -> np.ndarray:
        ours, theirs = draws(f"solving {more} {fewer} {seeds}")
        return normal_scores(mixture(more)(ours, shape), mixture(fewer)(theirs, shape))

    third = {f"{effect:g} deviations": apart(effect) for effect in (0.0, 0.4, 0.7, 0.9, 1.3)}
    third |= {f"{a:.0%}, {b:.0%} solve": solving(a, b) for a, b in ((0.5, 0.5), (0.9, 0.8), (0.8, 0.4), (0.9, 0.5))}
    return [apart(8.0), solving(0.85, 0.0)], third


def ends(
    scores: list[np.ndarray], limits: np.ndarray, shape: np.ndarray, give_up: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return whether each comparison is told and after which seed it ends, [studies, comparisons].

    Args:
        scores: For each comparison, [studies, seeds].
        limits: Height of the corridor where that many comparisons are told already, [comparisons].
        shape: The corridor after each seed, in units of the last look's, [seeds].
        give_up: Below which chance to be told a comparison ends.
    """
    seeds = len(shape)
    told = np.zeros((len(scores[0]), len(scores)), dtype=bool)
    end = np.full(told.shape, seeds)
    highest = np.zeros(told.shape)
    for n in looks(seeds):
        going = end == seeds
        now = np.stack([each[:, n - 1] for each in scores], axis=1)
        highest = np.where(going, np.maximum(highest, np.abs(now) / shape[n - 1]), highest)
        for _ in scores:  # each that is told may tell another (Holm)
            limit = limits[np.minimum(told.sum(axis=1), len(scores) - 1)]
            new = (highest >= limit[:, None]) & ~told
            first = new & (np.cumsum(new, axis=1) == 1)
            told |= first
            end = np.where(first & going, n, end)
        if n < seeds and give_up > 0:
            end = np.where((end == seeds) & (power(now, n, seeds, limits[-1]) < give_up), n, end)
    return told, end


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=4_000)
    parser.add_argument("--caps", type=float, nargs="+", default=[1.1, 1.2, 1.3, 1.4, 3.0])
    parser.add_argument("--give-up", type=float, nargs="+", default=[0.0, 0.05, 0.1])
    options = parser.parse_args()
    clear, third = simulated(options.repeats, options.seeds)
    edge = norm.isf((1 - LEVEL) / 2)
    print("| corridor cut at | given up below | steps | told | as one look |\n|---:|---:|---:|---:|---:|")
    for cap, give_up in product(options.caps, options.give_up):
        sequential_ranks.CAP = cap
        sequential_ranks._height.cache_clear()
        shape = np.array([corridor(n, options.seeds) for n in range(1, options.seeds + 1)])
        limits = np.array([height(SPENT * (1 - LEVEL) / left, options.seeds) for left in (3, 2, 1)])
        steps, tells, same = [], [], []
        for name, scores in third.items():
            told, end = ends([*clear, scores], limits, shape, give_up)
            steps.append((end.sum(axis=1) + end.max(axis=1)).mean() / (4 * options.seeds))
            same.append((told[:, 2] == (np.abs(scores[:, -1]) >= edge)).mean())
            if name not in ("0 deviations", "50%, 50% solve"):
                tells.append(told[:, 2].mean())
        row = f"{np.mean(steps):.1%} | {np.mean(tells):.1%} | {np.mean(same):.1%}"
        print(f"| {cap:g} | {give_up:g} | {row} |", flush=True)
    shares = np.array([(np.abs(scores[:, -1]) >= edge).mean() for scores in third.values()])
    print(f"\nTwo single looks, at different seeds: {(shares**2 + (1 - shares) ** 2).mean():.1%} say the same.")


if __name__ == "__main__":
    main()
