"""From one database to another: a study with all its trials, its confirm stage included."""

from __future__ import annotations

import optuna
from optuna.storages import BaseStorage

from tuner.errors import InputError, StudyLockedError
from tuner.plan.naming import confirm_name
from tuner.storage_url import mask
from tuner.study.store import keys as attr
from tuner.study.store.catalog import check_study, study_names
from tuner.study.store.companion import companion_of
from tuner.study.store.connect import open_storage, storage_errors
from tuner.study.store.database import sqlite_path
from tuner.study.store.health import at_work
from tuner.study.store.leases import PREFIX
from tuner.study.store.locks import advisory_lock


def copy_study(name: str, source: str, target: str) -> int:
    """Copy a study, and return how many trials it has.

    What makes a study one of ours is written last, so one whose copy was cut short is never gone on with.

    Args:
        name: Study name.
        source: URL of the database it is in.
        target: URL of the database it goes to; a SQLite file is made when it is not there.

    Raises:
        InputError: A storage cannot be used, there is no such study, or the target has one of that name.
        StudyLockedError: Somebody works on it.
        StorageLostError: A database stops answering.
    """
    opened = open_storage(source, create=False)
    check_study(name, opened, source)
    with storage_errors(source):
        busy = at_work(opened, sqlite_path(source), name)
        if not busy:  # a confirm stage has its lock before it is seen at work
            with advisory_lock(source, confirm_name(name)) as free:
                busy = () if free else ("another process",)
        if busy:
            raise StudyLockedError(f"The study '{name}' is being run by {', '.join(busy)}. Stop it, then copy it.")
        confirmed = companion_of(optuna.load_study(study_name=name, storage=opened), opened)
    there = open_storage(target, create=True)
    with storage_errors(target):
        taken = study_names(there)
    both = [name] if confirmed is None else [name, confirmed.study_name]
    for one in both:
        if one in taken:
            raise InputError(f"{mask(target)} has a study '{one}' already. Copy to another --to.")
    with storage_errors(target):
        counts = [_copy(one, opened, there) for one in both]
    return counts[0]


def _copy(name: str, source: BaseStorage, target: BaseStorage) -> int:
    old = optuna.load_study(study_name=name, storage=source)
    new = optuna.create_study(study_name=name, storage=target, direction="maximize")
    try:
        trials = old.get_trials(deepcopy=False)
        new.add_trials(trials)
        recipe_last = sorted(old.user_attrs.items(), key=lambda item: item[0] == attr.RECIPE)
        for key, value in recipe_last:
            if not key.startswith(PREFIX):
                new.set_user_attr(key, value)
    except BaseException:
        optuna.delete_study(study_name=name, storage=target)
        raise
    return len(trials)
