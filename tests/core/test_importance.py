"""Importance is Optuna's PED-ANOVA number for number; its noise is that of shuffled scores."""

import random
import warnings

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.importance import PedAnovaImportanceEvaluator
from optuna.trial import TrialState, create_trial
from scipy.special import ndtr

from tuner.core.importance import _normal_cdf
from tuner.study.reading.importance import importance_of as importance_of_stored
from tuner.study.reading.stored_study import stored_trial

SPACE = {
    "rate": FloatDistribution(1e-5, 1e-1, log=True),
    "share": FloatDistribution(0.0, 1.0),
    "stepped": FloatDistribution(0.0, 1.0, step=0.25),
    "size": IntDistribution(1, 9),
    "steps": IntDistribution(1, 20_000, log=True),
    "kind": CategoricalDistribution(("a", "b", "c")),
}


def drawn(distribution, luck):
    if isinstance(distribution, CategoricalDistribution):
        return luck.choice(distribution.choices)
    if isinstance(distribution, IntDistribution):
        return luck.randint(distribution.low, distribution.high)
    if distribution.log:
        return 10 ** luck.uniform(-5, -1)
    return luck.randrange(5) / 4 if distribution.step else luck.random()


def trials_of(n, seed, score, most=None):
    luck, trials = random.Random(seed), []
    for _ in range(n):
        space = dict(SPACE)
        if luck.random() < 0.5:
            space["extra"] = FloatDistribution(0.0, 1.0)
            space["bounded"] = IntDistribution(1, luck.choice([2, 4]) if most is None else most)
        params = {name: drawn(d, luck) for name, d in space.items()}
        trials.append(create_trial(value=score(params, luck), params=params, distributions=space))
    return trials


def importance_of(trials):
    return importance_of_stored([stored_trial(trial) for trial in trials])


def optunas(trials):
    study = optuna.create_study(direction="maximize")
    study.add_trials(trials)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        raw = optuna.importance.get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())
    return {name: value / sum(raw.values()) for name, value in raw.items()}


def by_rate(params, luck):
    return -abs(np.log10(params["rate"]) + 3) + 0.3 * luck.gauss(0, 1) + (params["kind"] == "b")


def of_nothing(params, luck):
    return luck.random()


@pytest.mark.parametrize("score", [by_rate, of_nothing, lambda p, luck: min(by_rate(p, luck), 0.5)])
@pytest.mark.parametrize("n", [11, 60, 200])
def test_importance_is_that_of_optuna(n, score):
    trials = trials_of(n, n, score)
    found, expected = importance_of(trials), optunas(trials)
    assert {name: i.share for name, i in found.items()} == pytest.approx(expected, abs=1e-9)
    assert all(i.low <= i.high for i in found.values())


def test_what_decides_is_above_the_noise_and_nothing_else_is():
    found = importance_of(trials_of(120, 1, by_rate, most=3))
    assert {name for name, i in found.items() if i.share > i.noise} == {"rate", "kind"}
    assert all(i.low <= i.share <= i.high for i in found.values())


def test_where_nothing_decides_nothing_is_named_in_nineteen_of_twenty_studies():
    named = 0
    for seed in range(25):
        found = importance_of(trials_of(60, seed, of_nothing, most=3))
        named += any(i.share > i.noise for i in found.values())
    assert named <= 4  # 1.25 expected; more in one of a hundred such tests


def test_importance_is_empty_where_the_best_tenth_ties_with_the_rest():
    """A sparse landscape: nine in ten lie at the floor; with 8 % above it the best tenth reaches down to that."""
    luck = random.Random(3)
    floor = [0.0] * 55 + [luck.random() + 1 for _ in range(5)]
    luck.shuffle(floor)
    assert importance_of(trials_of(60, 1, lambda p, _: floor.pop())) == {}
    assert importance_of(trials_of(60, 1, lambda p, _: 1.0)) == {}
    half = [500.0] * 30 + [luck.random() for _ in range(30)]  # a ceiling: those that tie are the best
    luck.shuffle(half)
    assert importance_of(trials_of(60, 1, lambda p, _: half.pop())) != {}


def test_trials_that_are_not_completed_or_not_finite_do_not_count():
    trials = trials_of(30, 2, by_rate)
    stopped = create_trial(state=TrialState.PRUNED, params={"share": 0.5}, distributions={"share": SPACE["share"]})
    endless = create_trial(value=float("inf"), params={"share": 0.5}, distributions={"share": SPACE["share"]})
    assert importance_of([*trials, stopped, endless]) == importance_of(trials)
    assert importance_of(trials[:9]) == {}


@given(st.floats(-60, 60))
def test_the_tabulated_normal_distribution_is_scipys(x):
    assert _normal_cdf(np.array([x]))[0] == pytest.approx(ndtr(x), abs=1e-13)
