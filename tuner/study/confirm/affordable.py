"""What a confirm stage can afford: who trains again and how often, its budget being one of steps or of seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import mean
from typing import Any

from tuner.hyperparameters import from_mapping
from tuner.plan.cost import episode_shares, time_runs, work
from tuner.plan.resolve import StudyPlan
from tuner.result.confirmation import VERDICT_SHARE, Contestant
from tuner.result.study import StudyData
from tuner.study.confirm.budget import (
    DECIDABLE_SEEDS,
    MIN_VERDICT_SEEDS,
    SEEDS_FOR_SEVERAL,
    Allocation,
    Limit,
    allocate,
    within_cost,
)
from tuner.study.confirm.contestants import grid_of
from tuner.study.confirm.ledger import spec_of
from tuner.study.confirm.run_costs import expected_seconds, late_length
from tuner.study.confirm.schedule import Job
from tuner.training.cost.cores import available_cores

#: How much longer a run takes here than in the search, as its late evaluations have more episodes: of a trial that does
#: not say how much of its time its evaluations took.
LATE_COST = 1.3

#: A stage shorter than this leaves out baselines that would have to be timed first.
WORTH_TIMING_S = 60.0

#: Verdict seeds that there shall be time for beyond those that decide, before another baseline takes part: runs take
#: longer than expected, and the winner may be a dear one.
SPARE_SEEDS = 1

#: What an environment step and its share of the evaluations cost, in the unit of :func:`tuner.plan.cost.work`: about as
#: much as an update of the smallest network.
STEP_WORK = 1e7


@dataclass(frozen=True)
class Shares:
    """A stage's budget shared out.

    Attributes:
        finalists: Who takes part, the most promising first.
        baselines: Likewise, the most telling first.
        allocation: In runs; None when it is too small.
        paid_for: Verdict seeds of each setting that it pays for.
        select_share: Of a budget of seconds, the share that selecting takes.
        seconds: ... and what a run of each setting takes of a worker, by key.
    """

    finalists: list[Contestant]
    baselines: list[Contestant]
    allocation: Allocation | None
    paid_for: int
    select_share: float = 0.0
    seconds: Mapping[str, float] = field(default_factory=dict)

    def cut(self, twins: int) -> Shares:
        """Return it without whom the allocation leaves out; ``twins`` of its baselines are no contestants yet."""
        if self.allocation is None:
            return self
        found = self.finalists[: self.allocation.finalists]
        against = self.baselines[: self.allocation.baselines - twins]
        return replace(self, finalists=found, baselines=against)


def shared_by_time(
    plan: StudyPlan,
    data: StudyData,
    found: list[Contestant],
    against: list[Contestant],
    *,
    seconds: float,
    twins: int,
) -> Shares:
    """Share out the seconds that are left: they say how many seeds there are, and whose runs fit.

    Args:
        plan: The search's plan.
        data: What it has found.
        found: Finalists, the most promising first.
        against: Baselines, the most telling first.
        seconds: How long the stage may take.
        twins: Settings of the verdict beside these, which cost what the winner does.
    """
    seeds = plan.recipe.confirm_seeds
    if not found:
        return Shares(found, against, None, seeds)
    fits = affordable(plan, data, found, against, seconds)
    allocation, share = fits.allocation(seeds, len(fits.finalists))
    paid_for = seeds
    if allocation is not None:  # the clock says how many of these there are
        paid_for = allocation.verdict_seeds
        allocation = replace(allocation, verdict_seeds=seeds)
    return Shares(fits.finalists, fits.baselines, allocation, paid_for, share, fits.seconds).cut(twins)


def shared_by_steps(
    plan: StudyPlan,
    data: StudyData,
    found: list[Contestant],
    against: list[Contestant],
    works: Mapping[str, float],
    *,
    runs: int,
    twins: int,
) -> Shares:
    """Share out a part of what the search has spent, of its steps and of its computing.

    Args:
        plan: The search's plan.
        data: What it has found.
        found: Finalists, the most promising first.
        against: Baselines, the most telling first.
        works: What a run of each costs, by key, as :func:`run_work` says.
        runs: Full runs that the budget pays for.
        twins: Settings of the verdict beside these, which cost what the winner does.
    """
    seeds = plan.recipe.confirm_seeds
    allocation = allocate(runs, finalists=len(found), baselines=len(against) + twins, seeds=seeds)
    if allocation is None:
        return Shares(found, against, None, seeds)
    spent = sum(
        t.steps / plan.grid[-1] * run_work(plan, t.hyperparameters)
        for t in data.trials
        if t.hyperparameters and t.outcome != "lost"
    )
    costs = [[works[c.key] for c in some] for some in (found, against)]
    steps = [[float(grid_of(plan, c)[-1]) for c in some] for some in (found, against)]
    limits = [Limit(plan.recipe.confirm_budget * spent, *costs), Limit(runs * float(plan.grid[-1]), *steps)]
    allocation = within_cost(runs, limits, twins=twins, seeds=seeds)
    paid_for = allocation.verdict_seeds if allocation is not None else seeds
    return Shares(found, against, allocation, paid_for).cut(twins)


def run_work(plan: StudyPlan, hyperparameters: Mapping[str, Any], steps: int | None = None) -> float:
    """Return what a run costs beside another: by its settings alone, as a clock's word would differ every time."""
    setting = from_mapping(plan.algorithm, hyperparameters)
    return work(plan, setting, steps) + STEP_WORK * (steps or plan.grid[-1])


@dataclass(frozen=True)
class Affordable:
    """What there is time for.

    Attributes:
        finalists: The most promising first.
        baselines: The most telling first.
        seconds: What a run of each takes of a worker, by key.
        budget_s: Seconds of all workers together.
    """

    finalists: list[Contestant]
    baselines: list[Contestant]
    seconds: Mapping[str, float]
    budget_s: float

    def allocation(self, seeds: int, finalists: int) -> tuple[Allocation | None, float]:
        """Share out the time among so many of the finalists.

        Returns:
            The allocation, and the share of its time that selecting takes; None where no run fits.
        """
        found, against = ([self.seconds[c.key] for c in some] for some in (self.finalists[:finalists], self.baselines))
        most = (len(found) + 1 + len(against)) * seeds
        shared = within_cost(most, [Limit(self.budget_s, found, against)], seeds=seeds)
        if shared is None:
            return None, 0.0
        winner = mean(found[: shared.finalists])
        selecting = shared.select_runs * winner
        judging = shared.verdict_seeds * (winner + sum(against[: shared.baselines]))
        if selecting + judging > self.budget_s and finalists > 1:  # a verdict on the favourite says more than none
            return self.allocation(seeds, 1)
        return shared, selecting / (selecting + judging)


def affordable(
    plan: StudyPlan, data: StudyData, found: Sequence[Contestant], against: Sequence[Contestant], seconds: float
) -> Affordable:
    """Return the finalists and baselines to keep, and what their runs take.

    Whose run outlasts the stage takes no part. A finalist too dear for a few verdict seeds goes where another is not,
    and was as good. The first baseline is kept in any case; another one where winner and baselines can have
    verdict seeds enough to be told apart.

    Args:
        plan: The search's plan.
        data: What it has found.
        found: The finalists.
        against: The baselines, the most telling first.
        seconds: Time of the stage.
    """
    if seconds < WORTH_TIMING_S:
        against = [c for c in against if c.trial is not None or c.role == "defaults"]
    costs = run_seconds(plan, data, [*found, *against])
    found, against = ([c for c in some if costs[c.key] <= seconds] for some in (found, against))
    budget = max(seconds, 0.0) * min(plan.workers, available_cores())
    found = _in_time(data, found, costs, budget, min((costs[c.key] for c in against), default=0.0))
    finalist = mean(costs[c.key] for c in found) if found else 0.0
    kept: list[Contestant] = []
    for contestant in against:
        verdict = finalist + sum(costs[c.key] for c in (*kept, contestant))
        if not kept or (SEEDS_FOR_SEVERAL + SPARE_SEEDS) * verdict <= VERDICT_SHARE * budget:
            kept.append(contestant)
    return Affordable(found, kept, costs, budget)


def _in_time(
    data: StudyData, found: Sequence[Contestant], costs: Mapping[str, float], budget: float, baseline_s: float
) -> list[Contestant]:
    """Return the finalists that can have a few verdict seeds, where these did as well as any; else all of them."""
    scores = sorted(t.score for t in data.ranked if t.score is not None)
    # Halfway from the middling trial to the best: what is below is another class.
    as_good = (scores[len(scores) // 2] + scores[-1]) / 2 if scores else 0.0
    for seeds, share in ((SEEDS_FOR_SEVERAL, VERDICT_SHARE), (DECIDABLE_SEEDS, 1.0), (MIN_VERDICT_SEEDS, 1.0)):
        kept = [c for c in found if seeds * (costs[c.key] + baseline_s) <= share * budget]
        if any(c.search_score is not None and c.search_score >= as_good for c in kept):
            return kept
    return list(found)


def run_seconds(plan: StudyPlan, data: StudyData, contestants: Sequence[Contestant]) -> Mapping[str, float]:
    """Return the seconds of a worker that a run of each contestant takes here, by key.

    A trial's runs took what they took, and evaluate longer here; settings that the search has not trained are timed in
    short pieces, and may play as well as the finalists: where that makes episodes long, their evaluations take it.
    """
    trials = {trial.number: trial for trial in data.trials}
    costs = {}
    timed = []
    specs = {c.key: spec_of(plan, c, Job(c.key, "verdict", 0)) for c in contestants}
    for c in contestants:
        trial = trials.get(c.trial) if c.trial is not None else None
        if trial is None or not trial.steps:
            timed.append(c)
        elif not trial.evaluation_s:
            costs[c.key] = LATE_COST * trial.duration_s / trial.steps * plan.grid[-1]
        else:
            ran = {trial.number: (trial, trial.steps / plan.grid[-1])}
            costs[c.key] = sum(expected_seconds([c], specs, {c.key: 1.0}, ran)[c.key])
    _, share, _ = episode_shares(plan)
    finalists = [trials[c.trial] for c in contestants if c.role == "finalist" and c.trial in trials]
    late = [length for trial in finalists if (length := late_length(trial))]
    share = max(share, mean(late or [0.0]) / plan.evaluation.max_steps)
    found = time_runs(plan, [(specs[c.key], 1) for c in timed])
    costs |= {c.key: cost.seconds(specs[c.key], share) for c, cost in zip(timed, found, strict=True)}
    return costs
