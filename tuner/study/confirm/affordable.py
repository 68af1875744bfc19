"""What a confirm stage has time for, where its budget is one of seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean

from tuner.contract.spec import RunId
from tuner.hyperparameters import from_mapping
from tuner.plan.cost import EXPECTED, time_runs
from tuner.plan.resolve import StudyPlan, available_cores
from tuner.result.confirmation import Contestant
from tuner.result.study import StudyData
from tuner.study.confirm.budget import SEEDS_BEFORE_A_THIRD, VERDICT_SHARE

#: How much longer a run takes here than in the search: its late evaluations have more episodes.
LATE_COST = 1.3

#: A stage shorter than this leaves out baselines that would have to be timed first.
WORTH_TIMING_S = 60.0


def affordable(
    plan: StudyPlan, data: StudyData, found: Sequence[Contestant], against: Sequence[Contestant], seconds: float
) -> tuple[list[Contestant], int]:
    """Return the baselines to keep, and how many runs there is time for.

    The first baseline is kept in any case; another one where winner and baselines can have a few verdict seeds each.

    Args:
        plan: The search's plan.
        data: What it has found.
        found: The finalists.
        against: The baselines, the most telling first.
        seconds: Time of the stage.
    """
    if not found:
        return list(against), 0
    if seconds < WORTH_TIMING_S:
        against = [c for c in against if c.trial is not None or c.role == "defaults"]
    costs = run_seconds(plan, data, [*found, *against])
    budget = seconds * min(plan.workers, available_cores()) / LATE_COST
    finalist = mean(costs[c.key] for c in found)
    kept: list[Contestant] = []
    for contestant in against:
        verdict = finalist + sum(costs[c.key] for c in (*kept, contestant))
        if not kept or SEEDS_BEFORE_A_THIRD * verdict <= VERDICT_SHARE * budget:
            kept.append(contestant)
    # By the shares of selection and verdict, what a run takes on average.
    a_run = (1 - VERDICT_SHARE) * finalist + VERDICT_SHARE * mean([finalist, *(costs[c.key] for c in kept)])
    return kept, int(budget / a_run)


def run_seconds(plan: StudyPlan, data: StudyData, contestants: Sequence[Contestant]) -> Mapping[str, float]:
    """Return the seconds of a worker that a run of each contestant takes, by key.

    A trial's runs took what they took; settings that the search has not trained are timed in short pieces.
    """
    trials = {trial.number: trial for trial in data.trials}
    costs = {}
    timed = []
    for c in contestants:
        trial = trials.get(c.trial) if c.trial is not None else None
        if trial is not None and trial.steps:
            costs[c.key] = trial.duration_s / trial.steps * plan.grid[-1]
        else:
            timed.append(c)
    specs = [
        plan.run_spec(RunId(i), from_mapping(plan.algorithm, c.hyperparameters), seed=i) for i, c in enumerate(timed)
    ]
    for c, spec, cost in zip(timed, specs, time_runs(plan, [(spec, 1) for spec in specs]), strict=True):
        costs[c.key] = cost.seconds(spec, EXPECTED)
    return costs
