"""Published formulas taken word for word, exact expectations, and what holds whatever the scores are."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import trapezoid
from scipy.stats import norm

from tuner.core.confidence_sequence import (
    PRIOR_RUNS,
    STAKE,
    betting_capital,
    betting_interval,
    normal_capital,
    normal_sequence,
)

SAMPLE = [0.3, 1.9, 0.8, 1.1, -0.4, 2.2, 0.9, 1.4]


@pytest.mark.parametrize("n", [2, 5, 8])
def test_the_normal_capital_is_the_ratio_of_likelihoods_integrated_over_effect_sizes_and_scales(n):
    x = np.array(SAMPLE[:n])
    log_scales, effects = np.linspace(-9, 11, 601), np.linspace(-14, 14, 561)
    scales = np.exp(log_scales)

    def likelihoods(effect):
        """Integrated over scales with the measure ds / s, which no unit is preferred by."""
        return trapezoid(np.exp(norm.logpdf(x, effect * scales[:, None], scales[:, None]).sum(axis=1)), log_scales)

    weighted = [likelihoods(e) * norm.pdf(e, 0, PRIOR_RUNS**-0.5) for e in effects]
    assert math.exp(normal_capital(x)[-1]) == pytest.approx(trapezoid(weighted, effects) / likelihoods(0.0), rel=1e-4)


def test_one_score_says_nothing_of_its_own_spread():
    assert normal_capital([7.0])[0] == pytest.approx(0)


@given(st.lists(st.integers(-50, 50), min_size=6, max_size=20).filter(lambda x: len(set(x)) > 2), st.floats(0.8, 0.99))
def test_the_ends_of_the_normal_sequence_are_the_means_against_which_the_capital_reaches_its_limit(x, level):
    low, high = normal_sequence(x, level)
    for n in range(3, len(x) + 1):
        if math.isfinite(low[n - 1]) and high[n - 1] > low[n - 1]:
            for end in (low[n - 1], high[n - 1]):
                assert normal_capital(x[:n], end)[-1] == pytest.approx(-math.log1p(-level), rel=1e-6)
            assert normal_capital(x[:n], (low[n - 1] + high[n - 1]) / 2)[-1] < -math.log1p(-level)


def test_the_normal_sequence_has_the_unit_and_the_zero_of_the_scores():
    low, high = normal_sequence(SAMPLE, 0.95)
    shifted = normal_sequence(1e6 + 250 * np.array(SAMPLE), 0.95)
    assert low[:3].tolist() == [-math.inf] * 3 and math.isfinite(low[4])
    np.testing.assert_allclose(shifted[0][4:], 1e6 + 250 * low[4:], rtol=1e-9)
    np.testing.assert_allclose(shifted[1][4:], 1e6 + 250 * high[4:], rtol=1e-9)


def test_scores_that_all_equal_exclude_every_other_mean_once_there_are_enough_and_never_their_own():
    low, high = normal_sequence([3.0] * 6, 0.95)
    assert (low[0], low[-1], high[-1]) == (-math.inf, 3.0, 3.0)
    assert not normal_capital([3.0] * 50, 3.0).any()


def naive_capital(scores, mean, low, high, level):
    """Waudby-Smith and Ramdas 2024, score by score."""
    x, m = [(s - low) / (high - low) for s in scores], (mean - low) / (high - low)
    up = down = 1.0
    means, squares, capital = [], [], []
    for t in range(1, len(x) + 1):
        variance = (0.25 + sum(squares)) / t
        wager = math.sqrt(2 * math.log(2 / (1 - level)) / (variance * t * math.log(1 + t)))
        up *= 1 + min(wager, STAKE / m) * (x[t - 1] - m)
        down *= 1 - min(wager, STAKE / (1 - m)) * (x[t - 1] - m)
        means.append((0.5 + sum(x[:t])) / (t + 1))
        squares.append((x[t - 1] - means[-1]) ** 2)
        capital.append(max(up, down) / 2)
    return capital


@given(st.lists(st.floats(0, 500), min_size=1, max_size=20), st.floats(1, 499), st.floats(0.8, 0.99))
def test_the_betting_capital_is_that_of_the_paper(scores, mean, level):
    found = betting_capital(scores, mean, (0, 500), level)
    np.testing.assert_allclose(np.exp(found), naive_capital(scores, mean, 0, 500, level), rtol=1e-9)


@pytest.mark.parametrize("chance", [0.05, 0.5, 0.9])
def test_the_betting_capital_is_not_expected_to_grow_against_the_true_mean(chance):
    paths = np.array(list(itertools.product([0.0, 1.0], repeat=9)))
    weights = np.prod(np.where(paths > 0, chance, 1 - chance), axis=1)
    capital = np.exp(betting_capital(paths, chance, (0, 1), 0.95))
    assert (weights @ capital <= 1 + 1e-9).all()
    assert weights.sum() == pytest.approx(1)


@settings(max_examples=20)
@given(st.lists(st.integers(0, 10), min_size=1, max_size=25))
def test_the_bounded_interval_is_what_a_grid_of_means_does_not_exclude(scores):
    low, high = betting_interval(scores, (0, 10), 0.95)
    held = [m for m in np.linspace(0.01, 9.99, 500) if betting_capital(scores, m, (0, 10), 0.95)[-1] < math.log(20)]
    assert low - 1e-9 <= held[0] <= low + 0.021 or low == 0
    assert high - 0.021 <= held[-1] <= high + 1e-9 or high == 10
    assert low <= np.mean(scores) <= high


def test_a_score_outside_the_bounds_is_refused():
    with pytest.raises(ValueError, match="within 0 and 500, got 3 to 501"):
        betting_capital([3, 501], 200, (0, 500), 0.95)


def test_at_any_of_fifty_looks_a_sequence_is_wrong_in_at_most_one_of_twenty_studies():
    rng = np.random.default_rng(1)
    solved = np.where(rng.random((2000, 50)) < 0.85, 500.0, rng.normal(180, 40, (2000, 50)).clip(0, 500))
    truth = 0.85 * 500 + 0.15 * 180
    limit = math.log(20)
    assert (betting_capital(solved, truth, (0, 500), 0.95) >= limit).any(axis=1).mean() <= 0.05
    assert (normal_capital(rng.normal(3, 7, (2000, 50)), 3.0) >= limit).any(axis=1).mean() <= 0.05
