"""Trials that a database says are running, and whether anybody runs them."""

from __future__ import annotations

import contextlib
import sqlite3
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tuner.plan.naming import CONFIRM_SUFFIX, confirm_name
from tuner.study.store import keys as attr
from tuner.study.store.catalog import look, study_attributes, trial_lines
from tuner.study.store.database import sqlite_path
from tuner.study.store.locks import lock_owner

if TYPE_CHECKING:
    from tuner.study.store.database import Readable


@dataclass(frozen=True)
class Unfinished:
    """A study with running trials.

    Attributes:
        study: Its name.
        trials: How many.
        owner: ``live``: a process on this machine runs them; ``none``: they were cut short, and the study's next run
            takes them up again; ``unknown``: the database is shared, and says nothing of who runs what.
        ours: Whether ``tune`` made it.
    """

    study: str
    trials: int
    owner: Literal["live", "none", "unknown"]
    ours: bool


def unfinished_studies(url: str) -> list[Unfinished]:
    """Return the studies of an existing database that have running trials.

    Raises:
        InputError: The database cannot be used, or is not there.
        MissingExtraError: Its driver is not installed.
        StorageLostError: It stops answering.
    """
    path = sqlite_path(url)

    def read(database: Readable) -> list[Unfinished]:
        found = []
        running = Counter(line.study for line in trial_lines(database, "RUNNING"))
        stored = study_attributes(database, attr.RECIPE, attr.CONFIRM) if running else {}
        for name, trials in running.items():
            owner: Literal["live", "none", "unknown"] = "unknown"
            if path is not None or is_shared(database):
                owner = "live" if at_work(database, path, name) else "none"
            found.append(Unfinished(name, trials, owner, bool(stored.get(name))))
        return found

    return look(url, read)


def is_shared(database: Readable) -> bool:
    """Whether several supervisors may work on one study of this database, each with a lease."""
    if isinstance(database, sqlite3.Connection):
        return False
    from tuner.study.store.writer import known_tables

    tables = known_tables(database)
    return tables is not None and tables[0].name == "postgresql"


def at_work(database: Readable, path: Path | None, study: str) -> tuple[str, ...]:
    """Return who works on a study or on its confirm stage now, as ``host:process id``.

    Args:
        database: The database, open.
        path: Its file, for SQLite.
        study: Study name, or that of its confirm study.
    """
    study = study.removesuffix(CONFIRM_SUFFIX)
    if path is not None:
        owner = None if "/" in study else lock_owner(path, study)  # only names of ours are ever locked
        return () if owner is None else (owner,)
    if isinstance(database, sqlite3.Connection) or not is_shared(database):
        return ()
    from tuner.study.store.leases import Leases
    from tuner.study.store.writer import known_tables

    tables = known_tables(database)
    assert tables is not None
    found: set[str] = set()
    for name in (study, confirm_name(study)):
        with contextlib.suppress(KeyError):  # there is no such study
            living = Leases(*tables, database.get_study_id_from_name(name), "").living()
            found |= {f"{owner.host}:{owner.pid}" for owner in living.values()}
    return tuple(sorted(found))
