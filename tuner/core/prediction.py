"""Where the mean of further runs of a setting will lie, from the runs that are known: an interval to hold them to.

Scores of runs have a ceiling, and a run that fails lies far below: the samples are skewed, two-humped or all equal, and
a Student-t prediction interval, which is symmetric and of no width where all are equal, is wrong for them. What is
drawn here is a Polya urn (Rubin 1981, the Bayesian bootstrap: the weights of the known scores are Dirichlet) with half
a score put at each bound of what runs there can score, for what no known run has shown. Where each run is a success or
a failure that is Jeffreys's prior, whose intervals for a share hold what they promise also near 0 and 1 (Brown, Cai and
DasGupta 2001); ten successes do not promise ten more.

Per cent of nominal 95 % intervals that hold the mean of ten new runs (mean width), from ten known ones between 9 and
500, 1,000 samples each, ``python benchmarks/prediction_coverage.py --known 10 --new 10``:

=================================  =============  ===========
scores                             this interval  Student-t
=================================  =============  ===========
normal, far from the bounds        100 (142)      94.7 (58)
normal, cut at the ceiling         97.0 (157)     93.5 (57)
skewed to the ceiling              97.4 (183)     93.7 (172)
at the ceiling but 2 % failed      100 (161)      84.4 (48)
at the ceiling but 5 % failed      99.9 (183)     76.4 (118)
at the ceiling but 10 % failed     99.2 (216)     77.0 (211)
near the ceiling but 10 % failed   96.8 (215)     76.1 (213)
at the ceiling but 20 % failed     96.8 (270)     87.5 (333)
at the ceiling but 30 % failed     95.5 (309)     92.0 (399)
at the ceiling but 50 % failed     94.5 (342)     96.2 (451)
=================================  =============  ===========
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tuner import seeding
from tuner.core.confidence import CONFIDENCE

#: Draws from the urn; the Monte-Carlo error of an end is then about 2 % of the interval's width.
DRAWS = 5_000

#: How much a bound of the scores weighs beside a known score (Jeffreys).
BOUND_WEIGHT = 0.5


def predicted_mean(scores: Sequence[float], runs: int, bounds: tuple[float, float]) -> tuple[float, float]:
    """Return the interval that the mean score of further runs lies in with 95 %.

    Args:
        scores: Known scores of runs, at least two.
        runs: How many further runs, at least 1, on seeds as fresh as the known ones.
        bounds: Lowest and highest score that runs there can have; a known score beyond widens them.

    Raises:
        ValueError: Too few scores or runs, or a number that is not finite.
    """
    known = np.asarray(scores, dtype=np.float64)
    if known.ndim != 1 or len(known) < 2 or runs < 1 or not np.isfinite([*known, *bounds]).all():
        raise ValueError("a prediction needs at least two finite scores, finite bounds and one further run.")
    urn = np.append(known, [min(bounds[0], known.min()), max(bounds[1], known.max())])
    random = seeding.stream(runs, f"prediction-{len(known)}")
    weights = random.dirichlet([*[1.0] * len(known), BOUND_WEIGHT, BOUND_WEIGHT], size=DRAWS)
    means = random.multinomial(runs, weights) @ urn / runs
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(means, tail, method="lower"), np.quantile(means, 1 - tail, method="higher")
    return float(low), float(high)
