"""Writes what a trial has and its database lacks, in one transaction.

Optuna's storage API commits once per value: a trial with five parameters, ten reports and a dozen attributes costs
thirty transactions, each with its own queries. Here the same rows go to Optuna's own tables at once; a test holds them
equal, row for row, to what the API writes. That touches tables Optuna does not promise to keep, so wherever they look
different (:func:`row_writer` finds out beforehand) everything goes through the public API instead, value by value.
"""

from __future__ import annotations

import contextlib
import importlib
import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Protocol

from optuna.distributions import distribution_to_json
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from tuner.study.store.pending import PendingWrites, running_trial


class RowWriter(Protocol):
    """Creates trials and writes what they have.

    Attributes:
        taken_away: Ids of trials that others have ended, or given to somebody else; what they lacked is dropped.
    """

    taken_away: set[int]

    def create(self, study_id: int) -> FrozenTrial:
        """Create a running trial with the study's next number.

        Raises:
            StorageInternalError: The database does not take it.
        """
        ...

    def write(self, writes: Iterable[tuple[int, PendingWrites]]) -> None:
        """Write (trial id, pending writes) pairs of this process's trials; some may be taken away.

        Raises:
            StorageInternalError: The database does not take them.
        """
        ...

    def changes(self, study_id: int, after: int, among: Collection[int]) -> list[tuple[int, TrialState]] | None:
        """Return (trial id, state) of a study's trials with an id above ``after`` or one of some; None if unknown."""
        ...


class ApiWriter:
    """Value by value, through Optuna's public storage API; the outcome attribute comes after all others."""

    def __init__(self, storage: BaseStorage) -> None:
        self._storage = storage
        self.taken_away: set[int] = set()

    def create(self, study_id: int) -> FrozenTrial:
        """Create a running trial."""
        return self._storage.get_trial(self._storage.create_new_trial(study_id))

    def write(self, writes: Iterable[tuple[int, PendingWrites]]) -> None:
        """Write (trial id, pending writes) pairs."""
        for trial_id, item in writes:
            try:
                self._write(trial_id, item)
            except UpdateFinishedTrialError:
                self.taken_away.add(trial_id)

    def _write(self, trial_id: int, item: PendingWrites) -> None:
        for name, param in item.params.items():
            self._storage.set_trial_param(trial_id, name, param.internal, param.distribution)
        for step, value in item.reports.items():
            self._storage.set_trial_intermediate_value(trial_id, step, value)
        for key, value in item.system.items():
            self._storage.set_trial_system_attr(trial_id, key, value)
        for key, value in item.user.items():
            self._storage.set_trial_user_attr(trial_id, key, value)
        if item.end is not None:
            state, values, _ = item.end
            self._storage.set_trial_state_values(trial_id, state, values)

    def changes(self, study_id: int, after: int, among: Collection[int]) -> None:
        """Return nothing: the API has no such question."""


class TableWriter:
    """One transaction for everything, on Optuna's own tables.

    On PostgreSQL other supervisors write trials of their own beside these, and may close one of ours when they take us
    for dead. So a study's row is locked while a trial gets its number, as Optuna does it, and a trial's row while
    its rows are written; those of a trial that has been finished elsewhere are dropped.

    Args:
        engine: SQLAlchemy's engine of an ``RDBStorage``.
        models: Optuna's module of table models.
    """

    def __init__(self, engine: Any, models: Any) -> None:
        self.taken_away: set[int] = set()
        self._engine = engine
        self._insert = importlib.import_module(f"sqlalchemy.dialects.{engine.name}").insert  # half a second for both
        self._model = models.TrialModel
        self._studies = models.StudyModel.__table__
        self._trials = models.TrialModel.__table__
        self._params = models.TrialParamModel.__table__
        self._values = models.TrialValueModel.__table__
        self._reports = models.TrialIntermediateValueModel.__table__
        self._attrs = {
            "user": models.TrialUserAttributeModel.__table__,
            "system": models.TrialSystemAttributeModel.__table__,
        }
        self._value_to_stored = models.TrialValueModel.value_to_stored_repr
        self._upserts: dict[str, Any] = {}
        self._report_to_stored = models.TrialIntermediateValueModel.intermediate_value_to_stored_repr

    def create(self, study_id: int) -> FrozenTrial:
        """Create a running trial. Its number follows that of the study's newest: the count of those before it."""
        now = datetime.now()
        study = self._studies.c.study_id == study_id
        with self._transaction() as connection:
            if self._engine.name == "sqlite":  # has no locked rows; an update that changes nothing takes its only lock
                connection.execute(self._studies.update().where(study).values(study_id=study_id))
            else:
                connection.execute(self._studies.select().where(study).with_for_update())
            number = self._next_number(connection, study_id)
            row = {"study_id": study_id, "number": number, "state": TrialState.RUNNING}
            row["datetime_start"] = self._utc(now)
            (trial_id,) = connection.execute(self._trials.insert().values(row)).inserted_primary_key
        return running_trial(number, trial_id, now)

    def _next_number(self, connection: Any, study_id: int) -> int:
        trials = self._trials.c
        numbers = self._trials.select().with_only_columns(trials.number).where(trials.study_id == study_id)
        before = connection.execute(numbers.order_by(trials.trial_id.desc()).limit(1)).scalar()
        return 0 if before is None else int(before) + 1

    def write(self, writes: Iterable[tuple[int, PendingWrites]]) -> None:
        """Write (trial id, pending writes) pairs in one transaction."""
        pending = dict(writes)
        trials = self._trials.c
        ours = (
            self._trials.select()
            .with_only_columns(trials.trial_id)
            .where(trials.trial_id.in_(pending), trials.state.in_((TrialState.RUNNING, TrialState.WAITING)))
            .order_by(trials.trial_id)  # several supervisors lock rows in the same order
            .with_for_update()
        )
        with self._transaction() as connection:
            there, gone = set(connection.execute(ours).scalars()), set()
            for trial_id, item in pending.items():
                if trial_id in there:
                    self._write(connection, trial_id, item)
                elif item.end is not None and not self._has(connection, trial_id, item):
                    gone.add(trial_id)
        self.taken_away |= gone

    def _has(self, connection: Any, trial_id: int, item: PendingWrites) -> bool:
        """Whether a trial that is finished has these values: by a transaction whose answer never came."""
        table = self._attrs["user"]
        rows = table.select().with_only_columns(table.c.key, table.c.value_json).where(table.c.trial_id == trial_id)
        stored = dict(connection.execute(rows).all())
        return bool(item.user) and all(stored.get(key) == json.dumps(value) for key, value in item.user.items())

    def changes(self, study_id: int, after: int, among: Collection[int]) -> list[tuple[int, TrialState]]:
        """Return (trial id, state) of a study's trials with an id above ``after`` or one of some."""
        trials = self._trials.c
        wanted = (trials.trial_id > after) | trials.trial_id.in_(among)
        rows = self._trials.select().with_only_columns(trials.trial_id, trials.state)
        with self._transaction() as connection:
            found = connection.execute(rows.where(trials.study_id == study_id, wanted).order_by(trials.trial_id))
            return [(trial_id, state) for trial_id, state in found]

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[Any]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except Exception as error:
            if type(error).__module__.partition(".")[0] == "sqlalchemy":
                raise StorageInternalError("The database did not take a trial's values.") from error
            raise

    def _utc(self, moment: datetime) -> Any:
        """Return a local time as Optuna's table holds it."""
        return self._model(datetime_complete=moment)._datetime_complete_utc

    def _write(self, connection: Any, trial_id: int, item: PendingWrites) -> None:
        if item.params:
            rows = [
                {
                    "trial_id": trial_id,
                    "param_name": name,
                    "param_value": param.internal,
                    "distribution_json": distribution_to_json(param.distribution),
                }
                for name, param in item.params.items()
            ]
            connection.execute(self._insert(self._params).on_conflict_do_nothing(), rows)
        reports = {}
        for step, value in item.reports.items():
            stored, kind = self._report_to_stored(value)
            reports[step] = {"intermediate_value": stored, "intermediate_value_type": kind}
        self._upsert(connection, self._reports, "step", trial_id, reports)
        for part, values in (("system", item.system), ("user", item.user)):
            texts = {key: {"value_json": json.dumps(value)} for key, value in values.items()}
            self._upsert(connection, self._attrs[part], "key", trial_id, texts)
        if item.end is not None:
            self._end(connection, trial_id, *item.end)

    def _upsert(
        self, connection: Any, table: Any, key_column: str, trial_id: int, rows: dict[Any, dict[str, Any]]
    ) -> None:
        """Write rows, in place of those with the same key: also of a transaction whose answer never came."""
        if rows:
            values = [{"trial_id": trial_id, key_column: key, **row} for key, row in rows.items()]
            connection.execute(self._upsert_into(table, key_column), values)

    def _upsert_into(self, table: Any, key_column: str) -> Any:
        # Kept, as making one takes longer than running it; by the writer, as a cache of the function's would keep each
        # writer for good, and with it the connections to its database.
        if table.name not in self._upserts:
            self._upserts[table.name] = self._new_upsert(table, key_column)
        return self._upserts[table.name]

    def _new_upsert(self, table: Any, key_column: str) -> Any:
        keys = ["trial_id", key_column]
        statement = self._insert(table)
        others = [c.name for c in table.columns if not c.primary_key and c.name not in keys]
        changes = {name: statement.excluded[name] for name in others}
        return statement.on_conflict_do_update(index_elements=keys, set_=changes)

    def _end(
        self, connection: Any, trial_id: int, state: TrialState, values: Sequence[float] | None, moment: datetime
    ) -> None:
        for objective, value in enumerate(values or ()):
            stored, kind = self._value_to_stored(value)
            row = {"trial_id": trial_id, "objective": objective, "value": stored, "value_type": kind}
            connection.execute(self._insert(self._values).on_conflict_do_nothing(), [row])
        mine = self._trials.c.trial_id == trial_id
        connection.execute(self._trials.update().where(mine).values(state=state, datetime_complete=self._utc(moment)))


#: Tables that :class:`TableWriter` uses, with every column it must know of (keys it never sets are left out).
_COLUMNS = {
    "StudyModel": {"study_id", "study_name"},
    "TrialModel": {"trial_id", "number", "study_id", "state", "datetime_start", "datetime_complete"},
    "TrialParamModel": {"param_id", "trial_id", "param_name", "param_value", "distribution_json"},
    "TrialValueModel": {"trial_value_id", "trial_id", "objective", "value", "value_type"},
    "TrialIntermediateValueModel": {
        "trial_intermediate_value_id",
        "trial_id",
        "step",
        "intermediate_value",
        "intermediate_value_type",
    },
    "TrialUserAttributeModel": {"trial_user_attribute_id", "trial_id", "key", "value_json"},
    "TrialSystemAttributeModel": {"trial_system_attribute_id", "trial_id", "key", "value_json"},
}


def known_tables(storage: BaseStorage) -> tuple[Any, Any] | None:
    """Return (SQLAlchemy's engine, Optuna's module of table models) when the tables are those that are known."""
    try:
        from optuna.storages._rdb import models

        database: Any = getattr(storage, "_backend", storage)
        engine = database.engine
        known = all({c.name for c in getattr(models, m).__table__.columns} == names for m, names in _COLUMNS.items())
        if known and hasattr(models.TrialModel, "_datetime_complete_utc"):
            return engine, models
    except (ImportError, AttributeError):
        pass
    return None


def row_writer(storage: BaseStorage) -> RowWriter:
    """Return the fast writer for SQLite and PostgreSQL with the tables that are known, else that of the public API."""
    tables = known_tables(storage)
    if tables is not None and tables[0].name in ("sqlite", "postgresql"):
        return TableWriter(*tables)
    return ApiWriter(storage)
