"""How long a confirm stage still takes, setting by setting."""

import pytest

from tuner.contract.spec import EvaluationSpec, RunId, RunSpec
from tuner.envs.spec import EnvSpec
from tuner.hyperparameters import DQNHyperparameters
from tuner.result.confirmation import Contestant
from tuner.result.curve import CurvePoint
from tuner.result.study import TrialRow
from tuner.study.confirm.budget import Allocation
from tuner.study.confirm.run_costs import expected_seconds
from tuner.study.confirm.schedule import Job, select
from tuner.study.confirm.time_left import overhead, seconds_left, seconds_of_runs
from tuner.study.confirm.verdict import verdict

SHARES = Allocation(finalists=2, first_seeds=3, select_runs=6, verdict_seeds=4, baselines=1)


def test_what_has_run_takes_what_it_took_and_the_others_as_much_longer_as_that():
    each = seconds_of_runs({"a": 10.0, "b": 20.0, "zoo": 100.0}, {"a": [14.0, 16.0], "b": [30.0]})
    assert each == {"a": 15.0, "b": 30.0, "zoo": pytest.approx(150.0)}
    assert seconds_of_runs({"a": 10.0}, {}) == {"a": 10.0}
    assert seconds_of_runs({"a": 0.0, "b": 5.0}, {"a": [3.0]}) == {"a": 3.0, "b": 5.0}


@pytest.mark.parametrize("workers", [1, 2])
def test_a_stage_played_to_its_end_takes_what_was_left_at_each_moment(workers):
    """Where nothing is dropped, what is left falls by each run's own seconds, to nothing at the end.

    Beyond that it holds what a round's last run keeps the other core waiting for.
    """
    each, results, keys = {"a": 10.0, "b": 10.0, "zoo": 70.0}, {}, ["a", "b"]
    took = 0.0
    whole = None
    while True:
        selection = select(keys, SHARES, results, lambda scores: set())
        winner = selection.winner
        judging = verdict([winner, "zoo"], SHARES, results, None).wanted if winner else ()
        left = seconds_left(each, selection, judging, results, SHARES, ["zoo"], {}, workers)
        whole = left if whole is None else whole
        idle = took / workers + left - whole
        assert idle == pytest.approx(0.0) if workers == 1 else -35.0 <= idle <= 35.0
        wanted = judging if winner else selection.wanted
        if not wanted:
            break
        results[wanted[0]] = 1.0
        took += each[wanted[0].key]
    assert left == 0.0 and whole == pytest.approx((6 * 10 + 4 * (10 + 70)) / workers)


def test_a_last_long_run_is_waited_for_whatever_other_cores_do():
    selection = select(["a"], Allocation(1, 0, 0, 2, 1), {}, lambda scores: set())
    judging = [Job("a", "verdict", 0), Job("a", "verdict", 1), Job("zoo", "verdict", 1)]
    each, shares = {"a": 10.0, "zoo": 70.0}, Allocation(1, 0, 0, 2, 1)
    assert seconds_left(each, selection, judging, {}, shares, ["zoo"], {}, 2) == 80.0
    assert seconds_left(each, selection, judging, {}, shares, ["zoo"], {}, 8) == 70.0
    assert seconds_left(each, selection, judging[2:], {}, shares, ["zoo"], {judging[2]: 0.5}, 8) == 35.0


def test_what_is_over_of_runs_in_training_is_not_left():
    selection = select(["a"], SHARES, {}, lambda scores: set())
    args = ({"a": 10.0, "zoo": 70.0}, selection, (), {}, SHARES, ["zoo"])
    whole, going = (seconds_left(*args, training, 1) for training in ({}, {Job("a", "select", 0): 0.7}))
    assert whole - going == pytest.approx(7.0)


def test_expected_seconds_are_computing_and_the_further_evaluations_each_at_the_searchs_own_rate():
    """Where the search's runs took 3 s a unit of computing and 1 ms an evaluation step, the stage's will."""
    grid, late = (100, 200, 300), 50

    def trial(number, work, length, points=3):
        curve = tuple(CurvePoint(step, (1.0,) * 10, {}, 10 * length) for step in grid[:points])
        seconds = 3.0 * work + 0.001 * 10 * length * points
        row = TrialRow(
            number, "COMPLETE", "completed", 1.0, {}, {}, {0: curve}, {0: 1}, grid[points - 1], seconds, None, None
        )
        return row, work

    trials = {n: trial(n, *about) for n, about in enumerate([(1.0, 20), (2.0, 200), (4.0, 50, 1), (0.5, 100)])}
    who = [
        Contestant("a", "finalist", "trial 1", 1, "native", {}),
        Contestant("d", "defaults", "defaults", None, "native", {}),
    ]
    spec = RunSpec(
        RunId(0), EnvSpec("X-v0"), "native", DQNHyperparameters(), 0, grid, EvaluationSpec(10, 0, 500, 0.0, late)
    )
    found = expected_seconds(who, dict.fromkeys("ad", spec), {"a": 2.0, "d": 10.0}, trials)
    assert found["a"] == pytest.approx(3 * 2.0 + 0.001 * 200 * (10 + 10 + late))
    assert found["d"] == pytest.approx(3 * 10.0 + 0.001 * 75 * (10 + 10 + late))  # the middling length of 20 to 200


def test_workers_take_longer_than_their_runs_as_the_search_and_the_stage_so_far_have_shown():
    assert overhead((120.0, 100.0), [], [], 0.0) == pytest.approx(1.2)
    assert overhead((120.0, 100.0), [40.0, 50.0], [10.0], 160.0) == pytest.approx(1.4)
    assert overhead((9e9, 100.0), [], [], 0.0) == 1.6  # a night between two halves of a search
    assert overhead((0.0, 0.0), [], [], 0.0) == 1.0
