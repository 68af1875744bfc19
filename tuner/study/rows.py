"""Writes a trial's news in one transaction.

Optuna's storage API commits once per value: a trial with five parameters, ten reports and a dozen attributes costs
thirty transactions, each with its own queries. Here the same rows go to Optuna's own tables at once; a test holds them
equal, row for row, to what the API writes. That touches tables Optuna does not promise to keep, so wherever they look
different (:func:`row_writer` finds out beforehand) everything goes through the public API instead, value by value.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState


class Param(NamedTuple):
    """A sampled value in Optuna's internal representation."""

    internal: float
    distribution: BaseDistribution


@dataclass
class News:
    """What one trial has that its database lacks. A key is in ``rewritten`` when its row exists already.

    Attributes:
        params: Sampled values by name.
        user: User attributes, plain JSON.
        system: System attributes, plain JSON.
        reports: Intermediate values by environment step.
        rewritten: ("user" | "system" | "reports", key) of rows to replace.
        end: (state, value, moment) when the trial ends.
    """

    params: dict[str, Param] = field(default_factory=dict)
    user: dict[str, Any] = field(default_factory=dict)
    system: dict[str, Any] = field(default_factory=dict)
    reports: dict[int, float] = field(default_factory=dict)
    rewritten: set[tuple[str, str | int]] = field(default_factory=set)
    end: tuple[TrialState, Sequence[float] | None, datetime] | None = None

    def __bool__(self) -> bool:
        return bool(self.params or self.user or self.system or self.reports or self.end)


class RowWriter(Protocol):
    """Creates trials and writes their news."""

    def create(self, study_id: int) -> FrozenTrial:
        """Create a running trial with the study's next number.

        Raises:
            StorageInternalError: The database does not take it.
        """
        ...

    def write(self, news: Iterable[tuple[int, News]]) -> None:
        """Write (trial id, news) pairs; every trial belongs to this process.

        Raises:
            StorageInternalError: The database does not take them.
        """
        ...


class ApiWriter:
    """Value by value, through Optuna's public storage API; the outcome attribute comes after all others."""

    def __init__(self, storage: BaseStorage) -> None:
        self._storage = storage

    def create(self, study_id: int) -> FrozenTrial:
        """Create a running trial."""
        return self._storage.get_trial(self._storage.create_new_trial(study_id))

    def write(self, news: Iterable[tuple[int, News]]) -> None:
        """Write (trial id, news) pairs."""
        for trial_id, item in news:
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


class TableWriter:
    """One transaction for everything, on Optuna's own tables.

    Args:
        engine: SQLAlchemy's engine of an ``RDBStorage`` on SQLite.
        models: Optuna's module of table models.
    """

    def __init__(self, engine: Any, models: Any) -> None:
        self._engine = engine
        self._model = models.TrialModel
        self._trials = models.TrialModel.__table__
        self._params = models.TrialParamModel.__table__
        self._values = models.TrialValueModel.__table__
        self._reports = models.TrialIntermediateValueModel.__table__
        self._attrs = {
            "user": models.TrialUserAttributeModel.__table__,
            "system": models.TrialSystemAttributeModel.__table__,
        }
        self._value_to_stored = models.TrialValueModel.value_to_stored_repr
        self._report_to_stored = models.TrialIntermediateValueModel.intermediate_value_to_stored_repr

    def create(self, study_id: int) -> FrozenTrial:
        """Create a running trial. Its number is the count of those before it, as Optuna has it."""
        now = datetime.now()
        row = {"study_id": study_id, "state": TrialState.RUNNING, "datetime_start": self._utc(now)}
        with self._transaction() as connection:
            # The insert takes SQLite's only write lock, so nobody counts at the same time.
            (trial_id,) = connection.execute(self._trials.insert().values(row)).inserted_primary_key
            number = connection.exec_driver_sql(
                "SELECT COUNT(*) FROM trials WHERE study_id = ? AND trial_id < ?", (study_id, trial_id)
            ).scalar_one()
            mine = self._trials.c.trial_id == trial_id
            connection.execute(self._trials.update().where(mine).values(number=number))
        return FrozenTrial(
            number=number,
            state=TrialState.RUNNING,
            value=None,
            datetime_start=now,
            datetime_complete=None,
            params={},
            distributions={},
            user_attrs={},
            system_attrs={},
            intermediate_values={},
            trial_id=trial_id,
        )

    def write(self, news: Iterable[tuple[int, News]]) -> None:
        """Write (trial id, news) pairs in one transaction."""
        with self._transaction() as connection:
            for trial_id, item in news:
                self._write(connection, trial_id, item)

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

    def _write(self, connection: Any, trial_id: int, item: News) -> None:
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
            connection.execute(self._params.insert(), rows)
        reports = {}
        for step, value in item.reports.items():
            stored, kind = self._report_to_stored(value)
            reports[step] = {"intermediate_value": stored, "intermediate_value_type": kind}
        self._upsert(connection, self._reports, "step", trial_id, reports, "reports", item.rewritten)
        for part, values in (("system", item.system), ("user", item.user)):
            texts = {key: {"value_json": json.dumps(value)} for key, value in values.items()}
            self._upsert(connection, self._attrs[part], "key", trial_id, texts, part, item.rewritten)
        if item.end is not None:
            self._end(connection, trial_id, *item.end)

    def _upsert(
        self,
        connection: Any,
        table: Any,
        key_column: str,
        trial_id: int,
        rows: dict[Any, dict[str, Any]],
        part: str,
        rewritten: set[tuple[str, str | int]],
    ) -> None:
        fresh = [
            {"trial_id": trial_id, key_column: key, **row} for key, row in rows.items() if (part, key) not in rewritten
        ]
        if fresh:
            connection.execute(table.insert(), fresh)
        for key, row in rows.items():
            if (part, key) in rewritten:
                mine = (table.c.trial_id == trial_id) & (table.c[key_column] == key)
                connection.execute(table.update().where(mine).values(**row))

    def _end(
        self, connection: Any, trial_id: int, state: TrialState, values: Sequence[float] | None, moment: datetime
    ) -> None:
        for objective, value in enumerate(values or ()):
            stored, kind = self._value_to_stored(value)
            row = {"trial_id": trial_id, "objective": objective, "value": stored, "value_type": kind}
            connection.execute(self._values.insert(), [row])
        mine = self._trials.c.trial_id == trial_id
        connection.execute(self._trials.update().where(mine).values(state=state, datetime_complete=self._utc(moment)))


#: Tables that :class:`TableWriter` writes, with every column it must know of (keys it never sets are left out).
_COLUMNS = {
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


def row_writer(storage: BaseStorage) -> RowWriter:
    """Return the fast writer for SQLite with the tables that are known, else the one through the public API.

    Other databases may have several supervisors, which meet in Optuna's own locks and upserts.
    """
    try:
        from optuna.storages._rdb import models

        database: Any = getattr(storage, "_backend", storage)
        engine = database.engine
        known = all({c.name for c in getattr(models, m).__table__.columns} == names for m, names in _COLUMNS.items())
        if known and engine.name == "sqlite" and hasattr(models.TrialModel, "_datetime_complete_utc"):
            return TableWriter(engine, models)
    except (ImportError, AttributeError):
        pass
    return ApiWriter(storage)
