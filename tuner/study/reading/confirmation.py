"""From the confirm study in the database to plain tables."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from typing import Any

import optuna

from tuner.core.elimination import clearly_beaten
from tuner.plan.naming import confirm_name
from tuner.result.confirmation import Confirmation, ConfirmRun, Contestant
from tuner.study.confirm.budget import Allocation
from tuner.study.confirm.contestants import with_other_backend
from tuner.study.confirm.ledger import run_of, score_of
from tuner.study.confirm.schedule import Job, select, verdict
from tuner.study.store import keys as attr


def read_confirmation(name: str, storage: optuna.storages.BaseStorage) -> Confirmation | None:
    """Return a study's confirm stage, or None when it has not begun.

    Args:
        name: The search's study.
        storage: Where both are.
    """
    try:
        study = optuna.load_study(study_name=confirm_name(name), storage=storage)
    except KeyError:
        return None
    stored: dict[str, Any] | None = study.user_attrs.get(attr.CONFIRM)
    if not stored:
        return None
    runs: dict[str, list[ConfirmRun]] = defaultdict(list)
    for trial in study.get_trials(deepcopy=False):
        found = run_of(trial)
        if found is not None:
            runs[found[0]].append(found[1])
    allocation = Allocation(**stored["allocation"])
    objective = str(stored["objective"])
    everyone = tuple(Contestant(**row) for row in stored["contestants"])
    results = {Job(k, r.phase, r.replicate): score_of(r, objective) for k, mine in runs.items() for r in mine}
    selection = select([c.key for c in everyone if c.role == "finalist"], allocation, results, clearly_beaten)
    everyone = with_other_backend(everyone, selection.winner, stored["other_backend"], str(stored["algorithm"]))
    # A baseline that is the winner itself has nothing to add.
    everyone = tuple(c for c in everyone if c.role == "finalist" or c.key != selection.winner)
    judged = [selection.winner, *(c.key for c in everyone if c.role != "finalist")] if selection.winner else []
    names = {c.key: c.name for c in everyone if c.role == "finalist"}
    return Confirmation(
        study=name,
        objective=objective,
        grid=tuple(stored["grid"]),
        contestants=tuple(
            dataclasses.replace(
                c, runs=tuple(_kept(runs[c.key], allocation)), dropped_after=selection.dropped_after.get(c.key)
            )
            for c in everyone
        ),
        winner_key=selection.winner,
        complete=selection.winner is not None and not verdict(judged, allocation, results),
        seeds=allocation.verdict_seeds,
        searched_steps=int(stored["searched_steps"]),
        tied=tuple(names[k] for k in selection.alive if selection.winner is not None and k != selection.winner),
        settings={**stored["settings"], "allocation": stored["allocation"]},
    )


def _kept(runs: list[ConfirmRun], allocation: Allocation) -> list[ConfirmRun]:
    """Return the runs that this allocation asks for: an earlier, larger one may have left more."""
    return [r for r in runs if r.phase == "select" or r.replicate < allocation.verdict_seeds]
