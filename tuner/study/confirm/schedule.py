"""What to train next in the confirm stage: a pure function of the results so far.

*Select* goes by sequential elimination. Every finalist trains with the same first seeds; after each round those that
the leader clearly beats are dropped, and the runs they would have taken go to the undecided, until one is left or the
runs are spent. The winner has the highest mean score of those left. :mod:`~tuner.study.confirm.verdict` follows.

As results decide alone, a stage that was interrupted goes on where it stopped, and ends as if it had not been.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tuner.result.confirmation import Phase
from tuner.study.confirm.budget import Allocation
from tuner.study.confirm.choice import WORST, lowest, mean

#: Select seeds that each undecided finalist gets in a further round.
FURTHER_SEEDS = 2


class Job(NamedTuple):
    """One run: which setting, for which purpose, with which of that purpose's seeds."""

    key: str
    phase: Phase
    replicate: int


#: Scores by setting -> settings that are clearly beaten.
Rule = Callable[[Mapping[str, Sequence[float]]], set[str]]


@dataclass(frozen=True)
class Selection:
    """The select phase at one moment.

    Attributes:
        wanted: Runs whose results are needed next; empty once the selection is closed.
        alive: Finalists that are not beaten, in the order of the finalists.
        dropped_after: Select seeds after which each of the others was dropped.
        winner: Key of the selected finalist once the selection is closed.
    """

    wanted: tuple[Job, ...]
    alive: tuple[str, ...]
    dropped_after: Mapping[str, int]
    winner: str | None


def select(
    finalists: Sequence[str],
    allocation: Allocation,
    results: Mapping[Job, float | None],
    rule: Rule,
    worth: Callable[[str, Sequence[float]], float] = lambda _, scores: mean(scores),
    floor: float | None = None,
) -> Selection:
    """Return where the selection stands.

    Args:
        finalists: Keys, the most promising first.
        allocation: The budget.
        results: Score of each run that has ended: :data:`WORST` for one that diverged, which then counts as the worst
            of the round, and None for one that failed, which is left out.
        rule: Names the clearly beaten.
        worth: What the winner has the highest of, from a setting's key and its scores.
        floor: What a run that diverged counts as at most, and a setting whose runs all did is out. None: the worst of
            the round alone, and none is out for that.
    """
    alive = list(finalists[: allocation.finalists])
    dropped: dict[str, int] = {}
    if allocation.select_runs == 0:
        return Selection((), tuple(alive[:1]), dropped, alive[0] if alive else None)
    seeds, spent = allocation.first_seeds, allocation.first_seeds * len(alive)
    while True:
        wanted = [job for r in range(seeds) for key in alive if (job := Job(key, "select", r)) not in results]
        if wanted:
            return Selection(tuple(wanted), tuple(alive), dropped, None)
        scores = _scores(finalists, alive, seeds, results, floor)
        beaten = rule({k: v for k, v in scores.items() if v}) | {k for k, v in scores.items() if not v}
        if len(beaten) < len(alive):
            dropped.update((key, seeds) for key in alive if key in beaten)
            alive = [key for key in alive if key not in beaten]
        more = sys.maxsize if allocation.select_until is None else allocation.select_until - seeds
        further = min(FURTHER_SEEDS, more, (allocation.select_runs - spent) // len(alive))
        if len(alive) == 1 or further <= 0:
            # Of equal ones the more promising one wins: max() keeps the first.
            winner = max(alive, key=lambda key: worth(key, scores[key]) if scores[key] else WORST)
            return Selection((), tuple(alive), dropped, winner)
        seeds += further
        spent += further * len(alive)


def rounds(jobs: Iterable[Job], key: str) -> int:
    """Return how many of a setting's seeds, from the first on, are among ``jobs``, which are of one phase."""
    there = {job.replicate for job in jobs if job.key == key}
    return next(r for r in itertools.count() if r not in there)


def _scores(
    everyone: Sequence[str], alive: Sequence[str], seeds: int, results: Mapping[Job, float | None], floor: float | None
) -> dict[str, list[float]]:
    """Return scores by setting after ``seeds`` seeds, from results that later rounds cannot change; none: it is out."""
    jobs = {key: [Job(key, "select", r) for r in range(seeds)] for key in everyone}
    known = {key: [s for job in mine if (s := results.get(job)) is not None] for key, mine in jobs.items()}
    worst = lowest((s for scores in known.values() for s in scores), floor)
    out = {key for key in alive if floor is not None and set(known[key]) == {WORST}}
    return {key: [] if key in out else [max(score, worst) for score in known[key]] for key in alive}
