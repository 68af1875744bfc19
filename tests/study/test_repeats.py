"""Settings that are level at the top train again, by what the study has seen and no more than every second trial."""

import dataclasses
import itertools
from collections import Counter

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial
from study_fakes import make_plan, search

from tuner.contract.rules import CURRENT
from tuner.plan.known import Known, Start
from tuner.result.study import REPEAT
from tuner.space.ranges import Dimension
from tuner.study.reading.study import load
from tuner.study.sampling.repeats import LEVEL, NEWEST, setting_to_repeat
from tuner.study.sampling.samplers import make_sampler
from tuner.study.store import keys as attr

TOP, LOW = 500.0, 100.0
X = {"x": FloatDistribution(0, 1)}
STATES = {None: TrialState.RUNNING, "lost": TrialState.FAIL, "diverged": TrialState.PRUNED}


def trials_of(*runs):
    """Trials of one parameter: (x, score[, source]); a score of None is one that is running, "lost" one that was, and
    "diverged" one that had shown the best score until then.
    """
    made = []
    for number, (x, score, *source) in enumerate(runs):
        trial = create_trial(
            state=STATES.get(score, TrialState.COMPLETE),
            value=TOP if score == "diverged" else score if isinstance(score, float) else None,
            params={"x": x},
            distributions=X,
            user_attrs={attr.SOURCE: source[0]} if source else {},
            intermediate_values={1: x * 10, 2: score} if isinstance(score, float) else {},
        )
        trial.number = number
        made.append(trial)
    return made


LEVEL_ONES = [(0.1 * n, TOP) for n in range(LEVEL + 1)]
OTHERS = [(0.01 + 0.1 * n, LOW + n) for n in range(LEVEL + 2)]


def repeated(*runs, point=1):
    found = setting_to_repeat(trials_of(*runs), point)
    return None if found is None else found["x"]


def test_the_best_curve_of_those_that_are_level_is_repeated_first():
    assert repeated(*LEVEL_ONES, *OTHERS) == pytest.approx(0.1 * LEVEL)


def test_every_second_point_is_a_new_one():
    runs = (*LEVEL_ONES, *OTHERS)
    assert [repeated(*runs, point=point) is None for point in range(4)] == [True, False, True, False]


def test_a_lost_repeat_says_nothing():
    assert repeated(*LEVEL_ONES, *OTHERS, (0.1 * LEVEL, "lost", REPEAT)) == repeated(*LEVEL_ONES, *OTHERS)


def test_a_setting_that_falls_short_in_a_repeat_is_level_no_more():
    short = (0.1 * LEVEL, TOP - 1, REPEAT)
    assert repeated(*LEVEL_ONES, *OTHERS, short, (0.77, LOW)) is None, "as many are level as are finalists"
    assert repeated(*LEVEL_ONES, *OTHERS, (0.9, TOP), short, (0.77, LOW)) == pytest.approx(0.9)


def test_a_setting_that_diverges_in_a_repeat_is_level_no_more():
    fell = (0.1 * LEVEL, LOW, REPEAT)
    assert repeated(*LEVEL_ONES, *OTHERS, (0.1 * LEVEL, "diverged", REPEAT)) == repeated(*LEVEL_ONES, *OTHERS, fell)


def test_a_repeat_that_is_running_counts_as_a_run():
    running = (0.1 * LEVEL, None, REPEAT)
    assert repeated(*LEVEL_ONES, *OTHERS, running, (0.77, LOW)) == pytest.approx(0.1 * (LEVEL - 1))


def test_few_level_settings_are_the_confirm_stages_business():
    assert repeated(*LEVEL_ONES[1:], *OTHERS) is None


def test_where_half_of_all_are_level_it_is_the_floor_that_they_share():
    assert repeated(*LEVEL_ONES, *OTHERS[: LEVEL - 1]) is None
    assert repeated(*[(0.1 * n, -200.0) for n in range(10)]) is None


def test_what_lies_far_back_is_not_looked_at():
    later = [(0.6 + n / 10_000, LOW - n) for n in range(NEWEST)]
    assert repeated(*LEVEL_ONES, *OTHERS, *later) is None


def test_a_study_without_trials_repeats_nothing():
    assert setting_to_repeat([], 0) is None


@pytest.mark.parametrize(("version", "outcome"), [(CURRENT.pruning, "completed"), (3, "pruned")])
def test_a_search_lets_a_repeat_go_to_its_end_and_stops_another_trial_like_it(tmp_path, version, outcome):
    """Ten settings whose curves never cross, then two far below all of them."""
    rates = [10 ** -(3 + 0.15 * n) for n in range(10)] + [1e-5, 1e-5]
    names = [*(f"file {n}" for n in range(10)), REPEAT, "another"]
    starts = tuple(
        Start(name, {"learning_rate": rate, "buffer_size": 100 + n, "double_q": False})
        for n, (name, rate) in enumerate(zip(names, rates, strict=True))
    )
    plan = make_plan(f"sqlite:///{tmp_path}/s.db", trials=12, startup_trials=10, sampler="random")
    rules = dataclasses.replace(CURRENT, pruning=version)
    plan = dataclasses.replace(plan, known=Known(starts), rules=rules)
    search(plan)
    trials = load(plan.name, plan.storage).trials
    assert [t.source for t in trials] == names
    assert [t.outcome for t in trials] == ["completed"] * 10 + [outcome, "pruned"]


def searched(name, repeats, count=60):
    """A study on a broad plateau, of whose runs one in three falls short."""
    dimension = Dimension("x", "", "float", low=0.0, high=1.0)
    sampler = make_sampler(name, seed=3, startup_trials=10, dimensions=(dimension,), repeats=repeats)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    for number in range(count):
        trial = study.ask()
        trial.set_user_attr(attr.POINT, number)
        x = trial.suggest_float("x", 0, 1)
        proposal = sampler.proposal
        if proposal is not None:
            trial.set_user_attr(attr.SOURCE, proposal.source)
        value = TOP if x < 0.3 and number % 3 else 100 * (1 - x)
        trial.report(value, 1)
        study.tell(trial, value)
    return study.trials


def test_a_search_repeats_what_is_level_and_goes_on_with_new_ones():
    trials = searched("tpe", True)
    sources = [t.user_attrs.get(attr.SOURCE) for t in trials]
    repeats = [t for t in trials if t.user_attrs.get(attr.SOURCE) == REPEAT]
    assert 5 <= len(repeats) <= len(trials) / 2
    assert all(a != REPEAT or b != REPEAT for a, b in itertools.pairwise(sources))
    runs = Counter(t.params["x"] for t in trials)
    assert all(runs[t.params["x"]] > 1 for t in repeats)
    assert {t.params["x"] for t in repeats} <= {t.params["x"] for t in trials if t.value == TOP}


@pytest.mark.parametrize(("name", "repeats"), [("tpe", False), ("random", True), ("qmc", True)])
def test_a_design_that_fills_the_space_and_an_earlier_study_repeat_nothing(name, repeats):
    trials = searched(name, repeats)
    assert len({t.params["x"] for t in trials}) == len(trials)
