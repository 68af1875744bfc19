"""One study, many supervisors: how they share its trials in PostgreSQL.

Whoever creates, takes up or gives back a trial holds the study's own row (``SELECT ... FOR UPDATE``) meanwhile, so that
no two supervisors count at the same time: the trials of a study, lost ones left out, never exceed ``--trials``. A trial
names its owner from its first moment. Values are written only while the trial is still running: one that a peer has
given to somebody else is not told twice.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import and_, func, select

from tuner.study.store import keys as attr
from tuner.study.store.pending import PendingWrites, running_trial
from tuner.study.store.writer import TableWriter, known_tables

_LOST = json.dumps(attr.LOST)


class NothingToClaimError(Exception):
    """All trials the study shall have are finished or in somebody's hands."""


class SharedWriter(TableWriter):
    """Writes the trials of one supervisor among several.

    Args:
        engine: SQLAlchemy's engine on PostgreSQL.
        models: Optuna's module of table models.
        owner: This supervisor's name (``leases.py``).
        total: Trials the study shall have, or None: no limit.
    """

    def __init__(self, engine: Any, models: Any, owner: str, total: int | None) -> None:
        super().__init__(engine, models)
        self.owner = owner
        self.total = total

    def create(self, study_id: int) -> FrozenTrial:
        """Claim a new trial.

        Raises:
            NothingToClaimError: There are enough.
            StorageInternalError: The database does not take it.
        """
        now = datetime.now()
        with self._transaction() as connection:
            self._lock(connection, study_id)
            if self.total is not None and self._count(connection, study_id) >= self.total:
                raise NothingToClaimError
            trial_id, number = self._new(connection, study_id, TrialState.RUNNING, now)
            self._upsert(connection, self._attrs["user"], "key", trial_id, _texts({attr.OWNER: self.owner}))
        return running_trial(number, trial_id, now, **{attr.OWNER: self.owner})

    def begin(self, study_id: int, trial_id: int) -> bool:
        """Claim a trial that waits; False when somebody else was faster.

        Raises:
            NothingToClaimError: There are enough without it.
            StorageInternalError: The database does not take it.
        """
        with self._transaction() as connection:
            self._lock(connection, study_id)
            if self._state(connection, trial_id) != TrialState.WAITING:
                return False
            waiting = self._count(connection, study_id, TrialState.WAITING)
            if self.total is not None and self._count(connection, study_id) - waiting >= self.total:
                raise NothingToClaimError
            mine = self._trials.c.trial_id == trial_id
            values = {"state": TrialState.RUNNING, "datetime_start": self._utc(datetime.now())}
            connection.execute(self._trials.update().where(mine).values(values))
            self._upsert(connection, self._attrs["user"], "key", trial_id, _texts({attr.OWNER: self.owner}))
        return True

    def write(self, writes: Iterable[tuple[int, PendingWrites]]) -> None:
        """Write (trial id, pending writes) pairs of running trials in one transaction; the others are taken away."""
        pairs = sorted(writes, key=lambda pair: pair[0])
        ids = [trial_id for trial_id, _ in pairs]
        with self._transaction() as connection:
            table = self._trials
            running = select(table.c.trial_id).where(table.c.trial_id.in_(ids), table.c.state == TrialState.RUNNING)
            alive = set(connection.execute(running.order_by(table.c.trial_id).with_for_update()).scalars())
            gone = set(ids) - alive
            # One that is finished with an outcome of ours was told by a transaction whose answer never came.
            gone -= self._told(connection, gone) if gone else set()
            for trial_id, item in pairs:
                if trial_id in alive:
                    self._write(connection, trial_id, item)
        self.taken_away |= gone

    def bury(self, study_id: int, dead: Sequence[FrozenTrial], reason: str, *, successors: bool) -> list[int]:
        """Close trials that nobody runs as lost, each with exactly one successor; return their numbers.

        Args:
            study_id: The study.
            dead: Trials that are running without an owner, or lost and perhaps without a successor.
            reason: Why they are lost.
            successors: Whether each gets a successor.
        """
        closed = []
        with self._transaction() as connection:
            self._lock(connection, study_id)
            for trial in sorted(dead, key=lambda t: t.number):
                trial_id = trial._trial_id
                if self._state(connection, trial_id) == TrialState.RUNNING:
                    attrs = _texts({attr.REASON: reason, attr.OUTCOME: attr.LOST})
                    self._upsert(connection, self._attrs["user"], "key", trial_id, attrs)
                    self._end(connection, trial_id, TrialState.FAIL, None, datetime.now())
                    closed.append(trial.number)
                elif trial_id not in self._lost(connection, [trial_id]):
                    continue  # it has come to its end meanwhile
                if successors and not self._has_successor(connection, study_id, trial.number):
                    self._enqueue(connection, study_id, trial)
        return closed

    def counts(self, study_id: int) -> dict[str, int]:
        """Return finished trials by outcome, those included that another program has ended."""
        trials, attrs = self._trials, self._attrs["user"]
        told = and_(trials.c.trial_id == attrs.c.trial_id, attrs.c.key == attr.OUTCOME)
        kinds = (trials.c.state, attrs.c.value_json)
        query = select(*kinds, func.count()).select_from(trials.outerjoin(attrs, told))
        query = query.where(trials.c.study_id == study_id).group_by(*kinds)
        found: Counter[str] = Counter()
        with self._transaction() as connection:
            for state, text, count in connection.execute(query):
                found[attr.outcome_in(state.name, None if text is None else json.loads(text))] += int(count)
        return {outcome: count for outcome, count in found.items() if outcome in attr.COUNTED}

    def _lock(self, connection: Any, study_id: int) -> None:
        row = self._studies.c.study_id
        connection.execute(select(row).where(row == study_id).with_for_update())

    def _state(self, connection: Any, trial_id: int) -> TrialState | None:
        query = select(self._trials.c.state).where(self._trials.c.trial_id == trial_id).with_for_update()
        state: TrialState | None = connection.execute(query).scalar_one_or_none()
        return state

    def _count(self, connection: Any, study_id: int, state: TrialState | None = None) -> int:
        """Return how many trials there are: of a state, or all that are not lost."""
        here = self._trials.c.study_id == study_id
        query = select(func.count()).select_from(self._trials)
        if state is not None:
            return int(connection.execute(query.where(here, self._trials.c.state == state)).scalar_one())
        attrs = self._attrs["user"]
        lost = select(attrs.c.trial_id).where(attrs.c.key == attr.OUTCOME, attrs.c.value_json == _LOST)
        return int(connection.execute(query.where(here, self._trials.c.trial_id.not_in(lost))).scalar_one())

    def _lost(self, connection: Any, ids: Sequence[int]) -> set[int]:
        attrs = self._attrs["user"]
        query = select(attrs.c.trial_id).where(
            attrs.c.trial_id.in_(ids), attrs.c.key == attr.OUTCOME, attrs.c.value_json == _LOST
        )
        return set(connection.execute(query).scalars())

    def _told(self, connection: Any, ids: Iterable[int]) -> set[int]:
        attrs = self._attrs["user"]
        query = select(attrs.c.trial_id).where(
            attrs.c.trial_id.in_(ids), attrs.c.key == attr.OUTCOME, attrs.c.value_json != _LOST
        )
        return set(connection.execute(query).scalars())

    def _has_successor(self, connection: Any, study_id: int, number: int) -> bool:
        attrs = self._attrs["user"]
        mine = and_(self._trials.c.trial_id == attrs.c.trial_id, self._trials.c.study_id == study_id)
        query = select(func.count()).select_from(attrs.join(self._trials, mine))
        query = query.where(attrs.c.key == attr.RETRY_OF, attrs.c.value_json == json.dumps(number))
        return bool(connection.execute(query).scalar_one())

    def _new(self, connection: Any, study_id: int, state: TrialState, started: datetime | None) -> tuple[int, int]:
        """Insert a trial with the study's next number, which nobody else can take: its row is held."""
        number = self._next_number(connection, study_id)
        begun = None if started is None else self._utc(started)
        row = {"study_id": study_id, "number": number, "state": state, "datetime_start": begun}
        (trial_id,) = connection.execute(self._trials.insert().values(row)).inserted_primary_key
        return int(trial_id), number

    def _enqueue(self, connection: Any, study_id: int, dead: FrozenTrial) -> None:
        """Insert what Optuna's ``enqueue_trial`` inserts."""
        trial_id, _ = self._new(connection, study_id, TrialState.WAITING, None)
        root = dead.user_attrs.get(attr.ROOT, dead.number)
        user = _texts({attr.RETRY_OF: dead.number, attr.ROOT: root})
        self._upsert(connection, self._attrs["user"], "key", trial_id, user)
        system = _texts({"fixed_params": dict(dead.params)})
        self._upsert(connection, self._attrs["system"], "key", trial_id, system)


def shared_writer(storage: BaseStorage, owner: str, total: int | None) -> SharedWriter | None:
    """Return the writer for a PostgreSQL storage with the tables that are known; None for any other."""
    tables = known_tables(storage)
    if tables is None or tables[0].name != "postgresql":
        return None
    return SharedWriter(*tables, owner, total)


def _texts(values: dict[str, Any]) -> dict[Any, dict[str, Any]]:
    return {key: {"value_json": json.dumps(value)} for key, value in values.items()}
