"""What a confirm stage has time for, where its budget is one of seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import mean

from tuner.contract.spec import RunId
from tuner.hyperparameters import from_mapping
from tuner.plan.cost import episode_shares, time_runs
from tuner.plan.resolve import StudyPlan, available_cores
from tuner.result.confirmation import VERDICT_SHARE, Contestant
from tuner.result.study import StudyData
from tuner.study.confirm.budget import (
    DECIDABLE_SEEDS,
    MIN_VERDICT_SEEDS,
    SEEDS_FOR_SEVERAL,
    Allocation,
    Limit,
    within_cost,
)
from tuner.study.confirm.contestants import grid_of

#: How much longer a run takes here than in the search: its late evaluations have more episodes.
LATE_COST = 1.3

#: A stage shorter than this leaves out baselines that would have to be timed first.
WORTH_TIMING_S = 60.0

#: Verdict seeds that there shall be time for beyond those that decide, before another baseline takes part: runs take
#: longer than expected, and the winner may be a dear one.
SPARE_SEEDS = 1


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

    A trial's runs took what they took; settings that the search has not trained are timed in short pieces.
    """
    trials = {trial.number: trial for trial in data.trials}
    costs = {}
    timed = []
    for c in contestants:
        trial = trials.get(c.trial) if c.trial is not None else None
        if trial is not None and trial.steps:
            costs[c.key] = LATE_COST * trial.duration_s / trial.steps * plan.grid[-1]
        else:
            timed.append(c)
    settings = [from_mapping(plan.algorithm, c.hyperparameters) for c in timed]
    specs = [
        replace(plan.run_spec(RunId(i), setting, seed=i), grid=grid_of(plan, c))
        for i, (c, setting) in enumerate(zip(timed, settings, strict=True))
    ]
    _, share, _ = episode_shares(plan)
    for c, spec, cost in zip(timed, specs, time_runs(plan, [(spec, 1) for spec in specs]), strict=True):
        costs[c.key] = LATE_COST * cost.seconds(spec, share)
    return costs
