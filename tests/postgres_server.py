"""A PostgreSQL server of our own, thrown away afterwards: on the loopback interface, without a password."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import sqlalchemy


def server_binaries() -> Path | None:
    """Return the folder of ``initdb`` and ``postgres``, or None."""
    places = [Path(p) for p in (os.environ.get("PG_BIN", ""),) if p]
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    found = shutil.which("initdb")
    places += [Path(found).parent] if found else []
    return next((p for p in places if (p / "initdb").exists() and (p / "postgres").exists()), None)


@contextlib.contextmanager
def connections_closed():
    """Close the connections of all storages that were opened inside the block: psycopg warns of those left open."""
    engines, make = [], sqlalchemy.create_engine

    def create_engine(*arguments, **options):
        engines.append(make(*arguments, **options))
        return engines[-1]

    sqlalchemy.create_engine = sqlalchemy.engine.create_engine = create_engine
    try:
        yield
    finally:
        sqlalchemy.create_engine = sqlalchemy.engine.create_engine = make
        for engine in engines:
            engine.dispose()


class PostgresServer:
    """Starts, stops and restarts. Not as root, which PostgreSQL refuses: as ``nobody`` then."""

    def __init__(self) -> None:
        binaries = server_binaries()
        assert binaries is not None
        self.binaries = binaries
        # Short, as a socket's name must be, and open to all; in memory where there is room.
        place = (
            "/dev/shm" if os.access("/dev/shm", os.W_OK) and shutil.disk_usage("/dev/shm").free > 4 << 30 else "/tmp"
        )
        self.folder = Path(tempfile.mkdtemp(prefix="pg-throwaway-", dir=place))
        self._as = {}
        if os.getuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self._as = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.data = self.folder / "data"
        self._run("initdb", "-D", self.data, "-U", "tune", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C")
        self.start()

    def _run(self, program: str, *arguments) -> None:
        done = subprocess.run(
            [self.binaries / program, *map(str, arguments)], cwd=self.folder, capture_output=True, text=True, **self._as
        )
        assert done.returncode == 0, done.stderr

    def start(self) -> None:
        options = f"-c listen_addresses=127.0.0.1 -p {self.port} -c unix_socket_directories={self.folder} -c fsync=off"
        log = self.folder / "log"
        self._run("pg_ctl", "-D", self.data, "-l", log, "-o", options, "-w", "-t", "60", "start")

    def stop(self) -> None:
        """Stop at once, as a crash would."""
        self._run("pg_ctl", "-D", self.data, "-m", "immediate", "-w", "stop")

    def restart(self, away_s: float = 0.0) -> None:
        self.stop()
        time.sleep(away_s)
        self.start()

    def new_database(self, name: str, template: str = "template0") -> str:
        """Create a database and return its URL."""
        self._run("createdb", "-h", "127.0.0.1", "-p", self.port, "-U", "tune", "-T", template, name)
        return f"postgresql+psycopg://tune@127.0.0.1:{self.port}/{name}"

    def remove(self) -> None:
        with contextlib.suppress(AssertionError):
            self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
