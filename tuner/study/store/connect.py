"""From a storage URL to an Optuna storage that survives a busy disk and a restarted database.

SQLite runs in write-ahead mode: readers (the dashboard, ``tune show``) never block the study. Every error is one line
with the password masked.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import random
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, RDBStorage
from optuna.storages._rdb.models import BaseModel
from sqlalchemy.exc import (
    IntegrityError,
    InterfaceError,
    OperationalError,
    ProgrammingError,
    SQLAlchemyError,
)
from sqlalchemy.orm import scoped_session, sessionmaker

from tuner.errors import InputError, MissingExtraError, StorageLostError
from tuner.storage_url import mask, scrub
from tuner.study.store.database import BUSY_TIMEOUT_S, UNREADABLE, missing_driver, parse_url, sqlite_path

#: Seconds a running supervisor waits instead of ``BUSY_TIMEOUT_S``: it has workers to answer and a Ctrl-C to hear, and
#: keeps results and tries again.
BRIEF_TIMEOUT_S = 1

#: Commands that may make the tables of one new database at one moment.
MAKERS = 10

#: Seconds for which a transaction on PostgreSQL may wait for its client's next word.
SILENT_S = 60.0

#: Words of troubles that do not pass by themselves -> what to do about them.
_LASTING = {
    "disk is full": "Make room on the disk. ",
    "No space left on device": "Make room on the disk. ",
    "disk I/O error": "Make room on the disk, or raise the limit of a file's size (ulimit -f, a quota). ",
    "has taken its place": "Put it back. ",
    "permission denied for": "Ask its owner for the rights to read and write its tables and to use their sequences. ",
}

#: A server's connections: few, asked whether they still live before each use, and renewed before routers forget them.
_POOL: dict[str, Any] = {"pool_pre_ping": True, "pool_size": 3, "max_overflow": 3, "pool_recycle": 1800}

#: Seconds to wait for a server, and what notices one that is gone without a word: a minute where nothing is under way;
#: where what was sent is not acknowledged, half a minute (in milliseconds) in place of TCP's quarter of an hour.
_POSTGRES = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
    "application_name": "tune",
}


class NoTablesError(InputError):
    """A database that is only to be read has no table for studies."""


class NoAnswerError(InputError):
    """A database cannot be opened now: its server is away, or another process has locked its file.

    Args:
        message: What to say of one that has not answered yet: its URL may be wrong.
        lost: What to say of one that has.
    """

    def __init__(self, message: str, lost: StorageLostError) -> None:
        super().__init__(message)
        self.lost = lost


def open_storage(url: str, *, create: bool) -> BaseStorage:
    """Open the database that holds studies.

    Args:
        url: ``sqlite:///path.db`` or ``postgresql://user:password@host/database``.
        create: Make a SQLite file and its folder when they do not exist; otherwise that is an error.

    Raises:
        InputError: The URL cannot work; the message says why and what to do.
        NoAnswerError: It may work later.
        NoTablesError: Without ``create``, there is no table for studies.
        MissingExtraError: The database's driver is not installed.
    """
    backend = parse_url(url).get_backend_name()
    path = sqlite_path(url)
    if path is not None:
        _check_file(path, url, create=create)
    kwargs: dict[str, Any] = dict(_POOL)
    if backend == "sqlite":
        kwargs = {"connect_args": {"timeout": BUSY_TIMEOUT_S}}
    elif parse_url(url).drivername in ("postgresql", "postgresql+psycopg", "postgresql+psycopg2"):
        kwargs["connect_args"] = dict(_POSTGRES)
    # Optuna logs every trial to stderr, which belongs to the progress view.
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        # Optuna sends the URL through str.format; braces are doubled so that a password may hold them.
        storage = _ReadyStorage.of(url, kwargs) if path is None or path.exists() else None
        if storage is None and not create and not _holds_tables(url, kwargs):
            where = mask(url) if path is None else path
            raise NoTablesError(
                f"{where} holds no studies, nor any table for them. Run a study first, or name its --storage."
            )
        storage = storage or _made(url.replace("{", "{{").replace("}", "}}"), kwargs)
        if path is not None:
            _prepare_sqlite(storage.engine)
        elif backend == "postgresql":
            _prepare_postgresql(storage.engine)
    except ImportError as error:
        raise MissingExtraError(missing_driver(backend, url)) from error
    except (SQLAlchemyError, StorageInternalError, RuntimeError, OSError, ValueError) as error:
        why = _why(error, url)
        message = f"--storage {mask(url)} cannot be used: {why} {_what_to_do(why) or ''}".rstrip()
        if any(isinstance(cause, OperationalError | InterfaceError) for cause in _causes(error)):
            raise NoAnswerError(message, _lost(why, url)) from None
        raise InputError(message) from None
    return optuna.storages.get_storage(storage)


def _holds_tables(url: str, engine_kwargs: dict[str, Any]) -> bool:
    """Whether a database has any table of Optuna's; one without is another program's, and no look at it changes it."""
    engine = sqlalchemy.create_engine(url, **engine_kwargs)
    try:
        return bool(BaseModel.metadata.tables.keys() & sqlalchemy.inspect(engine).get_table_names())
    finally:
        engine.dispose()


def _made(url: str, engine_kwargs: dict[str, Any]) -> RDBStorage:
    """Return Optuna's storage, its tables made where they are missing.

    Two commands may find them missing at one moment; the slower one then fails to make them, and finds them there.
    Where each waits for the other, SQLite refuses one of them at once.
    """
    for _ in range(MAKERS):
        began = time.monotonic()
        try:
            return _with_indexes(RDBStorage(url, engine_kwargs=engine_kwargs))
        except (OperationalError, ProgrammingError, IntegrityError, StorageInternalError) as error:
            said = f"{error} {error.__cause__}".lower()  # Optuna hides what its own commits met
            refused = "database is locked" in said and time.monotonic() - began < BUSY_TIMEOUT_S
            if not (refused or "already exists" in said or "unique" in said):
                raise
            time.sleep(random.Random().uniform(0.1, 0.3))  # or those who hindered each other would do so again
    return _with_indexes(RDBStorage(url, engine_kwargs=engine_kwargs))


def _with_indexes(storage: RDBStorage) -> RDBStorage:
    """Make the indexes that are missing, and return the storage.

    A process that died, or whose disk was full, between making a table and its index leaves the table alone, and
    whoever makes the rest passes over a table that is there. Without its index two studies can have one name.
    """
    for table in BaseModel.metadata.sorted_tables:
        for index in table.indexes:
            index.create(storage.engine, checkfirst=True)
    return storage


class _ReadyStorage(RDBStorage):
    """Optuna's storage on tables that are there, and its newest.

    Optuna makes missing tables and asks Alembic for their version whenever it opens a database: that takes longer than
    everything else that a command does which only looks.
    """

    @classmethod
    def of(cls, url: str, engine_kwargs: dict[str, Any]) -> RDBStorage | None:
        """Return it; None where Optuna has to look itself."""
        engine = sqlalchemy.create_engine(url, **engine_kwargs)
        try:
            with engine.connect() as connection:
                version = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
        except SQLAlchemyError as error:
            if engine.name != "sqlite" and not isinstance(error, ProgrammingError):  # a server that does not answer
                raise
            version = None
        if version is None or version != _newest_version():
            engine.dispose()
            return None
        storage = cls.__new__(cls)
        storage.__dict__.update(
            dict.fromkeys(("heartbeat_interval", "grace_period", "_version_manager")),
            **dict.fromkeys(("heartbeat_stale_trial_callback", "failed_trial_callback")),
            url=url,
            engine_kwargs=engine_kwargs,
            engine=engine,
            scoped_session=scoped_session(sessionmaker(bind=engine)),
            skip_compatibility_check=True,
        )
        return storage


@functools.cache
def _newest_version() -> str | None:
    """Return the version of Optuna's tables that no other of its migrations builds on; None when there is not one."""
    folder = Path(optuna.__file__).parent / "storages" / "_rdb" / "alembic" / "versions"
    text = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
    newest = set(re.findall(r'^revision = "(.+)"', text, re.M)) - set(
        re.findall(r'^down_revision = "(.+)"', text, re.M)
    )
    return newest.pop() if len(newest) == 1 else None


@contextlib.contextmanager
def storage_errors(url: str) -> Iterator[None]:
    """Turn a database that stops answering into one line.

    Raises:
        InputError: What it holds cannot be read.
        StorageLostError: The database failed inside the block.
    """
    try:
        yield
    except (json.JSONDecodeError, RecursionError) as error:
        raise InputError(
            f"The storage {mask(url)} is damaged: an attribute of a study or trial is no JSON ({error}). "
            "Restore it from a backup."
        ) from None
    except (StorageInternalError, SQLAlchemyError) as error:
        raise _lost(_why(error, url), url) from None


@contextlib.contextmanager
def reading_errors(url: str) -> Iterator[None]:
    """Turn rows that Optuna would not write, in a block that only reads, into one line, too.

    Raises:
        InputError: What it holds cannot be read.
        StorageLostError: The database failed inside the block.
    """
    with storage_errors(url):
        try:
            yield
        except json.JSONDecodeError:
            raise
        except UNREADABLE as error:
            what = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            raise InputError(
                f"The storage {mask(url)} is damaged: a row holds what Optuna does not write ({what}). "
                "Restore it from a backup."
            ) from None


def _check_file(path: Path, url: str, *, create: bool) -> None:
    if path.exists():
        if not os.access(path, os.R_OK):
            raise InputError(f"--storage {mask(url)} cannot be used: {path} may not be read.")
        if not os.access(path, os.W_OK):
            raise InputError(
                f"--storage {mask(url)} cannot be used: {path} may not be written, and reading it takes that, too. "
                "Copy it to a folder of your own, and name the copy."
            )
        return
    if not create:
        raise InputError(f"There is no database {path} yet. Run a study first, or name its --storage.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"--storage {mask(url)} cannot be used: the folder {path.parent} cannot be made ({error.strerror})."
        ) from None
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"--storage {mask(url)} cannot be used: the folder {path.parent} may not be written.")


def _prepare_sqlite(engine: sqlalchemy.Engine) -> None:
    """Turn on write-ahead logging, each transaction on the disk (2 ms) before anything rests on it: a spool that has
    been told is removed, and a power cut must not take back what it was told.
    """

    @sqlalchemy.event.listens_for(engine, "connect")
    def _configure(connection: Any, _: object) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.close()

    engine.dispose()
    # The file keeps this mode. SQLite does not wait where it is turned on while another is about to write; it refuses.
    give_up = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            with engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA journal_mode=WAL")
            return
        except OperationalError as error:
            if "database is locked" not in str(error) or time.monotonic() > give_up:
                raise
        time.sleep(random.Random().uniform(0.05, 0.15))


def _prepare_postgresql(engine: sqlalchemy.Engine) -> None:
    """Let the server give up a transaction whose client has gone silent in it: its locks keep all others waiting."""

    @sqlalchemy.event.listens_for(engine, "connect")
    def _configure(connection: Any, _: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"SET idle_in_transaction_session_timeout = {int(1000 * SILENT_S)}")
        connection.commit()

    engine.dispose()


def wait_briefly(storage: BaseStorage) -> None:
    """Let statements on a SQLite file wait for :data:`BRIEF_TIMEOUT_S` only."""
    below: Any = storage
    while hasattr(below, "_backend"):
        below = below._backend
    engine = getattr(below, "engine", None)
    if engine is None or engine.name != "sqlite":
        return

    @sqlalchemy.event.listens_for(engine, "connect")
    def _configure(connection: Any, _: object) -> None:
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={BRIEF_TIMEOUT_S * 1000}")
        cursor.close()

    engine.dispose()


def _lost(why: str, url: str) -> StorageLostError:
    advice = _what_to_do(why)
    return StorageLostError(
        f"The storage {mask(url)} does not answer any more: {why} {advice or ''}"
        "Finished trials are kept; once it is back, the same command carries on.",
        passes=advice is None,
    )


def _what_to_do(why: str) -> str | None:
    """Return what to do about a trouble that does not pass by itself; None for one that may."""
    return next((what for words, what in _LASTING.items() if words in why), None)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, and what each was caused by."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__


def _why(error: BaseException, url: str) -> str:
    """Return the database's own words in one line."""
    *_, cause = _causes(error)
    text = str(getattr(cause, "orig", None) or cause)
    line = " ".join(scrub(text, url).split())
    line = line if len(line) <= 300 else f"{line[:297]}..."
    return line if line.endswith((".", "!", "?")) else f"{line}."
