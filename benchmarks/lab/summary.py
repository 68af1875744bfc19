"""Means and intervals over replayed studies, families weighing the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

#: Trials after which a study's export is looked at.
MILESTONES = (10, 30, 100)

#: Share of a family's range that a method may be below the reference.
TOLERATED = 0.02


@dataclass(frozen=True)
class Replayed:
    """One study.

    Attributes:
        env: Gymnasium id.
        method: Name.
        seed: Study seed.
        exported: Milestone to the truth of what is exported there, as a share of the range.
        steps: Milestone to the environment steps spent, in full runs.
        seconds: Milestone to the processor seconds spent, in those of the table's mean run.
    """

    env: str
    method: str
    seed: int
    exported: dict[int, float]
    steps: dict[int, float]
    seconds: dict[int, float]


def by_family(found: Sequence[Replayed], families: dict[str, str], value: Callable[[Replayed], float]) -> np.ndarray:
    """Return a value by family and study seed, [families, seeds]: the mean over a family's members."""
    names, seeds = sorted({families[r.env] for r in found}), sorted({r.seed for r in found})
    cells: dict[tuple[str, int], list[float]] = {(name, seed): [] for name in names for seed in seeds}
    for r in found:
        cells[families[r.env], r.seed].append(value(r))
    return np.array([[np.mean(cells[name, seed]) for seed in seeds] for name in names])


def interval(values: np.ndarray, resamples: int = 2_000) -> tuple[float, float]:
    """Return the 95 % percentile interval of a mean over families and seeds, both drawn with replacement."""
    rng = np.random.default_rng(0)
    rows, columns = values.shape
    means = [
        values[rng.integers(rows, size=rows)][:, rng.integers(columns, size=columns)].mean() for _ in range(resamples)
    ]
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def within(values: np.ndarray, resamples: int = 2_000) -> tuple[float, float]:
    """Return the 95 % interval of a mean over these very families, seeds drawn with replacement in each."""
    rng = np.random.default_rng(0)
    rows, columns = values.shape
    picks = rng.integers(columns, size=(resamples, rows, columns))
    low, high = np.quantile(np.take_along_axis(values[None], picks, axis=2).mean(axis=(1, 2)), (0.025, 0.975))
    return float(low), float(high)


def print_results(found: Sequence[Replayed], families: dict[str, str], reference: str) -> None:
    """Print a table of methods, and each one's difference from a reference, family by family worst first."""
    by_method: dict[str, list[Replayed]] = {}
    for r in found:
        by_method.setdefault(r.method, []).append(r)
    print("| method | " + " | ".join(f"after {n}" for n in MILESTONES) + " | full runs | mean runs' seconds |")
    print("|---|" + "---|" * (len(MILESTONES) + 2))
    for name, mine in by_method.items():
        cells = []
        for n in MILESTONES:
            values = by_family(mine, families, lambda r, n=n: r.exported[n])
            low, high = interval(values)
            cells.append(f"{values.mean():.3f} ({low:.3f} to {high:.3f})")
        runs = np.mean([r.steps[MILESTONES[-1]] for r in mine])
        seconds = np.mean([r.seconds[MILESTONES[-1]] for r in mine])
        print(f"| {name} | {' | '.join(cells)} | {runs:.0f} | {seconds:.0f} |")
    if reference not in by_method:
        return
    print(f"\nMinus {reference}, paired by study seed; families that are whole intervals below by {TOLERATED:.0%}:")
    names = sorted({families[r.env] for r in found})
    last = MILESTONES[-1]
    theirs = {n: by_family(by_method[reference], families, lambda r, n=n: r.exported[n]) for n in MILESTONES}
    for name, mine in by_method.items():
        ours = {n: by_family(mine, families, lambda r, n=n: r.exported[n]) for n in MILESTONES}
        pairs = [(n, n) for n in MILESTONES if name != reference] + [(n, last) for n in MILESTONES if n != last]
        for n, other in pairs:
            gain = ours[n] - theirs[other]
            low, high = interval(gain)
            worst = int(gain.mean(axis=1).argmin())
            below = [f for f, row in zip(names, gain, strict=True) if interval(row[None])[1] < -TOLERATED]
            against = "" if other == n else f", {reference} after {other}"
            print(
                f"{name} after {n}{against}: {gain.mean():+.3f} ({low:+.3f} to {high:+.3f}), within these families "
                f"{_shown(within(gain))}; worst in {names[worst]}: {gain[worst].mean():+.3f}; below: "
                f"{', '.join(below) or 'none'}"
            )


def _shown(ends: tuple[float, float]) -> str:
    return f"({ends[0]:+.3f} to {ends[1]:+.3f})"
