"""Whether a study is still the one that was opened: another file may have taken the database's place, or it is gone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage
from sqlalchemy import and_, select
from sqlalchemy.exc import SQLAlchemyError

from tuner.study.store import keys as attr
from tuner.study.store.connect import open_storage, storage_errors
from tuner.study.store.database import sqlite_path
from tuner.study.store.writer import known_tables


class StudyReplacedError(StorageInternalError):
    """What was opened is no longer there; what is there now is somebody else's."""


class Identity:
    """A study as it was when it was opened.

    Args:
        storage: The database.
        study_id: The study's number in it.
        path: The database's file, for SQLite.

    Attributes:
        id: The study's random id; None where version 0.1.0 made it.
    """

    def __init__(self, storage: BaseStorage, study_id: int, path: Path | None = None) -> None:
        tables = known_tables(storage)
        self._engine = tables[0] if tables is not None else None
        self._query = _query(tables[1], study_id) if tables is not None else None  # made once: that takes longest
        self._path = path
        attrs = storage.get_study_user_attrs(study_id)
        self.id: str | None = attrs.get(attr.ID, attrs.get(attr.PARENT))
        self._file = self._file_now()
        self._row = self._row_now()

    def check(self) -> None:
        """Look again, before anything is written and before results are read.

        Raises:
            StudyReplacedError: Another file, or another study, has its place, or none.
            StorageInternalError: The database does not answer.
        """
        if self._file_now() != self._file:
            raise StudyReplacedError(f"{self._path} was removed, or another file has taken its place")
        if self._row_now() != self._row:
            raise StudyReplacedError("the study was deleted, or another has taken its place")

    def _file_now(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat() if self._path is not None else None
        except OSError:
            found = None
        return None if found is None else (found.st_dev, found.st_ino)

    def _row_now(self) -> tuple[str, str | None] | None:
        """Return (name, id) of the study; None where it is not there, or the database's tables are not known."""
        if self._engine is None:
            return None
        try:
            with self._engine.connect() as connection:
                row = connection.execute(self._query).first()
        except SQLAlchemyError as error:
            raise StorageInternalError("The study could not be looked at.") from error
        return None if row is None else (row[0], row[1])


def _query(models: Any, study_id: int) -> Any:
    studies, attrs = models.StudyModel.__table__, models.StudyUserAttributeModel.__table__
    key = and_(attrs.c.study_id == studies.c.study_id, attrs.c.key.in_((attr.ID, attr.PARENT)))
    query = select(studies.c.study_name, attrs.c.value_json).select_from(studies.outerjoin(attrs, key))
    return query.where(studies.c.study_id == study_id)


class Watched:
    """A study whose results are read only while it is the one that was opened.

    Args:
        url: Storage URL.
        name: Study name.

    Raises:
        StorageLostError: The database does not answer.
    """

    def __init__(self, url: str, name: str) -> None:
        self._url = url
        storage = open_storage(url, create=False)
        with storage_errors(url):
            self._identity = Identity(storage, storage.get_study_id_from_name(name), sqlite_path(url))
        #: The study's random id; empty where version 0.1.0 made it.
        self.id = self._identity.id or ""

    def check(self) -> None:
        """See :meth:`Identity.check`.

        Raises:
            StorageLostError: It is not.
        """
        with storage_errors(self._url):
            self._identity.check()
