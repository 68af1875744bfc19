"""What a killed process has left in a study: told from its spool, settled, ready to go on."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import optuna

from tuner.errors import StudyLockedError
from tuner.plan.naming import CONFIRM_SUFFIX
from tuner.study.search.ledger import Ledger
from tuner.study.search.open_study import buffer_study, is_exclusive
from tuner.study.store import keys as attr
from tuner.study.store.connect import open_storage, storage_errors
from tuner.study.store.database import sqlite_path
from tuner.study.store.locks import advisory_lock, study_lock


@dataclass(frozen=True)
class Mended:
    """What was put right in a study.

    Attributes:
        told: Finished trials that had waited in the spool.
        lost: Trials that nobody ran any more; they go again with the study's next run.
    """

    told: int
    lost: int


def mend_study(name: str, url: str) -> Mended:
    """Settle what dead owners have left in a study that nobody runs.

    Raises:
        StudyLockedError: Somebody runs it after all.
        InputError: The storage cannot be used.
        StorageLostError: It stops answering.
    """
    with contextlib.ExitStack() as locks:
        locks.enter_context(study_lock(sqlite_path(url), name.removesuffix(CONFIRM_SUFFIX)))  # a confirm stage has this
        storage = open_storage(url, create=False)
        # On a server several may run a search, but one a confirm stage, which has its lock before it is seen at work.
        if name.endswith(CONFIRM_SUFFIX) and not locks.enter_context(advisory_lock(url, name)):
            raise StudyLockedError(f"The study '{name}' is being run by another process. Stop it, then mend it.")
        with storage_errors(url):
            buffered = buffer_study(storage, name, url)
            study = optuna.load_study(study_name=name, storage=buffered)
            search = attr.CONFIRM not in study.user_attrs
            ledger = Ledger(study, buffered, url=url, exclusive=is_exclusive(url), successors=search)
        try:
            return Mended(buffered.told_late, len(ledger.settle().lost))
        finally:
            ledger.flush()
            ledger.close()
