"""Finished trials that the database does not take: kept in a file beside the study, told later, exactly once.

One JSON line for each trial, on the disk (fsync) before anything else happens. A trial is told when its row says so,
in the database's own transaction; a line whose trial is finished there is never told again.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from optuna.distributions import distribution_to_json, json_to_distribution
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage
from optuna.trial import TrialState

from tuner.durable import append_line, locked, replace_file
from tuner.plan.naming import file_name
from tuner.storage_url import mask
from tuner.study.store.database import sqlite_path
from tuner.study.store.identity import Identity
from tuner.study.store.pending import Param, PendingWrites
from tuner.study.store.writer import RowWriter

#: What numbers and nesting that no file of ours has bring about.
_BEYOND = (OverflowError, RecursionError)

#: Seconds before a database that has just refused a trial is asked again.
RETRY_S = 2.0


class Spool:
    """The file of one study.

    Args:
        places: Where it may lie; the first that can be written is used, all are read.
        others: Pattern of files beside the first place that other processes may have left.
    """

    def __init__(self, places: Iterable[Path], others: str | None = None, study: str | None = None) -> None:
        self._places = tuple(places)
        self._others = others
        self._study = study
        self._sizes: dict[Path, int] = {}  # bytes of each file that are known, and so told when it is cleared
        self._foreign: dict[Path, list[bytes]] = {}  # lines of another study of this name, which may come back

    def keep(self, number: int, trial_id: int, writes: PendingWrites) -> None:
        """Write a finished trial to the disk.

        Raises:
            OSError: None of the places can be written.
        """
        line = json.dumps({"study": self._study, "number": number, "trial_id": trial_id, **_to_json(writes)}).encode()
        error: OSError | None = None
        for place in self._places:
            try:
                place.parent.mkdir(parents=True, exist_ok=True)
                self._sizes[place] = append_line(place, line)
                return
            except OSError as problem:  # a full disk takes no spool either
                error = problem
        raise error or OSError("there is no place for a spool")

    def read(self) -> list[tuple[int, int, PendingWrites]]:
        """Return (number, trial id, writes) of the trials that wait; a torn line is left out."""
        found = []
        for place in self._files():
            with contextlib.suppress(OSError):
                content = place.read_bytes()
                self._sizes[place], self._foreign[place] = len(content), []
                for line in content.splitlines():
                    with contextlib.suppress(ValueError, LookupError, TypeError, AttributeError, *_BEYOND):
                        data = json.loads(line)
                        if data.get("study", self._study) == self._study:
                            found.append((int(data["number"]), int(data["trial_id"]), _from_json(data)))
                        else:
                            self._foreign[place].append(line)
        return found

    def clear(self, *, others: bool = False) -> None:
        """Forget all that are known: they have been told; with ``others`` those of other processes, too.

        A file to which its living owner has added since it was read stays.
        """
        for place in self._files() if others else self._places:
            with contextlib.suppress(OSError), locked(place, os.O_RDONLY) as handle:
                if os.fstat(handle).st_size != self._sizes.get(place):
                    continue
                if left := self._foreign.get(place):
                    replace_file(place, b"".join(line + b"\n" for line in left))
                else:
                    place.unlink()

    def _files(self) -> list[Path]:
        beside = self._places[0].parent.glob(self._others) if self._others is not None else ()
        return list(dict.fromkeys([*self._places, *beside]))


class Unwritten:
    """What is unwritten to the database.

    Args:
        writer: Writes trials.
        spool: Keeps finished trials; None: a refusal is an error.
        identity: The study that is meant; nothing is written to another.
    """

    def __init__(self, writer: RowWriter, spool: Spool | None, identity: Identity | None = None) -> None:
        self._writer = writer
        self._spool = spool
        self._identity = identity
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
            self.check()
            self._writer.write([*self._trials.items(), *writes])
        except StorageInternalError:
            self._refused = time.monotonic()
            raise
        if self._trials:
            self._trials.clear()
            if self._spool is not None:
                self._spool.clear()

    def check(self) -> None:
        """See :meth:`Identity.check`."""
        if self._identity is not None:
            self._identity.check()

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


def spool_of(url: str, study: str, study_id: str | None = None) -> Spool:
    """Return a study's spool: beside a SQLite file, and in the user's own folder for program state.

    Args:
        url: Storage URL.
        study: Study name.
        study_id: The study's random id; what another one of this name has left waits for that one.
    """
    name = f"{file_name(study)}.spool"
    database = sqlite_path(url)
    state = _state_folder() or (database.parent if database is not None else Path("studies"))
    if database is None:
        prefix = f"{_fingerprint(url)}.{name}"  # supervisors on one machine keep one each
        return Spool([state / f"{prefix}.{secrets.token_hex(4)}"], f"{glob.escape(prefix)}.*", study_id)
    real = database.resolve()  # one database has one spool, whatever link it is reached by
    files = (real, database.absolute())  # the latter for what version 0.1.0 kept
    beside = (file.with_name(f"{file.name}.{name}") for file in files)
    return Spool(
        dict.fromkeys([*beside, *(state / f"{_fingerprint(str(file))}.{name}" for file in files)]), None, study_id
    )


def replay(spool: Spool, storage: BaseStorage, study_id: int, writer: RowWriter) -> int:
    """Tell what a former process had to keep, and return how many trials that were.

    Raises:
        StorageInternalError: The database still does not take it; the spool stays.
    """
    told, waiting = 0, spool.read()
    trials = {t._trial_id: t for t in storage.get_all_trials(study_id, deepcopy=False)} if waiting else {}
    for number, trial_id, writes in waiting:
        trial = trials.get(trial_id)
        if trial is None or trial.number != number or trial.state != TrialState.RUNNING:
            continue  # told already, given to somebody else, or the study has been deleted and made anew
        writes.params = {name: param for name, param in writes.params.items() if name not in trial.params}
        writer.write([(trial_id, writes)])
        told += 1
    if waiting:
        spool.clear(others=True)
    return told


def _state_folder() -> Path | None:
    """Return the user's own folder for program state; None for a user without one, as in some containers."""
    try:
        return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "tune"
    except RuntimeError:
        return None


def _fingerprint(text: str) -> str:
    import hashlib

    return hashlib.sha256(mask(text).encode("utf-8", "surrogateescape")).hexdigest()[:8]


def _to_json(writes: PendingWrites) -> dict[str, Any]:
    assert writes.end is not None
    state, values, moment = writes.end
    return {
        "params": {name: [p.internal, distribution_to_json(p.distribution)] for name, p in writes.params.items()},
        "user": writes.user,
        "system": writes.system,
        "reports": list(writes.reports.items()),
        "state": state.name,
        "values": None if values is None else list(values),
        "moment": moment.isoformat(),
    }


def _from_json(data: dict[str, Any]) -> PendingWrites:
    return PendingWrites(
        params={n: Param(float(v), json_to_distribution(text)) for n, (v, text) in data["params"].items()},
        user=dict(data["user"]),
        system=dict(data["system"]),
        reports={int(step): float(value) for step, value in data["reports"]},
        end=(TrialState[data["state"]], data["values"], datetime.fromisoformat(data["moment"])),
    )
