"""The dashboard answers to this machine's names, to who knows the password, and when asked to changes nothing."""

import base64
import io
import sys
from wsgiref.util import setup_testing_defaults

import pytest
from cli_shell import tune

from tuner.cli.dashboard import PASSWORD_VARIABLE, application
from tuner.cli.dashboard_access import guarded


def ask(app, method="GET", path="/api/studies", **headers):
    """Return the status of one request."""
    environ = {"REQUEST_METHOD": method, "PATH_INFO": path, "HTTP_HOST": "127.0.0.1:8080", "wsgi.input": io.BytesIO()}
    setup_testing_defaults(environ)
    environ |= {f"HTTP_{name.upper()}": value for name, value in headers.items()}
    statuses = []
    list(app(environ, lambda status, headers, info=None: statuses.append(int(status.split()[0]))))
    return statuses[0]


def there(environ, start):
    start("200 OK", [])
    return [b""]


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost", "LOCALHOST:1", "[::1]:8080"])
def test_loopback_answers_to_its_own_names(host):
    app = guarded(there, "127.0.0.1")
    assert ask(app, host=host) == 200
    assert ask(app, "DELETE", host=host, origin=f"http://{host}") == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "", "[", "10.0.0.7", "a@b"]
)
def test_a_foreign_host_or_origin_is_refused_whatever_it_asks(host):
    app = guarded(there, "127.0.0.1")
    for method in ("GET", "POST", "PUT", "DELETE"):
        assert ask(app, method, host=host) == 403
        assert ask(app, method, origin=f"http://{host}") == 403
    assert ask(app, "POST", origin="null") == 403


def test_another_address_answers_to_itself_and_all_addresses_to_any_number():
    assert ask(guarded(there, "10.0.0.7"), host="10.0.0.7:8080") == 200
    assert ask(guarded(there, "10.0.0.7"), host="10.0.0.8") == 403
    assert ask(guarded(there, "0.0.0.0"), host="10.0.0.8") == 200
    assert ask(guarded(there, "::"), host="[fe80::1]") == 200
    assert ask(guarded(there, "0.0.0.0"), host="evil.example") == 403


def test_the_password_is_wanted_of_everybody():
    app = guarded(there, "127.0.0.1", password="hören:x")
    right = base64.b64encode("me:hören:x".encode()).decode()
    assert ask(app, authorization=f"Basic {right}") == 200
    for wrong in ("", "Basic", "Basic !", f"Bearer {right}", "Basic " + base64.b64encode(b"me:other").decode()):
        assert ask(app, authorization=wrong) == 401


def test_read_only_refuses_every_request_that_could_change_something(own_study):
    app = guarded(application("sqlite:///studies/tuner.db"), "127.0.0.1", read_only=True)
    assert ask(app) == 200
    paths = ["/api/studies", "/api/studies/1", "/api/studies/1/rename", "/api/studies/1/note", "/api/trials/1/tell"]
    for method in ("POST", "PUT", "DELETE", "PATCH", "SMUGGLE"):
        for path in paths:
            assert ask(app, method, path) == 403
    assert "tiny" in tune("list").out


def test_a_password_that_nobody_gives_is_one_line(own_study, monkeypatch):
    monkeypatch.delenv(PASSWORD_VARIABLE, raising=False)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    shell = tune("dashboard", "--password")
    assert shell.code == 2
    assert PASSWORD_VARIABLE in shell.err
    assert shell.err.count("\n") == 1
