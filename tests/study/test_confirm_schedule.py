"""Which finalists train again on which seeds: budgets are kept, results alone decide, losers make room."""

from __future__ import annotations

import dataclasses
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from study_fakes import FakeExecutor, make_plan, search

from tuner.core.elimination import clearly_beaten
from tuner.core.multiple_comparisons import holm
from tuner.core.reliability import worst_quarter
from tuner.result.confirmation import Contestant
from tuner.result.verdict import LEVEL, smallest_p_value
from tuner.study.confirm.budget import (
    DECIDABLE_SEEDS,
    MIN_SELECT_SEEDS,
    MIN_VERDICT_SEEDS,
    SEEDS_FOR_SEVERAL,
    Allocation,
    Limit,
    allocate,
    fewest_runs,
    within_cost,
)
from tuner.study.confirm.choice import WORST, choice_of
from tuner.study.confirm.schedule import Job, select
from tuner.study.confirm.stage import ConfirmStage
from tuner.study.confirm.verdict import verdict
from tuner.study.reading.study import load
from tuner.study.search.progress import NoProgress


@given(st.integers(0, 300), st.integers(0, 12), st.integers(0, 4), st.integers(3, 30))
def test_an_allocation_stays_within_the_budget_and_gives_every_part_enough_to_say_something(
    runs, finalists, baselines, seeds
):
    found = allocate(runs, finalists=finalists, baselines=baselines, seeds=seeds)
    if finalists == 0 or runs < fewest_runs(finalists, baselines):
        assert found is None
        return
    assert found.runs <= runs
    assert found.verdict_seeds in range(MIN_VERDICT_SEEDS, seeds + 1)
    assert found.baselines >= min(baselines, 1)
    assert 1 <= found.finalists <= finalists
    if found.finalists > 1:
        assert found.first_seeds >= MIN_SELECT_SEEDS
        assert found.first_seeds * found.finalists <= found.select_runs
    else:
        assert found.select_runs == 0


def test_a_hundred_trial_search_pays_for_five_finalists_and_nine_verdict_seeds():
    assert allocate(65, finalists=5, baselines=3, seeds=10) == Allocation(5, 5, 29, 9, 3)


@pytest.mark.parametrize(
    ("runs", "finalists", "baselines", "seeds", "expected"),
    [
        (9, 2, 0, 10, Allocation(2, 3, 6, 3, 0)),  # six runs are the least that a selection takes
        (12, 1, 2, 10, Allocation(1, 0, 0, 6, 1)),  # one baseline with six seeds: two with four could not be told
        (15, 1, 2, 10, Allocation(1, 0, 0, 5, 2)),
        (6, 1, 1, 10, Allocation(1, 0, 0, 3, 1)),  # three seeds beside a baseline rather than six beside none
        (9, 2, 0, 2, Allocation(2, 3, 6, 2, 0)),  # a selection has three seeds of each, however few are wished for
    ],
)
def test_what_is_too_little_for_all_is_shared_out_so(runs, finalists, baselines, seeds, expected):
    assert allocate(runs, finalists=finalists, baselines=baselines, seeds=seeds) == expected


def test_a_limit_counts_the_mean_finalist_and_the_winner_again_on_the_other_backend():
    shared = Allocation(2, 3, 6, 4, 2)  # 6 + 4 runs of a finalist at (1 + 3) / 2, four of each of two others
    assert Limit(10 * 2.0 + 4 * 5.0 + 4 * 2.0, [1.0, 3.0, 50.0], [5.0]).holds(shared, twins=1)
    assert not Limit(10 * 2.0 + 4 * 5.0 + 4 * 2.0 - 0.1, [1.0, 3.0, 50.0], [5.0]).holds(shared, twins=1)
    assert Limit(10 * 2.0 + 4 * 5.0 + 4 * 7.0, [1.0, 3.0], [5.0, 7.0]).holds(shared, twins=0)


def test_a_second_baseline_takes_part_only_where_each_gets_five_seeds():
    for runs in range(12, 200):
        found = allocate(runs, finalists=5, baselines=3, seeds=10)
        assert found is not None
        assert found.baselines < 2 or found.verdict_seeds >= 5
    assert allocate(30, finalists=5, baselines=3, seeds=3).baselines == 3  # as many as were asked for


def test_more_budget_never_means_fewer_seeds_but_for_the_first_selection():
    before = None
    for runs in range(12, 200):
        found = allocate(runs, finalists=5, baselines=3, seeds=10)
        assert found is not None
        if before is not None and (before.baselines, before.finalists > 1) == (found.baselines, found.finalists > 1):
            assert found.verdict_seeds >= before.verdict_seeds
        before = found


def test_four_runs_each_are_the_fewest_that_a_rank_test_can_decide():
    assert smallest_p_value(DECIDABLE_SEEDS, DECIDABLE_SEEDS) < LEVEL
    assert smallest_p_value(DECIDABLE_SEEDS - 1, DECIDABLE_SEEDS - 1) > LEVEL


def test_five_runs_each_are_the_fewest_that_tell_two_to_six_baselines_together():
    def smallest(seeds, baselines):
        return holm([smallest_p_value(seeds, seeds)] * baselines)[0]

    assert all(smallest(SEEDS_FOR_SEVERAL, baselines) < LEVEL for baselines in range(2, 7))
    assert smallest(SEEDS_FOR_SEVERAL - 1, 2) > LEVEL


@given(st.integers(12, 200), st.integers(1, 6), st.integers(1, 4), st.integers(4, 20))
def test_a_comparison_that_the_budget_pays_for_can_be_decided(runs, finalists, baselines, seeds):
    found = allocate(runs, finalists=finalists, baselines=baselines, seeds=seeds)
    assert found is not None and found.runs <= runs
    assert found.verdict_seeds >= DECIDABLE_SEEDS and found.baselines >= 1
    if seeds >= SEEDS_FOR_SEVERAL:
        assert found.baselines * smallest_p_value(found.verdict_seeds, found.verdict_seeds) < LEVEL


def test_a_selection_comes_once_it_leaves_seeds_for_a_verdict_that_can_be_decided():
    found = {runs: allocate(runs, finalists=5, baselines=3, seeds=10) for runs in (12, 13, 14)}
    assert found[12] == found[13] == Allocation(1, 0, 0, 6, 1)
    assert found[14] == Allocation(2, 3, 6, 4, 1)
    assert allocate(12, finalists=5, baselines=3, seeds=3) == Allocation(2, 3, 6, 3, 1)


FINALISTS = ("a", "b", "c", "d", "e")
ALLOCATION = Allocation(5, 5, 50, 10, 3)


def play(score, allocation=ALLOCATION, finalists=FINALISTS, rule=clearly_beaten, order=None, floor=None):
    """Train whatever is wanted until nothing is; returns results and the closed selection."""
    results: dict[Job, float | None] = {}
    while True:
        state = select(finalists, allocation, results, rule, floor=floor)
        if not state.wanted:
            return results, state
        assert state.winner is None
        jobs = list(state.wanted)
        if order is not None:
            order.shuffle(jobs)
        results[jobs[0]] = score(jobs[0])


def test_every_finalist_gets_the_first_seeds_before_anyone_is_dropped():
    state = select(FINALISTS, ALLOCATION, {}, clearly_beaten)
    assert set(state.wanted) == {Job(key, "select", r) for key in FINALISTS for r in range(5)}


def test_the_clearly_better_one_wins_early_and_the_rest_of_the_runs_is_not_spent():
    results, state = play(lambda job: 100.0 * (job.key == "c") + job.replicate)
    assert state.winner == "c"
    assert state.alive == ("c",)
    assert state.dropped_after == dict.fromkeys("abde", 5)
    assert len(results) == 25


def test_what_losers_leave_goes_to_the_undecided():
    luck = random.Random(3)
    good = {"a", "d"}
    results, state = play(lambda job: (400.0 if job.key in good else 50.0) + luck.gauss(0, 40))
    assert set(state.alive) == good
    assert set(state.dropped_after) == set("bce")
    for key in good:
        assert sum(job.key == key for job in results) > 10  # an even share of 50 runs would have been 10
    left = ALLOCATION.select_runs - len(results)
    assert 0 <= left < len(state.alive), "until there is no further seed for each"


def test_a_further_round_has_two_seeds_of_each_that_is_left():
    """Stored studies are read by these rounds: other ones would name other winners."""
    first = {Job(key, "select", r): 10.0 * (key in "ab") + r for key in FINALISTS for r in range(5)}
    state = select(FINALISTS, ALLOCATION, first, clearly_beaten)
    assert state.wanted == tuple(Job(key, "select", r) for r in (5, 6) for key in "ab")


@settings(max_examples=25)
@given(st.randoms(use_true_random=False), st.integers(0, 10_000))
def test_the_order_in_which_runs_end_does_not_matter(order, seed):
    def score(job):
        return random.Random(f"{seed}-{job}").choice([WORST, None, 10.0, 200.0, 300.0, 500.0])

    assert play(score) == play(score, order=order)


@given(st.integers(0, 10_000), st.integers(2, 60))
def test_the_selection_never_spends_more_than_its_runs_and_names_one_of_those_left(seed, runs):
    found = allocate(runs + 20, finalists=5, baselines=3, seeds=10)
    assert found is not None
    results, state = play(lambda job: random.Random(f"{seed}-{job}").uniform(0, 500), allocation=found)
    assert len(results) <= found.select_runs
    assert state.winner in state.alive


def test_a_diverged_run_counts_as_the_worst_of_its_round_and_a_failed_one_not_at_all():
    def score(job):
        if job.key == "a":
            return WORST if job.replicate == 0 else 300.0
        if job.key == "b":
            return None if job.replicate == 0 else 290.0
        return 100.0 + job.replicate

    results, state = play(score, allocation=Allocation(3, 5, 15, 3, 1), finalists=("a", "b", "c"), rule=lambda s: set())
    assert state.winner == "b"  # (100 + 4 * 300) / 5 = 260 for a, 290 for b
    assert len(results) == 15


def test_a_setting_that_always_diverges_does_not_win_where_all_others_are_at_the_ceiling():
    def score(job):
        return WORST if job.key == "a" else 500.0

    assert play(score)[1].winner == "a", "the rule of studies that store no floor"
    for floor in (20.0, 500.0):  # the search may have seen nothing else, too
        _, state = play(score, floor=floor)
        assert state.winner == "b"
        assert state.dropped_after == {"a": 5}


def test_a_run_that_diverged_counts_as_the_lowest_that_the_search_has_seen():
    def score(job):
        return WORST if job.key == "a" and job.replicate == 0 else 400.0 if job.key == "a" else 350.0

    shared = Allocation(2, 5, 10, 3, 1)
    floors = (None, 20.0, 300.0)
    winners = [play(score, shared, ("a", "b"), lambda s: set(), floor=floor)[1].winner for floor in floors]
    assert winners == ["a", "b", "a"]  # a: (350 + 4 * 400) / 5 = 390, (20 + 4 * 400) / 5 = 324, and 380: it is not out


def test_a_late_run_that_diverged_counts_as_the_worst_of_those_that_were_dropped_too():
    def score(job):
        if job.key == "a":
            return WORST if job.replicate == 5 else 400.0
        return 360.0 if job.key == "b" else 10.0

    _, state = play(score, Allocation(3, 5, 19, 3, 1), ("a", "b", "c"), lambda s: {"c"} & set(s))
    assert state.dropped_after == {"c": 5}
    assert state.winner == "b"  # a: (6 * 400 + 10) / 7 = 344


def test_where_time_is_up_the_undecided_are_chosen_among_by_all_their_complete_rounds():
    good = {"a", "d"}

    def score(job):
        late = 30.0 if job.key == "d" and job.replicate > 4 else 0.0
        return (400.0 if job.key in good else 50.0) + 20.0 * (job.replicate % 2) - (job.key == "d") + late

    everything, _ = play(score)
    seeds = {"a": 8, "d": 9}  # of at most 17 or so
    results = {job: s for job, s in everything.items() if job.replicate < seeds.get(job.key, 5)}
    open_still = select(FINALISTS, ALLOCATION, results, clearly_beaten)
    assert open_still.winner is None and set(open_still.alive) == good
    closed = select(FINALISTS, dataclasses.replace(ALLOCATION, select_until=8), results, clearly_beaten)
    assert (closed.winner, closed.wanted) == ("d", ())
    cut = Allocation(5, 5, 25, 10, 3)  # by the five seeds that those dropped have, too
    assert select(FINALISTS, cut, results, clearly_beaten).winner == "a"


def test_a_finalist_whose_runs_all_failed_is_out():
    _, state = play(lambda job: None if job.key == "a" else 1.0 + job.replicate, rule=lambda s: set())
    assert state.winner == "b"
    assert state.dropped_after == {"a": 5}


def test_equal_finalists_are_won_by_the_better_search_rank():
    _, state = play(lambda job: 500.0)
    assert state.winner == "a"
    assert set(state.alive) == set(FINALISTS)


def test_a_lone_finalist_needs_no_selection():
    state = select(("a",), Allocation(1, 0, 0, 5, 1), {}, clearly_beaten)
    assert (state.winner, state.wanted) == ("a", ())


def test_the_verdict_trains_each_setting_once_however_many_roles_it_has():
    jobs = verdict(["a", "defaults", "a"], ALLOCATION, {Job("a", "verdict", 0): 1.0}).wanted
    assert len(jobs) == len(set(jobs)) == 19
    assert Job("a", "verdict", 0) not in jobs
    assert verdict(["a"], ALLOCATION, {Job("a", "verdict", r): None for r in range(10)}).wanted == ()


def test_both_budgets_are_kept_and_a_costly_baseline_costs_seeds():
    cheap = within_cost(60, [Limit(60.0, [1.0] * 5, [1.0] * 3)], seeds=10)
    assert cheap == allocate(60, finalists=5, baselines=3, seeds=10)
    costly = within_cost(60, [Limit(60.0, [1.0] * 5, [1.0, 6.0, 1.0])], seeds=10)
    assert costly.select_runs + costly.verdict_seeds * 9 <= 60
    assert MIN_VERDICT_SEEDS <= costly.verdict_seeds < cheap.verdict_seeds
    assert (
        within_cost(60, [Limit(60.0, [1.0] * 5, [1.0] * 3), Limit(60.0, [1.0] * 5, [1.0, 6.0, 1.0])], seeds=10)
        == costly
    )
    least = within_cost(60, [Limit(1.0, [1.0] * 5, [9.0])], seeds=10)
    assert least == allocate(fewest_runs(5, 1), finalists=5, baselines=1, seeds=10)
    assert within_cost(3, [Limit(60.0, [1.0] * 5, [1.0])], seeds=10) is None


def test_how_long_trials_took_has_no_say_in_what_is_trained_again(tmp_path):
    """With one worker a whole study is reproducible; what a clock says is not."""
    plan = make_plan(f"sqlite:///{tmp_path}/s.db", trials=40, pruner="none")
    search(plan)
    data = load(plan.name, plan.storage)
    slower = tuple(dataclasses.replace(t, duration_s=t.duration_s * (1 + t.number)) for t in data.trials)
    stages = [ConfirmStage(plan, found) for found in (data, dataclasses.replace(data, trials=slower))]
    assert stages[0].describe() == stages[1].describe()


def test_what_was_lost_on_the_way_has_no_say_in_what_is_trained_again(tmp_path):
    """A study that was killed and went on is confirmed as one that was not."""
    plan = make_plan(f"sqlite:///{tmp_path}/s.db", trials=40, pruner="none", startup_trials=10)
    search(plan)
    whole = load(plan.name, plan.storage)
    first = max(whole.trials[:10], key=lambda t: t.score)
    lost = dataclasses.replace(first, state="FAIL", outcome="lost", score=None, curves={}, continued_as=40)
    again = dataclasses.replace(first, number=40, point=first.number)
    killed = [lost if t is first else t for t in whole.trials]
    stages = [
        ConfirmStage(plan, found).describe() for found in (whole, dataclasses.replace(whole, trials=(*killed, again)))
    ]
    for stage in stages:
        for contestant in stage["contestants"]:
            del contestant["name"], contestant["trial"]  # its number is another one
    assert stages[0] == stages[1]


def test_the_worst_objective_chooses_the_setting_whose_worst_quarter_is_highest():
    def score(job):
        if job.key == "a":  # higher on average, and one run in four fails
            return 100.0 if job.replicate % 4 == 3 else 500.0
        return 380.0 + job.replicate % 3 if job.key == "b" else 50.0 + job.replicate

    shared, choice = Allocation(3, 8, 24, 3, 1), choice_of("worst")
    results = {Job(key, "select", r): score(Job(key, "select", r)) for key in "abc" for r in range(8)}
    rules = {"worst": (choice.beaten, choice.worth), "late": (clearly_beaten,)}
    assert {name: select(("a", "b", "c"), shared, results, *rule).winner for name, rule in rules.items()} == {
        "worst": "b",
        "late": "a",
    }
    alone = {Job(key, "select", r): None for key in "ab" for r in range(12)}
    assert select(("a", "b"), dataclasses.replace(shared, finalists=2), alone, *rules["worst"]).winner == "a"


def test_a_study_by_its_worst_quarter_is_searched_by_late_and_chosen_by_the_worst_quarter_of_the_select_seeds(tmp_path):
    plan = make_plan(f"sqlite:///{tmp_path}/w.db", trials=30, pruner="none", objective="worst", startup_trials=3)
    search(plan)
    stage = ConfirmStage(plan, load(plan.name, plan.storage))
    for _, supervisor in stage.passes({"numeric_path": "none"}, NoProgress()):
        FakeExecutor(lanes=3).run(supervisor)
        supervisor.close()
    found = load(plan.name, plan.storage).confirmation
    assert (found.objective, found.chosen_by, found.complete) == ("late", "worst_quarter", True)
    left = [c for c in found.finalists if c.dropped_after is None]
    quarters = {c.key: worst_quarter(found.scores(c, "select")) for c in left}
    assert quarters[found.winner_key] == max(quarters.values())


def test_the_searchs_runs_of_a_setting_count_beside_its_select_runs():
    """Three seeds each put a ahead; with the two runs that b had in the search, and a's one, b is."""
    shared, scores = Allocation(2, 3, 6, 3, 1), {"a": (90.0, 92.0, 94.0), "b": (89.0, 92.0, 93.0)}
    results = {Job(key, "select", r): score for key, some in scores.items() for r, score in enumerate(some)}
    had = {"a": (95.0,), "b": (97.0, 99.0)}
    a, b = (Contestant(key, "finalist", key, 0, "native", {}, own[0], searched=own) for key, own in had.items())
    chosen = {}
    for name, finalists in {"rule 3": (), "rule 4": (a, b), "a's alone": (a,)}.items():
        choice = choice_of("late", finalists)
        chosen[name] = select(("a", "b"), shared, results, choice.beaten, choice.worth).winner
    assert chosen == {"rule 3": "a", "rule 4": "b", "a's alone": "a"}
    assert choice_of("worst", (a, b)).worth("b", [1.0, 2.0]) == choice_of("worst").worth("b", [1.0, 2.0])


def test_equal_finalists_are_won_by_the_more_promising_however_many_runs_there_are_of_each():
    """Six runs of 0.9 have a mean below seven's: before rule 5 that beat one of two equal ones, or chose the other."""
    shared, had = Allocation(2, 5, 10, 3, 1), {"a": (0.9,), "b": (0.9, 0.9)}
    finalists = [Contestant(key, "finalist", key, 0, "native", {}, 0.9, searched=own) for key, own in had.items()]
    results = {Job(key, "select", r): 0.9 for key in "ab" for r in range(5)}
    longer = dataclasses.replace(shared, first_seeds=7, select_runs=14)
    failed = {Job(key, "select", r): None if (key, r) == ("a", 0) else 0.9 for key in "ab" for r in range(7)}
    won, left = {}, {}
    for rule in (4, 5):
        choice = choice_of("late", finalists, rule=rule)
        won[rule] = select(("a", "b"), shared, results, choice.beaten, choice.worth).winner
        left[rule] = select(("a", "b"), longer, failed, choice.beaten, choice.worth).alive
    assert won == {4: "b", 5: "a"}
    assert left == {4: ("b",), 5: ("a", "b")}


def test_a_stage_stores_every_run_that_a_finalist_had_in_the_search_and_reads_its_winner_by_them(tmp_path):
    plan = make_plan(f"sqlite:///{tmp_path}/p.db", trials=30, pruner="none", startup_trials=3)
    search(plan)
    data = load(plan.name, plan.storage)
    stage = ConfirmStage(plan, data)
    for contestant in (c for c in stage.contestants if c.role == "finalist"):
        equal = [t.score for t in data.ranked if dict(t.hyperparameters) == dict(contestant.hyperparameters)]
        assert contestant.search_score in equal and sorted(contestant.searched) == sorted(equal)
    older = dataclasses.replace(data, rules=dataclasses.replace(data.rules, finalists=3))
    assert not any(c.searched for c in ConfirmStage(plan, older).contestants)
    for _, supervisor in stage.passes({"numeric_path": "none"}, NoProgress()):
        FakeExecutor(lanes=3).run(supervisor)
        supervisor.close()
    found = load(plan.name, plan.storage).confirmation
    left = [c for c in found.finalists if c.dropped_after is None]
    means = {c.key: np.mean([*c.searched, *found.scores(c, "select")]) for c in left}
    assert means[found.winner_key] == max(means.values())
    assert [c.searched for c in found.finalists] == [c.searched for c in stage.contestants if c.role == "finalist"]
