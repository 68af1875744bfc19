"""One supervisor for each study in a SQLite file, and one at a time for work that several must not do twice.

The lock of a SQLite study is the operating system's (``flock``) on a small file beside the database. It ends with its
process, however that dies, so a dead owner never stands in the way. The file's text names the owner for the error
message.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import func, select

from tuner.errors import InputError, StudyLockedError
from tuner.plan.naming import file_name
from tuner.study.store.connect import open_storage, storage_errors
from tuner.study.store.writer import known_tables


def lock_path(database: Path, study: str) -> Path:
    """Return the lock file of a study."""
    return database.with_name(f"{database.name}.{file_name(study)}.lock")


@contextlib.contextmanager
def study_lock(database: Path | None, study: str) -> Iterator[None]:
    """Own a study inside the block.

    Args:
        database: The SQLite file; None (another database, which several supervisors may share) locks nothing.
        study: Study name.

    Raises:
        StudyLockedError: A live process owns it; the message names host, process id and start time.
    """
    if database is None:
        yield
        return
    path = lock_path(database, study)
    handle = _acquire(path, study)
    try:
        yield
    finally:
        # Unlinked while still held: whoever opened the old file sees that it is no longer the one at the path.
        path.unlink(missing_ok=True)
        os.close(handle)


def lock_owner(database: Path, study: str) -> str | None:
    """Return who runs a study of a SQLite file now, as ``host:process id``; None when nobody does."""
    try:
        handle = os.open(lock_path(database, study), os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        try:
            owner = json.loads(os.pread(handle, 4096, 0))
            return f"{owner['host']}:{int(owner['pid'])}"
        except (ValueError, KeyError, TypeError, OSError):
            return "unknown"
    finally:
        os.close(handle)
    return None


def _acquire(path: Path, study: str) -> int:
    while True:
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise InputError(f"The lock file {path} cannot be written ({error.strerror}).") from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = _read_owner(handle)
            os.close(handle)
            raise StudyLockedError(
                f"The study '{study}' is being run by {owner}. Wait for it, stop it, or start another with --study NEW."
            ) from None
        except OSError as error:
            os.close(handle)
            raise InputError(
                f"The folder {path.parent} does not support file locks ({error.strerror}); "
                "keep the SQLite file on a local disk, or use PostgreSQL."
            ) from None
        if _same_file(handle, path):
            break
        os.close(handle)
    me = {"host": socket.gethostname(), "pid": os.getpid(), "since": datetime.now(UTC).isoformat(timespec="seconds")}
    os.ftruncate(handle, 0)
    os.write(handle, json.dumps(me).encode())
    return handle


def _same_file(handle: int, path: Path) -> bool:
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    here = os.fstat(handle)
    return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)


def _read_owner(handle: int) -> str:
    try:
        owner = json.loads(os.pread(handle, 4096, 0))
        return f"process {int(owner['pid'])} on {owner['host']} since {owner['since']}"
    except (ValueError, KeyError, TypeError, OSError):
        return "another process"


@contextlib.contextmanager
def only_one(url: str, name: str) -> Iterator[bool]:
    """Say whether nobody else does this now, and keep others from it inside the block.

    On PostgreSQL that is an advisory lock of the server's, which ends with the connection. A SQLite study has one
    supervisor anyway.

    Args:
        url: Storage URL.
        name: What is done, such as the name of a confirm study.

    Raises:
        StorageLostError: The database does not answer.
    """
    tables = None if url.startswith("sqlite") else known_tables(open_storage(url, create=True))
    if tables is None or tables[0].name != "postgresql":
        yield True
        return
    with storage_errors(url):
        connection = tables[0].connect()
    try:
        with storage_errors(url):
            mine = bool(connection.execute(select(func.pg_try_advisory_lock(func.hashtext(name)))).scalar_one())
            connection.commit()  # the lock is the session's; no transaction stays open meanwhile
        yield mine
    finally:
        connection.close()
        tables[0].dispose()
