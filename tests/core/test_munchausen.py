import functools
import math

import numpy as np
import pytest
import torch

from tuner.core.munchausen import log_policy, munchausen_bonus, soft_value


@pytest.mark.parametrize("xp", [np, torch])
def test_a_soft_policy_and_its_value_by_hand(xp):
    # Probabilities 1/4 and 3/4: Q = tau log pi, so that tau logsumexp(Q / tau) is tau log 1.
    array = np.array if xp is np else functools.partial(torch.tensor, dtype=torch.float64)
    q, tau = array([[2 * math.log(0.25), 2 * math.log(0.75)]]), 2.0
    log_pi = log_policy(q, tau, xp)
    np.testing.assert_allclose(np.exp(np.asarray(log_pi)), [[0.25, 0.75]])
    np.testing.assert_allclose(np.asarray(soft_value(q, log_pi, tau, xp)), [0.0], atol=1e-15)
    # Another network's values under that policy, and its entropy of 0.5623.
    other, entropy = array([[1.0, 5.0]]), -0.25 * math.log(0.25) - 0.75 * math.log(0.75)
    np.testing.assert_allclose(np.asarray(soft_value(other, log_pi, tau, xp)), [4.0 + tau * entropy])
    bonus = munchausen_bonus(log_pi[:, 0], 0.5, tau, array([-2.0]), xp)
    np.testing.assert_allclose(np.asarray(bonus), [-1.0])  # cut: 2 log 1/4 is -2.77
    np.testing.assert_allclose(
        np.asarray(munchausen_bonus(log_pi[:, 1], 0.5, tau, array([-2.0]), xp)), [0.5 * 2 * math.log(0.75)]
    )


def test_without_temperature_a_soft_value_is_the_largest_and_large_values_overflow_nowhere():
    q = np.random.default_rng(0).normal(scale=1e4, size=(50, 3)).astype(np.float32)
    log_pi = log_policy(q, np.float32(1e-3), np)
    np.testing.assert_allclose(soft_value(q, log_pi, np.float32(1e-3), np), q.max(axis=-1), rtol=1e-6)
