"""What to train next in the verdict: a pure function of the results so far, as the selection before it.

It trains the winner and the baselines with seeds that no choice has seen: a fixed number of them, or (``--until``) seed
by seed until each comparison is sure. A baseline that the winner is told from then trains no more, nor one that the
seeds that are left would hardly tell it from.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tuner.core.sequential_ranks import FIRST_LOOK
from tuner.plan.recipe import StudyRecipe
from tuner.result.confirmation import Confirmation
from tuner.result.sequential import Standing, Until, of_each, planned, standing, told
from tuner.study.confirm.budget import Allocation
from tuner.study.confirm.choice import WORST, lowest
from tuner.study.confirm.schedule import Job


@dataclass(frozen=True)
class Verdict:
    """The verdict phase at one moment.

    Attributes:
        wanted: Runs whose results are needed next; empty once it is closed.
        seeds: How many seeds of each setting count, the first ones, by key; runs of later ones are left out.
        standings: Where each comparison stands by the seeds that both have, by the baseline's key; empty where the
            number of seeds is fixed.
    """

    wanted: tuple[Job, ...]
    seeds: Mapping[str, int]
    standings: Mapping[str, Standing]


def verdict(
    keys: Sequence[str],
    allocation: Allocation,
    results: Mapping[Job, float | None],
    until: Until | None = None,
    lengths: Mapping[str, float] | None = None,
    floor: float | None = None,
) -> Verdict:
    """Return where the verdict stands.

    Args:
        keys: The winner's, then the baselines'; one that stands twice counts once.
        allocation: The budget.
        results: As for :func:`~tuner.study.confirm.schedule.select`.
        until: Ends it by its results; None trains every setting with ``allocation.verdict_seeds``.
        lengths: How many of the others' runs one run of a setting is as long as, by key; those not named: one.
        floor: As for :func:`~tuner.study.confirm.schedule.select`.
    """
    winner, *others = dict.fromkeys(keys)
    if until is None or not others:
        fixed = dict.fromkeys((winner, *others), allocation.verdict_seeds)
        return Verdict(_missing(fixed, range(allocation.verdict_seeds), results), fixed, {})
    return _until_sure(winner, others, until, results, lengths or {}, floor)


def until_sure(
    recipe: StudyRecipe,
    shared: Allocation | None,
    lengths: Mapping[str, float],
    paid_for: int,
    looked: Sequence[int],
) -> Until | None:
    """Return what ends a verdict by its results; None where its number of seeds is fixed.

    Args:
        recipe: Says how sure it is to be.
        shared: The budget; None: there is nothing to confirm.
        lengths: As for :func:`verdict`.
        paid_for: Seeds of each setting that the budget pays for.
        looked: Plans of seeds that it has been looked at by, as :func:`looked_at` says.
    """
    if recipe.until is None or shared is None:
        return None
    beside = [1.0] * (1 + shared.baselines - len(lengths))
    runs = math.ceil(shared.verdict_seeds * sum((*beside, *lengths.values())) - 1e-9)
    # What the budget pays for is planned first: the last look is to be one that there will be.
    plans = planned(planned(looked, min(paid_for, recipe.confirm_seeds)), recipe.confirm_seeds)
    return Until(recipe.until, recipe.confirm_seeds, runs, recipe.returns_within(), plans)


def looked_at(before: Confirmation | None, going_on_with: int | None = None) -> tuple[int, ...]:
    """Return the plans of seeds that a stage has been looked at by, the first first.

    A fixed number of seeds is one too, once its results were there; it does not make earlier ones undone.

    Args:
        before: The stage as it has been so far.
        going_on_with: The fixed number of seeds that it has now: the same as before is no plan of its own.
    """
    if before is None:
        return ()
    if before.until is not None:
        return before.until.looks_of
    seen = before.complete and before.seeds != going_on_with
    return planned(before.looked, before.seeds) if seen else before.looked


def _until_sure(
    winner: str,
    others: Sequence[str],
    until: Until,
    results: Mapping[Job, float | None],
    lengths: Mapping[str, float],
    floor: float | None,
) -> Verdict:
    seeds, spent = 0, 0.0
    counted = dict.fromkeys((winner, *others), 0)
    standings: dict[str, Standing] = {}
    level = of_each(until.level, len(others))
    while going := [key for key in others if key not in standings or not standings[key].ended]:
        training = (winner, *going)
        seed_runs = sum(lengths.get(key, 1.0) for key in training)
        more = min(1 if seeds else FIRST_LOOK, until.seeds - seeds, int((until.runs - spent) / seed_runs + 1e-9))
        if more <= 0:
            break
        wanted = _missing(training, range(seeds, seeds + more), results)
        if wanted:
            return Verdict(wanted, counted, standings)
        seeds, spent = seeds + more, spent + more * seed_runs
        counted |= dict.fromkeys(training, seeds)
        for key in going:
            pairs = _pairs(winner, key, training, seeds, until, results, floor)
            found = standing(*pairs, level, until.bounds, until.looks_of)
            if found is not None:
                standings[key] = found
        standings = told(standings, len(others), until.level, until.looks_of)
        if seeds < until.seeds:
            standings = {key: _given_up(each, until) for key, each in standings.items()}
    return Verdict((), counted, standings)


def _given_up(found: Standing, until: Until) -> Standing:
    hopeless = not found.ended and found.hopeless(until.level, until.looks_of)
    return dataclasses.replace(found, given_up=True) if hopeless else found


def _missing(keys: Iterable[str], replicates: Iterable[int], results: Mapping[Job, float | None]) -> tuple[Job, ...]:
    jobs = (Job(key, "verdict", r) for r in replicates for key in keys)
    return tuple(job for job in jobs if job not in results)


def _pairs(
    winner: str,
    other: str,
    training: Sequence[str],
    seeds: int,
    until: Until,
    results: Mapping[Job, float | None],
    floor: float | None,
) -> tuple[list[float], list[float]]:
    """Return the scores of two settings on the seeds on which neither has failed.

    A run that diverged counts as the lowest return there can be, or where that is not known as the worst run on the
    first ``seeds`` seeds of those in training, and not more than the floor.
    """
    shown = [s for key in training for r in range(seeds) if (s := results[Job(key, "verdict", r)]) is not None]
    worst = lowest(shown, floor if until.bounds is None else until.bounds[0])
    ours, theirs = ([results[Job(key, "verdict", r)] for r in range(seeds)] for key in (winner, other))
    pairs = [(a, b) for a, b in zip(ours, theirs, strict=True) if a is not None and b is not None]
    left, right = (
        ([worst if s == WORST else s for s in side] for side in zip(*pairs, strict=True)) if pairs else ([], [])
    )
    return left, right
