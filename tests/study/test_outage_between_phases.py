"""A server that goes away while nobody trains: before, between and after the phases of a whole command."""

import sys
import threading
from collections.abc import Callable

import pytest
import sqlalchemy
from postgres_server import connections_closed
from sqlalchemy.exc import OperationalError
from study_fakes import FakeExecutor, draw_nothing

import tuner
from tuner.errors import InputError, StorageLostError
from tuner.plan.recipe import StudyRecipe
from tuner.study.search.progress import NoProgress
from tuner.study.store.connect import open_storage

SMALL = {
    "env": "CartPole-v1", "steps": 300, "evaluations": 3, "eval_episodes": 2, "pruner": "none", "startup_trials": 3,
    "study": "s", "prior": "none", "trials": 8, "executor": "inline", "confirm_seeds": 3, "confirm_budget": 2.0,
}  # fmt: skip


class Notes(NoProgress):
    def __init__(self):
        self.lines = []

    def note(self, line):
        self.lines.append(line)


class Server:
    """Refuses some of the connections that this thread takes while a study is open and nobody trains."""

    def __init__(self):
        self.opened = self.trains = False
        self.refuses: Callable[[tuple], bool] = lambda place: False

    def check(self, *_):
        if threading.current_thread() is not threading.main_thread() or self.trains or not self.opened:
            return
        place, frame = [], sys._getframe()
        while frame is not None:  # a traceback would read every line of it
            if "/tuner/" in frame.f_code.co_filename:
                place.append((frame.f_code.co_filename, frame.f_lineno))
            frame = frame.f_back
        if self.refuses(tuple(place)):
            raise OperationalError("SELECT 1", None, Exception("connection refused"))


class Executor(FakeExecutor):
    """Outages while it runs are those of a search, which other tests see to."""

    def __init__(self, server):
        super().__init__(lanes=4)
        self.server = server

    def run(self, supervisor):
        self.server.trains = True
        try:
            super().run(supervisor)
        finally:
            self.server.trains = False


@pytest.fixture
def make_url(server, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tuner.study.search.outage.RETRY_S", 0.0)
    draw_nothing(monkeypatch)
    with connections_closed():
        yield lambda name: server.new_database(name, template="empty")


@pytest.fixture
def away(monkeypatch):
    """A server that can be away from the moment at which the study is open."""
    here = Server()
    opened = tuner.api.open_study

    def open_study(*arguments):
        found = opened(*arguments)
        here.opened = True
        return found

    monkeypatch.setattr(tuner.api, "open_study", open_study)
    sqlalchemy.event.listen(sqlalchemy.pool.Pool, "checkout", here.check)
    yield here
    sqlalchemy.event.remove(sqlalchemy.pool.Pool, "checkout", here.check)


def whole(url, away):
    """Run a whole command; return what it found and said."""
    away.opened, notes = False, Notes()
    result = tuner.run(StudyRecipe(**SMALL, storage=url), executor=Executor(away), progress=notes)
    return result.data, notes.lines


def told(data):
    runs = {(c.key, r.phase, r.replicate): r.curve for c in data.confirmation.contestants for r in c.runs}
    return [(t.outcome, t.score) for t in data.trials], runs, data.confirmation.winner_key


@pytest.mark.slow
def test_a_server_that_is_away_between_phases_is_waited_for_wherever_that_is(make_url, away, monkeypatch):
    seen = set()

    def once_at_each_place(place):
        new = place not in seen
        seen.add(place)
        return new

    undisturbed, _ = whole(make_url("between1"), away)
    assert undisturbed.confirmation.complete
    away.refuses = once_at_each_place
    url = make_url("between2")
    disturbed, said = whole(url, away)
    assert told(disturbed) == told(undisturbed)
    assert len(seen) > 20
    assert sum("Trying again" in line for line in said) > 5
    assert said.count("The storage answers again; nothing was lost.") > 5

    monkeypatch.setattr("tuner.study.search.outage.PATIENCE_S", -1.0)
    away.refuses = lambda place: True
    with pytest.raises(StorageLostError, match="does not answer any more: connection refused") as error:
        whole(url, away)
    assert error.value.exit_code == 4


def test_a_server_that_is_away_at_the_start_is_bad_input_at_once(make_url, away):
    url = make_url("between3")
    away.opened, away.refuses = True, lambda place: True
    with pytest.raises(InputError, match="cannot be used: connection refused"):
        open_storage(url, create=False)
