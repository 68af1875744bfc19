"""Our statistics beside rliable's (Agarwal et al. 2021), on the same scores.

    python -m venv .venv-bench && .venv-bench/bin/pip install -q -e '.[bench]'
    .venv-bench/bin/python benchmarks/against_rliable.py [--resamples 20000]

(A virtual environment of its own, because rliable's dependencies do not work with pandas 3 yet.)

Point estimates must be equal. The intervals must not be: rliable's are percentile bootstraps, which hold the truth less
often than they say (see `tuner/core/statistics.py`); so ours is the wider one, the more the fewer the seeds.
"""

from __future__ import annotations

import argparse

import numpy as np

from tuner import seeding
from tuner.core.statistics import interquartile_mean, iqm_interval, probability_of_improvement


def main() -> None:
    from rliable import library, metrics

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resamples", type=int, default=20_000)
    options = parser.parse_args()
    print(
        "| seeds | environments | IQM | rliable's | interval | rliable's | P(X > Y) | rliable's |\n" + "|---:" * 8 + "|"
    )
    for seeds, environments in ((5, 1), (10, 1), (10, 3), (20, 3), (100, 3)):
        rng = seeding.stream(seeds * 10 + environments, "rliable")
        x, y = (
            np.where(rng.random((seeds, environments)) < p, rng.normal(0.95, 0.03, (seeds, environments)), 0.4)
            for p in (0.8, 0.5)
        )
        strata = [x[:, e] for e in range(environments)]
        ours, theirs = iqm_interval(*strata), metrics.aggregate_iqm(x)
        assert np.isclose(interquartile_mean(*strata), theirs, rtol=1e-12), (ours.value, theirs)
        chances = [probability_of_improvement(x[:, e], y[:, e]).value for e in range(environments)]
        chance = metrics.probability_of_improvement(x, y)
        assert np.isclose(np.mean(chances), chance, rtol=1e-12), (chances, chance)
        _, ends = library.get_interval_estimates(
            {"x": x}, lambda s: np.array([metrics.aggregate_iqm(s)]), reps=options.resamples
        )
        low, high = ends["x"][:, 0]
        own = "tie" if ours.low is None or ours.high is None else f"{ours.low:.3f} to {ours.high:.3f}"
        print(
            f"| {seeds} | {environments} | {ours.value:.4f} | {theirs:.4f} | {own} | {low:.3f} to {high:.3f} "
            f"| {np.mean(chances):.4f} | {chance:.4f} |"
        )


if __name__ == "__main__":
    main()
