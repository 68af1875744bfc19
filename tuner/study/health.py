"""Trials that a database says are running, and whether anybody runs them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import optuna
from optuna.trial import TrialState

from tuner.errors import StudyLockedError
from tuner.study.lock import lock_path, study_lock
from tuner.study.storage import open_storage, sqlite_path, storage_errors


@dataclass(frozen=True)
class Unfinished:
    """A study with running trials.

    Attributes:
        study: Its name.
        trials: How many.
        owner: ``live``: a process on this machine runs them; ``none``: they were cut short, and the study's next run
            takes them up again; ``unknown``: the database is shared, and says nothing of who runs what.
    """

    study: str
    trials: int
    owner: Literal["live", "none", "unknown"]


def unfinished_studies(url: str) -> list[Unfinished]:
    """Return the studies of an existing database that have running trials.

    Raises:
        InputError: The database cannot be used, or is not there.
        MissingExtraError: Its driver is not installed.
        StorageLostError: It stops answering.
    """
    storage, path = open_storage(url, create=False), sqlite_path(url)
    found = []
    with storage_errors(url):
        for summary in optuna.get_all_study_summaries(storage, include_best_trial=False):
            study = optuna.load_study(study_name=summary.study_name, storage=storage)
            running = len(study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)))
            if running:
                owner: Literal["live", "none", "unknown"] = "unknown"
                if path is not None:
                    owner = "live" if _is_locked(path, study.study_name) else "none"
                found.append(Unfinished(study.study_name, running, owner))
    return found


def _is_locked(path: Path, study: str) -> bool:
    if "/" in study or not lock_path(path, study).exists():
        return False  # only names of ours are ever locked
    try:
        with study_lock(path, study):
            return False
    except StudyLockedError:
        return True
