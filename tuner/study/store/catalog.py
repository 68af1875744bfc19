"""Which studies a database holds, by few queries: Optuna's summaries read every trial of every study."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.trial import TrialState
from sqlalchemy import and_, select

from tuner.errors import InputError, nearest
from tuner.storage_url import mask
from tuner.study.store import keys as attr
from tuner.study.store.connect import reading_errors
from tuner.study.store.writer import known_tables


@dataclass(frozen=True)
class TrialLine:
    """What a list of studies needs of a trial.

    Attributes:
        study: Its study's name.
        state: Optuna's.
        outcome: Ours, where it has one.
        score: Ours, else Optuna's value, where it has one.
        started: Start time (UTC) or None.
    """

    study: str
    state: TrialState
    outcome: Any
    score: Any
    started: datetime | None


def study_names(storage: BaseStorage) -> list[str]:
    """Return the names of all studies."""
    tables = known_tables(storage)
    if tables is None:
        return optuna.get_all_study_names(storage)
    studies = tables[1].StudyModel.__table__.c
    with tables[0].connect() as connection:
        return list(connection.execute(select(studies.study_name).order_by(studies.study_id)).scalars())


def check_study(name: str, storage: BaseStorage, url: str) -> list[str]:
    """Return the names of all studies, one of which is wanted.

    Raises:
        InputError: It is not there; the nearest name is given.
        StorageLostError: The database stops answering.
    """
    with reading_errors(url):
        names = study_names(storage)
    if name not in names:
        listed = f" Known: {', '.join(sorted(names)[:10])}." if names else " There are no studies in it yet."
        raise InputError(f"There is no study '{name}' in {mask(url)}.{nearest(name, names)}{listed}")
    return names


def study_attributes(storage: BaseStorage, *keys: str) -> dict[str, dict[str, Any]]:
    """Return some attributes of every study, by name; one whose text is no JSON is left out."""
    found: dict[str, dict[str, Any]] = {name: {} for name in study_names(storage)}
    tables = known_tables(storage)
    if tables is None:
        for study in storage.get_all_studies():
            found[study.study_name] = {key: study.user_attrs[key] for key in keys if key in study.user_attrs}
        return found
    studies, attrs = tables[1].StudyModel.__table__, tables[1].StudyUserAttributeModel.__table__
    query = select(studies.c.study_name, attrs.c.key, attrs.c.value_json)
    query = query.join(attrs, attrs.c.study_id == studies.c.study_id).where(attrs.c.key.in_(keys))
    with tables[0].connect() as connection:
        for name, key, text in connection.execute(query):
            found.setdefault(name, {})[key] = _read(text)
    return found


def trial_lines(storage: BaseStorage, state: TrialState | None = None) -> Iterator[TrialLine]:
    """Yield a line for every trial of every study, or for those in a state."""
    tables = known_tables(storage)
    if tables is None:
        for study in storage.get_all_studies():
            wanted = None if state is None else (state,)
            for t in storage.get_all_trials(study._study_id, deepcopy=False, states=wanted):
                started = None if t.datetime_start is None else t.datetime_start.astimezone(UTC)
                stored = t.user_attrs
                value = t.values[0] if t.values else None
                yield TrialLine(
                    study.study_name, t.state, stored.get(attr.OUTCOME), stored.get(attr.SCORE, value), started
                )
        return
    engine, models = tables
    studies, trials, values = (m.__table__ for m in (models.StudyModel, models.TrialModel, models.TrialValueModel))
    outcome = models.TrialUserAttributeModel.__table__.alias("outcome")
    score = models.TrialUserAttributeModel.__table__.alias("score")
    rows = trials.join(studies, studies.c.study_id == trials.c.study_id)
    rows = rows.outerjoin(outcome, and_(outcome.c.trial_id == trials.c.trial_id, outcome.c.key == attr.OUTCOME))
    rows = rows.outerjoin(score, and_(score.c.trial_id == trials.c.trial_id, score.c.key == attr.SCORE))
    rows = rows.outerjoin(values, and_(values.c.trial_id == trials.c.trial_id, values.c.objective == 0))
    columns = (studies.c.study_name, trials.c.state, outcome.c.value_json, score.c.value_json, values.c.value)
    query = select(*columns, trials.c.datetime_start).select_from(rows)
    if state is not None:
        query = query.where(trials.c.state == state)
    with engine.connect() as connection:
        for name, found, ours, text, value, started in connection.execute(query):
            moment = None if started is None else started.replace(tzinfo=UTC)
            yield TrialLine(name, found, _read(ours), value if text is None else _read(text), moment)


def _read(text: str | None) -> Any:
    """Return what a stored text says; None where it is no JSON."""
    try:
        return None if text is None else json.loads(text)
    except ValueError:
        return None
