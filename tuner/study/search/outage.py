"""A database that does not answer for a while: nobody panics, and nobody waits for ever."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from tuner.errors import StorageLostError
from tuner.study.search.ledger import Ledger
from tuner.study.search.progress import ProgressListener, warn
from tuner.study.search.trial import AskedTrial
from tuner.study.store.connect import NoAnswerError

P = ParamSpec("P")
T = TypeVar("T")

#: Seconds a database may be away before the study ends with its results in the spool.
PATIENCE_S = 600.0

#: Seconds between two tries.
RETRY_S = 1.0


class Outage:
    """Whether the database is away, since when, and when to try again.

    Args:
        clock: Monotonic seconds.
        note: Says one line to the user.
    """

    def __init__(self, clock: Callable[[], float], note: Callable[[str], None]) -> None:
        self._clock = clock
        self._note = note
        self._since: float | None = None
        self._again = 0.0

    @property
    def on(self) -> bool:
        """Whether the database is away."""
        return self._since is not None

    @property
    def waits(self) -> bool:
        """Whether it is too early for another try."""
        return self.on and self._clock() < self._again

    def ask(self, ledger: Ledger) -> AskedTrial | None:
        """Ask for a trial; None when there is none to be had now."""
        try:
            asked = ledger.ask()
            if asked is None and self.on:
                ledger.flush()  # that there is nothing to ask for is found without the database
        except StorageLostError as error:
            self.failed(error)
            return None
        self.recovered()
        return asked

    def save(self, ledger: Ledger) -> None:
        """Write what is due."""
        try:
            if ledger.flush_if_due():
                self.recovered()
        except StorageLostError as error:
            self.failed(error)

    def recount(self, ledger: Ledger) -> dict[str, int] | None:
        """Return finished trials by outcome, those of other supervisors too, when it is time."""
        try:
            return None if self.waits else ledger.recount()
        except StorageLostError as error:
            self.failed(error)
            return None

    def stops(self, ledger: Ledger, number: int, step: int) -> bool:
        """Return whether the pruner stops a trial; one that finds the database away stops none."""
        try:
            return ledger.stops(number, step)
        except StorageLostError as error:
            self.failed(error)
            return False

    def save_all(self, ledger: Ledger, *, patiently: bool) -> None:
        """Write everything.

        Raises:
            StorageLostError: The database does not take it, for all our patience.
        """
        while True:
            try:
                ledger.flush()
                return
            except StorageLostError as error:
                if not patiently:
                    raise
                self.failed(error)
            time.sleep(RETRY_S)

    def failed(self, error: StorageLostError) -> None:
        """Take note of a failure.

        Raises:
            StorageLostError: It will not pass by itself, or has lasted for too long.
        """
        now = self._clock()
        if self._since is None:
            self._since = now
            if error.passes:
                self._note(f"{error} Trying again for {PATIENCE_S / 60:.0f} minutes.")
        self._again = now + RETRY_S
        if not error.passes or now - self._since > PATIENCE_S:
            raise error

    def recovered(self) -> None:
        """Take note of a success."""
        if self._since is not None:
            self._since = None
            self._note("The storage answers again; nothing was lost.")


class Patience:
    """Waits for a database that has answered before, between the phases of a command as a search does within one.

    Args:
        progress: Is told once that the database is away, and once that it answers again.
    """

    def __init__(self, progress: ProgressListener) -> None:
        self._outage = Outage(time.monotonic, functools.partial(warn, progress))

    def __call__(self, do: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what ``do`` returns for these arguments; it is called again for as long as the database is away.

        Raises:
            StorageLostError: It is away for good, or for longer than :data:`PATIENCE_S`.
        """
        while True:
            try:
                found = do(*args, **kwargs)
            except NoAnswerError as error:
                self._outage.failed(error.lost)
            except StorageLostError as error:
                self._outage.failed(error)
            else:
                self._outage.recovered()
                return found
            time.sleep(RETRY_S)
