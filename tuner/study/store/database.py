"""What a storage URL names, and SQLite files by Python's own driver.

A command that only looks at such a file has its answer before SQLAlchemy is loaded.
"""

from __future__ import annotations

import os
import re
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from tuner.errors import InputError, MissingExtraError
from tuner.storage_url import DEFAULT_STORAGE, mask

if TYPE_CHECKING:
    import sqlalchemy
    from optuna.storages import BaseStorage

    Readable = BaseStorage | sqlite3.Connection

#: Version of Optuna's tables that this package's own queries are written for (``alembic_version``).
KNOWN_TABLES = "v3.2.0.a"

#: Seconds a statement waits for another process's write to a SQLite file.
BUSY_TIMEOUT_S = 60

#: What reading a row raises that Optuna would not write.
UNREADABLE = (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, AssertionError, RecursionError)

#: Database kind -> what brings its driver.
_DRIVERS = {"postgresql": ("psycopg", "tune-dqn[postgres]"), "mysql": ("PyMySQL", "PyMySQL")}

#: A URL that names a file and nothing else. What %XX means depends on SQLAlchemy's version, so that says it.
_PLAIN = re.compile(r"sqlite:///(?!:memory:|file:)([^?%]+)")


def sqlite_path(url: str) -> Path | None:
    """Return the file of a SQLite URL; None for other databases.

    Raises:
        InputError: Not a database URL, no path (a database in memory would be a new one each time), or no file's.
    """
    if (plain := _PLAIN.fullmatch(url)) is not None:
        name = plain[1]
    else:
        parsed = parse_url(url)
        if parsed.get_backend_name() != "sqlite":
            return None
        name, options = parsed.database or "", url.partition("?")[2]
        host = parsed.host or parsed.username  # of two slashes only: another file would be meant than is written
        if host or name in ("", ":memory:") or name.startswith("file:") or (options and "=" not in options):
            raise InputError(
                f"--storage {mask(url)} cannot be used: SQLite needs the path of a file, such as {DEFAULT_STORAGE}; "
                "what follows a question mark is no part of it. Name another."
            )
    path = Path(name)
    if path.is_dir():
        raise InputError(f"--storage {mask(url)} cannot be used: {path} is a folder. Name a file in it.")
    if path.exists() and not path.is_file():
        raise InputError(f"--storage {mask(url)} cannot be used: {path} is a device or a pipe. Name a file.")
    return path


def parse_url(url: str) -> sqlalchemy.URL:
    """Return a storage URL in its parts.

    Raises:
        InputError: It is none.
        MissingExtraError: The database's driver is not installed.
    """
    import sqlalchemy
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError

    if "://" not in url:
        raise InputError(f"--storage must be a database URL such as {DEFAULT_STORAGE}, got '{mask(url)}'.")
    try:
        parsed = sqlalchemy.make_url(url)
        parsed.get_dialect()
    except NoSuchModuleError:
        scheme = url.partition("://")[0]
        raise InputError(
            f"--storage {mask(url)}: '{scheme}' is not a known kind of database. "
            "Use sqlite:///path.db or postgresql://user:password@host/database."
        ) from None
    except ImportError as error:
        raise MissingExtraError(missing_driver(url.partition(":")[0].partition("+")[0], url)) from error
    except (ArgumentError, ValueError):
        raise InputError(
            f"--storage {mask(url)} is not a database URL. Write special characters of a password as %XX, such as "
            "%40 for @."
        ) from None
    return parsed


def missing_driver(backend: str, url: str) -> str:
    """Return what to install for a kind of database."""
    name, package = _DRIVERS.get(backend, ("a driver", f"the driver of {backend}"))
    return f"--storage {mask(url)} needs {name}, which is not installed. Install it with: pip install '{package}'"


def open_known(path: Path) -> sqlite3.Connection | None:
    """Return a connection to a file that is there and has the tables that are known, else None.

    All that is read on it is of one moment.
    """
    if not path.is_file() or not os.access(path, os.R_OK | os.W_OK):
        return None
    connection = None
    try:
        connection = sqlite3.connect(f"file:{quote(os.fsencode(path))}?mode=rw", timeout=BUSY_TIMEOUT_S, uri=True)
        connection.execute("BEGIN")
        if connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(KNOWN_TABLES,)]:
            return connection
    except sqlite3.Error:
        pass
    if connection is not None:
        connection.close()
    return None
