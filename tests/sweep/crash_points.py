"""The places at which a process may die or its disk may be full, counted as they come, and one of them struck."""

from __future__ import annotations

import builtins
import errno
import fcntl
import io
import os
import signal
import sqlite3
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sqlalchemy.engine import default

KINDS = ("exit", "kill", "full")
SIDES = ("before", "after")

#: Exit status of a process that a crash point has ended by ``os._exit``.
STRUCK = 77

#: What needs room: once the disk is full these fail, one and all.
_NEED_ROOM = ("open", "mkdir", "fsync", "commit", "create")


@dataclass(frozen=True)
class Strike:
    """What happens at one place.

    Attributes:
        index: Which place, counted from 0.
        kind: ``exit`` (``os._exit``), ``kill`` (SIGKILL) or ``full``.
        side: Before the call; or after it. A disk that is full before a call stays full; one that is full after it has
            done what it was asked and says that it has not.
    """

    index: int
    kind: Literal["exit", "kill", "full"]
    side: Literal["before", "after"]


class CrashPoints:
    """Stands in for the calls that change files of a folder, and for commits to databases, in this whole process.

    Args:
        folder: Files outside are not looked at.
        strike: What happens at one of the places; None only counts.

    Attributes:
        seen: What was called, in order.
        struck: Whether the strike has come.
    """

    def __init__(self, folder: Path, strike: Strike | None = None) -> None:
        self._folder = f"{folder.resolve()}{os.sep}"
        self._strike = strike
        self._full = False
        self.seen: list[str] = []
        self.struck = False

    def install(self) -> None:
        """Stand in for the calls, until the process ends."""
        for module, name, label in (
            (os, "rename", "rename"), (os, "replace", "rename"), (os, "unlink", "remove"), (os, "remove", "remove"),
            (os, "mkdir", "mkdir"),
        ):  # fmt: skip
            setattr(module, name, self._of_path(label, getattr(module, name)))
        os.fsync = self._of_handle("fsync", os.fsync)
        fcntl.flock = self._of_handle("flock", fcntl.flock)
        os.open = self._of_open(os.open, lambda flags=0, *_: flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
        opened = self._of_open(io.open, lambda mode="r", *_: set(mode) & set("wax+"))
        builtins.open = io.open = opened
        tempfile._io.open = opened
        self._stand_in_for_the_databases()

    def _stand_in_for_the_databases(self) -> None:
        commit, execute = default.DefaultDialect.do_commit, default.DefaultDialect.do_execute

        def do_commit(dialect, connection):
            if dialect.name == "sqlite" and not connection.in_transaction:
                return commit(dialect, connection)
            return self._at("commit", lambda: commit(dialect, connection), dialect.name)

        def do_execute(dialect, cursor, statement, parameters, context=None):
            if dialect.name == "sqlite" and statement.lstrip().startswith("CREATE"):  # SQLite commits these at once
                return self._at("create", lambda: execute(dialect, cursor, statement, parameters, context), "sqlite")
            return execute(dialect, cursor, statement, parameters, context)

        default.DefaultDialect.do_commit, default.DefaultDialect.do_execute = do_commit, do_execute

    def _of_path(self, label, call):
        def stand_in(path, *arguments, **named):
            if not self._inside(path):
                return call(path, *arguments, **named)
            return self._at(label, lambda: call(path, *arguments, **named))

        return stand_in

    def _of_handle(self, label, call):
        def stand_in(handle, *arguments):
            return self._at(label, lambda: call(handle, *arguments))

        return stand_in

    def _of_open(self, call, writes):
        def stand_in(path, *arguments, **named):
            if not (self._inside(path) and writes(*arguments, **{k: v for k, v in named.items() if k == "mode"})):
                return call(path, *arguments, **named)
            return self._at("open", lambda: call(path, *arguments, **named))

        return stand_in

    def _inside(self, path) -> bool:
        return isinstance(path, str | bytes | os.PathLike) and os.path.abspath(os.fsdecode(path)).startswith(
            self._folder
        )

    def _at(self, label, call, database=None):
        """Make the call, and what is to happen before or after it."""
        here = self._strike is not None and len(self.seen) == self._strike.index
        self.seen.append(label)
        if here and self._strike.side == "before":
            self._hit(database)
        elif self._full and label in _NEED_ROOM:
            raise _no_room(database)
        done = call()
        if here and self._strike.side == "after":
            self._hit(database)
        return done

    def _hit(self, database) -> None:
        assert self._strike is not None
        self.struck = True
        if self._strike.kind == "exit":
            os._exit(STRUCK)
        if self._strike.kind == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        self._full = self._strike.side == "before"
        raise _no_room(database)


def _no_room(database: str | None) -> Exception:
    if database == "sqlite":
        return sqlite3.OperationalError("database or disk is full")
    if database == "postgresql":
        import psycopg

        return psycopg.errors.DiskFull("could not extend file: No space left on device")
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
