"""A study goes, with what belongs to it: its confirm study, results that wait to be told, saved runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import optuna

from tuner.errors import StudyLockedError
from tuner.plan.naming import checkpoint_folder, confirm_name, file_name
from tuner.result.agents import AGENTS
from tuner.study.store import keys as attr
from tuner.study.store.catalog import check_study
from tuner.study.store.companion import companion_of
from tuner.study.store.connect import open_storage, storage_errors
from tuner.study.store.database import sqlite_path
from tuner.study.store.health import at_work
from tuner.study.store.identity import Identity
from tuner.study.store.locks import advisory_lock, opening, study_lock
from tuner.study.store.spool import spool_of
from tuner.study.upkeep.keep_agents import drop_models
from tuner.training.run_checkpoint import RunCheckpoints


@dataclass(frozen=True)
class Belongings:
    """What a study has.

    Attributes:
        trials: How many trials.
        runs: How many runs of its confirm stage; None where it has none.
        report: Folder of its report, which stays; None where it is not there.
        agents: Whether agents lie in it, which stay too.
    """

    trials: int
    runs: int | None
    report: Path | None
    agents: bool


def belongings(name: str, url: str) -> Belongings:
    """Return what deleting a study would take.

    Raises:
        InputError: The storage cannot be used, or has no such study.
        StorageLostError: It stops answering.
    """
    storage = open_storage(url, create=False)
    check_study(name, storage, url)
    with storage_errors(url):
        study = optuna.load_study(study_name=name, storage=storage)
        confirmed = companion_of(study, storage)
        folder = _report_folder(study)
        return Belongings(
            len(study.get_trials(deepcopy=False)),
            None if confirmed is None else len(confirmed.get_trials(deepcopy=False)),
            folder if folder is not None and folder.is_dir() else None,
            folder is not None and (folder / AGENTS).is_dir(),
        )


def delete_study(name: str, url: str) -> None:
    """Delete a study and its companions, of which each carries its id; its report and the two agents in it stay.

    Args:
        name: Study name.
        url: Its database.

    Raises:
        InputError: The storage cannot be used, or has no such study.
        StudyLockedError: Somebody works on it.
        StorageLostError: The database stops answering.
    """
    storage, path = open_storage(url, create=False), sqlite_path(url)
    check_study(name, storage, url)
    with (
        study_lock(path, name),
        storage_errors(url),
        opening(storage, name),
        advisory_lock(url, confirm_name(name)) as free,
    ):
        busy = at_work(storage, None, name) if path is None else ()
        if busy or not free:
            who = ", ".join(busy) or "another process"
            raise StudyLockedError(f"The study '{name}' is being run by {who}. Stop it, then delete it.")
        study = optuna.load_study(study_name=name, storage=storage)
        confirmed = companion_of(study, storage)
        folder, study_id = _report_folder(study), study.user_attrs.get(attr.ID)
        for one in (study,) if confirmed is None else (confirmed, study):  # the confirm study is found by its own study
            spool = spool_of(url, one.study_name, Identity(storage, one._study_id).id)
            spool.read()
            spool.clear(others=True)
            optuna.delete_study(study_name=one.study_name, storage=storage)
        if folder is not None:
            for whose in (study_id, None):  # what earlier versions left goes, too
                RunCheckpoints(checkpoint_folder(folder, whose)).clear()
            drop_models(folder)


def _report_folder(study: optuna.Study) -> Path | None:
    """Return where a study of ours has its report."""
    recipe = study.user_attrs.get(attr.RECIPE)
    where = recipe.get("report_dir") if isinstance(recipe, dict) else None
    return Path(where) / file_name(study.study_name) if isinstance(where, str) else None
