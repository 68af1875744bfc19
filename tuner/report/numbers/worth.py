"""What the search was worth: scores by where trials come from, and score against the seconds of a run."""

from __future__ import annotations

import dataclasses
from typing import Any

from tuner.core.statistics import mean_interval
from tuner.report.numbers.once import once
from tuner.result.confirmation import Contestant
from tuner.result.study import REPEAT, StudyData, TrialRow

Series = dict[str, Any]

#: Where a trial may come from, and what that is called.
ORIGINS = {
    "known": "known beforehand",
    "random": "random",
    "prior": "near what was good elsewhere",
    "sampler": "proposed by the sampler",
}


def origin(data: StudyData, trial: TrialRow) -> str:
    """Return where a trial comes from, a key of :data:`ORIGINS`; one that repeats a setting, where that comes from."""
    if trial.source == REPEAT:
        trial = _repeated(data).get(_key(trial), trial)
    if trial.source:
        return "prior" if trial.source == "prior" else "known"
    learns = data.recipe.get("sampler", "tpe") in ("tpe", "gp")
    startup = int(data.recipe.get("startup_trials", 0)) if learns else 0
    return "random" if trial.place < startup or data.recipe.get("sampler") == "random" else "sampler"


@once
def _repeated(data: StudyData) -> dict[Any, TrialRow]:
    """Return the first trial of each setting, by its values."""
    return {_key(t): t for t in reversed(data.trials) if t.source != REPEAT}


def _key(trial: TrialRow) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted(trial.params.items()))


def worth_series(data: StudyData) -> dict[str, Series]:
    """Return, by origin, trials and scores of completed trials, and what the best of them earns on fresh seeds.

    ``fresh`` is an estimate of its mean over the seeds of the verdict, else of the selection; None where the best of an
    origin was not trained again. ``defaults`` are a setting that the search need not have tried.
    """
    series: dict[str, Series] = {}
    for trial in data.ranked:
        mine = series.setdefault(origin(data, trial), {"trial": [], "score": [], "best": trial.number, "fresh": None})
        mine["trial"].append(trial.number)
        mine["score"].append(trial.score)
    found = {key: series[key] for key in ORIGINS if key in series}
    for contestant in data.confirmation.contestants if data.confirmation is not None else ():
        fresh = _fresh(data, contestant)
        for mine in found.values():
            if contestant.trial == mine["best"]:
                mine["fresh"] = mine["fresh"] or fresh
        if contestant.role == "defaults" and fresh is not None:
            found["defaults"] = {"trial": [], "score": [], "best": None, "fresh": fresh}
    return found


def _fresh(data: StudyData, contestant: Contestant) -> Series | None:
    assert data.confirmation is not None
    scores = data.confirmation.scores(contestant, "verdict") or data.confirmation.scores(contestant, "select")
    return dataclasses.asdict(mean_interval(scores)) if scores else None


def cost_series(data: StudyData) -> Series:
    """Return seconds of a run and score of each completed trial, cheapest first, and which of them nobody beats.

    ``front`` tells of each whether every trial that costs no more scores less: the Pareto front.
    """
    timed = [(t.duration_s / max(len(t.curves), 1), -(t.score or 0.0), t.number) for t in data.ranked if t.duration_s]
    timed.sort()
    front, best = [], float("-inf")
    for _, score, _ in timed:
        front.append(-score > best)
        best = max(best, -score)
    return {
        "trial": [number for *_, number in timed],
        "seconds": [seconds for seconds, *_ in timed],
        "score": [-score for _, score, _ in timed],
        "front": front,
    }
