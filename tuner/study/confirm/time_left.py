"""How long a confirm stage still takes: what a run takes differs from setting to setting, by ten times and more."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from statistics import mean

from tuner.study.confirm.budget import Allocation
from tuner.study.confirm.schedule import FURTHER_SEEDS, Job, Selection

#: Workers are not taken for slower than this many times their runs: a search that was interrupted has gaps.
MOST_OVERHEAD = 1.6


def seconds_of_runs(expected: Mapping[str, float], took: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Return the seconds of a worker that a run of each setting takes, by key.

    What has run here took what it took; others take what was expected, as much longer as those that ran have taken.

    Args:
        expected: Before any has run.
        took: Seconds of each run that has ended.
    """
    measured = {key: mean(seconds) for key, seconds in took.items() if seconds}
    known = [key for key in measured if expected.get(key)]
    longer = sum(measured[key] for key in known) / sum(expected[key] for key in known) if known else 1.0
    return {key: measured.get(key, longer * seconds) for key, seconds in expected.items()}


def seconds_left(
    each: Mapping[str, float],
    selection: Selection,
    judging: Sequence[Job],
    results: Iterable[Job],
    allocation: Allocation,
    baselines: Sequence[str],
    training: Mapping[Job, float],
    at_a_time: int,
) -> float:
    """Return the seconds until a stage is done, if it takes all the runs that it may.

    Each round waits for the last run of the one before: as long as the cores take for its runs, one after the other on
    whichever is free, cores that have nothing left to do included.

    Args:
        each: Seconds of a run by key, as :func:`seconds_of_runs` has them.
        selection: Where the select phase stands.
        judging: The verdict's runs that are still wanted, once there is a winner.
        results: Runs that have ended.
        allocation: The budget.
        baselines: Keys of the baselines.
        training: How much of each run in training is over, in [0, 1].
        at_a_time: Runs that get a core of their own.
    """
    usual = mean(each.values())

    def seconds(keys: Iterable[str]) -> list[float]:
        return [each.get(key, usual) for key in keys]

    now = judging if selection.winner is not None else selection.wanted
    begun = [each.get(job.key, usual) * (1 - done) for job, done in training.items()]
    left = _wall(begun, seconds(job.key for job in now if job not in training), at_a_time)
    if selection.winner is not None:
        return left
    alive = selection.alive
    more = allocation.select_runs - sum(job.phase == "select" for job in results) - len(selection.wanted)
    while more >= len(alive):
        rounds = min(FURTHER_SEEDS, more // len(alive))
        left, more = left + _wall([], seconds(alive) * rounds, at_a_time), more - rounds * len(alive)
    verdict = [mean(seconds(alive)), *seconds(baselines)]
    return left + _wall([], sorted(verdict, reverse=True) * allocation.verdict_seeds, at_a_time)


def overhead(search: tuple[float, float], took: Iterable[float], training: Iterable[float], spent: float) -> float:
    """Return how much longer workers take than their runs: starting, waiting, and what else the machine does.

    Args:
        search: (Seconds of all its workers, those of its runs) of the search.
        took: Seconds of the runs that this stage has ended since it began or went on.
        training: Seconds of those in training, as far as they are.
        spent: Seconds of all workers since then.
    """
    ratio = (search[0] + spent) / max(search[1] + sum(took) + sum(training), 1e-9)
    return min(max(ratio, 1.0), MOST_OVERHEAD)


def _wall(begun: Sequence[float], runs: Sequence[float], cores: int) -> float:
    """Return when the last core is done, where each takes the next run as soon as it is free.

    Args:
        begun: What is left of the runs in training; several may share a core.
        runs: Those that wait, in order.
        cores: Cores, >= 1.
    """
    busy = [0.0] * max(cores, 1)
    for run in [*sorted(begun, reverse=True), *runs]:
        heapq.heapreplace(busy, busy[0] + run)
    return max(busy)
