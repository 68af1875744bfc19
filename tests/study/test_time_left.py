"""How long a confirm stage still takes, setting by setting."""

import pytest

from tuner.study.confirm.budget import Allocation
from tuner.study.confirm.schedule import Job, select
from tuner.study.confirm.time_left import seconds_left, seconds_of_runs
from tuner.study.confirm.verdict import verdict

SHARES = Allocation(finalists=2, first_seeds=3, select_runs=6, verdict_seeds=4, baselines=1)


def test_what_has_run_takes_what_it_took_and_the_others_as_much_longer_as_that():
    each = seconds_of_runs({"a": 10.0, "b": 20.0, "zoo": 100.0}, {"a": [14.0, 16.0], "b": [30.0]})
    assert each == {"a": 15.0, "b": 30.0, "zoo": pytest.approx(150.0)}
    assert seconds_of_runs({"a": 10.0}, {}) == {"a": 10.0}
    assert seconds_of_runs({"a": 0.0, "b": 5.0}, {"a": [3.0]}) == {"a": 3.0, "b": 5.0}


@pytest.mark.parametrize("workers", [1, 2])
def test_a_stage_played_to_its_end_takes_what_was_left_at_each_moment(workers):
    """Where nothing is dropped, what is left falls by each run's own seconds, to nothing at the end."""
    each, results, keys = {"a": 10.0, "b": 10.0, "zoo": 70.0}, {}, ["a", "b"]
    took = 0.0
    whole = None
    while True:
        selection = select(keys, SHARES, results, lambda scores: set())
        winner = selection.winner
        judging = verdict([winner, "zoo"], SHARES, results, None).wanted if winner else ()
        left = seconds_left(each, selection, judging, results, SHARES, ["zoo"], (), workers)
        whole = left if whole is None else whole
        assert took / workers + left == pytest.approx(whole)
        wanted = judging if winner else selection.wanted
        if not wanted:
            break
        results[wanted[0]] = 1.0
        took += each[wanted[0].key]
    assert left == 0.0 and whole == pytest.approx((6 * 10 + 4 * (10 + 70)) / workers)


def test_runs_in_training_are_half_over():
    selection = select(["a"], SHARES, {}, lambda scores: set())
    args = ({"a": 10.0, "zoo": 70.0}, selection, (), {}, SHARES, ["zoo"])
    whole, going = (seconds_left(*args, training, 1) for training in ((), (Job("a", "select", 0),)))
    assert whole - going == 5.0
