"""``tune dashboard``: optuna-dashboard on this machine only."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from typing import TYPE_CHECKING, Any

from tuner.cli.console import one_line, say
from tuner.cli.dashboard_access import LOOPBACK, guarded
from tuner.cli.parser import add_command, add_storage, whole_number
from tuner.errors import InputError
from tuner.storage_url import default_storage, mask

if TYPE_CHECKING:
    from wsgiref.simple_server import WSGIServer
    from wsgiref.types import WSGIApplication

DEFAULT_PORT = 8080

#: Environment variable that holds the dashboard's password; without it --password asks.
PASSWORD_VARIABLE = "TUNE_DASHBOARD_PASSWORD"

#: How many ports after the default are tried when another program has it.
PORTS_TRIED = 20


def add_to(commands: Any) -> None:
    """Add the command."""
    parser = add_command(commands, "dashboard", command, "look into a database with optuna-dashboard")
    add_storage(parser)
    parser.add_argument(
        "--host", metavar="ADDRESS", default=LOOPBACK[0], help="Address to listen on (default: 127.0.0.1)"
    )
    parser.add_argument("--port", metavar="N", help=f"port (default: {DEFAULT_PORT}, or the next free one)")
    parser.add_argument("--read-only", action="store_true", help="refuse every change")
    parser.add_argument(
        "--password", action="store_true", help=f"want a password: ${PASSWORD_VARIABLE}, or what is typed at the start"
    )


def command(parsed: argparse.Namespace) -> int:
    """Serve until Ctrl-C."""
    ports = range(DEFAULT_PORT, DEFAULT_PORT + PORTS_TRIED)
    if parsed.port is not None:
        port = whole_number(parsed.port, "--port", 1, 65_535)
        ports = range(port, port + 1)
    url = parsed.storage or default_storage()
    password = _password() if parsed.password else None
    app = guarded(application(url), parsed.host, read_only=parsed.read_only, password=password)
    server = serve(app, parsed.host, ports)
    if parsed.host not in LOOPBACK and password is None:
        say(
            f"Warning: there is no --password: whoever reaches {one_line(parsed.host)} can read"
            f"{'' if parsed.read_only else ', change and delete'} the studies.",
            stderr=True,
        )
    shown = f"[{parsed.host}]" if ":" in parsed.host else parsed.host
    say(f"http://{shown}:{server.server_port}/")
    say(f"Showing {mask(url)}. Ctrl-C ends it.", stderr=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        return 0
    finally:
        server.server_close()
    return 0


def _password() -> str:
    given = os.environ.get(PASSWORD_VARIABLE) or (getpass.getpass("Password: ") if sys.stdin.isatty() else "")
    if not given:
        raise InputError(f"--password needs one: set ${PASSWORD_VARIABLE}, or type it in a terminal.")
    return given


def application(url: str) -> WSGIApplication:
    """Return the dashboard of a database.

    Raises:
        InputError: The database cannot be used, or is not there.
    """
    import optuna_dashboard

    from tuner.study.store.connect import open_storage
    from tuner.study.upkeep.artifacts import artifact_folder, artifact_store
    from tuner.study.upkeep.dashboard_best import mark_exported

    storage = mark_exported(open_storage(url, create=False), url)
    # Only looking must not make a folder; films of agents lie in it.
    store = artifact_store(url) if artifact_folder(url).is_dir() else None
    app: WSGIApplication = optuna_dashboard.wsgi(storage, artifact_store=store)
    return app


def serve(app: WSGIApplication, host: str, ports: range) -> WSGIServer:
    """Return a server on the first free port.

    Raises:
        InputError: No port is free, or the address is not this machine's.
    """
    import socket
    from socketserver import ThreadingMixIn
    from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

    class Server(ThreadingMixIn, WSGIServer):
        daemon_threads = True
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

    class Handler(WSGIRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing: the page asks every few seconds."""

    problem: OSError | None = None
    for port in ports:
        try:
            return make_server(host, port, app, server_class=Server, handler_class=Handler)
        except OSError as error:
            problem = error
    tried = f"port {ports[0]}" if len(ports) == 1 else f"ports {ports[0]} to {ports[-1]}"
    raise InputError(
        f"The dashboard cannot listen on {one_line(host)}, {tried}: {problem.strerror if problem else ''}. "
        "Choose another --port."
    )
