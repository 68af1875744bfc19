"""Which trials to train again: the order of their worth, as a model of all of them sees it.

A trial's score is one run's, and the highest of a hundred such scores are the luckiest of many good settings. A setting
whose neighbours did well, too, is the safer guess.
"""

from __future__ import annotations

import numpy as np

from tuner.core.smoothing import smoothed
from tuner.result.study import StudyData, TrialRow
from tuner.space.cube import Cube
from tuner.space.parse import parse_space

#: Trials that the model sees at most: the better half of these are the best ones, the others are spread over the rest.
MOST_TRIALS = 400


def ranked_by_worth(data: StudyData) -> list[TrialRow]:
    """Return completed trials by their posterior mean, best first; of equals the one with the better score.

    Trials whose values the space does not have (another program's) are left out.
    """
    if not data.space:
        return list(data.ranked)
    cube = Cube(parse_space(data.space, "The stored search space"))
    trials = [t for t in data.ranked if cube.holds(t.params)]
    if len(trials) > MOST_TRIALS:
        half = MOST_TRIALS // 2
        rest = np.linspace(half, len(trials) - 1, MOST_TRIALS - half).astype(int)
        trials = [*trials[:half], *(trials[i] for i in rest)]
    if not trials:
        return []
    points = np.array([cube.place(t.params) for t in trials])
    worth = smoothed(points, np.array([t.score for t in trials], dtype=float))
    return [trials[i] for i in np.argsort(-worth, kind="stable")]
