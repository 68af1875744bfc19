"""Exact references: SciPy's p-values, the bivariate normal distribution; and how often it errs, simulated."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import mannwhitneyu, multivariate_normal, norm

from tuner.core.sequential_ranks import (
    FIRST_LOOK,
    LOOKS,
    corridor,
    height,
    leaves,
    looks,
    normal_score,
    predictive_power,
    probability,
    runs_needed,
)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=9), st.lists(st.integers(0, 9), min_size=1, max_size=9))
def test_the_probability_is_the_share_of_pairs_won_ties_counted_half(ours, theirs):
    pairs = [(a > b) + 0.5 * (a == b) for a in ours for b in theirs]
    assert probability(ours, theirs) == pytest.approx(sum(pairs) / len(pairs))


@pytest.mark.parametrize("n", [1, 2, 5, 6, 13, 28, 40])
def test_without_ties_the_normal_score_stands_for_the_exact_p_value(n):
    for seed in range(5):
        x, y = np.random.default_rng(seed).normal(0.1 * seed, 1, (2, n))
        found = normal_score(probability(x, y), n)
        expected = mannwhitneyu(x, y, method="exact").pvalue
        assert 2 * norm.sf(abs(found)) == pytest.approx(expected, rel=1e-9 if n <= 28 else 0.01)
        assert found == 0 or (found > 0) == (probability(x, y) > 0.5)
        assert normal_score(probability(y, x), n) == pytest.approx(-found, abs=1e-9)


def test_a_tie_never_tells_more_than_the_loss_of_it_would():
    for won in np.arange(25, 36, 0.5):
        assert normal_score(won / 36, 6) <= normal_score(math.ceil(won) / 36, 6)
        assert normal_score(won / 36, 6) <= normal_score((math.floor(won)) / 36, 6) + 1e-12 or won % 1 == 0


@pytest.mark.parametrize("high", [1.5, 2.0, 2.5])
def test_the_chance_to_leave_the_corridor_is_that_of_the_multivariate_normal_distribution(high):
    assert leaves(high, FIRST_LOOK) == pytest.approx(2 * norm.sf(high), abs=1e-9)
    n = list(looks(FIRST_LOOK + 1))
    assert len(n) == 2
    times = [k * k / (2 * k + 1) for k in n]
    together = math.sqrt(times[0] / times[1])
    ends = np.array([high * corridor(k, n[-1]) for k in n])
    inside = multivariate_normal([0, 0], [[1, together], [together, 1]]).cdf(ends, lower_limit=-ends)
    assert leaves(high, n[-1]) == pytest.approx(1 - inside, abs=1e-5)


@settings(max_examples=25)  # two numbers
@given(st.floats(0.001, 0.3), st.integers(1, 40))
def test_two_settings_that_are_alike_leave_the_corridor_as_rarely_as_asked(error, most):
    assert leaves(height(error, most), most) == pytest.approx(error, rel=1e-3)
    assert height(error, most) >= height(error * 1.1, most)


def test_looks_end_with_the_last_run_and_are_about_a_hundred_at_most():
    for most in (1, 4, 5, 20, 99, 100, 101, 250, 1000):
        found = list(looks(most))
        assert found[-1] == most and found[0] >= min(FIRST_LOOK, most) and len(found) <= LOOKS
        heights = [corridor(n, most) for n in range(1, most + 1)]
        assert heights[-1] == 1 and [n for n, h in enumerate(heights, 1) if math.isfinite(h)] == found


@pytest.mark.parametrize("share", [0.55, 0.7, 0.99, 0.3])
def test_the_runs_that_are_needed_are_those_at_whose_last_look_the_share_is_told(share):
    found = runs_needed(share, 0.05)
    limit = norm.isf(0.05 / 4)
    scores = [abs(share - 0.5) / math.sqrt((2 * n + 1) / (12 * n * n)) for n in (found - 1, found)]
    assert scores[0] < limit <= scores[1]
    assert runs_needed(0.5, 0.05) is None and runs_needed(0.5001, 0.05) is None


@pytest.mark.parametrize(("score", "n", "most"), [(0.0, 5, 10), (1.2, 7, 20), (-2.0, 12, 20), (3.0, 40, 50)])
def test_the_chance_to_be_told_is_that_of_a_drift_that_nobody_knew_beforehand(score, n, most):
    time = (n * n / (2 * n + 1)) / (most * most / (2 * most + 1))
    seen, limit = score * math.sqrt(time), 2.2

    def told(drift):  # the motion at time 1, given where it is and how it drifts
        end = norm(seen + drift * (1 - time), math.sqrt(1 - time))
        return norm.pdf(drift, seen / time, time**-0.5) * (end.sf(limit) + end.cdf(-limit))

    middle, wide = seen / time, 12 * time**-0.5
    expected, _ = quad(told, middle - wide, middle + wide, points=[middle])
    assert predictive_power(score, n, most, limit) == pytest.approx(expected, abs=1e-7)
    assert predictive_power(-score, n, most, limit) == pytest.approx(expected, abs=1e-7)


def test_after_the_last_run_it_is_told_or_not():
    assert predictive_power(2.3, 20, 20, 2.2) == 1 and predictive_power(-2.1, 20, 20, 2.2) == 0


def ever_left(ours, theirs, error=0.05):
    n = ours.shape[-1]
    limit = height(error, n)
    return np.mean(
        [
            any(abs(normal_score(probability(x[:k], y[:k]), k)) >= limit * corridor(k, n) for k in looks(n))
            for x, y in zip(ours, theirs, strict=True)
        ]
    )


def test_at_any_look_the_test_errs_in_at_most_one_of_twenty_studies_and_tells_what_is_far_apart_early():
    rng = np.random.default_rng(1)
    solved = np.where(rng.random((2, 1500, 12)) < 0.6, 500.0, rng.normal(180, 40, (2, 1500, 12)).clip(0, 500))
    assert ever_left(*solved) <= 0.05
    assert ever_left(*rng.normal(3, 7, (2, 1500, 12))) <= 0.05
    apart = rng.normal(3, 1, (200, 20)), rng.normal(0, 1, (200, 20))
    first = height(0.05, 20) * corridor(6, 20)
    assert normal_score(1.0, 6) >= first and ever_left(*apart) == 1
