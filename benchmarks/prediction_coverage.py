"""How often the nominal 95 % prediction interval of `tune verify` holds the mean of new runs.

    python benchmarks/prediction_coverage.py [--samples 1000] [--known 10 20] [--new 5 10]

Scores are drawn from distributions as training runs have them: normal, cut at a ceiling of 500, spread between bounds,
and two-humped, where a run fails with a given probability and scores 9 to 100. Of each sample the known scores make the
interval, which the mean of the new ones is held to; bounds are 9 and 500. Beside it the Student-t prediction interval.
Printed for each number of known and new runs: lowest and highest share of samples that hold, and mean width.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy.special import stdtrit

from tuner.core.prediction import predicted_mean

FAILED, CEILING = (9.0, 100.0), 500.0

#: Chance that a run fails.
CHANCES = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5)

Draw = Callable[[np.random.Generator, int], np.ndarray]


def two_humped(chance: float, spread: float = 0.0) -> Draw:
    """Return scores of which some fail and the others lie at the ceiling, or a little below."""

    def draw(random: np.random.Generator, n: int) -> np.ndarray:
        good = CEILING - spread * np.abs(random.standard_normal(n))
        return np.where(random.random(n) < chance, random.uniform(*FAILED, n), good)

    return draw


DISTRIBUTIONS: dict[str, Draw] = {
    "normal": lambda random, n: 300 + 30 * random.standard_normal(n),
    "cut at the ceiling": lambda random, n: np.minimum(CEILING, 480 + 40 * random.standard_normal(n)),
    "skewed": lambda random, n: CEILING * random.beta(4, 1.5, n),
    **{f"{chance:g} fail": two_humped(chance) for chance in CHANCES},
    "0.1 fail, others spread": two_humped(0.1, 30),
    "0.3 fail, others spread": two_humped(0.3, 30),
}


def student(known: Sequence[float], new: int) -> tuple[float, float]:
    """Return the Student-t prediction interval of a mean."""
    n, scores = len(known), np.asarray(known)
    reach = float(stdtrit(n - 1, 0.975)) * float(scores.std(ddof=1)) * math.sqrt(1 / n + 1 / new)
    return float(scores.mean()) - reach, float(scores.mean()) + reach


def coverage(draw: Draw, known: int, new: int, samples: int) -> dict[str, tuple[float, float]]:
    """Return for each interval the share of samples that it holds and its mean width."""
    random = np.random.default_rng(0)
    held = {"urn": 0, "student": 0}
    width = {"urn": 0.0, "student": 0.0}
    for _ in range(samples):
        scores, mean = draw(random, known), float(draw(random, new).mean())
        ends = {"urn": predicted_mean(list(scores), new, (FAILED[0], CEILING)), "student": student(list(scores), new)}
        for name, (low, high) in ends.items():
            held[name] += low - 1e-9 <= mean <= high + 1e-9
            width[name] += high - low
    return {name: (held[name] / samples, width[name] / samples) for name in held}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--known", type=int, nargs="+", default=[10, 20])
    parser.add_argument("--new", type=int, nargs="+", default=[5, 10])
    asked = parser.parse_args()
    for known in asked.known:
        for new in asked.new:
            print(f"{known} known runs, {new} new ones")
            for name, draw in DISTRIBUTIONS.items():
                found = coverage(draw, known, new, asked.samples)
                shown = "   ".join(f"{n} {100 * share:5.1f} % ({width:.0f})" for n, (share, width) in found.items())
                print(f"  {name:<26} {shown}")


if __name__ == "__main__":
    main()
