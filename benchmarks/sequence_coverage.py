"""How often a confidence sequence is wrong at any look, and after how many runs it is sure.

    python benchmarks/sequence_coverage.py [--repeats 20000] [--looks 50]

A study looks after every run, `--looks` times; a sequence errs where the true mean lies outside at any of these looks
(level 0.95: it may in 5 % of the studies). Single scores: bounded ones by `betting_capital`, among them some that pile
up at a ceiling as DQN's returns do; normal ones of several units by `normal_capital`. Differences of two settings on
the same seeds: likewise. Then what neither promises: the normal sequence on bounded scores that are far from normal,
and the t interval looked at after every run from the third on.

Runs needed: medians over studies of the first look at which zero is excluded, beside the fixed number of pairs at which
a two-sided paired t test has a power of 80 %; at level 0.95, and at 1 - 0.05/3 as for three baselines.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable

import numpy as np
from scipy.stats import nct, t

from tuner import seeding
from tuner.core.confidence_sequence import betting_capital, normal_capital
from tuner.core.statistics import share_interval

FLOOR, CEILING = 0.0, 500.0
LEVEL = 0.95

Sampler = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]


def mixture(share: float, spread: float = 15.0) -> Sampler:
    """Return a sampler: `share` of the runs near the ceiling (many exactly at it), the others at 180 +- 60."""

    def sample(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        good = np.minimum(CEILING, rng.normal(490, spread, shape))
        return np.clip(np.where(rng.random(shape) < share, good, rng.normal(180, 60, shape)), FLOOR, CEILING)

    return sample


BOUNDED: dict[str, Sampler] = {
    "uniform": lambda rng, shape: rng.uniform(FLOOR, CEILING, shape),
    "normal, cut": lambda rng, shape: np.clip(rng.normal(350, 120, shape), FLOOR, CEILING),
    "85 % solve": mixture(0.85),
    "half solve": mixture(0.5),
    "all or nothing, 95 %": lambda rng, shape: CEILING * (rng.random(shape) < 0.95),
    "all or nothing, half": lambda rng, shape: CEILING * (rng.random(shape) < 0.5),
    "rare failures, 2 %": lambda rng, shape: np.where(rng.random(shape) < 0.02, 20.0, CEILING),
}
NORMAL: dict[str, tuple[float, float]] = {
    "250 +- 50": (250.0, 50.0),
    "0 +- 0.001": (0.0, 0.001),
    "100,000 +- 1": (100_000.0, 1.0),
}


def errs(won: np.ndarray, level: float = LEVEL) -> np.ndarray:
    """Return for each study whether the true mean is excluded at any look, from log capital [studies, looks]."""
    return (won >= -math.log1p(-level)).any(axis=-1)


def row(what: str, method: str, wrong: np.ndarray) -> None:
    low, high = share_interval(int(wrong.sum()), len(wrong))
    print(f"| {what} | {method} | {wrong.mean():.2%} ({low:.2%} to {high:.2%}) |", flush=True)


def peeking_t(x: np.ndarray, mean: float) -> np.ndarray:
    """Return whether the t interval excludes the mean at any look from the third on, [studies]."""
    n = np.arange(1, x.shape[-1] + 1)
    centred = x - mean
    average = centred.cumsum(axis=-1) / n
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.maximum((centred**2).cumsum(axis=-1) - n * average**2, 0) / (n - 1)
        outside = np.abs(average) > t.ppf(0.5 + LEVEL / 2, n - 1) * np.sqrt(variance / n)
    return outside[:, 2:].any(axis=-1)


def validity(repeats: int, looks: int) -> None:
    shape = (repeats, looks)
    print("| scores | sequence | wrong at any look |\n|---|---|---|")
    for name, sample in BOUNDED.items():
        truth = float(sample(seeding.stream(0, f"truth {name}"), (8_000_000,)).mean())
        x = sample(seeding.stream(1, name), shape)
        y = sample(seeding.stream(2, name), shape)
        span = CEILING - FLOOR
        row(name, "bounded", errs(betting_capital(x, truth, (FLOOR, CEILING), LEVEL)))
        row(f"{name}, difference of two alike", "bounded", errs(betting_capital(x - y, 0.0, (-span, span), LEVEL)))
    for name, (mean, deviation) in NORMAL.items():
        x = seeding.stream(3, name).normal(mean, deviation, shape)
        y = seeding.stream(4, name).normal(mean, deviation, shape)
        row(f"normal, {name}", "normal", errs(normal_capital(x, mean)))
        row(f"normal, {name}, difference of two alike", "normal", errs(normal_capital(x - y)))
    print("\nWhat is not promised:\n\n| scores | interval | wrong at any look |\n|---|---|---|")
    for name, sample in BOUNDED.items():
        truth = float(sample(seeding.stream(0, f"truth {name}"), (8_000_000,)).mean())
        x, y = sample(seeding.stream(1, name), shape), sample(seeding.stream(2, name), shape)
        row(name, "normal", errs(normal_capital(x, truth)))
        row(f"{name}, difference of two alike", "normal", errs(normal_capital(x - y)))
    steady = float(mixture(0.85)(seeding.stream(0, "truth 85 % solve"), (8_000_000,)).mean())
    x = mixture(0.85)(seeding.stream(1, "85 % solve"), shape)
    row("85 % solve less a steady one of the same mean, from the fifth look on", "normal",
        errs(normal_capital(x, steady)[:, 4:]))  # fmt: skip
    x = seeding.stream(3, "peeking").normal(0, 1, shape)
    row("normal", "t interval, looked at every time", peeking_t(x, 0.0))


def runs_of_t_test(effect: float, power: float = 0.8) -> int:
    """Return the fewest pairs with which a two-sided paired t test finds an effect (in deviations) with that power."""
    for n in range(2, 10_000):
        edge, shift = t.ppf(0.5 + LEVEL / 2, n - 1), effect * math.sqrt(n)
        if nct.sf(edge, n - 1, shift) + nct.cdf(-edge, n - 1, shift) >= power:
            return n
    raise ValueError(f"no number of runs finds an effect of {effect}.")


def runs_needed(repeats: int) -> None:
    levels = (LEVEL, 1 - (1 - LEVEL) / 3)
    print("\n| true difference, in deviations | t test of 80 % power | median, 0.95 | ratio | median, three |")
    print("|---:|---:|---:|---:|---:|")
    for effect in (0.5, 1.0, 1.5, 2.0, 5.0):
        fixed = runs_of_t_test(effect)
        x = seeding.stream(5, f"effect {effect}").normal(effect, 1.0, (repeats, 12 * fixed + 20))
        won = normal_capital(x)
        first, corrected = (float(np.median((won >= -math.log1p(-level)).argmax(axis=-1) + 1)) for level in levels)
        print(f"| {effect:g} | {fixed} | {first:g} | {first / fixed:.2f} | {corrected:g} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=20_000)
    parser.add_argument("--looks", type=int, default=50)
    options = parser.parse_args()
    started = time.process_time()
    validity(options.repeats, options.looks)
    runs_needed(options.repeats)
    print(f"\n({options.repeats} studies, {time.process_time() - started:.0f} s of processor time)")


if __name__ == "__main__":
    main()
