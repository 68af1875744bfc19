"""How often what looks after every run is wrong at any look, and after how many runs it is sure.

    python benchmarks/sequence_coverage.py [--repeats 20000] [--looks 50] [--plans 10 20 50]

A study looks after every run, `--looks` times; a sequence errs where the true mean lies outside at any of these looks
(level 0.95: it may in 5 % of the studies). Single scores: bounded ones by `betting_capital`, among them some that pile
up at a ceiling as DQN's returns do; normal ones of several units by `normal_capital`. Differences of two settings on
the same seeds: likewise. The rank test that `--until` goes by errs where it names a winner of two settings that are
alike at any look of a plan of so many runs. Then what neither promises: the normal sequence on bounded scores that are
far from normal, ranks where means are equal and the scores' distributions are not, and the t interval looked at after
every run from the third on.

Runs needed: medians over studies of the first look that is sure, beside the fixed number of pairs at which a two-sided
paired t test has a power of 80 %; at level 0.95, and at 1 - 0.05/3 as for three baselines. Then the rank test of a plan
beside a single look at its end, both at level 0.95: how often they tell, and how often they say the same. There a study
ends, too, once the runs left would hardly tell (GIVE_UP); errors are counted without that, which could only lower them.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable

import numpy as np
from scipy.stats import nct, norm, t

from tuner import seeding
from tuner.core.confidence_sequence import betting_capital, normal_capital
from tuner.core.sequential_ranks import FIRST_LOOK, corridor, height, looks, normal_score, predictive_power
from tuner.core.statistics import share_interval
from tuner.result.sequential import GIVE_UP

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


def normal_scores(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the rank test's normal score after each run, [studies, looks]."""
    studies, looks = x.shape
    won, found = np.zeros(studies, dtype=np.int64), np.zeros((studies, looks))  # twice the pairs won
    for n in range(1, looks + 1):
        new, other, before, theirs = x[:, n - 1 : n], y[:, n - 1 : n], x[:, : n - 1], y[:, : n - 1]
        for left, right in ((new, theirs), (before, other), (new, other)):
            won += (2 * (left > right) + (left == right)).sum(axis=1)
        scores = np.array([normal_score(twice / (2 * n * n), n) for twice in range(2 * n * n + 1)])
        found[:, n - 1] = scores[won]
    return found


def rank_scores(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the rank test's normal score after each run, in units of the corridor, [studies, looks]."""
    looks = x.shape[-1]
    return normal_scores(x, y) / [corridor(n, looks) for n in range(1, looks + 1)]


def ranks_err(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return for each study whether the rank test names a winner at any look, [studies]."""
    return (np.abs(rank_scores(x, y)) >= height(1 - LEVEL, x.shape[-1])).any(axis=-1)


def validity(repeats: int, looks: int, plans: list[int]) -> None:
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
    for plan in plans:
        for name, sample in BOUNDED.items():
            x, y = (sample(seeding.stream(source, f"{name} {plan}"), (repeats, plan)) for source in (1, 2))
            row(f"{name}, two alike", f"ranks, {plan} runs planned", ranks_err(x, y))
        x, y = (seeding.stream(source, f"ranks {plan}").normal(size=(repeats, plan)) for source in (3, 4))
        row("normal, two alike", f"ranks, {plan} runs planned", ranks_err(x, y))
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
    for plan in plans:
        x = mixture(0.85)(seeding.stream(1, f"85 % solve {plan}"), (repeats, plan))
        row("85 % solve beside a steady one of the same mean", f"ranks, {plan} runs planned",
            ranks_err(x, np.full_like(x, steady)))  # fmt: skip
        x = BOUNDED["all or nothing, half"](seeding.stream(1, f"as often {plan}"), (repeats, plan))
        row("all or nothing, half, beside a steady one between: each does better as often",
            f"ranks, {plan} runs planned", ranks_err(x, np.full_like(x, (FLOOR + CEILING) / 2)))  # fmt: skip
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


def ranks_needed(repeats: int, plans: list[int]) -> None:
    names = " | ".join(f"ranks, {plan} planned" for plan in plans)
    print(f"\n| true difference, in deviations | t test of 80 % power | {names} |\n|---:|---:|{'---:|' * len(plans)}")
    for effect in (0.5, 1.0, 1.5, 2.0, 5.0):
        medians = []
        for plan in plans:
            x, y = (seeding.stream(source, f"{effect} {plan}").normal(size=(repeats, plan)) for source in (5, 6))
            sure = np.abs(rank_scores(x + effect * math.sqrt(2), y)) >= height(1 - LEVEL, plan)
            first = np.where(sure.any(axis=-1), sure.argmax(axis=-1) + 1.0, np.inf)
            medians.append(f"{np.median(first):g}" if np.isfinite(np.median(first)) else "not in most studies")
        print(f"| {effect:g} | {runs_of_t_test(effect)} | {' | '.join(medians)} |", flush=True)


#: :func:`~tuner.core.sequential_ranks.predictive_power` of many scores.
power = np.vectorize(predictive_power, excluded=("n", "most", "limit"))


def beside_one_look(repeats: int, plan: int) -> None:
    pairs: dict[str, tuple[Sampler, Sampler]] = {"half solve, two alike": (mixture(0.5), mixture(0.5))}
    for more, fewer in ((0.7, 0.5), (0.8, 0.4), (0.9, 0.3)):
        pairs[f"{more:.0%} and {fewer:.0%} solve"] = mixture(more), mixture(fewer)
    for effect in (0.4, 0.9, 1.3):
        pairs[f"normal, {effect:g} deviations apart"] = (
            lambda rng, shape, effect=effect: rng.normal(effect, 1, shape),
            lambda rng, shape: rng.normal(0, 1, shape),
        )
    print(f"\n| {plan} runs planned | one look tells | ranks tell | the same | mean runs |\n|---|---:|---:|---:|---:|")
    for name, (better, worse) in pairs.items():
        x, y = (f(seeding.stream(i, f"{name} {plan}"), (repeats, plan)) for i, f in ((7, better), (8, worse)))
        scores = rank_scores(x, y)
        limit = height(1 - LEVEL, plan)
        sure = np.abs(scores) >= limit
        left = np.array([power(scores[:, n - 1] * corridor(n, plan), n, plan, limit) for n in looks(plan)]).T
        over = np.zeros_like(sure)
        over[:, FIRST_LOOK - 1 :] = left < GIVE_UP
        over[:, -1] = True
        sure &= np.cumsum(over, axis=-1) - over == 0  # nothing is told after it was given up
        once, ever = np.abs(scores[:, -1]) >= norm.isf((1 - LEVEL) / 2), sure.any(axis=-1)
        runs = (sure | over).argmax(axis=-1) + 1
        print(f"| {name} | {once.mean():.1%} | {ever.mean():.1%} | {(once == ever).mean():.1%} | {runs.mean():.1f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=20_000)
    parser.add_argument("--looks", type=int, default=50)
    parser.add_argument("--plans", type=int, nargs="+", default=[10, 20, 50], help="runs planned, of the rank test")
    options = parser.parse_args()
    started = time.process_time()
    validity(options.repeats, options.looks, options.plans)
    runs_needed(options.repeats)
    ranks_needed(options.repeats, options.plans)
    beside_one_look(options.repeats, 20)
    print(f"\n({options.repeats} studies, {time.process_time() - started:.0f} s of processor time)")


if __name__ == "__main__":
    main()
