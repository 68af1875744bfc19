"""How a confirm stage may go on from where it stands, so that one can say how long it still takes.

How many rounds of the selection there will be depends on scores that nobody knows yet. Once every finalist has two of
them, what is missing is drawn by what each has scored so far, some times over; before, the shortest and the longest way
stand for all.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from tuner.result.sequential import Until
from tuner.study.confirm.budget import Allocation
from tuner.study.confirm.choice import Choice, lowest
from tuner.study.confirm.schedule import FURTHER_SEEDS, Job, Selection, select
from tuner.study.confirm.verdict import verdict

#: Ways that are drawn. More of them say hardly more: each is half as long to twice as long as another at most.
DRAWS = 8


@dataclass(frozen=True)
class Way:
    """One way for a stage to go on.

    Attributes:
        rounds: Runs that are trained side by side; each round waits for the one before.
        free: Runs that wait for nothing.
    """

    rounds: tuple[tuple[Job, ...], ...]
    free: tuple[Job, ...]


def ways(
    finalists: Sequence[str],
    baselines: Sequence[str],
    allocation: Allocation,
    results: Mapping[Job, float | None],
    choice: Choice,
    until: Until | None,
    lengths: Mapping[str, float],
) -> list[Way]:
    """Return ways for a stage to go on, each as likely as the others.

    Args:
        finalists: Keys, the most promising first.
        baselines: Keys of what the winner is compared with; a finalist's may be among them.
        allocation: The budget.
        results: Score of each run that has ended, as :func:`~tuner.study.confirm.schedule.select` takes it.
        choice: What the selection goes by.
        until: Ends the verdict by its results; None: it has a number of seeds.
        lengths: As for :func:`~tuner.study.confirm.verdict.verdict`.
    """
    found = []
    for selecting, winner in selections(finalists, allocation, results, choice):
        judged = [winner, *baselines]
        if until is not None:
            judging = [*selecting, *_seed_by_seed(judged, allocation, results, until, lengths, choice.floor)]
            found.append(Way(tuple(judging), ()))
            continue
        wanted = verdict(judged, allocation, results).wanted
        free = tuple(job for job in wanted if job.key not in finalists)
        last = tuple(job for job in wanted if job.key in finalists)
        found.append(Way((*selecting, last), free))
    return found


def selections(
    finalists: Sequence[str], allocation: Allocation, results: Mapping[Job, float | None], choice: Choice
) -> list[tuple[list[tuple[Job, ...]], str]]:
    """Return ways for the selection to end: the rounds that are still to be trained, and the winner's key."""
    now = select(finalists, allocation, results, choice.beaten, choice.worth, choice.floor)
    if now.winner is not None:
        return [([], now.winner)]
    known = {key: _scores(key, results, choice.floor) for key in now.alive}
    if min(map(len, known.values())) < 2:
        rounds = [now.wanted, *_all_rounds(now, allocation, results)]
        return [(some, winner) for some in (rounds[:1], rounds) for winner in now.alive]
    return [_drawn(finalists, allocation, results, choice, known, random.Random(number)) for number in range(DRAWS)]


def _all_rounds(now: Selection, allocation: Allocation, results: Mapping[Job, float | None]) -> list[tuple[Job, ...]]:
    """Return the rounds that follow, where nobody is beaten before the runs are spent."""
    jobs = {job for job in (*results, *now.wanted) if job.phase == "select"}
    seeds = 1 + max(job.replicate for job in now.wanted)
    rounds, more = [], allocation.select_runs - len(jobs)
    while (further := min(FURTHER_SEEDS, more // len(now.alive))) > 0:
        rounds.append(tuple(Job(key, "select", seeds + r) for r in range(further) for key in now.alive))
        seeds, more = seeds + further, more - further * len(now.alive)
    return rounds


def _drawn(
    finalists: Sequence[str],
    allocation: Allocation,
    results: Mapping[Job, float | None],
    choice: Choice,
    known: Mapping[str, Sequence[float]],
    luck: random.Random,
) -> tuple[list[tuple[Job, ...]], str]:
    spread = {key: stdev(scores) for key, scores in known.items()}
    middle = {key: luck.gauss(fmean(scores), spread[key] / len(scores) ** 0.5) for key, scores in sorted(known.items())}
    there, rounds = dict(results), list[tuple[Job, ...]]()
    while True:
        now = select(finalists, allocation, there, choice.beaten, choice.worth, choice.floor)
        if now.winner is not None:
            return rounds, now.winner
        rounds.append(now.wanted)
        there |= {job: luck.gauss(middle[job.key], spread[job.key]) for job in now.wanted}


def _scores(key: str, results: Mapping[Job, float | None], floor: float | None) -> list[float]:
    """Return a finalist's scores; a run that diverged counts as the lowest of all."""
    shown = {job: score for job, score in results.items() if job.phase == "select" and score is not None}
    worst = lowest(shown.values(), floor)
    return [max(score, worst) for job, score in shown.items() if job.key == key]


def _seed_by_seed(
    keys: Sequence[str],
    allocation: Allocation,
    results: Mapping[Job, float | None],
    until: Until,
    lengths: Mapping[str, float],
    floor: float | None,
) -> list[tuple[Job, ...]]:
    """Return the rounds of a verdict that ends by its results: as many seeds again as it has had, at most."""
    now = verdict(keys, allocation, results, until, lengths, floor)
    if not now.wanted:
        return []
    winner, *others = dict.fromkeys(keys)
    going = [winner, *(key for key in others if key not in now.standings or not now.standings[key].ended)]
    first = max(now.seeds.values())
    following = 1 + max(job.replicate for job in now.wanted)
    spent = sum(seeds * lengths.get(key, 1.0) for key, seeds in now.seeds.items())
    most = min(until.seeds, first + int((until.runs - spent) / sum(lengths.get(key, 1.0) for key in going) + 1e-9))
    last = max(min(2 * first if first else (following + most) // 2, most), following)
    return [now.wanted, *(tuple(Job(key, "verdict", seed) for key in going) for seed in range(following, last))]
