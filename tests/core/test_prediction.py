"""Where the mean of further runs lies: how often the interval holds, and what it is where that is known."""

import math

import numpy as np
import pytest
from scipy.stats import beta, betabinom, t

from tuner.core.prediction import predicted_mean

LOW, HIGH = 9.0, 500.0


def two_humped(random, n, chance):
    """Scores of runs that reach the ceiling, or fail."""
    return np.where(random.random(n) < chance, random.uniform(LOW, 100, n), HIGH)


def student(known, new):
    reach = t.ppf(0.975, len(known) - 1) * known.std(ddof=1) * math.sqrt(1 / len(known) + 1 / new)
    return known.mean() - reach, known.mean() + reach


def share_held(interval, draw, samples=150):
    random, held = np.random.default_rng(1), 0
    for _ in range(samples):
        known, mean = draw(random), draw(random).mean()
        low, high = interval(known)
        held += low - 1e-9 <= mean <= high + 1e-9
    return held / samples


@pytest.mark.parametrize("chance", [0.05, 0.1, 0.3, 0.5])
def test_it_holds_what_it_says_where_runs_fail_now_and_then(chance):
    draw = lambda random: two_humped(random, 10, chance)  # noqa: E731
    assert share_held(lambda known: predicted_mean(list(known), 10, (LOW, HIGH)), draw) >= 0.92


def test_it_holds_what_it_says_of_scores_cut_at_a_ceiling():
    draw = lambda random: np.minimum(HIGH, 480 + 40 * random.standard_normal(10))  # noqa: E731
    assert share_held(lambda known: predicted_mean(list(known), 10, (LOW, HIGH)), draw) >= 0.92


def test_student_s_interval_does_not_where_one_run_in_ten_fails():
    draw = lambda random: two_humped(random, 10, 0.1)  # noqa: E731
    assert share_held(lambda known: student(known, 10), draw, samples=1000) < 0.85


@pytest.mark.parametrize("failed", [0, 1, 4])
def test_of_successes_and_failures_it_is_jeffreys_s_interval(failed):
    low, high = predicted_mean([1.0] * (10 - failed) + [0.0] * failed, 8, (0.0, 1.0))
    successes = betabinom(8, 10 - failed + 0.5, failed + 0.5)
    assert low * 8 == pytest.approx(successes.ppf(0.025), abs=1.01)
    assert high * 8 == pytest.approx(successes.ppf(0.975), abs=1.01)
    assert low < 1, "ten successes do not promise eight more"
    ends = predicted_mean([1.0] * (10 - failed) + [0.0] * failed, 2000, (0.0, 1.0))  # of so many it is the share's own
    assert ends == pytest.approx(beta(10 - failed + 0.5, failed + 0.5).ppf([0.025, 0.975]), abs=0.02)


def test_it_is_the_same_every_time_and_moves_with_the_scale():
    known = [1.0, 4.0, 2.0, 8.0]
    low, high = predicted_mean(known, 5, (0.0, 10.0))
    assert predicted_mean(known, 5, (0.0, 10.0)) == (low, high)
    scaled = predicted_mean([10 * v - 3 for v in known], 5, (-3.0, 97.0))
    assert scaled == pytest.approx((10 * low - 3, 10 * high - 3))
    assert predicted_mean(known, 5, (2.0, 3.0)) == predicted_mean(known, 5, (1.0, 8.0)), "scores beyond widen bounds"


@pytest.mark.parametrize(
    ("scores", "runs", "bounds"),
    [([1.0], 5, (0, 1)), ([1.0, 2.0], 0, (0, 3)), ([1.0, math.nan], 5, (0, 3)), ([1.0, 2.0], 5, (0, math.inf))],
)
def test_too_little_or_what_is_not_finite_is_refused(scores, runs, bounds):
    with pytest.raises(ValueError, match="at least two finite scores"):
        predicted_mean(scores, runs, bounds)
