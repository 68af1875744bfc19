"""The loss of compiled quantile regression against NumPy's in double precision."""

import numpy as np
import pytest
from numba import njit

from tuner.agents.dqn import quantile_kernels
from tuner.agents.dqn.kernels import layers_of
from tuner.core.losses import quantile_loss
from tuner.networks.heads import QHead
from tuner.networks.mlp import MLPLayout

COUNTS = [2, 3, 5, 8, 31, 50, 64, 200]


@njit
def regress(head, rows, ahead, rewards, discounts, share, huber):
    return quantile_kernels.regress(head, rows, ahead, rewards, discounts, share, huber)


def room(count, rows=5):
    head = QHead(3, quantiles=count)
    network, _ = layers_of(MLPLayout((2, 4, head.n_outputs)), rows, np.float32)
    return quantile_kernels.quantiles_of(head, network, rows, np.float32)._replace(
        ahead=np.zeros(rows * count, np.float32)
    )


@pytest.mark.parametrize("loss", ["huber", "mse"])
@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize(("scale", "offset"), [(1.0, 0.0), (0.01, 200.0), (30.0, -1000.0)], ids=str)
def test_loss_and_slopes_are_numpys(count, loss, scale, offset):
    head, rng = room(count), np.random.default_rng(count)
    theta = (offset + rng.normal(scale=scale, size=(5, count))).astype(np.float32)
    following = (offset + rng.normal(scale=scale, size=(5, count))).astype(np.float32)
    theta[1, 0] = np.float32(1.5) + np.float32(0.5) * following[1, -1]  # an error of exactly 0
    order = np.array([3, 0, 4, 1, 2])  # of rows by place; their next states lie in an order of their own
    ahead = order[order]
    head.made.reshape(5, head.padded)[:, :count] = theta[order]
    head.made.reshape(5, head.padded)[:, count:] = 7
    head.order[:] = order
    head.ahead.reshape(5, count)[ahead] = following
    rewards, discounts = np.full(5, 1.5, np.float32), np.full(5, 0.5, np.float32)
    targets = np.float32(1.5) + np.float32(0.5) * following
    losses, slopes = quantile_loss(theta.astype(np.float64), targets.astype(np.float64), loss)
    slopes = slopes[order]
    found, mean = regress(head, 5, ahead, rewards, discounts, 1 / 64, loss == "huber")
    assert found == pytest.approx(losses.sum(), rel=2e-6)
    assert mean == pytest.approx(theta.mean(axis=1).sum(), rel=1e-5, abs=1e-6)
    made = head.made.reshape(5, head.padded)
    np.testing.assert_allclose(made[:, :count], slopes / 64, rtol=2e-6, atol=6e-7 * np.abs(slopes).max() / 64)
    assert not made[:, count:].any()


def test_a_target_that_is_not_finite_shows_in_the_loss():
    for bad in (np.nan, np.inf):
        head = room(8)
        head.ahead[3] = bad
        rewards, discounts = np.zeros(1, np.float32), np.ones(1, np.float32)
        found, _ = regress(head, 1, np.zeros(1, np.int64), rewards, discounts, 1 / 64, True)
        assert not np.isfinite(found)


@njit
def by_action_and_back(head, network, parameters, gradient):
    quantile_kernels.by_action(head, parameters, network, head.weights, head.means, True)
    head.slopes[:] = head.weights
    quantile_kernels.by_output(head, network, gradient)


@pytest.mark.parametrize("actions", [2, 3, 4, 5])
@pytest.mark.parametrize("count", [3, 8, 21])
def test_weights_lie_by_action_and_gradients_where_they_came_from(actions, count):
    head = QHead(actions, quantiles=count)
    network, _ = layers_of(MLPLayout((2, 4, head.n_outputs)), 5, np.float32)
    own = quantile_kernels.quantiles_of(head, network, 5, np.float32)
    parameters = np.random.default_rng(count).normal(size=network.linear).astype(np.float32)
    gradient = np.zeros_like(parameters)
    by_action_and_back(own, network, parameters, gradient)
    last = parameters[-5 * head.n_outputs :]
    weights = own.weights.reshape(actions, 5, own.padded)
    np.testing.assert_array_equal(weights[..., :count], last.reshape(5, count, actions).transpose(2, 0, 1))
    assert not weights[..., count:].any()
    np.testing.assert_allclose(
        own.means.reshape(5, actions), last.reshape(5, count, actions).mean(1), rtol=1e-5, atol=1e-6
    )
    np.testing.assert_array_equal(gradient[-len(last) :], last)
    assert not gradient[: -len(last)].any()
