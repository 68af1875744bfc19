"""The model that tells a setting's worth from its luck."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import multivariate_normal, norm, rankdata

from tuner.core.smoothing import LENGTHS, NOISES, normal_scores, smoothed


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


def test_smoothing_is_the_posterior_mean_at_the_likeliest_length_and_noise():
    """Twin: each Gaussian process's density, and its posterior mean by the inverse (Rasmussen and Williams 2.25)."""
    chosen = set()
    for seed in range(6):
        rng = np.random.default_rng(seed)
        points = rng.random((12, 2))
        scores = (seed % 3) * points[:, 0] + 0.3 * rng.standard_normal(12)
        targets = norm.ppf((rankdata(scores) - 0.5) / 12)
        targets /= targets.std()
        apart = np.array([[np.linalg.norm(a - b) for b in points] for a in points])
        middle, found = np.median(apart[np.triu_indices(12, 1)]), []
        for length in LENGTHS:
            r = np.sqrt(5) * apart / (length * middle)
            kernel = (1 + r + r**2 / 3) * np.exp(-r)
            for noise in NOISES:
                whole = (1 - noise) * kernel + noise * np.eye(12)
                likelihood = multivariate_normal(np.zeros(12), whole).logpdf(targets)
                mean = (1 - noise) * kernel @ np.linalg.inv(whole) @ targets
                found.append((likelihood, length, noise, mean))
        _, length, noise, mean = max(found, key=lambda each: each[0])
        chosen.add((length, noise))
        np.testing.assert_allclose(smoothed(points, scores), mean, atol=1e-9)
    assert len(chosen) > 1


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
