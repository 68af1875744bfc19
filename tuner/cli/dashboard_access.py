"""Who may ask the dashboard for what: a WSGI layer before optuna-dashboard, which lets in whoever reaches its port.

A page of another site whose name is pointed at this machine (DNS rebinding) shows itself by its ``Host``, one that
sends requests from the user's own browser by its ``Origin``.
"""

from __future__ import annotations

import base64
import hmac
import ipaddress
import socket
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication

LOOPBACK = ("127.0.0.1", "localhost", "::1")

#: Methods that change nothing.
READING = ("GET", "HEAD", "OPTIONS")

#: Addresses that stand for all of a machine's.
_EVERY = ("", "0.0.0.0", "::")


def guarded(
    app: WSGIApplication, host: str, *, read_only: bool = False, password: str | None = None
) -> WSGIApplication:
    """Return the application behind its rules.

    Args:
        app: The dashboard.
        host: Address it listens on. Loopback answers to loopback's names alone, another address to itself too, and
            all addresses to any number and the machine's own name.
        read_only: Refuse every request that could change something.
        password: Asked for by HTTP's basic authentication, any user name; None asks for none.
    """
    named = {*LOOPBACK, host.lower()}
    if host in _EVERY:
        named |= {socket.gethostname().lower(), socket.getfqdn().lower()}

    def known(name: str | None) -> bool:
        return name is not None and (name in named or (host in _EVERY and _is_address(name)))

    def answer(environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
        origin = environ.get("HTTP_ORIGIN")
        if not known(_name(f"//{environ.get('HTTP_HOST', '')}")) or (origin is not None and not known(_name(origin))):
            return _refusal(start, "403 Forbidden", "This dashboard answers to this machine's own names only.")
        if password is not None and not _knows(environ.get("HTTP_AUTHORIZATION", ""), password):
            ask = ("WWW-Authenticate", 'Basic realm="tune dashboard", charset="UTF-8"')
            return _refusal(start, "401 Unauthorized", "The password is needed.", ask)
        if read_only and environ["REQUEST_METHOD"] not in READING:
            return _refusal(start, "403 Forbidden", "This dashboard is read-only.")
        return app(environ, start)

    return answer


def _name(address: str) -> str | None:
    """Return the host of ``//host:port`` or of a whole origin, in lower case; None where it has none."""
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _knows(header: str, password: str) -> bool:
    kind, _, token = header.partition(" ")
    try:
        given = base64.b64decode(token, validate=True).partition(b":")[2]
    except ValueError:
        return False
    return kind.lower() == "basic" and hmac.compare_digest(given, password.encode())


def _refusal(start: StartResponse, status: str, why: str, *headers: tuple[str, str]) -> list[bytes]:
    start(status, [("Content-Type", "text/plain; charset=utf-8"), *headers])
    return [f"{why}\n".encode()]
