"""What runs of each setting take, evaluation by evaluation, from those that a confirm stage has measured so far.

Each setting goes by its own clock. Where it has not been, what was expected of it is taken for as much longer as it has
been so far, and as all that have been there were: late evaluations, with their many episodes, may be what takes long.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

from tuner.study.confirm.schedule import Job

#: Runs that what was expected of a setting counts for beside those that are measured.
EXPECTATION = 0.25

#: Seconds of a run from each of its evaluations to the end of the next, by key.
Expected = Mapping[str, Sequence[float]]


class RunTime(NamedTuple):
    """The seconds of one run.

    Attributes:
        elapsed: At each of its evaluations so far, as far as they were seen.
        whole: At its end; None: it is in training.
    """

    elapsed: Sequence[float]
    whole: float | None = None


def seconds_to_evaluations(expected: Expected, runs: Mapping[Job, RunTime]) -> dict[str, tuple[float, ...]]:
    """Return the seconds of a run of each setting from each of its evaluations to the end of the next, by key.

    Args:
        expected: The same before any has run; at least one number for each setting.
        runs: What has been measured.
    """
    foreseen = _foreseen(expected)
    measured: dict[str, list[Sequence[float]]] = {key: [] for key in foreseen}
    for job, run in runs.items():
        if job.key in foreseen:
            measured[job.key].append(_above_zero(_intervals(run, foreseen[job.key])))
    longest = max(map(len, foreseen.values()))
    overall = _ratio(measured, foreseen, range(longest))
    of_all = [_ratio(measured, foreseen, (i,), overall) for i in range(longest)]
    found = {}
    for key, intervals in foreseen.items():
        usual = [ratio * seconds for ratio, seconds in zip(of_all, intervals, strict=False)]
        parts = sum(sum(usual[: len(run)]) for run in measured[key]) / sum(usual)  # of a run, in all
        spent = sum(map(sum, measured[key])) / sum(usual)
        own = (EXPECTATION + spent) / (EXPECTATION + parts)
        here = [[run[i] for run in measured[key] if len(run) > i] for i in range(len(intervals))]
        found[key] = tuple(
            (EXPECTATION * own * seconds + sum(some)) / (EXPECTATION + len(some))
            for seconds, some in zip(usual, here, strict=True)
        )
    return found


def _foreseen(expected: Expected) -> dict[str, list[float]]:
    """Return what is expected, above zero: of a setting of which nothing is known, what the others take on average.

    Else the first to be measured would be thousands of millions of times as long as expected, and with it all others.
    """
    wholes = [whole for intervals in expected.values() if (whole := sum(intervals)) > 0.0]
    usual = fmean(wholes) if wholes else 1.0
    return {
        key: _above_zero(intervals) if sum(intervals) > 0.0 else [usual / len(intervals)] * len(intervals)
        for key, intervals in expected.items()
    }


def _above_zero(seconds: Sequence[float]) -> list[float]:
    """Return seconds that can be divided by: a clock may show none."""
    return [max(some, 1e-9) for some in seconds]


def _intervals(run: RunTime, expected: Sequence[float]) -> list[float]:
    """Return the seconds between a run's evaluations; of what was not seen of one that has ended, each its part."""
    elapsed = list(run.elapsed[: len(expected)])
    found = [after - before for before, after in itertools.pairwise((0.0, *elapsed))]
    if run.whole is None:
        return found
    unseen, rest = expected[len(found) :], max(run.whole - sum(found), 0.0)
    if not unseen:
        return [*found[:-1], found[-1] + rest]
    return found + [rest * seconds / sum(unseen) for seconds in unseen]


def _ratio(
    measured: Mapping[str, Sequence[Sequence[float]]],
    expected: Expected,
    places: Sequence[int],
    without: float = 1.0,
) -> float:
    """Return how many times as long as expected all runs took at some evaluations; ``without`` where none has been."""
    pairs = [
        (run[i], expected[key][i]) for key, runs in measured.items() for run in runs for i in places if len(run) > i
    ]
    return sum(took for took, _ in pairs) / sum(foreseen for _, foreseen in pairs) if pairs else without
