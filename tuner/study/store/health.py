"""Trials that a database says are running, and whether anybody runs them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from optuna.storages import BaseStorage
from optuna.trial import TrialState

from tuner.study.store import keys as attr
from tuner.study.store.catalog import study_attributes, trial_lines
from tuner.study.store.connect import open_storage, reading_errors, sqlite_path
from tuner.study.store.locks import lock_owner
from tuner.study.store.writer import known_tables


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
    storage, path = open_storage(url, create=False), sqlite_path(url)
    found = []
    with reading_errors(url):
        running = Counter(line.study for line in trial_lines(storage, TrialState.RUNNING))
        stored = study_attributes(storage, attr.RECIPE, attr.CONFIRM) if running else {}
        for name, trials in running.items():
            owner: Literal["live", "none", "unknown"] = "unknown"
            if path is not None or is_shared(storage):
                owner = "live" if at_work(storage, path, name) else "none"
            found.append(Unfinished(name, trials, owner, bool(stored.get(name))))
    return found


def is_shared(storage: BaseStorage) -> bool:
    """Whether several supervisors may work on one study of this storage, each with a lease."""
    tables = known_tables(storage)
    return tables is not None and tables[0].name == "postgresql"


def at_work(storage: BaseStorage, path: Path | None, study: str) -> tuple[str, ...]:
    """Return who works on a study now, as ``host:process id``.

    Args:
        storage: The database, open.
        path: Its file, for SQLite.
        study: Study name.
    """
    if path is not None:
        owner = None if "/" in study else lock_owner(path, study)  # only names of ours are ever locked
        return () if owner is None else (owner,)
    tables = known_tables(storage)
    if tables is None or not is_shared(storage):
        return ()
    from tuner.study.store.leases import Leases

    living = Leases(*tables, storage.get_study_id_from_name(study), "").living()
    return tuple(sorted(f"{owner.host}:{owner.pid}" for owner in living.values()))
