import importlib.util

import pytest
from postgres_server import PostgresServer, server_binaries

from tuner.study.store.connect import open_storage


@pytest.fixture(scope="session")
def server():
    """A PostgreSQL server, with a database ``empty`` whose tables are there: what others are copies of."""
    if server_binaries() is None:
        pytest.skip("no PostgreSQL server is installed")
    if importlib.util.find_spec("psycopg") is None:
        pytest.skip("psycopg is not installed")
    server = PostgresServer()
    open_storage(server.new_database("empty"), create=True)._backend.engine.dispose()
    yield server
    server.remove()


@pytest.fixture(autouse=True)
def _pages_draw_one_figure(pages_of_one_figure):
    """What figures show is for the tests of the report."""


@pytest.fixture
def asked_again_soon():
    """A database that was away is asked again after a tenth of a second, which elsewhere takes seconds.

    Apart from ``monkeypatch``, which tests undo to let the database come back.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tuner.study.store.spool.RETRY_S", 0.1)
        patch.setattr("tuner.study.search.outage.RETRY_S", 0.1)
        yield 0.1


@pytest.fixture
def url(tmp_path, monkeypatch):
    """A database that no study has been kept in yet, and a folder of its own for what waits to be told."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return f"sqlite:///{tmp_path}/s.db"
