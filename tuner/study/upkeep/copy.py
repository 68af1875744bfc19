"""From one database to another: a study with all its trials, its confirm stage included."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

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
from tuner.study.store.locks import advisory_lock, opening, study_lock


def copy_study(name: str, source: str, target: str) -> int:
    """Copy a study, or complete a copy that was cut short, and return how many trials it has.

    A copy carries its study's id from its first moment, by which one that was cut short is known, and what makes it one
    of ours is written last of all, after its confirm study: until then it is never gone on with.

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
        study = optuna.load_study(study_name=name, storage=opened)
        confirmed = companion_of(study, opened)
    both = [study] if confirmed is None else [confirmed, study]
    there = open_storage(target, create=True)
    with study_lock(sqlite_path(target), name), storage_errors(target), opening(there, name):
        _make_room(both, there, target)
        with contextlib.ExitStack() as on_error:
            for one in both:
                _copy(one, there, on_error)
            on_error.pop_all()
    return len(study.get_trials(deepcopy=False))


def _make_room(studies: Sequence[optuna.Study], target: BaseStorage, url: str) -> None:
    """Remove what a copy that was cut short has left.

    Raises:
        InputError: There is a study of a name that is no such copy.
    """
    taken = study_names(target)
    left = [optuna.load_study(study_name=s.study_name, storage=target) for s in studies if s.study_name in taken]
    for one in left:
        stored, mine = one.user_attrs, _id_of(studies[-1])
        empty = not stored and not one.get_trials(deepcopy=False)  # as a copy is before it has its id
        if attr.RECIPE in stored or not (empty or (mine is not None and _id_of(one) == mine)):
            raise InputError(f"{mask(url)} has a study '{one.study_name}' already. Copy to another --to.")
    for one in left:
        optuna.delete_study(study_name=one.study_name, storage=target)


def _id_of(study: optuna.Study) -> str | None:
    """Return a study's random id, or its parent's; None where version 0.1.0 made it, or another program."""
    stored = study.user_attrs
    return stored.get(attr.ID, stored.get(attr.PARENT))


def _copy(old: optuna.Study, target: BaseStorage, on_error: contextlib.ExitStack) -> None:
    new = optuna.create_study(study_name=old.study_name, storage=target, direction="maximize")
    on_error.callback(optuna.delete_study, study_name=old.study_name, storage=target)
    attributes = {key: value for key, value in old.user_attrs.items() if not key.startswith(PREFIX)}
    for key in (attr.ID, attr.PARENT):
        if key in attributes:
            new.set_user_attr(key, attributes.pop(key))
    new.add_trials(old.get_trials(deepcopy=False))
    for key, value in sorted(attributes.items(), key=lambda item: item[0] in (attr.RECIPE, attr.CONFIRM)):
        new.set_user_attr(key, value)
