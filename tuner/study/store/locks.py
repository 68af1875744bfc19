"""One supervisor for each study in a SQLite file, and one at a time for work that several must not do twice.

The lock of a SQLite study is the operating system's, on a small file beside the database. It ends with its process,
however that dies, so a dead owner never stands in the way. The file's text names the owner for the error message.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from tuner.durable import read_at, same_file
from tuner.errors import InputError, StudyLockedError
from tuner.file_lock import take_lock
from tuner.plan.naming import file_name

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

#: Seconds between two looks at the connection that holds a server's lock.
WATCH_S = 10.0

#: Seconds for which a command waits for those before it, and for which one that has gone silent keeps others waiting.
OPENING_S = 600

#: Key space of :func:`opening`, which no lock of :class:`Claim` meets.
_OPENING = 1

#: Seconds for which a lock that was lost is tried for: the server may take that long to notice that we had gone.
GIVE_UP_S = 120.0

#: Seconds for which a study's lock is tried for that nobody who lives seems to own.
TAKE_OVER_S = 1.0

#: Seconds between two tries.
_PAUSE_S = 0.02


def lock_path(database: Path, study: str) -> Path:
    """Return the lock file of a study."""
    real = database.resolve()  # whatever link it is reached by
    return real.with_name(f"{real.name}.{file_name(study)}.lock")


@contextlib.contextmanager
def study_lock(database: Path | None, study: str) -> Iterator[None]:
    """Own a study inside the block.

    Args:
        database: The SQLite file; None (another database, which several supervisors may share) locks nothing.
        study: Study name.

    Raises:
        InputError: The file has several names, so that another process may own it by another one.
        StudyLockedError: A live process owns it; the message names host, process id and start time.
    """
    if database is None:
        yield
        return
    with contextlib.suppress(OSError):
        if database.stat().st_nlink > 1:
            raise InputError(
                f"The database {database} is reached by several names (hard links), which SQLite cannot keep apart. "
                "Copy it to a file of its own, or use a symbolic link."
            )
    path = lock_path(database, study)
    handle = _acquire(path, study)
    try:
        yield
    finally:
        # Unlinked while still held: whoever opened the old file sees that it is no longer the one at the path. One that
        # cannot be removed is nobody's lock once it is closed.
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
        os.close(handle)


def lock_owner(database: Path, study: str) -> str | None:
    """Return who runs a study of a SQLite file now, as ``host:process id``; None when nobody does."""
    try:
        handle = os.open(lock_path(database, study), os.O_RDONLY)
    except OSError:
        return None
    try:
        take_lock(handle, wait=False, shared=True)
    except OSError:
        owner = _read_owner(handle)
        return "unknown" if owner is None else f"{owner.host}:{owner.pid}"
    finally:
        os.close(handle)
    return None


def _acquire(path: Path, study: str) -> int:
    until = time.monotonic() + TAKE_OVER_S
    while True:
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise _unwritable(path, error) from None
        try:
            take_lock(handle, wait=False)
        except BlockingIOError:
            owner = _read_owner(handle)
            owned = owner is not None and owner.may_live() and not _only_looked_at(handle)
            os.close(handle)
            if not owned and time.monotonic() < until:  # somebody looks at a dead owner's, or is just taking it over
                time.sleep(_PAUSE_S)
                continue
            who = "another process" if owner is None else f"process {owner.pid} on {owner.host} since {owner.since}"
            raise StudyLockedError(
                f"The study '{study}' is being run by {who}. Wait for it, stop it, or start another with --study NEW."
            ) from None
        except OSError as error:
            os.close(handle)
            raise InputError(
                f"The folder {path.parent} does not support file locks ({error.strerror}); "
                "keep the SQLite file on a local disk, or use PostgreSQL."
            ) from None
        if same_file(handle, path):
            break
        os.close(handle)
    me = {"host": socket.gethostname(), "pid": os.getpid(), "since": datetime.now(UTC).isoformat(timespec="seconds")}
    try:
        os.ftruncate(handle, 0)
        os.write(handle, json.dumps(me).encode())
    except OSError as error:
        with contextlib.suppress(OSError):
            path.unlink()
        os.close(handle)
        raise _unwritable(path, error) from None
    return handle


def _unwritable(path: Path, error: OSError) -> InputError:
    return InputError(
        f"The lock file {path} cannot be written ({error.strerror}): it lies beside the database. "
        "Choose another --storage."
    )


@dataclass(frozen=True)
class _Owner:
    """What a lock file says of its owner, who may have died since."""

    host: str
    pid: int
    since: str

    def may_live(self) -> bool:
        return self.host != socket.gethostname() or (self.pid < 2**31 and psutil.pid_exists(self.pid))


def _read_owner(handle: int) -> _Owner | None:
    try:
        owner = json.loads(read_at(handle, 0, 4096))
        return _Owner(str(owner["host"]), int(owner["pid"]), str(owner["since"]))
    except (ValueError, ArithmeticError, KeyError, TypeError, OSError, RecursionError):
        return None


def _only_looked_at(handle: int) -> bool:
    """Whether none but :func:`lock_owner` has a lock that was refused."""
    try:
        take_lock(handle, wait=False, shared=True)
    except OSError:
        return False
    return True


class Claim:
    """Whether something is this process's to do.

    Attributes:
        on_lost: Called from another thread when the lock is lost for good: somebody else may do it now.
    """

    def __init__(self, mine: bool, engine: Any = None, key: str = "") -> None:
        self._mine = mine
        self._engine = engine
        self._key = key
        self._stop = threading.Event()
        self.on_lost: Callable[[], None] = lambda: None

    def __bool__(self) -> bool:
        return self._mine

    def take(self) -> Any:
        """Try for the lock, and return the connection that holds it, or None."""
        from sqlalchemy import func, select

        connection = self._engine.connect()
        try:
            if self._engine.url.host:  # over a network: the server lets go of one that is silent for a minute
                connection.exec_driver_sql("SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10")
                connection.exec_driver_sql("SET tcp_keepalives_count = 3")
            mine = connection.execute(select(func.pg_try_advisory_lock(func.hashtext(self._key)))).scalar_one()
            connection.commit()  # the lock is the session's; no transaction stays open meanwhile
        except BaseException:
            connection.close()
            raise
        if mine:
            return connection
        connection.close()
        return None

    def watch(self, connection: Any) -> None:
        """Ask now and then whether the connection lives, and take the lock again when it does not."""
        from sqlalchemy import select
        from sqlalchemy.exc import SQLAlchemyError

        lost_at = None
        while not self._stop.wait(WATCH_S):
            try:
                if connection is None:
                    connection = self.take()
                else:
                    connection.execute(select(1))
                    connection.commit()
            except SQLAlchemyError:  # the server is away, and keeps no lock for anybody
                if connection is not None:
                    connection.invalidate()
                    connection.close()
                connection, lost_at = None, None
            else:
                now = time.monotonic()
                lost_at = None if connection is not None else lost_at or now
                if lost_at is not None and now - lost_at > GIVE_UP_S:
                    self.on_lost()
                    return
        if connection is not None:
            connection.close()

    def stop(self) -> None:
        """End :meth:`watch`."""
        self._stop.set()


@contextlib.contextmanager
def opening(storage: BaseStorage, study: str) -> Iterator[None]:
    """Begin, resume or delete a study inside the block: on PostgreSQL one command after the other.

    A SQLite study has one supervisor anyway.

    Args:
        storage: The database.
        study: Study name.

    Raises:
        SQLAlchemyError: The database does not answer, or another command keeps the study for :data:`OPENING_S`.
    """
    from tuner.study.store.writer import known_tables

    tables = known_tables(storage)
    if tables is None or tables[0].name != "postgresql":
        yield
        return
    from sqlalchemy import func, select

    with tables[0].begin() as connection:  # the transaction's lock: a pool of connections between keeps none of it
        for name in ("lock_timeout", "idle_in_transaction_session_timeout"):
            connection.exec_driver_sql(f"SET LOCAL {name} = '{OPENING_S}s'")
        connection.execute(select(func.pg_advisory_xact_lock(_OPENING, func.hashtext(study))))
        yield


@contextlib.contextmanager
def advisory_lock(url: str, name: str) -> Iterator[Claim]:
    """Say whether nobody else does this now, and keep others from it inside the block.

    On PostgreSQL that is an advisory lock of the server's, which ends with the connection; a thread watches that. A
    SQLite study has one supervisor anyway.

    Args:
        url: Storage URL.
        name: What is done, such as the name of a confirm study.

    Raises:
        StorageLostError: The database does not answer.
    """
    if url.startswith("sqlite"):
        yield Claim(True)
        return
    from tuner.study.store.connect import open_storage, storage_errors
    from tuner.study.store.writer import known_tables

    tables = known_tables(open_storage(url, create=True))
    if tables is None or tables[0].name != "postgresql":
        yield Claim(True)
        return
    claim = Claim(False, tables[0], name)
    try:
        with storage_errors(url):
            connection = claim.take()
        if connection is None:
            yield claim
            return
        claim._mine = True
        thread = threading.Thread(target=claim.watch, args=(connection,), name="tune-claim", daemon=True)
        thread.start()
        try:
            yield claim
        finally:
            claim.stop()
            thread.join()
    finally:
        tables[0].dispose()
