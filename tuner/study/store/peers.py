"""A supervisor's part in a study that several share: its claims, its lease, and what dead peers have left behind."""

from __future__ import annotations

import contextlib
from collections.abc import Container, Iterator, Sequence

from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from tuner.study.store import keys as attr
from tuner.study.store.leases import Leases, owner_name
from tuner.study.store.shared_writer import SharedWriter, shared_writer
from tuner.study.store.writer import known_tables


class Sharing:
    """One supervisor among several.

    Args:
        writer: Claims and writes trials.
        leases: This supervisor's lease, taken.
        study_id: The study.
    """

    def __init__(self, writer: SharedWriter, leases: Leases, study_id: int) -> None:
        self.writer = writer
        self._leases = leases
        self._study_id = study_id

    @property
    def owner(self) -> str:
        """This supervisor's name."""
        return self._leases.name

    def reap(self, trials: Sequence[FrozenTrial], mine: Container[int], *, successors: bool) -> list[int]:
        """Close trials whose owners are dead, and give lost ones the successor they lack; return the closed.

        Args:
            trials: All trials of the study.
            mine: Numbers of trials that this supervisor has in hand.
            successors: Whether a lost trial gets a successor.
        """
        living = self._leases.living(remove_dead=True)
        retried = {t.user_attrs[attr.RETRY_OF] for t in trials if attr.RETRY_OF in t.user_attrs}
        dead = []
        for trial in trials:
            owner = str(trial.user_attrs.get(attr.OWNER, ""))
            if trial.state == TrialState.RUNNING:
                # A claim whose answer never came is ours, and yet not in our hands.
                if trial.number not in mine if owner == self.owner else owner not in living:
                    dead.append(trial)
            elif successors and trial.user_attrs.get(attr.OUTCOME) == attr.LOST and trial.number not in retried:
                dead.append(trial)
        return self.bury(dead, "the process that ran it has ended", successors=successors) if dead else []

    def bury(self, dead: Sequence[FrozenTrial], reason: str, *, successors: bool) -> list[int]:
        """Close trials as lost, each with one successor; return their numbers."""
        return self.writer.bury(self._study_id, dead, reason, successors=successors)

    def counts(self) -> dict[str, int]:
        """Return finished trials by outcome, whoever finished them."""
        return self.writer.counts(self._study_id)

    @property
    def total(self) -> int | None:
        """Trials the study shall have."""
        return self.writer.total

    def arrive(self) -> None:
        """Take the lease again where it was given back."""
        self._leases.start()

    def leave(self) -> None:
        """Give the lease back."""
        self._leases.leave()


def share(storage: BaseStorage, study_id: int, total: int | None) -> Sharing | None:
    """Take part in a study on PostgreSQL; None on a database that is not shared in this way."""
    name = owner_name()
    writer, tables = shared_writer(storage, name, total), known_tables(storage)
    if writer is None or tables is None:
        return None
    leases = Leases(*tables, study_id, name)
    leases.start()
    return Sharing(writer, leases, study_id)


@contextlib.contextmanager
def leaving_on_error(sharing: Sharing | None) -> Iterator[None]:
    """Take leave of a shared study where the block fails: a lease that its thread renews would outlive the failure."""
    try:
        yield
    except BaseException:
        if sharing is not None:
            sharing.leave()
        raise
