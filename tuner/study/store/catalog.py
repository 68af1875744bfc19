"""Which studies a database holds, by few queries: Optuna's summaries read every trial of every study."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from tuner.errors import InputError, StorageLostError, nearest
from tuner.storage_url import mask
from tuner.study.store import keys as attr
from tuner.study.store.database import UNREADABLE, open_known, sqlite_path

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

    from tuner.study.store.database import Readable

T = TypeVar("T")


class TrialLine(NamedTuple):
    """What a list of studies needs of a trial.

    Attributes:
        study: Its study's name.
        state: Optuna's, such as ``COMPLETE``.
        outcome: Ours, where it has one.
        score: Ours, else Optuna's value, where it has one.
        started: Start time (UTC) or None.
    """

    study: str
    state: str
    outcome: Any
    score: Any
    started: datetime | None


def look(url: str, read: Callable[[Readable], T]) -> T:
    """Return what ``read`` makes of a database, which may neither be made nor changed by that.

    A SQLite file with the tables that are known is given as a connection of Python's own driver. Whatever is wrong with
    it or with what it holds is found again, and put into words, on the way that every other database takes.

    Args:
        url: Storage URL.
        read: Takes the database; may be called twice.

    Raises:
        InputError: The storage cannot be used, is not there, or holds what Optuna does not write.
        StorageLostError: It stops answering.
    """
    path = sqlite_path(url)
    connection = None if path is None else open_known(path)
    if connection is not None:
        with contextlib.closing(connection), contextlib.suppress(sqlite3.Error, *UNREADABLE):
            return read(connection)
    from tuner.study.store.connect import open_storage, reading_errors

    storage = open_storage(url, create=False)
    with reading_errors(url):
        return read(storage)


def study_names(database: Readable) -> list[str]:
    """Return the names of all studies."""
    rows = _queries(database)
    if rows is None:
        return [study.study_name for study in _optunas(database).get_all_studies()]
    return [name for (name,) in rows("SELECT study_name FROM studies ORDER BY study_id")]


def check_study(name: str, storage: BaseStorage, url: str) -> list[str]:
    """Return the names of all studies, one of which is wanted.

    Raises:
        InputError: It is not there; the nearest name is given.
        StorageLostError: The database stops answering.
    """
    from tuner.study.store.connect import reading_errors

    with reading_errors(url):
        names = study_names(storage)
    if name not in names:
        raise unknown_study(name, names, url)
    return names


def unknown_study(name: str, names: Sequence[str], url: str) -> InputError:
    """Return the error of a study that is not among the names."""
    listed = f" Known: {', '.join(sorted(names)[:10])}." if names else " There are no studies in it yet."
    return InputError(f"There is no study '{name}' in {mask(url)}.{nearest(name, names)}{listed}")


def study_attributes(database: Readable, *keys: str) -> dict[str, dict[str, Any]]:
    """Return some attributes of every study, by name; one whose text is no JSON is left out."""
    found: dict[str, dict[str, Any]] = {name: {} for name in study_names(database)}
    rows = _queries(database)
    if rows is None:
        for study in _optunas(database).get_all_studies():
            found[study.study_name] = {key: study.user_attrs[key] for key in keys if key in study.user_attrs}
        return found
    wanted = ", ".join(f"'{key}'" for key in keys)
    for name, key, text in rows(
        "SELECT studies.study_name, attributes.key, attributes.value_json FROM studies "
        "JOIN study_user_attributes AS attributes ON attributes.study_id = studies.study_id "
        f"WHERE attributes.key IN ({wanted})"
    ):
        found.setdefault(name, {})[key] = _read(text)
    return found


def stores(url: str, study: str, key: str) -> bool:
    """Whether a study has an attribute; False where it, or its database, is not there or cannot be read."""
    return study in stored(url, key)


def stored(url: str, key: str) -> dict[str, Any]:
    """Return an attribute of every study that has it, by name; empty where the database is not there or unreadable."""
    path = sqlite_path(url)
    if path is not None and not path.exists():
        return {}
    try:
        found = look(url, lambda database: study_attributes(database, key))
    except (InputError, StorageLostError):  # opening it says so
        return {}
    return {name: attributes[key] for name, attributes in found.items() if key in attributes}


def trial_lines(database: Readable, state: str | None = None) -> Iterator[TrialLine]:
    """Yield a line for every trial of every study, or for those in a state of Optuna's."""
    rows = _queries(database)
    if rows is None:
        yield from _optunas_lines(_optunas(database), state)
        return
    query = (
        "SELECT studies.study_name, trials.state, outcome.value_json, score.value_json, value.value, "
        "trials.datetime_start FROM trials JOIN studies ON studies.study_id = trials.study_id "
        f"{_attribute('outcome', attr.OUTCOME)} {_attribute('score', attr.SCORE)} "
        "LEFT JOIN trial_values AS value ON value.trial_id = trials.trial_id AND value.objective = 0"
    )
    if state is not None:
        query += f" WHERE trials.state = '{state}'"
    for name, found, outcome, score, value, started in rows(query):
        yield TrialLine(name, found, _read(outcome), value if score is None else _read(score), _utc(started))


def trials_with(database: Readable, key: str) -> Iterator[tuple[str, int, Any]]:
    """Yield (study's name, number, value) of every completed or pruned trial with an attribute, the oldest first."""
    rows = _queries(database)
    if rows is None:
        for study in _optunas(database).get_all_studies():
            for t in _optunas(database).get_all_trials(study._study_id, deepcopy=False):
                if t.state.name in ("COMPLETE", "PRUNED") and key in t.user_attrs:
                    yield study.study_name, t.number, t.user_attrs[key]
        return
    query = (
        "SELECT studies.study_name, trials.number, found.value_json FROM trial_user_attributes AS found "
        "JOIN trials ON trials.trial_id = found.trial_id JOIN studies ON studies.study_id = trials.study_id "
        f"WHERE found.key = '{key}' AND trials.state IN ('COMPLETE', 'PRUNED') ORDER BY trials.trial_id"
    )
    for name, number, text in rows(query):
        yield name, number, _read(text)


def _attribute(name: str, key: str) -> str:
    return f"LEFT JOIN trial_user_attributes AS {name} ON {name}.trial_id = trials.trial_id AND {name}.key = '{key}'"


def _optunas_lines(storage: BaseStorage, state: str | None) -> Iterator[TrialLine]:
    for study in storage.get_all_studies():
        for t in storage.get_all_trials(study._study_id, deepcopy=False):
            if state in (None, t.state.name):
                started = None if t.datetime_start is None else t.datetime_start.astimezone(UTC)
                outcome, value = t.user_attrs.get(attr.OUTCOME), t.values[0] if t.values else None
                yield TrialLine(study.study_name, t.state.name, outcome, t.user_attrs.get(attr.SCORE, value), started)


def _queries(database: Readable) -> Callable[[str], Sequence[Any]] | None:
    """Return what gives the rows of a query; None where the tables are not known."""
    if isinstance(database, sqlite3.Connection):
        return lambda query: database.execute(query).fetchall()
    from tuner.study.store.writer import known_tables

    tables = known_tables(database)
    if tables is None:
        return None
    engine = tables[0]

    def rows(query: str) -> Sequence[Any]:
        with engine.connect() as connection:
            found: Sequence[Any] = connection.exec_driver_sql(query).fetchall()
            return found

    return rows


def _optunas(database: Readable) -> BaseStorage:
    assert not isinstance(database, sqlite3.Connection)
    return database


def _utc(stored: Any) -> datetime | None:
    """Return a time that is stored in UTC; SQLite keeps it as text."""
    if stored is None:
        return None
    return (stored if isinstance(stored, datetime) else datetime.fromisoformat(stored)).replace(tzinfo=UTC)


def _read(text: str | None) -> Any:
    """Return what a stored text says; None where it is no JSON, or too deep."""
    try:
        return None if text is None else json.loads(text)
    except (ValueError, RecursionError):
        return None
