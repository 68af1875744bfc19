"""How often a nominal 95 % interval holds the true value, by method, sample size and distribution of scores.

    python benchmarks/interval_coverage.py [--repeats 2000] [--sizes 5 10 20]

This is what `tuner/core/statistics.py` chose its methods by. Distributions: normal; a normal cut at a ceiling of 500;
and mixtures as DQN's returns are: a share of the runs is near the ceiling (many exactly at it), the others far below.
The truth is the distribution's own functional, from 4 million draws. For each method: lowest and highest coverage over
the distributions, then mean width. Ends are cut at the ceiling before widths are taken. A tie holds the truth where its
value is within 0.5 % of the ceiling (it claims no more).
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable

import numpy as np
from scipy.stats import norm, t

from tuner import seeding
from tuner.core.statistics import Estimate, iqm_difference, iqm_interval, probability_of_improvement

CEILING = 500.0
DRAWS = 1_000


def mixture(share: float, good: float = 490, spread: float = 15) -> Callable:
    """Return a sampler: `share` of the runs at good +- spread (cut at the ceiling), the others at 180 +- 60."""

    def sample(rng: np.random.Generator, shape: int | tuple[int, ...]) -> np.ndarray:
        high = np.minimum(CEILING, rng.normal(good, spread, shape))
        return np.where(rng.random(shape) < share, high, rng.normal(180, 60, shape))

    return sample


DISTRIBUTIONS: dict[str, Callable] = {
    "normal": lambda rng, shape: rng.normal(250, 50, shape),
    "normal, cut": lambda rng, shape: np.clip(rng.normal(350, 120, shape), 9, CEILING),
    "85 % solve": mixture(0.85),
    "65 % solve": mixture(0.65),
    "half solve": mixture(0.5, 480, 30),
}

PAIRS = (
    ("normal", "normal"),
    ("65 % solve", "65 % solve"),
    ("85 % solve", "half solve"),
    ("65 % solve", "half solve"),
    ("85 % solve", "normal, cut"),
)


def middle(x: np.ndarray) -> np.ndarray:
    """Interquartile mean over the last axis."""
    cut = int(x.shape[-1] / 4)
    return np.sort(x, axis=-1)[..., cut : x.shape[-1] - cut].mean(axis=-1)


def standard_error(x: np.ndarray) -> np.ndarray:
    """Standard error of a trimmed mean from the winsorised variance (Tukey and McLaughlin 1963)."""
    n = x.shape[-1]
    cut, ordered = int(n / 4), np.sort(x, axis=-1)
    kept = n - 2 * cut
    held = np.clip(ordered, ordered[..., cut : cut + 1], ordered[..., n - cut - 1 : n - cut])
    return np.sqrt((n - 1) * held.var(axis=-1, ddof=1) / (kept * (kept - 1)))


def percentile(x: np.ndarray, drawn: np.ndarray) -> tuple[float, float]:
    return tuple(np.quantile(middle(x[drawn]), [0.025, 0.975]))


def bca(x: np.ndarray, drawn: np.ndarray) -> tuple[float, float]:
    """Bias corrected and accelerated, as published (Efron 1987)."""
    value, resampled = middle(x), middle(x[drawn])
    left = np.array([middle(np.delete(x, i)) for i in range(len(x))])
    influence = left.mean() - left
    scale = (influence**2).sum() ** 1.5
    a = (influence**3).sum() / (6 * scale) if scale > 0 else 0.0
    below = np.mean(np.where(np.isclose(resampled, value), 0.5, resampled < value))
    bias = norm.ppf(np.clip(below, 0.5 / DRAWS, 1 - 0.5 / DRAWS))
    shifted = [bias + z for z in norm.ppf([0.025, 0.975])]
    return tuple(np.quantile(resampled, [norm.cdf(bias + s / max(1 - a * s, 1e-6)) for s in shifted]))


def bootstrap_t(x: np.ndarray, drawn: np.ndarray) -> tuple[float, float]:
    value, error, resampled = middle(x), standard_error(x), x[drawn]
    with np.errstate(divide="ignore", invalid="ignore"):
        studentised = np.nan_to_num((middle(resampled) - value) / standard_error(resampled), nan=0.0)
    ends = np.quantile(studentised, [0.975, 0.025], method="inverted_cdf")
    return tuple(np.nan_to_num(value - ends * error, nan=value))


def student_t(x: np.ndarray, drawn: np.ndarray) -> tuple[float, float]:
    kept = len(x) - 2 * int(len(x) / 4)
    reach = t.ppf(0.975, kept - 1) * standard_error(x)
    return float(middle(x) - reach), float(middle(x) + reach)


def ours(estimate: Estimate) -> tuple[float, float]:
    """Ends of an estimate; those of a tie leave half a per cent of the ceiling."""
    if estimate.low is None or estimate.high is None:
        return estimate.value - CEILING / 200, estimate.value + CEILING / 200
    return estimate.low, estimate.high


def widened(x: np.ndarray, drawn: np.ndarray) -> tuple[float, float]:
    return ours(iqm_interval(x))


METHODS = {
    "percentile bootstrap": percentile,
    "BCa bootstrap": bca,
    "bootstrap-t (winsorised variance)": bootstrap_t,
    "Student-t (winsorised variance)": student_t,
    "BCa, widened: `iqm_interval`": widened,
}


def truth_of(name: str) -> float:
    return float(middle(DISTRIBUTIONS[name](seeding.stream(0, f"truth {name}"), 4_000_000)))


def chance_of(one: str, two: str) -> float:
    x = DISTRIBUTIONS[one](seeding.stream(1, "chance"), 4_000_000)
    y = DISTRIBUTIONS[two](seeding.stream(2, "chance"), 4_000_000)
    return float((x > y).mean() + (x == y).mean() / 2)


def row(label: str, cells: dict[int, list[tuple[float, float]]], unit: str = "") -> str:
    """Format a line of a table: coverage over distributions and mean width, by sample size."""
    texts = [
        f"{100 * min(c for c, _ in found):.1f} to {100 * max(c for c, _ in found):.1f} ({_mean(found)}{unit})"
        for found in cells.values()
    ]
    return f"| {label} | {' | '.join(texts)} |"


def _mean(found: list[tuple[float, float]]) -> str:
    width = float(np.mean([w for _, w in found]))
    return f"{width:.2f}" if width < 2 else f"{width:.0f}"


def single_intervals(sizes: list[int], repeats: int) -> None:
    truths = {name: truth_of(name) for name in DISTRIBUTIONS}
    print("\ninterquartile mean: " + ", ".join(f"{name} {value:.1f}" for name, value in truths.items()))
    heads = " | ".join(f"{n} seeds: coverage % (width)" for n in sizes)
    print(f"\n| interval | {heads} |\n|---|" + "---|" * len(sizes))
    drawn = {n: seeding.stream(n, "draws").integers(0, n, (DRAWS, n)) for n in sizes}
    for label, method in METHODS.items():
        cells: dict[int, list[tuple[float, float]]] = {n: [] for n in sizes}
        for n in sizes:
            for name, sample in DISTRIBUTIONS.items():
                scores = sample(seeding.stream(n, name), (repeats, n))
                ends = np.array([method(x, drawn[n]) for x in scores])
                cells[n].append(judge(ends, truths[name], -1e4 if "normal" in name else 0.0, CEILING))
        print(row(label, cells), flush=True)


def judge(ends: np.ndarray, truth: float, floor: float, ceiling: float) -> tuple[float, float]:
    """Return coverage and mean width, ends cut to what is possible."""
    ends = np.clip(ends, floor, ceiling)
    held = (ends[:, 0] <= truth + 1e-9) & (truth - 1e-9 <= ends[:, 1])
    return float(held.mean()), float((ends[:, 1] - ends[:, 0]).mean())


def two_samples(sizes: list[int], repeats: int) -> None:
    truths = {name: truth_of(name) for name in DISTRIBUTIONS}
    difference: dict[int, list[tuple[float, float]]] = {n: [] for n in sizes}
    chance: dict[int, list[tuple[float, float]]] = {n: [] for n in sizes}
    for n in sizes:
        for one, two in PAIRS:
            x = DISTRIBUTIONS[one](seeding.stream(n, f"x {one}"), (repeats, n))
            y = DISTRIBUTIONS[two](seeding.stream(n, f"y {two}"), (repeats, n))
            ends = np.array([ours(iqm_difference(a, b)) for a, b in zip(x, y, strict=True)])
            difference[n].append(judge(ends, truths[one] - truths[two], -math.inf, math.inf))
            ends = np.array([ours(probability_of_improvement(a, b)) for a, b in zip(x, y, strict=True)])
            chance[n].append(judge(ends, chance_of(one, two), 0.0, 1.0))
    print(row("difference of two: `iqm_difference`", difference))
    print(row("`probability_of_improvement`", chance), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=2_000)
    parser.add_argument("--sizes", type=int, nargs="+", default=[5, 10, 20])
    options = parser.parse_args()
    started = time.perf_counter()
    single_intervals(options.sizes, options.repeats)
    two_samples(options.sizes, options.repeats)
    print(f"({options.repeats} repeats, {time.perf_counter() - started:.0f} s)")


if __name__ == "__main__":
    main()
