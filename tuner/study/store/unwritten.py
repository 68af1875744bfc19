"""Finished trials that the database has refused: on the disk, and written before anything else once it takes them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from optuna.exceptions import StorageInternalError

from tuner.study.store.pending import PendingWrites
from tuner.study.store.spool import Spool
from tuner.study.store.writer import RowWriter

#: Seconds before a database that has just refused a trial is asked again.
RETRY_S = 2.0


class Unwritten:
    """What is unwritten to the database.

    Args:
        writer: Writes trials.
        spool: Keeps finished trials; None: a refusal is an error.
    """

    def __init__(self, writer: RowWriter, spool: Spool | None) -> None:
        self._writer = writer
        self._spool = spool
        self._refused = -RETRY_S  # when the database last refused to take something
        self._trials: dict[int, PendingWrites] = {}  # by trial id

    def __len__(self) -> int:
        return len(self._trials)

    def __iter__(self) -> Iterator[int]:
        return iter(self._trials)

    def write(self, writes: Sequence[tuple[int, PendingWrites]]) -> None:
        """Write trials together with all that are unwritten.

        Raises:
            StorageInternalError: The database does not take them.
        """
        try:
            self._writer.write([*self._trials.items(), *writes])
        except StorageInternalError:
            self._refused = time.monotonic()
            raise
        if self._trials:
            self._trials.clear()
            if self._spool is not None:
                self._spool.clear()

    def finish(self, number: int, trial_id: int, writes: PendingWrites) -> None:
        """Write a finished trial, or keep it in the spool.

        Raises:
            StorageInternalError: Neither can be done: the trial is not finished.
        """
        if self._trials and time.monotonic() - self._refused < RETRY_S:
            problem = StorageInternalError("It did not answer a moment ago.")
        else:
            try:
                self.write([(trial_id, writes)])
            except StorageInternalError as error:
                problem = error
            else:
                return
        if self._spool is None:
            raise problem
        try:
            self._spool.keep(number, trial_id, writes)
        except OSError:
            raise problem from None  # nothing can be kept anywhere: the trial goes again
        self._trials[trial_id] = writes
