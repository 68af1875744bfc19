"""How the confirm stage shares out its budget: seeds for choosing, seeds for judging."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tuner.result.confirmation import VERDICT_SHARE

#: Select seeds of each finalist before the first may be dropped.
FIRST_SEEDS = 5

#: Fewer select seeds than this say nothing about which finalist is better.
MIN_SELECT_SEEDS = 3

#: Fewer verdict seeds than this give no interval.
MIN_VERDICT_SEEDS = 3

#: Fewest verdict seeds of each that a two-sided rank test at 5 % can decide by: all four above all four others has
#: p = 2 / 70 = 0.029, all three above all three others 2 / 20 = 0.1.
DECIDABLE_SEEDS = 4

#: The same beside two to six baselines, which are judged together (Holm): five of each have p = 2 / 252 = 0.008, six
#: times that is 0.048; four have twice 0.029.
SEEDS_FOR_SEVERAL = 5


@dataclass(frozen=True)
class Allocation:
    """A budget shared out, in runs.

    Attributes:
        finalists: Candidates of the selection.
        first_seeds: Select seeds that each of them gets at once.
        select_runs: Runs of the selection at most; what early losers leave goes to the undecided.
        verdict_seeds: Verdict seeds of the winner and of each baseline.
        baselines: How many baselines, the most telling first.
        select_until: Select seeds of each after which the selection is closed, its time being up; None: its runs end
            it.
    """

    finalists: int
    first_seeds: int
    select_runs: int
    verdict_seeds: int
    baselines: int
    select_until: int | None = None

    @property
    def runs(self) -> int:
        """Runs in all, at most."""
        return self.select_runs + self.verdict_seeds * (1 + self.baselines)


class Limit(NamedTuple):
    """What all runs of a stage together may take of one thing: seconds, computing, environment steps.

    Attributes:
        budget: Of all runs.
        finalists: Of a run of each finalist, the most promising first.
        baselines: Likewise of each baseline, the most telling first.
    """

    budget: float
    finalists: Sequence[float]
    baselines: Sequence[float]

    def holds(self, shared: Allocation, twins: int) -> bool:
        """Whether an allocation keeps to it; ``twins`` further settings of its verdict take what the winner takes."""
        winner = sum(self.finalists[: shared.finalists]) / shared.finalists
        beside = (*self.baselines, *[winner] * twins)[: shared.baselines]
        taken = shared.select_runs * winner + shared.verdict_seeds * (winner + sum(beside))
        return taken <= self.budget * (1 + 1e-9)


def fewest_runs(finalists: int, baselines: int) -> int:
    """Return the runs below which there is nothing to share out: a verdict beside a baseline.

    Of several finalists it is the first one's, which stands alone then, and is to be one that can decide.
    """
    seeds = MIN_VERDICT_SEEDS if finalists == 1 else DECIDABLE_SEEDS
    return seeds * (1 + min(baselines, 1))


def pays_for_a_verdict(share: float, searched: int, finalists: int) -> bool:
    """Whether a share (``--confirm-budget``) of a search of so many runs trains any of its finalists again."""
    return finalists > 0 and int(share * searched) >= fewest_runs(finalists, 1)


def too_few_runs(searched: float, finalists: int, spends: str = "spends") -> str:
    """Return why a search of so many full runs, with so many finalists, has no verdict: the end of a sentence."""
    least = fewest_runs(finalists, 1)
    enough = math.ceil(10 * least / max(searched, 1e-9) - 1e-9) / 10
    return (
        f"that takes at least {least} full runs, and the search {spends} {searched:.1f}. Use more --trials, or "
        f"--confirm-budget {enough:g}."
    )


def allocate(runs: int, *, finalists: int, baselines: int, seeds: int) -> Allocation | None:
    """Share out ``runs`` runs.

    The verdict comes first, up to :data:`VERDICT_SHARE` of the runs and ``seeds`` seeds each; where that is too little
    for every baseline, the last baselines are left out. The selection takes the rest, up to ``seeds`` seeds for each
    finalist; where that is too little for every finalist, the lowest are left out, and where it is too little for a
    small selection, all but the first. Fewer of both with as many verdict seeds as can decide (:data:`DECIDABLE_SEEDS`,
    :data:`SEEDS_FOR_SEVERAL`) come before more with less, as those could tell nothing.

    Args:
        runs: Full runs that the budget pays for.
        finalists: Candidates there are.
        baselines: Baselines there are, the most telling first.
        seeds: Verdict seeds wished for (``--confirm-seeds``).

    Returns:
        The allocation, with ``allocation.runs <= runs``; None when the budget is below :func:`fewest_runs`.
    """
    if finalists < 1 or runs < fewest_runs(finalists, baselines):
        return None
    if runs < 2 * MIN_SELECT_SEEDS + MIN_VERDICT_SEEDS * (1 + min(baselines, 1)):
        finalists = 1
    for_verdict = runs if finalists == 1 else min(int(runs * VERDICT_SHARE), runs - 2 * MIN_SELECT_SEEDS)
    kept = baselines
    while kept > 1 and for_verdict // (1 + kept) < min(SEEDS_FOR_SEVERAL, seeds):
        kept -= 1
    decidable = min(DECIDABLE_SEEDS, seeds)
    if kept and for_verdict // (1 + kept) < decidable <= runs // 2:  # what a selection would take, the verdict needs
        return Allocation(1, 0, 0, min(seeds, runs // 2), 1)
    verdict_seeds = min(seeds, max(for_verdict // (1 + kept), MIN_VERDICT_SEEDS))
    left = runs - verdict_seeds * (1 + kept)
    chosen = min(finalists, left // MIN_SELECT_SEEDS)
    if chosen < 2:
        return Allocation(1, 0, 0, verdict_seeds, kept)
    select_runs = min(left, chosen * max(seeds, MIN_SELECT_SEEDS))
    return Allocation(chosen, min(FIRST_SEEDS, select_runs // chosen), select_runs, verdict_seeds, kept)


def within_cost(runs: int, limits: Sequence[Limit], *, twins: int = 0, seeds: int) -> Allocation | None:
    """Share out at most ``runs`` runs that keep to every limit.

    Where even the smallest allocation takes more, it is that one: a verdict costs what it costs.

    Args:
        runs: Full runs that the budget of steps pays for.
        limits: At least one, each with all finalists and baselines.
        twins: Further settings of the verdict, that take as much as the winner.
        seeds: As for :func:`allocate`.

    Returns:
        As :func:`allocate`.
    """
    found = None
    for fewer in range(runs, 0, -1):
        everyone = len(limits[0].finalists), len(limits[0].baselines) + twins
        shared = allocate(fewer, finalists=everyone[0], baselines=everyone[1], seeds=seeds)
        if shared is None:
            break
        found = shared
        if all(limit.holds(shared, twins) for limit in limits):
            break
    return found
