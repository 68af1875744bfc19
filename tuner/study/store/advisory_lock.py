"""One at a time: work that several supervisors of a study must not do twice, such as training its finalists."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from sqlalchemy import func, select

from tuner.study.store.connect import open_storage, storage_errors
from tuner.study.store.writer import known_tables


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
