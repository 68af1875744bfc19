"""How long a confirm stage still takes: what a run takes differs from setting to setting, by ten times and more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import mean

from tuner.study.confirm.budget import Allocation
from tuner.study.confirm.schedule import Job, Selection


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
    training: Iterable[Job],
    at_a_time: int,
) -> float:
    """Return the seconds until a stage is done, if it takes all the runs that it may.

    Args:
        each: Seconds of a run by key, as :func:`seconds_of_runs` has them.
        selection: Where the select phase stands.
        judging: The verdict's runs that are still wanted, once there is a winner.
        results: Runs that have ended.
        allocation: The budget.
        baselines: Keys of the baselines.
        training: Runs in training: half of each is over, on average.
        at_a_time: Runs that get a core of their own.
    """
    usual = mean(each.values())
    if selection.winner is not None:
        total = sum(each.get(job.key, usual) for job in judging)
    else:
        finalist = mean(each.get(key, usual) for key in selection.alive)
        done = sum(job.phase == "select" for job in results)
        choosing = max(allocation.select_runs - done, len(selection.wanted)) * finalist
        total = choosing + allocation.verdict_seeds * (finalist + sum(each.get(key, usual) for key in baselines))
    total -= sum(each.get(job.key, usual) for job in training) / 2
    return max(total, 0.0) / max(at_a_time, 1)
