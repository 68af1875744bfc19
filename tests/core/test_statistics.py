"""Hand-computed values, naive twins (of rliable's published algorithms as well), properties, and ties."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu, norm, t

from tuner.core import statistics
from tuner.core.statistics import (
    interquartile_mean,
    iqm_difference,
    iqm_interval,
    mean_interval,
    probability_of_improvement,
)

samples = st.lists(st.integers(-300, 300).map(lambda i: i / 2), min_size=2, max_size=12)


def by_rank(scores):
    """Twin: drop the lowest and the highest quarter (rounded down), one by one."""
    left = sorted(scores)
    for _ in range(len(scores) // 4):
        left.remove(min(left))
        left.remove(max(left))
    return sum(left) / len(left)


def test_interquartile_mean_by_hand():
    assert interquartile_mean([1, 2, 3, 4]) == 2.5  # 1 and 4 go
    assert interquartile_mean([0, 500, 500, 500, 9]) == pytest.approx((9 + 500 + 500) / 3)  # one goes on each side
    assert interquartile_mean([7.0]) == 7.0
    assert interquartile_mean([1, 2], [3, 100]) == 2.5  # environments are pooled


@given(samples)
def test_interquartile_mean_is_what_is_left_after_dropping_quarters(scores):
    assert interquartile_mean(scores) == pytest.approx(by_rank(scores))


def test_interval_equals_the_published_bca_at_the_widened_level():
    # Twin: every one of the 5^5 resamples, jackknife and normal quantiles written out.
    scores = [3.0, 10.0, 11.0, 14.0, 30.0]
    value = by_rank(scores)
    means = np.array([by_rank(draw) for draw in itertools.product(scores, repeat=5)])
    below = sum(m < value - 1e-9 for m in means) + 0.5 * sum(abs(m - value) <= 1e-9 for m in means)
    z0 = norm.ppf(below / len(means))
    left = [by_rank(scores[:i] + scores[i + 1 :]) for i in range(5)]
    apart = [sum(left) / 5 - m for m in left]
    a = sum(d**3 for d in apart) / (6 * sum(d**2 for d in apart) ** 1.5)
    z = math.sqrt(5 / 4) * t.ppf(0.975, 4)
    ends = [np.quantile(means, norm.cdf(z0 + (z0 + s) / (1 - a * (z0 + s)))) for s in (-z, z)]
    found = iqm_interval(scores)
    assert found.kind == "interval"
    assert (found.value, found.n) == (pytest.approx(value), 5)
    assert (found.low, found.high) == pytest.approx(ends, abs=0.7)  # Monte-Carlo error of 5,000 resamples


def test_interval_of_several_samples_is_the_published_bca_to_the_last_digit(monkeypatch):
    # Twin on resamples of its own; acceleration for several samples (Efron and Tibshirani 1993).
    rng = np.random.default_rng(5)
    strata = [[0.0, 1.0, 2.0, 4.0, 7.0, 13.0, 21.0, 60.0], [5.0, 9.0, 11.0, 16.0, 40.0]]
    both = [(rng.integers(8, size=8), rng.integers(5, size=5)) for _ in range(2000)]
    monkeypatch.setattr(statistics, "_draws", lambda size, i, resamples: np.array([pair[i] for pair in both]))
    monkeypatch.setattr(statistics, "_iqm_interval", statistics._iqm_interval.__wrapped__)  # remembers nothing
    value = by_rank([*strata[0], *strata[1]])
    means = np.array([by_rank([strata[0][j] for j in one] + [strata[1][j] for j in two]) for one, two in both])
    z0 = norm.ppf(np.mean(np.where(abs(means - value) <= 1e-9, 0.5, means < value)))
    third = second = 0.0
    for at, size in enumerate((8, 5)):
        others = strata[1 - at]
        left = [by_rank([*strata[at][:i], *strata[at][i + 1 :], *others]) for i in range(size)]
        apart = [(size - 1) * (sum(left) / size - m) for m in left]
        third, second = third + sum(d**3 for d in apart) / size**3, second + sum(d**2 for d in apart) / size**2
    a = third / (6 * second**1.5)
    z = math.sqrt(5 / 4) * t.ppf(0.975, 11)
    ends = [np.quantile(means, norm.cdf(z0 + (z0 + s) / (1 - a * (z0 + s)))) for s in (-z, z)]
    assert abs(a) > 0.01
    found = iqm_interval(*strata)
    assert (found.low, found.high) == pytest.approx(ends)


def test_runs_of_several_environments_are_drawn_independently():
    scores = [12.0, 500.0, 480.0, 330.0, 470.0, 120.0, 90.0, 410.0, 260.0, 350.0]
    one, two = iqm_interval(scores), iqm_interval(scores, scores)
    # Twice as many runs: 0.7 times the width, and 0.93 by Student's t; drawn alike they would tell nothing more.
    assert two.high - two.low < 0.8 * (one.high - one.low)


def test_large_samples_agree_with_the_percentile_bootstrap_of_rliable():
    # rliable's StratifiedBootstrap, written out: runs of each environment drawn among themselves, percentiles.
    rng = np.random.default_rng(0)
    runs = np.stack([rng.normal(0.4, 0.2, 60), rng.normal(0.7, 0.1, 60)], axis=1)  # [runs, environments]
    boot = []
    for _ in range(5000):
        drawn = np.stack([rng.choice(runs[:, e], 60) for e in range(2)], axis=1)
        flat = np.sort(drawn, axis=None)
        boot.append(flat[30:90].mean())
    found = iqm_interval(runs[:, 0], runs[:, 1])
    low, high = np.quantile(boot, [0.025, 0.975])
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.12 * (high - low))


@given(samples, samples)
def test_probability_of_improvement_counts_pairs_and_half_of_the_ties(x, y):
    pairs = [1.0 if a > b else 0.5 if a == b else 0.0 for a in x for b in y]
    found = probability_of_improvement(x, y)
    assert found.value == pytest.approx(sum(pairs) / len(pairs))
    assert found.value == pytest.approx(mannwhitneyu(x, y).statistic / (len(x) * len(y)))  # as rliable computes it
    mirrored = probability_of_improvement(y, x)
    assert mirrored.value == pytest.approx(1 - found.value)
    if found.low is not None:
        assert mirrored.kind == "interval"
        assert 0 <= found.low <= found.value <= found.high <= 1
        assert (mirrored.low, mirrored.high) == pytest.approx((1 - found.high, 1 - found.low), abs=1e-6)


def test_probability_interval_solves_its_equation():
    found = probability_of_improvement([3, 5, 7, 9], [1, 2, 6])
    assert found.value == pytest.approx(10 / 12)
    for p in (found.low, found.high):
        spread = p * (1 - p) * (1 + 2.5 * (1 - p) / (2 - p) + 2.5 * p / (1 + p)) / 12
        assert abs(p - 10 / 12) == pytest.approx(1.959964 * math.sqrt(spread), rel=1e-5)


def test_complete_separation_is_not_certainty():
    found = probability_of_improvement([500] * 10, [9] * 10)
    assert (found.value, found.high) == (1.0, 1.0)
    assert 0.7 < found.low < 0.9


def test_difference_joins_the_margins_of_both():
    x, y = [1.0, 4, 6, 7, 12], [0.0, 1, 1, 2, 9]
    a, b, found = iqm_interval(x), iqm_interval(y), iqm_difference(x, y)
    assert found.value == pytest.approx(17 / 3 - 4 / 3)
    assert found.low == pytest.approx(found.value - math.hypot(a.value - a.low, b.high - b.value))
    assert found.high == pytest.approx(found.value + math.hypot(a.high - a.value, b.value - b.low))
    assert found.n == 10


def test_pairing_takes_out_what_both_share():
    rng = np.random.default_rng(1)
    shared = rng.normal(0, 100, 12)
    x, y = shared + rng.normal(1, 1, 12), shared + rng.normal(0, 1, 12)
    paired, unpaired = iqm_difference(x, y, paired=True), iqm_difference(x, y)
    assert paired.value == unpaired.value
    assert paired.high - paired.low < 0.2 * (unpaired.high - unpaired.low)


def test_ties_are_ties_and_not_certainty():
    ceiling = iqm_interval([500.0] * 10)
    assert (ceiling.kind, ceiling.value, ceiling.low, ceiling.high) == ("tie", 500.0, None, None)
    assert iqm_interval([500.0] * 19 + [9.0]).kind == "tie"  # the middle half ties whatever is drawn
    assert iqm_difference([500] * 5, [500] * 5).kind == "tie"
    assert iqm_difference([500] * 5, [500] * 5, paired=True).kind == "tie"
    assert iqm_difference([500] * 5, [9] * 5).kind == "constant"
    assert probability_of_improvement([500] * 5, [500] * 7).kind == "tie"
    assert not ceiling.excludes(400.0)
    one_sided = iqm_difference([500] * 10, [480, 490, 500, 500, 400, 470, 485, 500, 500, 300])
    assert one_sided.kind == "interval"
    assert one_sided.high > one_sided.value > one_sided.low


def test_one_run_has_no_interval():
    assert iqm_interval([3.0]).kind == "single"
    assert iqm_interval([1.0, 2.0], [3.0]).kind == "single"
    assert iqm_difference([3.0], [1.0, 2.0]).kind == "single"
    assert probability_of_improvement([3.0], [1.0]).kind == "single"


@given(samples, st.integers(-100, 100), st.sampled_from([0.5, 2.0, 4.0]))
def test_interval_moves_and_stretches_with_the_scores(scores, shift, scale):
    here, there = iqm_interval(scores), iqm_interval([scale * s + shift for s in scores])
    assert here.kind == there.kind
    if here.low is not None:
        assert here.low <= here.high
        assert min(scores) <= here.low
        assert here.high <= max(scores)
        assert (there.low, there.high) == pytest.approx((scale * here.low + shift, scale * here.high + shift), abs=1e-6)


def test_same_scores_give_the_same_interval_in_any_order():
    scores = [9.0, 500.0, 480.0, 330.0, 500.0, 120.0]
    first = iqm_interval(scores)
    statistics._iqm_interval.cache_clear()
    assert iqm_interval(scores) == first
    one, other = iqm_interval(scores), iqm_interval(scores[::-1])
    assert one.value == other.value
    assert (one.low, one.high) == pytest.approx((other.low, other.high), abs=0.06 * (one.high - one.low))


@pytest.mark.parametrize("bad", [[], [math.nan], [[1.0, 2.0]], [math.inf, 1.0]])
def test_scores_that_are_none_are_refused(bad):
    for call in (iqm_interval, interquartile_mean, lambda s: probability_of_improvement([1.0], s)):
        with pytest.raises(ValueError, match=r"scores (are|must)"):
            call(bad)
    with pytest.raises(ValueError, match="equal length"):
        iqm_difference([1.0, 2.0], [1.0], paired=True)
    with pytest.raises(ValueError, match="at least one"):
        interquartile_mean()


def test_mean_interval_by_hand():
    one, two = [1.0, 2.0, 3.0], [10.0, 14.0]
    found = mean_interval(one, two)
    assert (found.value, found.n) == (7.0, 5)
    error = math.sqrt(1 / 3 + 8 / 2) / 2
    freedom = (1 / 3 + 4) ** 2 / ((1 / 3) ** 2 / 2 + 4**2 / 1)
    assert found.high - 7 == pytest.approx(error * t.ppf(0.975, freedom))
    assert 7 - found.low == pytest.approx(error * t.ppf(0.975, freedom))
    assert mean_interval([5.0, 5.0], [3.0, 3.0]).kind == "tie"
    assert mean_interval([5.0], [3.0, 4.0]).kind == "single"


def test_mean_interval_of_one_sample_is_students():
    sample = np.random.default_rng(3).normal(size=9)
    low, high = t.interval(0.95, 8, sample.mean(), sample.std(ddof=1) / 3)
    found = mean_interval(sample)
    assert (found.low, found.high) == pytest.approx((low, high))


@pytest.mark.parametrize("strata", [[[0.955] * 10], [[0.955] * 5, [0.1] * 7], [[-8.1] * 12], [[0.7] * 9, [0.3] * 9]])
def test_equal_scores_tie_however_their_mean_is_rounded(strata):
    found = mean_interval(*strata)
    assert (found.low, found.high, found.kind) == (None, None, "tie")
    shifted = mean_interval(*[[*scores, scores[0] + 1e-9] for scores in strata])
    assert shifted.kind == "interval" and shifted.low < shifted.high


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e9])
def test_scores_that_differ_by_their_rounding_alone_tie_on_every_scale(scale):
    assert mean_interval([scale * (0.1 + 0.2), scale * 0.3, scale * 0.3]).kind == "tie"
    assert mean_interval([scale * 0.3, scale * 0.3 * (1 + 1e-11)]).kind == "interval"
