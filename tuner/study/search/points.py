"""Which point of a study a trial trains: what is sampled for it and its seeds follow that, not its number.

A lost trial's successor has a number of its own and the point of its predecessor. So a study that was killed goes on
with the points that it would have asked for.
"""

from __future__ import annotations

from collections.abc import Sequence

from optuna.trial import FrozenTrial

from tuner.study.store import keys as attr


def point_of(trials: Sequence[FrozenTrial], number: int) -> int:
    """Return a trial's point: the count of points before it.

    Args:
        trials: Of the study, by number, those up to ``number`` at least.
        number: The trial's.
    """
    stored = trials[number].user_attrs
    if attr.POINT in stored:
        return int(stored[attr.POINT])
    if attr.ROOT in stored:
        return point_of(trials, stored[attr.ROOT])
    if attr.SEEDS in stored:  # by version 0.1.0, where all followed the number
        return number
    skipped = 0
    for earlier in range(number - 1, -1, -1):
        found = trials[earlier].user_attrs
        if attr.RETRY_OF in found:
            continue
        if attr.POINT in found or attr.SEEDS in found:
            return point_of(trials, earlier) + 1 + skipped
        skipped += 1
    return skipped
