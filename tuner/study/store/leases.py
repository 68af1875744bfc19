"""Who works on a study that several supervisors share: each renews a lease in the database while it lives.

A lease is one attribute of the study, ``owner:<name>``, with the database's own time, so that clocks need not agree. A
supervisor whose lease is older than :data:`LEASE_S`, or whose process is gone from this very machine, is dead, and its
trials go again. By its age alone a lease is not taken for dead at first sight: after a lock, an outage or a jump of the
database's clock all are old, and the living renew theirs at once.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

PREFIX = "owner:"

#: Seconds after which a lease that was not renewed has run out: longer than a minute's partition and a beat.
LEASE_S = 90.0

#: Seconds between two renewals: several may fail before the lease runs out.
BEAT_S = 10.0

#: Seconds for which a lease that has run out must be seen unchanged before its owner is taken for dead.
UNSURE_S = 15.0

#: A random number that Linux has drawn when it started.
_BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Owner:
    """A supervisor at work.

    Attributes:
        name: Unique.
        host: Its machine.
        pid: Its process id there.
        since: When it began (UTC, ISO format).
    """

    name: str
    host: str
    pid: int
    since: str


class Leases:
    """This supervisor's lease on a study, and a look at those of others.

    Args:
        engine: SQLAlchemy's engine on PostgreSQL.
        models: Optuna's module of table models.
        study_id: The study.
        name: This supervisor's unique name, such as :func:`owner_name` gives.
    """

    def __init__(self, engine: Any, models: Any, study_id: int, name: str) -> None:
        self._engine = engine
        self._table = models.StudyUserAttributeModel.__table__
        self._study_id = study_id
        self.name = name
        self._since = datetime.now(UTC).isoformat(timespec="seconds")
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._seen: dict[str, tuple[str, float]] = {}  # key -> text, and since when every look has found it
        self._looked = float("-inf")

    def start(self) -> None:
        """Take the lease unless it is held, and renew it in a thread of its own until :meth:`leave`."""
        if self._thread is not None:
            return
        self.renew()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, args=(self._stop,), name="tune-lease", daemon=True)
        self._thread.start()

    def renew(self) -> None:
        """Write the lease with the database's time."""
        with self._engine.begin() as connection:
            now = float(connection.execute(select(func.extract("epoch", func.clock_timestamp()))).scalar_one())
            value = {
                "host": socket.gethostname(),
                "place": _place(),
                "pid": os.getpid(),
                "since": self._since,
                "beat": now,
            }
            row = {"study_id": self._study_id, "key": PREFIX + self.name, "value_json": json.dumps(value)}
            statement = insert(self._table).values(row)
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["study_id", "key"], set_={"value_json": statement.excluded.value_json}
                )
            )

    def leave(self) -> None:
        """Give the lease back; no trial of ours may be running any more."""
        if self._thread is None:
            return
        self._stop.set()
        self._thread.join(BEAT_S)
        self._thread = None
        with contextlib.suppress(Exception):  # it runs out by itself
            self._delete([self.name])

    def living(self, *, remove_dead: bool = False) -> dict[str, Owner]:
        """Return the supervisors at work by name; to remove the leases of dead ones takes a second look at the old."""
        with self._engine.connect() as connection:
            now = float(connection.execute(select(func.extract("epoch", func.clock_timestamp()))).scalar_one())
            mine = (self._table.c.study_id == self._study_id) & self._table.c.key.startswith(PREFIX)
            rows = connection.execute(select(self._table.c.key, self._table.c.value_json).where(mine)).all()
        living = owners({key: json.loads(text) for key, text in rows}, now)
        if remove_dead:
            moment = time.monotonic()
            before = self._seen if moment - self._looked <= UNSURE_S else {}  # this one, too, was held up
            self._seen = {k: before[k] if before.get(k, ("",))[0] == t else (t, moment) for k, t in rows}
            self._looked = moment
            unsure = {k: json.loads(t) for k, (t, since) in self._seen.items() if moment - since < UNSURE_S}
            living |= owners(unsure, None)
        dead = {key: text for key, text in rows if key.removeprefix(PREFIX) not in living}
        if remove_dead and dead:
            with self._engine.begin() as connection:
                for key, text in dead.items():  # one that was renewed meanwhile has another text
                    stale = mine & (self._table.c.key == key) & (self._table.c.value_json == text)
                    connection.execute(self._table.delete().where(stale))
        return living

    def _delete(self, names: list[str]) -> None:
        keys = [PREFIX + name for name in names]
        mine = (self._table.c.study_id == self._study_id) & self._table.c.key.in_(keys)
        with self._engine.begin() as connection:
            connection.execute(self._table.delete().where(mine))

    def _beat(self, stop: threading.Event) -> None:
        while not stop.wait(BEAT_S):
            with contextlib.suppress(Exception):  # whatever the database says, the next beat tries again
                self.renew()


def owners(attributes: dict[str, Any], now: float | None) -> dict[str, Owner]:
    """Return the living among a study's leases.

    Args:
        attributes: The study's user attributes.
        now: The database's time, seconds since the epoch; None takes leases of any age.
    """
    living = {}
    for key, value in attributes.items():
        if not key.startswith(PREFIX) or not isinstance(value, dict):
            continue
        here = value.get("place") == _place()
        fresh = now is None or abs(now - float(value.get("beat", 0))) <= LEASE_S
        if fresh and not (here and not psutil.pid_exists(int(value["pid"]))):
            name = key.removeprefix(PREFIX)
            living[name] = Owner(name, str(value.get("host")), int(value["pid"]), str(value.get("since")))
    return living


def owner_name() -> str:
    """Return a name for this supervisor that no other has."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


def _place() -> str:
    """Return what tells this machine's process ids from those of any other, containers included.

    Many machines may have one name, and outside of containers the namespace of process ids has one number on all of
    them: only the system's own start tells them apart.
    """
    try:
        return f"{socket.gethostname()}/{_BOOT.read_text(encoding='ascii').strip()}/{os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return f"{socket.gethostname()}/{os.getpid()}"
