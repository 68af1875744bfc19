"""One study and its trials as they are stored, by few queries of a SQLite file; else by Optuna, to the same values."""

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

import optuna
from optuna.distributions import BaseDistribution, json_to_distribution
from optuna.trial import FrozenTrial, TrialState

if TYPE_CHECKING:
    from tuner.study.store.database import Readable

#: Numbers that SQLite has no value for, by the kind that stands beside them.
_BEYOND = {"INF_POS": math.inf, "INF_NEG": -math.inf, "NAN": math.nan}


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
    trials: Sequence[FrozenTrial]


def stored_study(name: str, database: Readable) -> StoredStudy | None:
    """Return a study, or None where there is none of this name."""
    if isinstance(database, sqlite3.Connection):
        return _of_file(name, database)
    try:
        study = optuna.load_study(study_name=name, storage=database)
    except KeyError:
        return None
    return StoredStudy(name, study.user_attrs, study.get_trials(deepcopy=False))


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
    ours, theirs = (rows(f"trial_{whose}_attributes", "key", "value_json") for whose in ("user", "system"))
    trials = "SELECT trial_id, number, state, datetime_start, datetime_complete FROM trials WHERE study_id = ?"
    distribution = cache(json_to_distribution)
    return StoredStudy(
        name,
        attributes,
        [
            FrozenTrial(
                number=number,
                state=TrialState[state],
                value=None,
                values=[_number(value, kind) for _, value, kind in sorted(values[i])] or None,
                datetime_start=_local(start),
                datetime_complete=_local(complete),
                params={key: _value(distribution(text), value) for key, value, text in params[i]},
                distributions={key: distribution(text) for key, _, text in params[i]},
                user_attrs={key: json.loads(text) for key, text in ours[i]},
                system_attrs={key: json.loads(text) for key, text in theirs[i]},
                intermediate_values={step: _number(value, kind) for step, value, kind in intermediate[i]},
                trial_id=i,
            )
            for i, number, state, start, complete in database.execute(f"{trials} ORDER BY trial_id", (study,))
        ],
    )


def _value(drawn_from: BaseDistribution, stored: Any) -> Any:
    if type(stored) not in (int, float):
        raise ValueError(f"A parameter is stored as {stored!r}")
    return drawn_from.to_external_repr(float(stored))


def _number(stored: Any, kind: str) -> float:
    if kind != "FINITE":
        return _BEYOND[kind]
    if type(stored) not in (int, float):
        raise ValueError(f"A value is stored as {stored!r}")
    return float(stored)


def _local(stored: str | None) -> datetime | None:
    """Return a time as Optuna gives it: naive, local."""
    if stored is None:
        return None
    return datetime.fromisoformat(stored).replace(tzinfo=UTC).astimezone().replace(tzinfo=None)
