"""A PostgreSQL server for the time of a measurement, in a temporary folder, reachable through its socket only."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil


class Server:
    """A running server.

    Attributes:
        url: Storage URL of its database.
    """

    def __init__(self, folder: Path) -> None:
        self.url = f"postgresql+psycopg://postgres@/postgres?host={folder}"
        self._pid = int((folder / "data" / "postmaster.pid").read_text().split()[0])

    def cpu_s(self) -> float:
        """Return the processor time in seconds of its processes that are alive."""
        total, main = 0.0, psutil.Process(self._pid)
        for process in [main, *main.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system
        return total


def binaries() -> Path:
    """Return the folder of the newest server's programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name))
    if found:
        return found[-1]
    initdb = shutil.which("initdb")
    if initdb is None:
        raise SystemExit("No PostgreSQL server is installed here (apt-get install postgresql).")
    return Path(initdb).parent


@contextlib.contextmanager
def server() -> Iterator[Server]:
    """Run a server with PostgreSQL's own settings. Root cannot: then it runs as the user postgres."""
    bin_folder = binaries()
    folder = Path(tempfile.mkdtemp(prefix="tune-pg-"))
    who: dict[str, Any] = {}
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
        who = {"user": "postgres", "group": "postgres", "extra_groups": []}
    data, log = folder / "data", folder / "log"

    def do(*command: str) -> None:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder, **who)

    def leave(*_: object) -> None:
        raise SystemExit(143)

    before = signal.signal(signal.SIGTERM, leave)  # or `timeout` would leave the server behind
    try:
        do(str(bin_folder / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "--locale=C", "-E", "UTF8")
        options = f"-c listen_addresses='' -k {folder}"
        do(str(bin_folder / "pg_ctl"), "-D", str(data), "-l", str(log), "-w", "-o", options, "start")
        yield Server(folder)
    finally:
        with contextlib.suppress(subprocess.CalledProcessError):
            do(str(bin_folder / "pg_ctl"), "-D", str(data), "-m", "immediate", "-w", "stop")
        shutil.rmtree(folder, ignore_errors=True)
        signal.signal(signal.SIGTERM, before)
