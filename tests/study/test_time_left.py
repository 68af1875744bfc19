"""How long a confirm stage still takes, setting by setting."""

import pytest

from tuner.contract.spec import EvaluationSpec, RunId, RunSpec
from tuner.envs.spec import EnvSpec
from tuner.hyperparameters import DQNHyperparameters
from tuner.result.confirmation import Contestant
from tuner.result.curve import CurvePoint
from tuner.result.sequential import Until
from tuner.result.study import TrialRow
from tuner.study.confirm.ahead import Way, selections, ways
from tuner.study.confirm.budget import Allocation
from tuner.study.confirm.choice import MEAN
from tuner.study.confirm.run_costs import expected_seconds
from tuner.study.confirm.run_seconds import EXPECTATION, RunTime, seconds_to_evaluations
from tuner.study.confirm.schedule import Job, select
from tuner.study.confirm.time_left import Pace, TimeLeft, seconds_left
from tuner.study.confirm.verdict import verdict

SHARES = Allocation(finalists=2, first_seeds=3, select_runs=6, verdict_seeds=4, baselines=1)
EACH = {"a": 10.0, "b": 10.0, "zoo": 70.0}


def nobody(scores):
    return set()


def jobs(key, phase, seeds):
    return tuple(Job(key, phase, r) for r in range(seeds))


def test_before_any_has_run_a_run_takes_what_was_expected():
    expected = {"a": (1.0, 2.0), "zoo": (5.0, 5.0)}
    assert seconds_to_evaluations(expected, {}) == expected


def test_a_setting_goes_by_its_own_clock_and_the_others_by_how_much_longer_all_have_taken():
    expected = {"a": (5.0, 5.0), "b": (10.0, 10.0), "zoo": (50.0, 50.0)}
    runs = {Job("a", "select", r): RunTime((5.0, 20.0), 20.0) for r in range(100)}
    runs |= {Job("b", "select", r): RunTime((10.0, 40.0), 40.0) for r in range(100)}
    found = seconds_to_evaluations(expected, runs)
    assert found["a"] == pytest.approx((5.0, 15.0), rel=0.01)
    assert found["b"] == pytest.approx((10.0, 30.0), rel=0.01)
    assert found["zoo"] == pytest.approx((50.0, 150.0), rel=0.01)  # the second evaluation takes three times as long


def test_a_run_in_training_tells_as_far_as_it_has_come():
    expected = {"a": (4.0, 4.0, 4.0), "b": (2.0, 2.0, 2.0)}
    found = seconds_to_evaluations(expected, {Job("a", "select", 0): RunTime((8.0,))})
    assert found["a"][0] == pytest.approx((EXPECTATION * 8.0 + 8.0) / (EXPECTATION + 1))
    assert found["a"][1:] == pytest.approx((8.0, 8.0)) and found["b"] == pytest.approx((4.0, 4.0, 4.0))


def test_of_a_run_whose_evaluations_nobody_saw_each_interval_takes_its_part():
    expected = {"a": (1.0, 1.0, 8.0)}
    unseen, half_seen = RunTime((), 20.0), RunTime((4.0,), 22.0)
    assert seconds_to_evaluations(expected, {Job("a", "select", 0): unseen})["a"] == pytest.approx((2.0, 2.0, 16.0))
    found = seconds_to_evaluations(expected, {Job("a", "select", 0): half_seen})["a"]
    assert found == pytest.approx((4.0, 2.0, 16.0))


def test_a_setting_of_which_nothing_is_known_takes_as_long_as_the_others_and_makes_none_of_them_long():
    expected = {"a": (2.0, 4.0), "unknown": (0.0, 0.0)}
    assert seconds_to_evaluations(expected, {})["unknown"] == pytest.approx((3.0, 3.0))
    found = seconds_to_evaluations(expected, {Job("unknown", "select", 0): RunTime((6.0,))})
    assert found["a"] == pytest.approx((4.0, 8.0))  # all take twice what was thought
    clock = iter([0.0, 1.0, 1_000.0])
    left = TimeLeft(expected, (1.0, 1.0), 1, lambda: next(clock))
    way, training = (Way((), jobs("a", "verdict", 50)),), {Job("unknown", "select", 0): (6.0,)}
    before = left.seconds(way, {}, training).mean
    took = dict.fromkeys(jobs("unknown", "select", 82), 12.0)  # as long as the clock says: workers wait for nothing
    assert left.seconds(way, took, {}).mean == pytest.approx(before, rel=0.05) == pytest.approx(600.0, rel=0.1)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_stage_played_to_its_end_takes_what_was_left_at_each_moment(workers):
    """Where nothing is dropped, what is left falls by each run's own seconds, to nothing at the end.

    Beyond that it holds what a round's last run keeps the other worker waiting for.
    """
    results, keys = {}, ["a", "b"]
    took, whole = 0.0, None
    while True:
        winner = select(keys, SHARES, results, nobody).winner or "a"
        judging = verdict([winner, "zoo"], SHARES, results, None).wanted
        selecting = select(keys, SHARES, results, nobody).wanted
        way = Way((selecting, judging), ())
        left = seconds_left(EACH, way, {}, workers)
        whole = left if whole is None else whole
        idle = took / workers + left - whole
        assert idle == pytest.approx(0.0) if workers == 1 else -35.0 <= idle <= 35.0
        wanted = selecting or judging
        if not wanted:
            break
        results[wanted[0]] = 1.0
        took += EACH[wanted[0].key]
    assert left == 0.0 and whole == pytest.approx((6 * 10 + 4 * (10 + 70)) / workers)


def test_a_last_long_run_is_waited_for_whatever_other_workers_do():
    judging = (*jobs("a", "verdict", 2), Job("zoo", "verdict", 0))
    assert seconds_left(EACH, Way((judging,), ()), {}, 2) == 70.0
    assert seconds_left(EACH, Way((judging,), ()), {}, 1) == 90.0
    late = Job("zoo", "verdict", 2)
    assert seconds_left(EACH, Way(((*judging[:2], late),), ()), {}, 2) == 80.0
    assert seconds_left(EACH, Way(((late,),), ()), {late: 35.0}, 8) == 35.0


def test_runs_that_wait_for_nothing_fill_what_a_round_leaves_idle():
    """Two workers, a round of three runs, then one run: a baseline's run of 10 s costs no time beside the third."""
    rounds = (jobs("a", "select", 3), jobs("a", "verdict", 1))
    assert seconds_left(EACH, Way(rounds, ()), {}, 2) == 30.0
    assert seconds_left(EACH, Way(rounds, jobs("b", "verdict", 1)), {}, 2) == 30.0
    assert seconds_left(EACH, Way(rounds, jobs("zoo", "verdict", 1)), {}, 2) == 70.0  # goes first


def test_before_two_scores_of_each_finalist_the_shortest_and_the_longest_selection_stand_for_all():
    shares = Allocation(finalists=2, first_seeds=3, select_runs=12, verdict_seeds=4, baselines=1)
    found = selections(["a", "b"], shares, {Job("a", "select", 0): 1.0}, MEAN)
    assert sorted((sum(map(len, rounds)), winner) for rounds, winner in found) == [
        (5, "a"), (5, "b"), (11, "a"), (11, "b"),
    ]  # fmt: skip


def test_once_they_have_the_rounds_follow_from_what_each_has_scored():
    shares = Allocation(finalists=2, first_seeds=3, select_runs=12, verdict_seeds=4, baselines=1)
    told = {job: 100.0 + job.replicate for job in jobs("a", "select", 2)} | {
        job: 10.0 + job.replicate for job in jobs("b", "select", 2)
    }
    found = selections(["a", "b"], shares, told, MEAN)
    assert {winner for _, winner in found} == {"a"}
    assert all([sum(map(len, rounds)) for rounds, _ in found] == [2] * len(found) for rounds, _ in found)
    level = dict.fromkeys((*jobs("a", "select", 2), *jobs("b", "select", 2)), 50.0)
    assert {sum(map(len, rounds)) for rounds, _ in selections(["a", "b"], shares, level, MEAN)} == {8}


def test_baselines_that_are_no_finalists_wait_for_nothing_and_what_was_taken_over_is_not_left():
    results = {Job("zoo", "verdict", r): 1.0 for r in range(3)}
    for way in ways(["a", "b"], ["zoo", "b"], SHARES, results, MEAN, None, {}):
        assert way.free == (Job("zoo", "verdict", 3),)
        judged = {job.key for job in way.rounds[-1]}
        assert judged in ({"a", "b"}, {"b"}) and {job.phase for job in way.rounds[-1]} == {"verdict"}


def test_a_verdict_until_it_is_sure_is_expected_to_need_as_many_seeds_again_at_most():
    shares = Allocation(finalists=1, first_seeds=0, select_runs=0, verdict_seeds=10, baselines=1)
    until = Until(0.95, seeds=40, runs=60)
    (way,) = ways(["a"], ["zoo"], shares, {}, MEAN, until, {})
    assert sum(map(len, way.rounds)) == 2 * 17  # between the first look at 5 and the budget's 30
    close = {Job(key, "verdict", r): r % 3 for r in range(8) for key in ("a", "zoo")} | {Job("a", "verdict", 1): 2.0}
    (way,) = ways(["a"], ["zoo"], shares, close, MEAN, until, {})
    assert sum(map(len, way.rounds)) == 2 * 8


def test_what_is_over_of_runs_in_training_is_not_left():
    left = TimeLeft({"a": (2.0, 2.0, 6.0)}, (0.0, 0.0), 1, lambda: 0.0)
    job = Job("a", "verdict", 0)
    way = Way(((job,),), ())
    assert left.seconds([way], {}, {}).mean == 10.0
    assert left.seconds([way], {}, {job: ()}).mean == 9.0  # half the way to its first evaluation
    assert left.seconds([way], {}, {job: (2.0, 4.0)}).mean == pytest.approx(3.0)


def test_expected_seconds_are_those_of_training_and_of_the_further_evaluations():
    """Where the search's runs took 3 s a unit of computing and 1 ms an evaluation step, the stage's will."""
    grid, late = (100, 200, 300), 50

    def trial(number, work, length, points=3):
        curve = tuple(CurvePoint(step, (1.0,) * 10, {}, 10 * length) for step in grid[:points])
        evaluating = 0.001 * 10 * length * points
        row = TrialRow(
            number, "COMPLETE", "completed", 1.0, {}, {}, {0: curve}, {0: 1}, grid[points - 1], 3.0 * work + evaluating,
            None, None, evaluation_s=evaluating,
        )  # fmt: skip
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
    assert found["a"] == pytest.approx([2.0 + 0.001 * 200 * n for n in (10, 10, late)])
    assert found["d"] == pytest.approx([10.0 + 0.001 * 75 * n for n in (10, 10, late)])  # the middling of 20 to 200


def test_a_trial_that_waited_for_its_worker_to_be_ready_is_not_expected_to_wait_again():
    def trial(number, seconds):
        curve = (CurvePoint(100, (1.0,), {}, 1),)
        row = TrialRow(number, "COMPLETE", "completed", 1.0, {}, {}, {0: curve}, {0: 1}, 100, seconds, None, None)
        return row, 1.0

    trials = {0: trial(0, 30.0), 1: trial(1, 2.0), 2: trial(2, 4.0)}
    who = [Contestant(f"{n}", "finalist", f"trial {n}", n, "native", {}) for n in trials]
    spec = RunSpec(RunId(0), EnvSpec("X-v0"), "native", DQNHyperparameters(), 0, (100,), EvaluationSpec(1, 0, 500))
    found = expected_seconds(who, dict.fromkeys("012", spec), dict.fromkeys("012", 1.0), trials)
    assert found == {"0": (12.0,), "1": (2.0,), "2": (4.0,)}


def test_workers_take_longer_than_their_runs_as_the_search_and_then_the_stage_have_shown():
    now = 0.0
    pace = Pace((120.0, 100.0), 2, lambda: now)
    assert pace.overhead(10.0) == pytest.approx(1.2)
    now = 50.0  # what starting the workers takes is not repeated
    pace.see(6, 0.0, evaluated=False)
    pace.see(6, 5.0, evaluated=True)
    now = 150.0
    pace.see(1, 5.0 + 125.0, evaluated=True)
    assert pace.overhead(10.0) == pytest.approx((40 * 1.2 + 200) / (40 + 125))
    now = 200.0  # with one run in training one worker has nothing to do
    pace.see(0, 5.0 + 175.0, evaluated=True)
    assert pace.overhead(10.0) == pytest.approx((40 * 1.2 + 250) / (40 + 175))
    assert Pace((9e9, 100.0), 2).overhead(1.0) == 1.6  # a night between two halves of a search
    assert Pace((0.0, 0.0), 2).overhead(1.0) == 1.0


def test_the_time_left_is_a_range_from_the_shortest_way_at_full_speed_to_the_longest_slow_one():
    left = TimeLeft({"a": (2.0,), "b": (5.0,)}, (0.0, 0.0), 1, lambda: 0.0)
    ways = [Way(((Job(key, "verdict", 1),),), ()) for key in ("a", "b")]
    assert left.seconds(ways, {}, {}) == pytest.approx((3.5, 2.0 / 1.4, 5.0 * 1.4))
    assert left.seconds(ways, {}, {}).at_most(4.0) == pytest.approx((3.5, 2.0 / 1.4, 4.0))


def test_the_range_narrows_as_a_settings_own_runs_are_measured():
    left = TimeLeft({"a": (2.0,)}, (0.0, 0.0), 1, lambda: 0.0)
    way = [Way(((Job("a", "verdict", 9),),), ())]
    for runs in (0, 1, 2, 3):
        mean, low, high = left.seconds(way, {Job("a", "verdict", seed): 2.0 for seed in range(runs)}, {})
        off = 1 + 0.4 * 0.25 / (0.25 + runs)
        assert (mean, low, high) == pytest.approx((2.0, 2.0 / off, 2.0 * off))
