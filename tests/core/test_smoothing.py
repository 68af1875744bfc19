"""The model that tells a setting's worth from its luck."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import norm, rankdata

from tuner.core.smoothing import normal_scores, smoothed


def test_smoothing_tells_worth_from_luck():
    """Over a smooth truth the posterior mean is nearer to its order than noisy scores are."""
    rng, gains = np.random.default_rng(0), []
    for _ in range(20):
        points = rng.random((60, 3))
        truth = -((points - 0.4) ** 2).sum(axis=1)
        scores = truth + truth.std() * rng.standard_normal(60)
        order = [np.corrcoef(truth, values)[0, 1] for values in (smoothed(points, scores), scores)]
        gains.append(order[0] - order[1])
    assert np.mean(gains) > 0.05


def test_smoothing_keeps_the_order_of_scores_without_noise():
    points = np.linspace(0, 1, 40)[:, None]
    scores = np.exp(3 * points[:, 0])
    assert (np.diff(smoothed(points, scores)) > 0).all()


def test_smoothing_of_ties_and_of_single_trials_is_flat():
    assert np.ptp(smoothed(np.random.default_rng(0).random((5, 2)), np.full(5, 7.0))) == 0
    assert len(smoothed(np.zeros((1, 2)), np.array([3.0]))) == 1


@given(arrays(float, st.integers(1, 30), elements=st.integers(-3, 3).map(float)))
def test_normal_scores_are_the_quantiles_of_mean_ranks(values):
    expected = norm.ppf((rankdata(values) - 0.5) / len(values))
    np.testing.assert_allclose(normal_scores(values), expected, atol=1e-12)
