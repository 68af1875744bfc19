"""SQLite files, read by Python's own driver: a command that only looks has its answer before SQLAlchemy is loaded."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

    Readable = BaseStorage | sqlite3.Connection

#: Version of Optuna's tables that this package's own queries are written for (``alembic_version``).
KNOWN_TABLES = "v3.2.0.a"

#: Seconds a statement waits for another process's write to a SQLite file.
BUSY_TIMEOUT_S = 60

#: What reading a row raises that Optuna would not write.
UNREADABLE = (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, AssertionError)


def open_known(path: Path) -> sqlite3.Connection | None:
    """Return a connection to a file that is there and has the tables that are known, else None."""
    if not path.is_file() or not os.access(path, os.R_OK | os.W_OK):
        return None
    connection = None
    try:
        connection = sqlite3.connect(f"file:{quote(str(path))}?mode=rw", timeout=BUSY_TIMEOUT_S, uri=True)
        if connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(KNOWN_TABLES,)]:
            return connection
    except sqlite3.Error:
        pass
    if connection is not None:
        connection.close()
    return None
