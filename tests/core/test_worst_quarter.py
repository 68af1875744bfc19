"""The worst quarter: exact shares of scores, and what a test of means on shortfalls says."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.core.reliability import clearly_worse_quarters, shortfalls, worst_quarter

SCORES = st.lists(st.integers(-500, 500), min_size=4, max_size=40)


def naive(scores):
    """Each score four times: of 4 n then the lowest n in full."""
    every = sorted(s for score in scores for s in [score] * 4)
    return sum(every[: len(scores)]) / len(scores)


@given(SCORES)
def test_the_worst_quarter_is_the_mean_of_the_lowest_n_of_four_copies(scores):
    assert worst_quarter(scores) == pytest.approx(naive(scores), abs=1e-9)


@given(st.lists(st.integers(-500, 500), min_size=1, max_size=3))
def test_of_fewer_than_four_runs_it_is_the_lowest(scores):
    assert worst_quarter(scores) == min(scores)
    assert shortfalls(scores) == [min(scores)] * len(scores)


@given(SCORES)
def test_the_mean_of_the_shortfalls_is_the_worst_quarter(scores):
    assert np.mean(shortfalls(scores)) == pytest.approx(worst_quarter(scores), abs=1e-9)


def test_it_is_the_expected_shortfall_of_the_distribution_where_runs_are_many():
    normal = np.random.default_rng(0).normal(size=400_000)
    density = math.exp(-(0.6744898**2) / 2) / math.sqrt(2 * math.pi)
    assert worst_quarter(normal) == pytest.approx(-density / 0.25, abs=0.01)
    errors = np.array([np.subtract(worst_quarter(x), np.mean(normal)) for x in normal.reshape(-1, 400)])
    spread = np.std(shortfalls(normal[:400]), ddof=1) / 20
    assert errors.std() == pytest.approx(spread, rel=0.1)


def test_a_setting_that_fails_now_and_then_is_beaten_by_a_steady_lower_one_and_not_by_its_mean():
    steady, risky = [400.0 + i for i in range(40)], [500.0] * 32 + [100.0] * 8
    assert np.mean(risky) > np.mean(steady) - 1
    assert clearly_worse_quarters({"steady": steady, "risky": risky}) == {"risky"}
    assert clearly_worse_quarters({"steady": steady[:3], "risky": risky}) == set()


@pytest.mark.parametrize("scores", [[], [math.nan], [[1.0, 2.0]]])
def test_what_is_no_list_of_finite_scores_is_refused(scores):
    with pytest.raises(ValueError, match="finite scores"):
        worst_quarter(scores)
