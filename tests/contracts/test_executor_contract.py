"""What every executor owes its supervisor and its trainers."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from contracts.fakes import Books, FakeTrainer, fake_spec

from tuner.contract.spec import RunId
from tuner.execution.inline import InlineExecutor
from tuner.execution.processes import ProcessExecutor
from tuner.execution.ray import RayExecutor
from tuner.execution.ray_cluster import Place

EXECUTORS = {
    "inline": lambda: InlineExecutor(FakeTrainer),
    "1 worker": lambda: ProcessExecutor(FakeTrainer, 1),
    "2 workers": lambda: ProcessExecutor(FakeTrainer, 2),
}


#: Sent to the nodes of a Ray cluster: what fake trainers are made of.
FAKES = Path(__file__).parent


@pytest.fixture(params=[*EXECUTORS, *(pytest.param(n, marks=pytest.mark.ray, id=f"{n} on Ray") for n in (1, 2))])
def executor(request):
    if request.param in EXECUTORS:
        return EXECUTORS[request.param]()
    place = Place(request.getfixturevalue("ray_cluster").address)
    return RayExecutor(FakeTrainer, request.param, place, modules=[FAKES])


def test_every_run_is_taken_reported_and_finished_once(executor):
    specs = [fake_spec(i) for i in range(5)]
    books = Books(specs)
    executor.run(books)
    assert books.taken == {spec.run_id: 1 for spec in specs}
    for spec in specs:
        assert [p.step for p in books.points[spec.run_id]] == list(spec.grid)
        assert [p.returns[0] for p in books.points[spec.run_id]] == [spec.seed + step for step in spec.grid]
        assert books.outcomes[spec.run_id].kind == "completed"


def test_what_report_answers_reaches_the_run(executor):
    books = Books([fake_spec(i) for i in range(3)], stop_at={RunId(1): 20})
    executor.run(books)
    assert (books.outcomes[RunId(1)].kind, books.outcomes[RunId(1)].steps) == ("stopped", 20)
    assert books.outcomes[RunId(0)].kind == books.outcomes[RunId(2)].kind == "completed"


def test_a_failed_run_is_handed_on_and_the_next_one_goes_on(executor):
    books = Books([fake_spec(0, raises=True), fake_spec(1)])
    executor.run(books)
    assert (books.outcomes[RunId(0)].kind, books.outcomes[RunId(0)].reason) == ("failed", "RuntimeError: boom")
    assert books.outcomes[RunId(1)].kind == "completed"


def test_when_tick_says_stop_runs_stop_at_their_next_report(executor):
    books = Books(
        [fake_spec(0, points=1000, delay=0.02), fake_spec(1)], stop_when=lambda b: len(b.points[RunId(0)]) > 2
    )
    executor.run(books)
    assert books.outcomes[RunId(0)].kind == "stopped"
    assert len(books.points[RunId(0)]) < 200
    assert not books.losses


def test_what_the_supervisor_raises_comes_through(executor):
    def storage_dies(books, point):
        raise ConnectionError("storage is gone")

    with pytest.raises(ConnectionError, match="storage is gone"):
        executor.run(Books([fake_spec(0)], on_point=storage_dies))


def test_one_worker_sees_the_same_order_of_calls_every_time_and_inline_sees_it_too():
    specs = [fake_spec(i, points=2 + i, raises=i == 2) for i in range(4)]
    logs = []
    for name in ("inline", "1 worker", "1 worker"):
        books = Books(specs, stop_at={RunId(3): 30})
        EXECUTORS[name]().run(books)
        logs.append(books.log)
    assert all(a == b for a, b in itertools.pairwise(logs))
