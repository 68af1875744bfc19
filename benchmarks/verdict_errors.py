"""How often a verdict names a difference where there is none, by its seeds and its baselines.

    python benchmarks/verdict_errors.py [--repeats 1000] [--seeds 4 5 10] [--baselines 1 2 3 4]

Winner and baselines draw their scores from one distribution, so every "better" or "worse" is an error. Printed is the
share of verdicts with at least one: each baseline judged by itself (:func:`tuner.result.verdict.compare`), then with
p-values corrected over the baselines (Holm 1979), which the report goes by.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

from interval_coverage import DISTRIBUTIONS

from tuner import seeding
from tuner.core.multiple_comparisons import holm
from tuner.result.verdict import LEVEL, compare, p_value

#: Scores alike in spread, and most of them at a ceiling.
NAMES = ("normal", "85 % solve")

#: Name to what makes p-values hold for all comparisons of a verdict together.
METHODS: dict[str, Callable[[list[float]], list[float]]] = {"each by itself": list, "corrected": holm}


def named(name: str, seeds: int, baselines: int, repeats: int) -> dict[str, list[int]]:
    """Return by method how many of ``repeats`` verdicts name a difference beside the first 1, 2, ... baselines."""
    rng = seeding.stream(0, f"verdict errors {name} {seeds}")
    errors = {method: [0] * baselines for method in METHODS}
    for _ in range(repeats):
        winner, *others = DISTRIBUTIONS[name](rng, (baselines + 1, seeds)).tolist()
        found = [compare(winner, other) for other in others]
        told = [comparison.result in ("better", "worse") for comparison in found]
        p_values = [p_value(comparison, seeds, seeds) for comparison in found]
        for method, adjusted in METHODS.items():
            for n in range(baselines):
                p = adjusted(p_values[: n + 1])
                errors[method][n] += any(t and each <= LEVEL for t, each in zip(told, p, strict=False))
    return errors


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=1000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[4, 5, 10])
    parser.add_argument("--baselines", type=int, nargs="+", default=[1, 2, 3, 4])
    options = parser.parse_args()
    print("| scores | seeds | judged | " + " | ".join(f"{n} baselines" for n in options.baselines) + " |")
    print("|---|---:|---|" + "---:|" * len(options.baselines))
    for name in NAMES:
        for seeds in options.seeds:
            for method, errors in named(name, seeds, max(options.baselines), options.repeats).items():
                shares = [f"{errors[n - 1] / options.repeats:.1%}" for n in options.baselines]
                print(f"| {name} | {seeds} | {method} | " + " | ".join(shares) + " |", flush=True)


if __name__ == "__main__":
    main()
