"""The part of a study's record that is about other supervisors: claims that peers have, and what dead ones left."""

from __future__ import annotations

import logging
import time

from optuna import Study
from optuna.storages import BaseStorage
from optuna.trial import Trial

from tuner.study.store.buffer import BufferedStorage
from tuner.study.store.connect import storage_errors

logger = logging.getLogger(__name__)

#: Seconds between two looks for trials of supervisors that have died.
REAP_S = 5.0

#: Seconds after which what others have finished is counted again.
RECOUNT_S = 1.0


class SharedLedger:
    """What a record says about other supervisors of its study. On a study of its own: nothing.

    Args:
        study: The Optuna study.
        storage: The storage it lives in.
        url: The storage's URL, for messages (masked there).
    """

    #: Whether a lost trial gets a successor.
    _successors = True

    def __init__(self, study: Study, storage: BaseStorage, url: str) -> None:
        self._study = study
        self._storage = storage
        self._url = url
        self._study_id = storage.get_study_id_from_name(study.study_name)
        self._sharing = storage.sharing if isinstance(storage, BufferedStorage) else None
        self._open: dict[int, Trial] = {}
        self._reaped = self._counted = float("-inf")

    def was_taken_away(self, number: int) -> bool:
        """Whether another supervisor, taking this one for dead, has given a trial away: it does not count here."""
        taken = self._sharing is not None and self._trial_id(number) in self._sharing.writer.taken_away
        if taken:
            logger.warning("trial %d was given to another supervisor, its result here is dropped", number)
        return taken

    def recount(self) -> dict[str, int] | None:
        """Return finished trials by outcome, whoever finished them, when it is time; None on a study of our own."""
        if self._sharing is None or time.monotonic() - self._counted < RECOUNT_S:
            return None
        self._counted = time.monotonic()
        with storage_errors(self._url):
            return self._sharing.counts()

    def others_have(self, finished: int) -> bool:
        """Whether trials beyond ``finished`` are in other supervisors' hands, and may come back."""
        return self._sharing is not None and self._sharing.total is not None and finished < self._sharing.total

    def close(self) -> None:
        """Take leave of a shared study."""
        if self._sharing is not None:
            self._sharing.leave()

    def _reap(self) -> list[int]:
        assert self._sharing is not None
        self._reaped = time.monotonic()
        trials = self._study.get_trials(deepcopy=False)
        return self._sharing.reap(trials, self._open, successors=self._successors)

    def _reap_if_due(self) -> None:
        if self._sharing is not None and time.monotonic() - self._reaped >= REAP_S:
            self._reap()

    def _trial_id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._study_id, number)
