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
def loss_of(head, place, ahead, reward, discount, share, huber):
    return quantile_kernels.regress(head, place, ahead, reward, discount, share, huber)


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
    head.made.reshape(5, head.padded)[:, :count] = theta
    head.made.reshape(5, head.padded)[:, count:] = 7
    head.ahead[:] = following.reshape(-1)
    targets = np.float32(1.5) + np.float32(0.5) * following
    losses, slopes = quantile_loss(theta.astype(np.float64), targets.astype(np.float64), loss)
    for place in range(5):
        found, mean = loss_of(head, place, place, np.float32(1.5), np.float32(0.5), 1 / 64, loss == "huber")
        assert found == pytest.approx(losses[place], rel=2e-6)
        assert mean == pytest.approx(theta[place].mean(), rel=1e-5, abs=1e-6)
    made = head.made.reshape(5, head.padded)
    np.testing.assert_allclose(made[:, :count], slopes / 64, rtol=2e-6, atol=3e-7 * np.abs(slopes).max() / 64)
    assert not made[:, count:].any()


def test_a_target_that_is_not_finite_shows_in_the_loss():
    for bad in (np.nan, np.inf):
        head = room(8)
        head.ahead[3] = bad
        found, _ = loss_of(head, 0, 0, np.float32(0), np.float32(1), 1 / 64, True)
        assert not np.isfinite(found)
