"""``--within``: what fits into a time, and that a stage whose time is up ends with what is whole."""

from __future__ import annotations

import dataclasses
import math
import shlex
import sqlite3
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from study_fakes import FakeExecutor, copied, make_plan, search, supervise

import tuner
from tuner.envs.make import RandomPlay
from tuner.errors import InputError
from tuner.hyperparameters import algorithm_class
from tuner.plan.command_lines import recipe_command
from tuner.plan.cost import work
from tuner.plan.naming import study_name
from tuner.plan.recipe import StudyRecipe, from_mapping
from tuner.plan.resolve import plan_study
from tuner.plan.within import (
    ENOUGH,
    IN_TURN,
    MOST_TRIALS,
    SHORT_S,
    Deadlines,
    _run_seconds,
    fit,
    fit_episodes,
    plan_within,
)
from tuner.result.confirmation import Contestant
from tuner.result.curve import CurvePoint
from tuner.result.study import StudyData, TrialRow
from tuner.study.confirm.affordable import Affordable, affordable, run_seconds
from tuner.study.confirm.contestants import baselines, finalists
from tuner.study.confirm.ledger import spec_of
from tuner.study.confirm.schedule import Job, rounds
from tuner.study.confirm.stage import ConfirmStage
from tuner.study.confirm.verdict import FIRST_LOOK
from tuner.study.reading.study import load
from tuner.study.search.progress import NoProgress
from tuner.training.cost.timing import RunCosts

SECONDS = st.floats(0.01, 1e4)


class Clock:
    """Seconds that pass when a fake run reports."""

    def __init__(self, step_s: float = 1.0) -> None:
        self.now, self.step_s = 1_000.0, step_s

    def __call__(self) -> float:
        return self.now


class TimedExecutor(FakeExecutor):
    """Plays runs, each evaluation of which takes a second of ``clock``."""

    def __init__(self, clock: Clock, **options) -> None:
        super().__init__(**options)
        self.clock = clock

    def _advance(self, supervisor, spec, done):
        self.clock.now += self.clock.step_s
        return super()._advance(supervisor, spec, done)


@given(SECONDS, SECONDS, st.integers(8, 10**6), SECONDS, st.integers(1, 64), st.booleans())
def test_what_fits_is_paid_for_and_runs_become_shorter_before_they_become_few(
    train_s, eval_s, steps, wall_s, places, shorten
):
    seconds = wall_s * places
    found = fit(train_s, eval_s, steps, seconds, wall_s, shorten=shorten)
    shortest = ENOUGH[-1][1]
    if found is None:
        assert wall_s < (shortest if shorten else 1) * train_s + eval_s
        return
    a_run = train_s * found.steps / steps + eval_s
    assert a_run - train_s / steps <= wall_s * (1 + 1e-9)
    if shorten and found.steps > math.ceil(shortest * steps):
        assert IN_TURN * (a_run - train_s / steps) <= wall_s * (1 + 1e-9)
    assert 1 <= found.trials <= MOST_TRIALS
    assert found.trials * (a_run - train_s / steps) <= seconds * (1 + 1e-9)
    assert math.floor(shortest * steps) <= found.steps <= steps
    assert found.steps == steps or shorten
    even = min(eval_s / train_s, 1.0)  # training is the smaller part, and not made shorter for more trials
    for enough, share in ENOUGH if shorten else ():
        if found.trials < enough and found.steps > math.ceil(max(share, even) * steps):
            assert enough * (a_run - train_s / steps) <= seconds * (1 + 1e-9)  # a step fewer, and enough would fit


@pytest.mark.parametrize(
    ("seconds", "steps", "trials"),
    [
        (400.0, 1000, 40),
        (240.0, 750, 32),
        (64.0, 200, 32),
        (32.0, 200, 16),
        (16.0, 200, 8),
        (10.0, 125, 8),
        (5.0, 125, 4),
    ],
)
def test_a_search_of_less_time_has_shorter_runs_then_fewer_and_at_last_both(seconds, steps, trials):
    """A run of 1,000 steps takes ten seconds."""
    found = fit(10.0, 0.0, 1000, seconds, seconds, shorten=True)
    assert (found.steps, found.trials) == (steps, trials)


@pytest.mark.parametrize(
    ("places", "wall_s", "given", "found"),
    [
        (16, 15.0, False, (500, 48)),  # three in turn
        (16, 3.0, False, (125, 38)),  # the shortest
        (16, 1.0, False, None),
        (16, 15.0, True, (1000, 24)),  # said by --steps: they are not cut
        (16, 9.0, True, None),
    ],
)
def test_no_run_outlasts_the_search_however_many_train_beside_it(places, wall_s, given, found):
    """A run of 1,000 steps takes ten seconds."""
    fitted = fit(10.0, 0.0, 1000, places * wall_s, wall_s, shorten=not given)
    assert (fitted and (fitted.steps, fitted.trials)) == found


@pytest.mark.parametrize(
    ("evaluate_s", "fewest", "fitted"),
    [
        (0.0, 3, (10_000, 10, 10)),
        (4.0, 3, (8_500, 8, 10)),  # less than training has: all episodes
        (50.0, 3, (15_000, 3, 3)),  # shorter evaluations come before shorter runs
        (50.0, 10, (6_250, 1, 10)),  # said by --eval-episodes: they are not cut
        (1000.0, 3, None),
    ],
)
def test_where_time_is_short_evaluations_take_no_longer_than_training(evaluate_s, fewest, fitted):
    """A run of 50,000 steps trains for fifty seconds, and a search of 100 seconds has place for one at a time."""
    found = fit_episodes(50.0, evaluate_s, 50_000, 100.0, 100.0, shorten=True, episodes=range(fewest, 11))
    assert (found and (found.steps, found.trials, found.episodes)) == fitted


@given(SECONDS, SECONDS, st.integers(8, 10**6), SECONDS, st.integers(1, 64), st.booleans(), st.integers(1, 12))
def test_more_trials_or_longer_runs_come_of_shorter_evaluations(
    train_s, eval_s, steps, wall_s, places, shorten, fewest
):
    asked = (train_s, eval_s, steps, wall_s * places, wall_s)
    whole, found = (fit_episodes(*asked, shorten=shorten, episodes=range(least, 13)) for least in (12, fewest))
    assert whole is None or found is not None
    if whole is not None and whole.episodes != found.episodes:
        assert found.episodes < 12
        assert found.steps > whole.steps or found.trials >= whole.trials
    if found is not None and found.episodes > fewest and found.trials < ENOUGH[0][0]:
        assert eval_s * found.episodes / 12 <= train_s * found.steps / steps * (1 + 1e-9)


@given(st.floats(0, 1e6), st.floats(1, 1e5))
def test_the_search_is_done_before_the_report_is_due_and_that_before_the_end(began, seconds):
    deadlines = Deadlines(began, seconds)
    assert deadlines.report < began + seconds
    assert began <= deadlines.search(began) <= max(deadlines.report, began)
    assert deadlines.search(began + seconds) == began + seconds


@pytest.mark.parametrize(("seconds", "kept"), [(60.0, 4.0), (100.0, 4.0), (3600.0, 144.0)])
def test_the_report_has_four_seconds_or_a_twenty_fifth_and_the_search_half_of_the_others(seconds, kept):
    deadlines = Deadlines(1000.0, seconds)
    assert deadlines.report == pytest.approx(1000 + seconds - kept)
    assert deadlines.search(1010.0) == pytest.approx(1010 + (seconds - kept - 10) / 2)


def planned_within(monkeypatch, run_s, seconds, workers=1, budget=None, done=0, evaluate_s=0.0, **settings):
    """Return a plan before and after its time is shared out, on four cores at second 1,000, when it began."""
    monkeypatch.setattr("tuner.plan.within.time", SimpleNamespace(monotonic=lambda: 1000.0))
    monkeypatch.setattr("tuner.plan.within.available_cores", lambda: 4)
    monkeypatch.setattr("tuner.plan.within._run_seconds", lambda plan, within: (run_s, evaluate_s))
    given = {"env": "FrozenLake-v1", "algo": "q_learning", "executor": "inline", "within": seconds, **settings}
    plan = dataclasses.replace(plan_study(from_mapping(given)), workers=workers)
    return plan, plan_within(plan, Deadlines(1000.0, seconds), budget, done)


@pytest.mark.parametrize(("workers", "seeds", "trials"), [(1, 1, 48), (2, 1, 96), (8, 1, 192), (8, 2, 96)])
def test_seeds_of_a_trial_share_the_time_and_workers_beyond_the_cores_add_none(monkeypatch, workers, seeds, trials):
    """A run takes a second, and of a hundred the search has 48."""
    plan, fitted = planned_within(monkeypatch, 1.0, 100.0, workers, seeds_per_trial=seeds)
    assert (fitted.trials, fitted.grid, fitted.deadline) == (trials, plan.grid, 1048.0)


def test_runs_are_cut_but_for_those_whose_steps_were_said_or_stored(monkeypatch):
    """A run takes twenty seconds, and of two hundred the search has 96."""
    plan, cut = planned_within(monkeypatch, 20.0, 200.0)
    assert (cut.trials, cut.grid[-1]) == (24, plan.grid[-1] // 5)
    _, said = planned_within(monkeypatch, 20.0, 200.0, steps=3000)
    assert (said.trials, said.grid[-1]) == (4, 3000)
    budget = {"n_timesteps": 5000, "evaluations": 7, "eval_episodes": 3}
    _, stored = planned_within(monkeypatch, 20.0, 200.0, budget=budget, done=10)
    assert (stored.trials, stored.grid[-1], len(stored.grid), stored.evaluation.episodes) == (14, 5000, 7, 3)


def test_a_study_has_the_episodes_that_its_time_leaves_to_evaluations_and_says_so(monkeypatch):
    """A run trains for twenty seconds and evaluates for as long, and of two hundred seconds the search has 96."""
    settings = {"monkeypatch": monkeypatch, "run_s": 20.0, "seconds": 200.0, "evaluate_s": 20.0}
    plan, cut = planned_within(**settings)
    assert 3 <= cut.evaluation.episodes < plan.evaluation.episodes
    assert cut.recipe.eval_episodes == cut.evaluation.episodes  # pinned, and stored with the study
    assert f"Evaluations are of {cut.evaluation.episodes} episodes" in cut.notes[-1]
    plan, said = planned_within(**settings, eval_episodes=20)
    assert said.evaluation.episodes == 20 and "episodes" not in said.notes[-1]
    plan, one = planned_within(**settings, eval_episodes=1)
    assert one.evaluation.episodes == 1
    with pytest.raises(InputError, match=r"1h00m of them in evaluations. Give it longer, or fewer --evaluations\.$"):
        planned_within(**{**settings, "evaluate_s": 3600.0}, eval_episodes=20)


def test_few_starts_do_not_stand_for_a_studys_proposals(monkeypatch):
    """In a command of minutes a sample of the space is timed in their place."""
    plan = plan_study(StudyRecipe(env="CartPole-v1", executor="inline", prior="none", start_with=("defaults",)))
    timed, sample = [], [algorithm_class("dqn")(batch_size=size) for size in (16, 64)]
    monkeypatch.setattr("tuner.plan.within.typical", lambda plan: sample)

    def time_runs(plan, runs):
        timed.extend(spec.hyperparameters for spec, _ in runs)
        return [RunCosts(0.0, 1e-3, 0.0, 0.0)] * len(runs)

    monkeypatch.setattr("tuner.plan.within.time_runs", time_runs)
    _run_seconds(plan, 600.0)
    assert timed == sample


def test_a_command_with_another_time_has_another_study_and_the_same_command_its_own():
    names = {study_name(StudyRecipe(env="CartPole-v1", within=within)) for within in (None, 60.0, 600.0)}
    assert len(names) == 3
    assert study_name(StudyRecipe(env="CartPole-v1", within=60.0)) in names


def test_no_run_begins_that_would_not_end_in_time_and_the_search_is_done(url):
    clock = Clock()
    plan = dataclasses.replace(make_plan(url, trials=50, pruner="none"), deadline=clock() + 33)
    supervisor = supervise(plan, clock=clock)
    TimedExecutor(clock).run(supervisor)
    assert supervisor.close() == "done"
    assert clock() == 1_030  # five runs of six evaluations; a sixth would have ended at 36
    assert [t.outcome for t in load(plan.name, url).trials] == ["completed"] * 5


def test_runs_that_are_still_training_at_the_deadline_are_given_up_and_said_to_be(url):
    clock = Clock()
    plan = dataclasses.replace(make_plan(url, trials=50, pruner="none", in_flight=4), deadline=clock() + 33)
    supervisor = supervise(plan, clock=clock)
    TimedExecutor(clock, lanes=4).run(supervisor)
    assert supervisor.close() == "done"
    assert clock() < 1_033 + 4
    rows = load(plan.name, url).trials
    ended = [t for t in rows if t.outcome == "lost"]
    assert len([t for t in rows if t.outcome == "completed"]) == 5
    assert ended
    assert {t.reason for t in ended} == {"interrupted (the time is up)"}


@pytest.mark.parametrize("seconds", [60.0, 600.0])
def test_where_there_are_minutes_all_that_the_study_starts_with_is_timed(seconds, monkeypatch):
    timed = []

    class Second:
        def training_s(self, spec) -> float:
            timed.append(spec.hyperparameters)
            return 1.0

        def evaluation_s(self, spec, share) -> float:
            return 0.0

    monkeypatch.setattr("tuner.plan.within.time_runs", lambda plan, runs: [Second()] * len(runs))
    plan = plan_study(StudyRecipe(env="CartPole-v1", within=seconds, workers=1))
    fitted = plan_within(plan, Deadlines(time.monotonic(), seconds), None, 0)
    starts = [plan.space.resolve(start.params) for start in plan.known.starts]
    assert len(starts) > 2
    if seconds > 60:
        assert timed == starts
    else:  # the dearest one in computing: the mean is between it and the defaults
        first, dearest = timed
        assert first == algorithm_class("dqn")() and dearest in starts
        assert work(plan, dearest) == max(work(plan, start) for start in starts)
    # A run takes a second: 28 of 60 s are the search's, so that 32 fit where each has 28 / 32 of the steps.
    share = fitted.grid[-1] / plan.grid[-1]
    assert share == (pytest.approx(0.865, abs=0.03) if seconds == 60 else 1.0)


def noting(asked):
    """Return what times runs as a millisecond a step, and notes the shares that evaluations are asked for."""

    class Noted(RunCosts):
        def evaluation_s(self, spec, share) -> float:
            asked.append(share)
            return 0.0

    return lambda plan, runs: [Noted(0.0, 1e-3, 0.0, 0.0)] * len(runs)


@pytest.mark.parametrize(("length", "share"), [(0.0, 0.5), (20.0, 0.2)])
def test_evaluation_is_planned_for_as_the_dry_run_has_it(length, share, monkeypatch):
    """CartPole's episodes are cut at 500 steps; the geometric mean of 20 and 500 is a fifth of that."""
    asked = []
    monkeypatch.setattr("tuner.plan.within.time_runs", noting(asked))
    monkeypatch.setattr("tuner.study.confirm.affordable.time_runs", noting(asked))
    plan = plan_study(StudyRecipe(env="CartPole-v1", within=60.0, workers=1))
    facts = dataclasses.replace(plan.facts, random_play=RandomPlay((1.0,), 1e-5, 1e-5, length))
    plan = dataclasses.replace(plan, facts=facts)
    plan_within(plan, Deadlines(time.monotonic(), 60.0), None, 0)
    defaults = Contestant("d", "defaults", "", None, "native", {})
    run_seconds(plan, StudyData("s", {}, {}, plan.grid, ()), [defaults])
    assert len(asked) == 3 and asked == [pytest.approx(share)] * 3


@pytest.mark.parametrize(
    ("steps", "share"),
    [(4_500, 0.9), (500, 0.2), (0, 0.2)],
    ids=["finalists last long", "finalists end before", "nobody counted"],
)
def test_a_baseline_that_is_timed_may_play_as_long_as_the_finalists(steps, share, monkeypatch):
    """Ten last episodes of 450 steps in all but the first; random play of 20 says a fifth of the cap of 500."""
    asked = []
    monkeypatch.setattr("tuner.study.confirm.affordable.time_runs", noting(asked))
    plan = plan_study(StudyRecipe(env="CartPole-v1", workers=1))
    facts = dataclasses.replace(plan.facts, random_play=RandomPlay((1.0,), 1e-5, 1e-5, 20.0))
    plan = dataclasses.replace(plan, facts=facts)
    curve = tuple(CurvePoint(at, (9.0,) * 10, steps=n) for at, n in ((plan.grid[0], 90), (plan.grid[-1], steps)))
    trial = TrialRow(0, "COMPLETE", "completed", 9.0, {}, {}, {0: curve}, {0: 1}, plan.grid[-1], 9.0, None, None)
    found = Contestant("f", "finalist", "", 0, "native", {})
    zoo = Contestant("z", "zoo", "", None, "native", {})
    run_seconds(plan, StudyData("s", {}, {}, plan.grid, (trial,)), [found, zoo])
    assert asked == [pytest.approx(share)]


@pytest.fixture(scope="module")
def search_of_all(tmp_path_factory):
    folder = tmp_path_factory.mktemp("searched")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        plan = make_plan(f"sqlite:///{folder}/s.db", trials=30, pruner="none")
        search(plan)
    return plan


@pytest.fixture
def searched(search_of_all, url, tmp_path):
    return copied(search_of_all, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [60, 120, 200])
def test_a_confirm_stage_whose_time_is_up_ends_with_as_many_seeds_as_all_have(searched, seconds, monkeypatch):
    monkeypatch.setattr("tuner.study.confirm.affordable.time_runs", lambda plan, runs: [FREE] * len(runs))
    clock = Clock()
    began = clock()
    # What a run takes is stored as half a second, and is six: the stage plans for far more than there is time for.
    stage = ConfirmStage(searched, load(searched.name, searched.storage), began + seconds, clock)
    asked = stage.allocation
    for _, supervisor in stage.passes({"numeric_path": "none"}, NoProgress()):
        TimedExecutor(clock, lanes=2).run(supervisor)
        assert supervisor.close() == "done"
    assert clock() <= began + seconds + 2
    found = load(searched.name, searched.storage).confirmation
    assert found.complete
    assert 1 <= found.seeds < asked.verdict_seeds
    for contestant in (found.winner, *found.baselines):
        assert [r.replicate for r in contestant.phase("verdict")] == list(range(found.seeds))
    selects = {len(c.phase("select")) for c in found.finalists}
    assert max(selects) - min(selects) <= 1  # they took turns


def test_a_lock_where_it_is_written_down_that_a_phase_was_cut_short_is_waited_for(searched, tmp_path, monkeypatch):
    monkeypatch.setattr("tuner.study.store.connect.BRIEF_TIMEOUT_S", 0)
    monkeypatch.setattr("tuner.study.confirm.affordable.time_runs", lambda plan, runs: [FREE] * len(runs))
    clock = Clock()
    stage = ConfirmStage(searched, load(searched.name, searched.storage), clock() + 60, clock)
    other = sqlite3.connect(tmp_path / "s.db")
    cut_short, tries = ConfirmStage._cut_short, []

    def with_a_lock(self, *arguments):
        cut_short(self, *arguments)
        other.execute("BEGIN IMMEDIATE")

    def pause(seconds):
        tries.append(seconds)
        if len(tries) % 2 == 0:
            other.rollback()

    monkeypatch.setattr(ConfirmStage, "_cut_short", with_a_lock)
    monkeypatch.setattr("tuner.study.search.outage.time", SimpleNamespace(sleep=pause, monotonic=time.monotonic))
    for _, supervisor in stage.passes({"numeric_path": "none"}, NoProgress()):
        TimedExecutor(clock, lanes=2).run(supervisor)
        assert supervisor.close() == "done"
    other.close()
    assert len(tries) >= 2
    assert load(searched.name, searched.storage).confirmation.complete


def test_a_verdict_until_it_is_sure_whose_time_is_up_ends_with_as_many_seeds_as_those_in_training_have(
    searched, monkeypatch
):
    monkeypatch.setattr("tuner.study.confirm.affordable.time_runs", lambda plan, runs: [FREE] * len(runs))
    clock = Clock()
    began = clock()
    plan = dataclasses.replace(searched, recipe=dataclasses.replace(searched.recipe, until=0.9999))
    stage = ConfirmStage(plan, load(plan.name, plan.storage), began + 120, clock)
    for _, supervisor in stage.passes({"numeric_path": "none"}, NoProgress()):
        TimedExecutor(clock, lanes=2).run(supervisor)
        assert supervisor.close() == "done"
    found = load(plan.name, plan.storage).confirmation
    assert found.complete
    assert 1 <= found.seeds < FIRST_LOOK, "its first look is cut short"
    ends = {c.key: len(c.phase("verdict")) for c in (found.winner, *found.baselines)}
    assert max(ends.values()) == ends[found.winner_key] == found.seeds
    assert all(found.standings[key].decided or n == found.seeds for key, n in ends.items() if key != found.winner_key)


class Costs:
    """As ``RunCosts``."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def seconds(self, spec, share) -> float:
        return self._seconds


FREE = Costs(0.5)


@pytest.mark.parametrize(("zoo_s", "kept"), [(0.5, ["defaults", "startup"]), (500.0, ["startup"])])
def test_baselines_that_there_is_no_time_for_are_left_out(searched, monkeypatch, zoo_s, kept):
    monkeypatch.setattr("tuner.study.confirm.affordable.time_runs", lambda plan, runs: [Costs(zoo_s)] * len(runs))
    data = load(searched.name, searched.storage)
    found, against = finalists(data, 5, "native"), baselines(data, "native")
    for seconds in (30.0, 100.0):
        fits = affordable(searched, data, found, against, seconds)
        assert [c.role for c in fits.baselines] == kept
        assert fits.finalists == found


@pytest.mark.parametrize("evaluating", [0.05, 0.5, 0.95])
def test_a_run_that_mostly_evaluates_takes_as_much_longer_here_as_its_evaluations_have_more_episodes(
    searched, evaluating
):
    data = load(searched.name, searched.storage)
    trial = dataclasses.replace(data.ranked[0], duration_s=20.0, evaluation_s=20.0 * evaluating)
    data = dataclasses.replace(data, trials=(trial,))
    (finalist,) = finalists(data, 1, "native")
    points = next(iter(trial.curves.values()))
    episodes = sum(len(point.returns) for point in points)
    more = sum(spec_of(searched, finalist, Job(finalist.key, "verdict", 0)).episodes_at(p.step) for p in points)
    expected = 20.0 * (1 - evaluating + evaluating * more / episodes)  # all episodes are as long
    assert run_seconds(searched, data, [finalist]) == {finalist.key: pytest.approx(expected)}
    assert more > 2 * episodes


def with_costs(data, seconds):
    """Return the study as if its trials, by number, had taken so many seconds for a whole run."""
    trials = [
        dataclasses.replace(t, duration_s=seconds(t) * t.steps / data.grid[-1]) if t.steps else t for t in data.trials
    ]
    return dataclasses.replace(data, trials=tuple(trials))


@pytest.mark.parametrize(("others", "kept"), [("as good", 4), ("another class", 5)])
def test_a_finalist_too_dear_for_a_verdict_goes_where_another_did_as_well(searched, monkeypatch, others, kept):
    monkeypatch.setattr("tuner.study.confirm.affordable.time_runs", lambda plan, runs: [FREE] * len(runs))
    data = load(searched.name, searched.storage)
    scores = {t.number: 0.0 for t in data.trials}
    scores |= dict.fromkeys((t.number for t in data.ranked[:5]), 99.0 if others == "as good" else 40.0)
    favourite = data.ranked[0].number
    scores[favourite] = 100.0
    data = dataclasses.replace(data, trials=tuple(dataclasses.replace(t, score=scores[t.number]) for t in data.trials))
    dear = with_costs(data, lambda t: 60.0 if t.number == favourite else 1.0)
    found, against = finalists(dear, 5, "native"), baselines(dear, "native")
    assert favourite in [c.trial for c in found]
    fits = affordable(searched, dear, found, against, 100.0)
    assert len(fits.finalists) == kept
    assert (favourite in [c.trial for c in fits.finalists]) == (kept == 5)
    cheap = with_costs(data, lambda t: 1.0)
    assert affordable(searched, cheap, found, against, 100.0).finalists == found


@given(st.floats(1, 500), st.lists(st.floats(0.1, 30), min_size=1, max_size=5), st.integers(3, 20))
def test_the_time_is_shared_out_and_a_verdict_on_the_favourite_comes_before_a_choice(budget, costs, seeds):
    there = [Contestant(str(i), "finalist", "", i, "native", {}) for i in range(len(costs))]
    beside = Contestant("d", "defaults", "", None, "native", {})
    fits = Affordable(there, [beside], {**{str(i): s for i, s in enumerate(costs)}, "d": 1.0}, budget)
    allocation, selecting = fits.allocation(seeds, len(there))
    mean = sum(costs[: allocation.finalists]) / allocation.finalists
    taken = allocation.select_runs * mean + allocation.verdict_seeds * (mean + 1.0)
    assert selecting == pytest.approx(allocation.select_runs * mean / taken)
    if taken > budget * (1 + 1e-9):  # even the least verdict does not fit: the clock will cut it off
        assert (allocation.finalists, allocation.select_runs) == (1, 0)
        assert allocation.verdict_seeds == 3


@given(st.sets(st.integers(0, 9)), st.sets(st.integers(0, 9)))
def test_whole_rounds_are_counted_from_the_first_seed(mine, others):
    jobs = [Job("a", "verdict", r) for r in mine] + [Job("b", "verdict", r) for r in others]
    count = rounds(jobs, "a")
    assert set(range(count)) <= mine
    assert count not in mine


@pytest.mark.slow
def test_a_command_with_a_time_ends_with_its_verdict_and_goes_on_with_the_budget_that_it_stored(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(
        "algorithm: q_learning\nbudget: {n_timesteps: 1000, evaluations: 4, eval_episodes: 5}\n"
        "search:\n  learning_rate: {type: float, low: 0.01, high: 1.0, log: true}\n"
    )
    recipe = StudyRecipe(
        env="FrozenLake-v1",
        algo="q_learning",
        space="small.yaml",
        executor="inline",
        within=90.0,
        trials=8,
        confirm=2,
        confirm_seeds=3,
        storage=f"sqlite:///{tmp_path}/w.db",
    )
    first = tuner.run(recipe)
    assert first.ending == "done"
    assert first.data.confirmation.complete
    assert len(first.data.trials) == 8
    again = tuner.run(dataclasses.replace(recipe, trials=12))  # 12 in all
    assert again.name == first.name
    assert again.data.grid == first.data.grid
    assert len(again.data.trials) == 12


@pytest.mark.parametrize("within", [60.0, 600.0])
def test_the_seconds_of_a_run_are_the_mean_of_what_a_study_starts_with_where_computing_decides(monkeypatch, within):
    """In a short command two settings are timed, in a longer one all starts."""
    plan = plan_study(StudyRecipe(env="CartPole-v1", executor="inline"))
    works = [work(plan, plan.space.resolve(start.params)) for start in plan.known.starts]
    timed = []

    @dataclasses.dataclass
    class Linear:
        work: float

        def training_s(self, spec):
            return 1.0 + 1e-9 * self.work

        def evaluation_s(self, spec, share):
            return 0.1 + 1e-10 * self.work

    def time_runs(plan, runs):
        timed.append(len(runs))
        return [Linear(work(plan, spec.hyperparameters)) for spec, _ in runs]

    monkeypatch.setattr("tuner.plan.within.time_runs", time_runs)
    assert max(works) > 3 * sum(works) / len(works) / 2  # few dear ones
    mean_s = sum(1.0 + 1e-9 * each for each in works) / len(works)
    assert _run_seconds(plan, within) == pytest.approx((mean_s, mean_s / 10))
    assert timed == [2 if within < SHORT_S else len(works)]


@pytest.mark.parametrize(("said", "most"), [({"trials": 100}, 100), ({"trials": 70}, 70), ({}, 300)])
def test_trials_that_are_said_are_the_most_there_are_though_more_would_fit(monkeypatch, said, most):
    monkeypatch.setattr("tuner.plan.within._run_seconds", lambda plan, within: (1.0, 0.1))
    recipe = from_mapping({"env": "FrozenLake-v1", "algo": "q_learning", "executor": "inline", "within": "1h", **said})
    plan = plan_within(plan_study(recipe), Deadlines(time.monotonic(), 3600.0), None, 0)
    assert plan.recipe.trials == most
    later = plan_within(plan_study(recipe), Deadlines(time.monotonic(), 3600.0), plan.space.budget.to_mapping(), 60)
    assert later.recipe.trials == (most if said else 360)
    again = shlex.split(recipe_command(recipe, plan.name, plan.storage, here=True))
    assert again[again.index("--within") + 1] and ("--trials" in again) == bool(said)


def test_a_time_in_which_no_run_fits_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipe = StudyRecipe(env="FrozenLake-v1", algo="q_learning", executor="inline", within=6.0, steps=10_000_000)
    with pytest.raises(InputError, match=r"6s is too short: getting ready .* a run of 10,000,000 .* takes about"):
        tuner.run(recipe)
    assert not list(tmp_path.rglob("*.db"))


def test_a_time_is_not_shared_between_two_backends():
    with pytest.raises(InputError, match="--within cannot share its time"):
        StudyRecipe(env="CartPole-v1", within=60.0, confirm_backend="both").validated()


def test_a_stage_whose_new_baseline_had_no_time_ends_with_what_its_verdict_has(searched, monkeypatch):
    monkeypatch.setattr("tuner.study.confirm.affordable.time_runs", lambda plan, runs: [FREE] * len(runs))
    monkeypatch.setattr("tuner.result.sequential.GIVE_UP", 1.0)  # every comparison ends at its first look
    recipe = dataclasses.replace(searched.recipe, until=0.9999, confirm=1, confirm_seeds=6)
    plan = dataclasses.replace(searched, recipe=recipe)

    def train(stage, clock, cut=None):
        for _, supervisor in stage.passes({"numeric_path": "none"}, NoProgress()):
            if cut is not None:
                clock.now = cut
            TimedExecutor(clock, lanes=2).run(supervisor)
            assert supervisor.close() == "done"
        return load(plan.name, plan.storage).confirmation

    clock = Clock(step_s=0.001)
    every = ConfirmStage.__init__

    def with_one_baseline(self, *arguments):
        every(self, *arguments)
        self.contestants = tuple(c for c in self.contestants if c.role in ("finalist", "startup"))

    with monkeypatch.context() as patch:
        patch.setattr(ConfirmStage, "__init__", with_one_baseline)
        before = train(ConfirmStage(plan, load(plan.name, plan.storage), clock() + 600, clock), clock)
    assert before.complete
    assert len(before.baselines) == 1
    stage = ConfirmStage(plan, load(plan.name, plan.storage), clock() + 600, clock)
    assert sum(c.role != "finalist" for c in stage.contestants) > 1
    found = train(stage, clock, cut=clock() + 600)
    assert found.complete
    assert found.baselines == before.baselines
    assert found.standings == before.standings
