"""One study and its trials as they are stored, by few queries of a SQLite file; else by Optuna, to the same values.

A file is read without Optuna, whose import takes longer than all else that ``tune show`` does.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from tuner.study.reading.domain import Domain, domain_of_json

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from tuner.study.store.database import Readable

#: Numbers that SQLite has no value for, by the kind that stands beside them.
_BEYOND = {"INF_POS": math.inf, "INF_NEG": -math.inf, "NAN": math.nan}

_STATES = {state: state for state in ("RUNNING", "COMPLETE", "PRUNED", "FAIL", "WAITING")}


@dataclass(frozen=True)
class StoredTrial:
    """A trial.

    Attributes:
        number: Its number.
        state: Optuna's, such as ``COMPLETE``.
        value: Optuna's; None where it has none.
        started: UTC.
        finished: UTC.
        params: What was drawn, by name.
        domains: What it was drawn from, by name.
        user_attrs: What it stores, by :mod:`~tuner.study.store.keys`.
        intermediate_values: What was reported, by step.
    """

    number: int
    state: str
    value: float | None
    started: datetime | None
    finished: datetime | None
    params: Mapping[str, Any]
    domains: Mapping[str, Domain]
    user_attrs: Mapping[str, Any]
    intermediate_values: Mapping[int, float]


@dataclass(frozen=True)
class StoredStudy:
    """A study.

    Attributes:
        name: Its name.
        attributes: What it stores, by :mod:`~tuner.study.store.keys`.
        trials: In order of numbers.
    """

    name: str
    attributes: Mapping[str, Any]
    trials: Sequence[StoredTrial]


def stored_study(name: str, database: Readable) -> StoredStudy | None:
    """Return a study, or None where there is none of this name."""
    if isinstance(database, sqlite3.Connection):
        return _of_file(name, database)
    import optuna

    try:
        study = optuna.load_study(study_name=name, storage=database)
    except KeyError:
        return None
    return StoredStudy(name, study.user_attrs, [stored_trial(trial) for trial in study.get_trials(deepcopy=False)])


def stored_trial(trial: FrozenTrial) -> StoredTrial:
    """Return a trial of Optuna's."""
    return StoredTrial(
        number=trial.number,
        state=trial.state.name,
        value=trial.value,
        started=_aware(trial.datetime_start),
        finished=_aware(trial.datetime_complete),
        params=trial.params,
        domains={name: Domain.of(drawn_from) for name, drawn_from in trial.distributions.items()},
        user_attrs=trial.user_attrs,
        intermediate_values=trial.intermediate_values,
    )


def _of_file(name: str, database: sqlite3.Connection) -> StoredStudy | None:
    found = database.execute("SELECT study_id FROM studies WHERE study_name = ?", (name,)).fetchone()
    if found is None:
        return None
    study = found[0]
    own = "SELECT key, value_json FROM study_user_attributes WHERE study_id = ?"
    attributes = {key: json.loads(text) for key, text in database.execute(own, (study,))}

    def rows(table: str, *columns: str) -> Mapping[int, list[Any]]:
        """Return the rows of each trial in a table, by trial id, as they were written."""
        query = (
            f"SELECT trial_id, {', '.join(columns)} FROM {table} "
            "WHERE trial_id IN (SELECT trial_id FROM trials WHERE study_id = ?) ORDER BY rowid"
        )
        grouped = defaultdict(list)
        for trial_id, *values in database.execute(query, (study,)):
            grouped[trial_id].append(values)
        return grouped

    params = rows("trial_params", "param_name", "param_value", "distribution_json")
    values = rows("trial_values", "objective", "value", "value_type")
    intermediate = rows("trial_intermediate_values", "step", "intermediate_value", "intermediate_value_type")
    ours = rows("trial_user_attributes", "key", "value_json")
    trials = "SELECT trial_id, number, state, datetime_start, datetime_complete FROM trials WHERE study_id = ?"
    domain = cache(domain_of_json)
    return StoredStudy(
        name,
        attributes,
        [
            StoredTrial(
                number=number,
                state=_STATES[state],
                value=_only([_number(value, kind) for _, value, kind in values[i]]),
                started=_utc(start),
                finished=_utc(complete),
                params={key: _value(domain(text), value) for key, value, text in params[i]},
                domains={key: domain(text) for key, _, text in params[i]},
                user_attrs={key: json.loads(text) for key, text in ours[i]},
                intermediate_values={step: _number(value, kind) for step, value, kind in intermediate[i]},
            )
            for i, number, state, start, complete in database.execute(f"{trials} ORDER BY trial_id", (study,))
        ],
    )


def _only(values: Sequence[float]) -> float | None:
    if len(values) > 1:
        raise ValueError("A trial has several values")
    return values[0] if values else None


def _value(domain: Domain, stored: Any) -> Any:
    if type(stored) not in (int, float):
        raise ValueError(f"A parameter is stored as {stored!r}")
    return domain.value(float(stored))


def _number(stored: Any, kind: str) -> float:
    if kind != "FINITE":
        return _BEYOND[kind]
    if type(stored) not in (int, float):
        raise ValueError(f"A value is stored as {stored!r}")
    return float(stored)


def _utc(stored: str | None) -> datetime | None:
    return None if stored is None else datetime.fromisoformat(stored).replace(tzinfo=UTC)


def _aware(moment: datetime | None) -> datetime | None:
    """Return an aware time: Optuna gives naive local ones."""
    return None if moment is None else moment.astimezone(UTC)
