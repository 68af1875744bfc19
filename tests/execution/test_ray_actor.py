"""The mailbox of a Ray actor, spoken to as the driver does, without a cluster."""

from __future__ import annotations

import sys
import threading
from queue import SimpleQueue

import pytest
from contracts.fakes import Books, FakeTrainer, LeavingTrainer, broken_factory, fake_spec

from tuner.contract.roles import DONE
from tuner.contract.spec import RunSpec
from tuner.execution import ray_actor
from tuner.execution.messages import Crashed, Finish, Report, Take
from tuner.execution.ray_actor import Left, TrainerActor


def converse(make_trainer, books):
    """Serve one actor to its end, and return the kinds of all its words."""
    actor, answer, kinds = TrainerActor(make_trainer), None, []
    while True:
        words = actor.exchange(answer)
        answer = None
        for word in words:
            kinds.append(type(word))
            if isinstance(word, Take):
                answer = books.take(word.open_shapes, block=False)
            elif isinstance(word, Report):
                answer = books.report(word.points)
            elif isinstance(word, Finish):
                books.finish(word.outcome)
            elif isinstance(word, Left):
                return kinds


def test_a_run_is_taken_reported_and_finished_in_order():
    books = Books([fake_spec(0, points=2)])
    assert converse(FakeTrainer, books) == [Take, Report, Report, Finish, Take, Left]
    assert [p.step for p in books.points[fake_spec(0).run_id]] == [10, 20]


def test_a_trainer_that_cannot_be_made_says_why_and_leaves():
    actor = TrainerActor(broken_factory)
    words = actor.exchange(None)
    words += [] if len(words) == 2 else actor.exchange(None)
    assert [type(word) for word in words] == [Crashed, Left]
    assert words[0].reason == "OSError: no such library"


class ExitingTrainer:
    """Runs an environment that ends the program."""

    def train(self, dispatcher):
        sys.exit(3)


class MuteError(RuntimeError):
    """Cannot say what it is."""

    def __str__(self):
        raise self


class MuteTrainer:
    """Raises what cannot be told."""

    def train(self, dispatcher):
        raise MuteError


class Impatient(SimpleQueue):
    """Fails where an actor that says nothing would be waited for."""

    def get(self, block=True, timeout=10):
        return super().get(block, timeout)


def all_words(make_trainer, monkeypatch):
    """Return all words of an actor whose trainer asks nothing."""
    monkeypatch.setattr(ray_actor, "SimpleQueue", Impatient)
    actor, words = TrainerActor(make_trainer), []
    while Left() not in words:
        words += actor.exchange(None)
    for thread in threading.enumerate():
        if thread.name == "trainer":
            thread.join(10)  # or what it raises is told in another test
    return words


def test_an_environment_that_ends_the_program_ends_its_trainer_and_says_so(monkeypatch):
    crashed, left = all_words(ExitingTrainer, monkeypatch)
    assert crashed.reason == "SystemExit: 3" and left == Left()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_trainer_leaves_even_where_its_error_cannot_be_told(monkeypatch):
    assert all_words(MuteTrainer, monkeypatch) == [Left()]


def test_a_trainer_that_ends_by_itself_leaves():
    assert TrainerActor(LeavingTrainer).exchange(None) == [Left()]


def test_only_the_last_of_several_words_is_a_question():
    actor = TrainerActor(FakeTrainer)
    assert isinstance(actor.exchange(None)[-1], Take)
    answer = fake_spec(3, points=1)
    assert isinstance(answer, RunSpec)
    (report,) = actor.exchange(answer)
    assert isinstance(report, Report)
    words = actor.exchange(frozenset())
    while not isinstance(words[-1], Take):
        words += actor.exchange(None)
    assert [type(word) for word in words] == [Finish, Take]
    assert actor.exchange(DONE) == [Left()]
