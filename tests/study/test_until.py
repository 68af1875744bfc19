"""A verdict that ends when it is sure: results alone decide how far it goes, and it says no more than it may."""

from __future__ import annotations

import dataclasses
import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from study_fakes import FakeExecutor, copied, make_plan, search

from tuner.core.confidence_sequence import betting_interval, normal_sequence
from tuner.core.multiple_comparisons import holm
from tuner.core.sequential_ranks import (
    FIRST_LOOK,
    corridor,
    height,
    leaves,
    normal_score,
    predictive_power,
    probability,
)
from tuner.errors import InputError
from tuner.plan.recipe import StudyRecipe
from tuner.report.numbers.evidence import evidence
from tuner.report.words.evidence import verdict as sentences
from tuner.result import sequential
from tuner.result.confirmation import Confirmation, ConfirmRun, Contestant
from tuner.result.curve import CurvePoint
from tuner.result.sequential import GIVE_UP, SPENT, Until, planned, standing, standing_text, told
from tuner.study.confirm.budget import Allocation
from tuner.study.confirm.choice import WORST
from tuner.study.confirm.schedule import Job
from tuner.study.confirm.stage import ConfirmStage
from tuner.study.confirm.verdict import verdict
from tuner.study.reading.study import load
from tuner.study.search.progress import NoProgress

SHARED = Allocation(1, 0, 0, 10, 2)
UNTIL = Until(0.95, 10, 30)


def play(score, until=UNTIL, keys=("w", "a", "b"), order=None, floor=None):
    """Train whatever is wanted until nothing is; returns results and the closed verdict."""
    results = {}
    while wanted := list((state := verdict(keys, SHARED, results, until, floor=floor)).wanted):
        if order is not None:
            order.shuffle(wanted)
        results[wanted[0]] = score(wanted[0])
    return results, state


def noisy(means, spread=10.0):
    return lambda job: means[job.key] + random.Random(f"{job}").gauss(0, spread)


def test_a_baseline_that_is_decided_trains_no_more_and_its_runs_go_to_the_undecided():
    until = Until(0.95, 40, 30)
    results, state = play(noisy({"w": 500, "a": 9, "b": 499}), until)
    assert state.seeds == {"w": 11, "a": 7, "b": 11}  # 7 * 3 + 4 * 2 = 29 of 30 runs
    assert state.standings["a"].result == "better"
    assert standing_text("the defaults", state.standings["a"]) == "ahead of the defaults, sure after 7 seeds"
    assert standing_text("RL Zoo", state.standings["b"]) == "not sure of RL Zoo after 11 seeds"
    assert {job.replicate for job in results if job.key == "a"} == set(range(7))


def test_a_verdict_ends_with_the_look_at_which_the_last_comparison_is_sure():
    results, state = play(noisy({"w": 500, "a": 485, "b": 9}), Until(0.95, 100, 300))
    n = state.seeds["w"]
    assert FIRST_LOOK < state.seeds["b"] < n < 100
    ours, theirs = ([results[Job(key, "verdict", r)] for r in range(n)] for key in "wa")
    scores = [
        normal_score(probability(ours[:k], theirs[:k]), k) / corridor(k, 100) for k in range(state.seeds["b"], n + 1)
    ]
    limit = height(SPENT * 0.05, 100)  # all of the chance of error: b is told
    assert max(scores[:-1]) < limit <= scores[-1]
    low, _ = normal_sequence([a - b for a, b in zip(ours, theirs, strict=True)], 1 - 0.05 / 2)
    assert state.standings["a"].low == pytest.approx(low[-1])


@given(st.lists(st.lists(st.integers(0, 9), min_size=12, max_size=12), min_size=1, max_size=4), st.floats(0.6, 0.99))
def test_what_is_told_is_what_holms_correction_rejects(others, level):
    ours = [4, 9, 5, 8, 7, 6, 9, 5, 8, 7, 9, 6]
    standings = {f"{i}": standing(ours, theirs, level, plans=(12,)) for i, theirs in enumerate(others)}
    p_values = [leaves(abs(s.heights[0]), 12) / SPENT for s in standings.values()]
    found = told(standings, len(others), level, (12,))
    for each, p in zip(found.values(), holm([min(p, 1.0) for p in p_values]), strict=True):
        if abs(p - (1 - level)) > 1e-5:
            assert each.decided == (p < 1 - level)
        assert each.result in (("better" if each.heights[0] > 0 else "worse"), "undecided", "tie")


@given(*[st.lists(st.integers(0, 9), min_size=12, max_size=12)] * 2)
@example([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9], [9] * 12)
def test_who_is_behind_is_told_as_who_is_ahead(ours, theirs):
    here, there = (standing(*pair, 0.95, plans=(12,)) for pair in ((ours, theirs), (theirs, ours)))
    assert there.heights == pytest.approx([-h for h in here.heights])
    opposite = {"better": "worse", "worse": "better"}
    results = [told({"a": each}, 1, 0.95, (12,))["a"].result for each in (here, there)]
    assert results[1] == opposite.get(results[0], results[0])


def test_seeds_that_are_planned_once_results_are_seen_spend_a_tenth_of_what_is_left():
    assert planned((), 10) == (10,)
    assert planned((10,), 8) == planned((10,), 10) == (10,)
    assert planned((10,), 40) == (10, 40)
    ours, theirs = [*range(10), *[50] * 30], [*range(10), *[0] * 30]
    found = standing(ours, theirs, 0.95, plans=(10, 40))
    assert found.heights[0] == 0 and found.heights[1] > height(0.1 * SPENT * 0.05, 40)
    assert told({"a": found}, 1, 0.95, (10, 40))["a"].result == "better"
    assert (
        told(
            {"a": dataclasses.replace(found, heights=(0.0, height(0.1 * SPENT * 0.05, 40) - 1e-3))}, 1, 0.95, (10, 40)
        )["a"].result
        == "undecided"
    )


def test_the_seeds_that_are_needed_decide_it_where_the_share_of_won_pairs_stays():
    found = standing([2.0, 2.0, 2.0, 2.0, 0.0] * 2, [1.0] * 10, 0.95, plans=(20,))
    needed = found.seeds_needed((20,))
    limit = height(SPENT * 0.05, 20)
    assert normal_score(0.8, needed) >= limit * corridor(needed, 20)
    assert needed == 11 or normal_score(0.8, needed - 1) < limit * corridor(needed - 1, 20)
    assert found.seeds_needed((10,)) > 10
    assert standing([1.0, 2.0], [2.0, 1.0], 0.95).seeds_needed((2,)) is None


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.integers(0, 40), st.integers(1, 12), st.randoms(use_true_random=False))
def test_no_seeds_and_no_runs_beyond_those_that_were_asked_for_and_the_order_of_ends_does_not_matter(
    seed, runs, seeds, order
):
    def score(job):
        return random.Random(f"{seed}-{job}").choice([WORST, None, 9.0, 300.0, 500.0])

    until = Until(0.9, seeds, runs)
    results, state = play(score, until)
    assert len(results) <= runs and max(state.seeds.values()) <= seeds
    assert len(results) == sum(state.seeds.values())
    assert (results, state) == play(score, until, order=order)


def test_runs_that_a_longer_stage_has_left_change_nothing():
    results, state = play(noisy({"w": 500, "a": 9, "b": 450}))
    more = {Job(key, "verdict", r): 1e6 for key in "wab" for r in range(30)} | results
    assert verdict(("w", "a", "b"), SHARED, more, UNTIL) == state


def test_ties_are_called_so_and_given_up_once_the_seeds_left_would_hardly_tell_them():
    _, state = play(lambda job: 500.0)
    assert set(state.seeds.values()) == {FIRST_LOOK}
    assert {s.result for s in state.standings.values()} == {"tie"}
    assert standing_text("RL Zoo", state.standings["a"]) == "too close to RL Zoo to go on after 5 seeds"
    limit = height(SPENT * 0.05, 10)
    assert predictive_power(0.0, FIRST_LOOK, 10, limit) < GIVE_UP
    _, state = play(lambda job: 500.0, dataclasses.replace(UNTIL, seeds=20, runs=60, plans=(10, 20)))
    n = state.seeds["w"]
    limit = height((1 - SPENT) * SPENT * 0.05, 20)  # a longer plan takes it up again
    powers = [predictive_power(0.0, k, 20, limit) for k in range(FIRST_LOOK, n + 1)]
    assert n > FIRST_LOOK and powers[-1] < GIVE_UP <= min(powers[:-1])


@pytest.mark.slow
@settings(max_examples=40)
@given(st.integers(0, 10_000), st.integers(6, 20), st.floats(0.0, 1.5))
def test_what_is_given_up_is_told_by_nobody_and_nothing_is_told_for_it_that_was_not(seed, seeds, apart):
    until = Until(0.95, seeds, 3 * seeds)
    score = noisy({"w": apart, "a": 0.0, "b": -apart}, 1.0)
    _, state = play(lambda job: score(job._replace(replicate=job.replicate + 100 * seed)), until)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sequential, "GIVE_UP", 0.0)
        _, to_the_end = play(lambda job: score(job._replace(replicate=job.replicate + 100 * seed)), until)
    assert all(state.seeds[key] <= n for key, n in to_the_end.seeds.items())
    for key, each in state.standings.items():
        assert not each.decided or each.result == to_the_end.standings[key].result
        assert each.ended or each.n == seeds
        assert each.decided or not each.given_up or each.n < seeds


def test_all_comparisons_share_the_chance_of_error_those_that_have_ended_too():
    for seed in range(8):
        noise = lambda job, seed=seed: random.Random(f"{seed}-{job}").gauss({"w": 0, "a": -40}.get(job.key, -8), 10)  # noqa: E731
        _, state = play(noise, Until(0.95, 12, 100), ("w", "a", "b", "c"))
        anew = {key: dataclasses.replace(each, result="undecided") for key, each in state.standings.items()}
        found = told(anew, 3, 0.95, (12,))
        assert {key: each.decided for key, each in found.items()} == {k: s.decided for k, s in state.standings.items()}


def test_what_is_open_after_the_last_seed_is_not_given_up():
    _, state = play(lambda job: job.replicate + 0.5 * (job.key == "w"), Until(0.95, 5, 30), ("w", "a"))
    assert (state.standings["a"].result, state.standings["a"].given_up) == ("undecided", False)


def test_a_pair_of_which_one_has_failed_is_left_out_and_divergence_is_the_worst_there_can_be():
    def score(job):
        if job.key == "a":
            return {0: None, 1: WORST}.get(job.replicate, 100.0)
        return 300.0 + job.replicate

    _, state = play(score, Until(0.95, 5, 15, bounds=(-50.0, 500.0)), keys=("w", "a"))
    assert state.standings["a"].n == 4
    assert state.standings["a"].mean == pytest.approx(((301 + 50) + 202 + 203 + 204) / 4)
    _, unknown = play(score, Until(0.95, 5, 15), keys=("w", "a"))
    assert unknown.standings["a"].mean == pytest.approx((201 + 202 + 203 + 204) / 4)


@pytest.mark.parametrize("floor", [None, 21.0, 600.0])
def test_a_run_that_diverged_counts_as_the_floor_at_most_as_in_a_verdict_of_a_fixed_number_of_seeds(floor):
    """Else a baseline that diverges on every seed ties with a winner at the ceiling."""
    _, state = play(lambda job: WORST if job.key == "a" else 500.0, Until(0.95, 10, 20), ("w", "a"), floor=floor)
    runs = [ConfirmRun("verdict", r, r, "completed", (CurvePoint(10, (500.0,)),), 10) for r in range(FIRST_LOOK)]
    ended = [dataclasses.replace(run, outcome="diverged", curve=()) for run in runs]
    ours, theirs = (
        Contestant(key, "finalist", key, 0, "native", {}, runs=tuple(of))
        for key, of in zip("wa", (runs, ended), strict=True)
    )
    fixed = Confirmation("s", "late", (10,), (ours, theirs), "w", True, 5, 0, floor=floor)
    scores = [fixed.scores(each, "verdict") for each in (ours, theirs)]
    assert state.standings["a"].mean == pytest.approx(scores[0][0] - scores[1][0])
    assert state.standings["a"].result == ("better" if floor == 21.0 else "tie")


def test_without_a_baseline_the_number_of_seeds_is_fixed():
    _, state = play(lambda job: 1.0 * job.replicate, keys=("w", "w"))
    assert (state.seeds, state.standings) == ({"w": 10}, {})


def test_a_known_range_of_returns_bounds_the_difference_and_a_score_outside_disproves_it():
    ours, theirs = [500.0, 480.0, 490.0, 500.0, 470.0, 500.0, 500.0, 490.0], [20.0, 9.0, 30.0, 9.0, 60.0, 9.0, 9.0, 9.0]
    differences = [a - b for a, b in zip(ours, theirs, strict=True)]
    bounded = standing(ours, theirs, 0.95, (0.0, 500.0))
    assert bounded.bounded and (bounded.low, bounded.high) == betting_interval(differences, (-500, 500), 0.95)
    disproved = standing([*ours, 501.0], [*theirs, 9.0], 0.95, (0.0, 500.0))
    assert not disproved.bounded and disproved.low > bounded.low


@pytest.mark.parametrize("text", ["500", "9:9", "500:0", "a:b", "0:inf"])
def test_a_range_of_returns_is_two_numbers_the_lower_first(text):
    with pytest.raises(InputError, match="--return-range must be two numbers, the lower first"):
        StudyRecipe(env="X-v0", return_range=text).validated()


def test_two_backends_and_until_exclude_each_other():
    with pytest.raises(InputError, match="--until goes seed by seed"):
        StudyRecipe(env="X-v0", until=0.95, confirm_backend="both").validated()


# With a database.


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("searched")
    made = make_plan(f"sqlite:///{folder}/s.db", trials=30, pruner="none", until=0.95, startup_trials=3)
    search(made)
    return made


@pytest.fixture
def plan(searched, tmp_path):
    return copied(searched, tmp_path)


def stage_of(plan, **changes):
    recipe = dataclasses.replace(plan.recipe, **changes)
    return ConfirmStage(dataclasses.replace(plan, recipe=recipe), load(plan.name, plan.storage))


def train(stage, executor=None):
    """Train a stage to its end, or until it is interrupted; returns what its progress line says at the end."""
    said = ""
    for _, supervisor in stage.passes({"numeric_path": "none"}, NoProgress()):
        (executor or FakeExecutor(lanes=3)).run(supervisor)
        said = supervisor.snapshot().standing
        if supervisor.close() != "done":
            break
    return said


@pytest.mark.slow
def test_an_interrupted_verdict_goes_on_to_the_same_seeds_and_is_told_while_it_runs_and_in_the_report(plan, tmp_path):
    train(stage_of(plan), FakeExecutor(lanes=3, stop_after_reports=140))
    assert not load(plan.name, plan.storage).confirmation.complete
    said = train(stage_of(plan))
    data = load(plan.name, plan.storage)
    found = data.confirmation
    assert found.complete
    whole = make_plan(f"sqlite:///{tmp_path}/w.db", trials=30, pruner="none", until=0.95, startup_trials=3)
    search(whole)
    train(stage_of(whole))
    other = load(whole.name, whole.storage).confirmation
    assert (found.standings, found.until) == (other.standings, other.until)
    assert "ahead of" in said and "sure after" in said
    numbers = evidence(data)
    for row in numbers["comparisons"]:
        sequence = found.standings[row["with"]]
        assert row["scores"]["late"]["result"] == row["sequence"]["result"] == sequence.result
        assert row["scores"]["late"]["difference"]["low"] is row["scores"]["late"]["probability"]["low"] is None
    assert {e["kind"] for c in numbers["contestants"] for e in c["verdict"]["estimates"].values()} <= {
        "sequential", "tie",
    }  # fmt: skip
    text = " ".join(sentences(numbers))
    assert "sure after" in text and "at every look" in text and "95 % interval" not in text


def test_more_seeds_than_were_planned_are_a_plan_of_their_own_and_fewer_are_not(plan):
    stage = stage_of(plan)
    first = stage.allocation.verdict_seeds  # what the budget pays for
    assert stage.until.plans == (first, 10) and first < 10
    train(stage)
    assert load(plan.name, plan.storage).confirmation.until.plans == (first, 10)
    assert stage_of(plan, confirm_seeds=8).until.plans == (first, 10)
    more = stage_of(plan, confirm_seeds=25)
    assert (more.until.seeds, more.until.plans) == (25, (first, 10, 25))
    train(more)
    assert load(plan.name, plan.storage).confirmation.until.plans == (first, 10, 25)


def test_a_verdict_of_a_fixed_number_of_seeds_was_a_look_too(plan):
    train(stage_of(plan, until=None))
    seeds = load(plan.name, plan.storage).confirmation.seeds
    assert stage_of(plan, confirm_seeds=seeds).until.plans == (seeds,)
    assert stage_of(plan, confirm_seeds=25).until.plans == (seeds, 25)


@pytest.mark.parametrize("complete", [True, False])
def test_a_fixed_number_of_seeds_does_not_make_earlier_looks_undone(complete, plan):
    train(stage_of(plan))
    plans = load(plan.name, plan.storage).confirmation.until.plans
    fixed = stage_of(plan, until=None, confirm_seeds=20)
    seeds = fixed.allocation.verdict_seeds
    train(fixed, None if complete else FakeExecutor(lanes=3, stop_after_reports=1))
    before = load(plan.name, plan.storage).confirmation
    assert (before.until, before.looked) == (None, plans)
    again = stage_of(plan, confirm_seeds=25).until.plans
    assert again[: len(plans)] == plans and again[-1] == 25
    assert stage_of(plan, confirm_seeds=plans[-1]).until.plans == plans
    assert before.complete == complete or seeds <= plans[-1]


def test_a_fixed_number_of_seeds_is_what_it_was_without_until(plan):
    train(stage_of(plan, until=None))
    found = load(plan.name, plan.storage).confirmation
    assert found.until is None and not found.standings
    assert evidence(load(plan.name, plan.storage))["until"] is None
    assert {len(c.phase("verdict")) for c in (found.winner, *found.baselines)} == {found.seeds}
