"""The gate: a rung of the median rule stops runs once the study's own completed runs show that it tells.

A run that the rule would have stopped at a rung, and that went on, is evidence: it ended inside or outside the best
quarter of all completed runs. The rung opens when the lower confidence limit (Clopper and Pearson 1934, one-sided) of
the share outside is above what chance gives, three quarters. TPE's good side is the best quarter as well, so to a
sampler a stopped run is what the gate vouches for, no more: outside of it.

Evidence must not hold a run's own luck twice. Once the score's own evaluations have begun, a run that is low at a rung
is low in its score, whatever its hyperparameters are worth: such rungs never open.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import beta

#: Share of the runs outside the best quarter: what a rung that tells nothing would reach.
CHANCE = 0.75

#: One-sided confidence that a rung does better than that.
CONFIDENCE = 0.9

#: Newest completed runs that are looked at, so that a report costs the same at trial 10,000.
NEWEST = 400


def tells(best_so_far: np.ndarray, scores: np.ndarray) -> bool:
    """Return whether stopping below the median of ``best_so_far`` is shown to stop runs outside the best quarter.

    Args:
        best_so_far: Highest value of each completed run up to the rung, [N]; not NaN.
        scores: Their scores, [N]. Runs that are level with the best quarter's last count as inside.
    """
    best_so_far, scores = best_so_far[-NEWEST:], scores[-NEWEST:]
    if len(scores) == 0:
        return False
    stopped = best_so_far < np.median(best_so_far)
    outside = scores < np.quantile(scores, CHANCE)
    return lower_limit(int((stopped & outside).sum()), int(stopped.sum())) > CHANCE


def lower_limit(hits: int, draws: int) -> float:
    """Return the one-sided lower confidence limit of a share."""
    return float(beta.ppf(1 - CONFIDENCE, hits, draws - hits + 1)) if hits else 0.0
