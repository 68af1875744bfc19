"""From the confirm study in the database to plain tables."""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from tuner.contract.rules import rules_of
from tuner.core.statistics import mean_interval
from tuner.result.confirmation import Confirmation, ConfirmRun, Contestant
from tuner.result.sequential import Until
from tuner.study.confirm.budget import Allocation
from tuner.study.confirm.choice import MEAN, Choice, choice_of, lowest
from tuner.study.confirm.contestants import lengths_of, with_other_backend
from tuner.study.confirm.ledger import run_of, score_of
from tuner.study.confirm.schedule import Job, Selection, select
from tuner.study.confirm.verdict import verdict
from tuner.study.reading.stored_study import StoredStudy
from tuner.study.store import keys as attr
from tuner.study.store.checked import check_attributes


def read_confirmation(searched: StoredStudy, confirmed: StoredStudy) -> Confirmation:
    """Return a study's confirm stage.

    Args:
        searched: The search's study.
        confirmed: Its confirm study.
    """
    check_attributes(
        confirmed.name, confirmed.attributes, {trial.number: trial.user_attrs for trial in confirmed.trials}
    )
    stored: Mapping[str, Any] = confirmed.attributes[attr.CONFIRM]
    jobs: dict[Job, ConfirmRun] = {}  # one that two supervisors have trained counts once
    for trial in confirmed.trials:
        if (found := run_of(trial.state, trial.user_attrs)) is not None:
            key, run = found
            jobs[Job(key, run.phase, run.replicate)] = run
    runs: dict[str, list[ConfirmRun]] = defaultdict(list)
    for job, run in jobs.items():
        runs[job.key].append(run)
    allocation = Allocation(**stored["allocation"])
    objective = str(stored["objective"])
    everyone = tuple(_contestant(row) for row in stored["contestants"])
    results = {job: score_of(run, objective) for job, run in jobs.items()}
    floor = stored.get("floor")
    choice = choice_of(objective, everyone, floor, rules_of(searched.attributes).finalists)
    searched_for = [c.key for c in everyone if c.role == "finalist"]
    selection = select(searched_for, allocation, results, choice.beaten, choice.worth, floor)
    everyone = with_other_backend(everyone, selection.winner, stored["other_backend"], str(stored["algorithm"]))
    # A baseline that is the winner itself has nothing to add.
    everyone = tuple(c for c in everyone if c.role == "finalist" or c.key != selection.winner)
    until = until_of(stored.get("until"))
    judged = None
    if selection.winner is not None:
        compared = (selection.winner, *(c.key for c in everyone if c.role != "finalist"))
        judged = verdict(compared, allocation, results, until, lengths_of(everyone, stored["grid"]), floor)
    counted = {} if judged is None else judged.seeds
    names = {c.key: c.name for c in everyone if c.role == "finalist"}
    return Confirmation(
        study=searched.name,
        objective="late" if objective == "worst" else objective,
        chosen_by="worst_quarter" if objective == "worst" else "mean",
        grid=tuple(stored["grid"]),
        contestants=tuple(
            dataclasses.replace(
                c,
                runs=tuple(_kept(runs[c.key], counted.get(c.key, allocation.verdict_seeds))),
                dropped_after=selection.dropped_after.get(c.key),
            )
            for c in everyone
        ),
        winner_key=selection.winner,
        complete=judged is not None and not judged.wanted,
        seeds=allocation.verdict_seeds if until is None else until.seeds,
        searched_steps=int(stored["searched_steps"]),
        steps_spent=sum(r.steps for mine in runs.values() for r in mine if r.reused is None),
        floor=floor,
        tied=tuple(names[k] for k in tied(selection, results, choice)),
        settings={**stored["settings"], "allocation": stored["allocation"]},
        until=until,
        looked=tuple(int(seeds) for seeds in stored.get("looked", ())),
        standings={} if judged is None else judged.standings,
    )


def until_of(stored: Mapping[str, Any] | None) -> Until | None:
    """Return what a stored stage ends its verdict by; None where its number of seeds is fixed."""
    if stored is None:
        return None
    bounds = stored["bounds"]
    plans = tuple(int(seeds) for seeds in stored.get("plans", ()))
    return Until(**{**stored, "bounds": None if bounds is None else (bounds[0], bounds[1]), "plans": plans})


def _contestant(row: Mapping[str, Any]) -> Contestant:
    return Contestant(**{**row, "searched": tuple(row.get("searched", ()))})


def tied(selection: Selection, results: Mapping[Job, float | None], choice: Choice = MEAN) -> list[str]:
    """Return who cannot be told apart from the winner: those left, then those dropped whose intervals overlap.

    Each comparison of the elimination errs in one of twenty, and there are many: of equal finalists some are dropped.
    """
    if selection.winner is None:
        return []
    there = {job: s for job, s in results.items() if job.phase == "select" and s is not None}
    worst = lowest(there.values(), choice.floor)
    scores: dict[str, list[float]] = {
        key: [max(s, worst) for job, s in there.items() if job.key == key]
        for key in (*selection.alive, *selection.dropped_after)
    }
    ends = {key: _ends(choice.parts(mine)) for key, mine in scores.items() if mine}
    low, high = ends.get(selection.winner, (math.inf, -math.inf))
    overlapping = {key for key, (down, up) in ends.items() if down <= high and low <= up}
    return [k for k in scores if k != selection.winner and (k in selection.alive or k in overlapping)]


def _ends(scores: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % interval of the mean: what the elimination compares."""
    found = mean_interval(scores)
    return (found.value, found.value) if found.low is None or found.high is None else (found.low, found.high)


def _kept(runs: list[ConfirmRun], seeds: int) -> list[ConfirmRun]:
    """Return the runs that count, by the verdict's seeds: an earlier, larger stage may have left more."""
    return [r for r in runs if r.phase == "select" or r.replicate < seeds]
