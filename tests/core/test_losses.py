import numpy as np
import pytest
import torch

from tuner.core.losses import LOSSES, quantile_loss

ERRORS = np.array([-3.0, -1.0, -0.5, 0.0, 0.25, 1.0, 4.0])


def test_huber_by_hand():
    np.testing.assert_allclose(LOSSES["huber"][0](ERRORS), [2.5, 0.5, 0.125, 0.0, 0.03125, 0.5, 3.5])


@pytest.mark.parametrize(("name", "reference"), [("huber", "smooth_l1_loss"), ("mse", "mse_loss")])
def test_losses_and_slopes_equal_torch(name, reference):
    loss, slope = LOSSES[name]
    x = torch.tensor(ERRORS, requires_grad=True)
    expected = getattr(torch.nn.functional, reference)(x, torch.zeros_like(x), reduction="none")
    expected.sum().backward()
    np.testing.assert_allclose(loss(ERRORS), expected.detach().numpy())
    np.testing.assert_allclose(slope(ERRORS), x.grad.numpy())


def test_a_quantile_loss_by_hand():
    # Levels 1/4 and 3/4; errors 1.5 - 1, -2 - 1 of the first and 1.5 - 0, -2 - 0 of the second.
    quantiles, targets = np.array([[1.0, 0.0]]), np.array([[1.5, -2.0]])
    losses, slopes = quantile_loss(quantiles, targets, "huber")
    first = (0.25 * 0.125 + 0.75 * 2.5) / 2
    second = (0.75 * 1.0 + 0.25 * 1.5) / 2
    np.testing.assert_allclose(losses, [first + second])
    np.testing.assert_allclose(slopes, [[-(0.25 * 0.5 - 0.75) / 2, -(0.75 - 0.25) / 2]])


@pytest.mark.parametrize("loss", LOSSES)
def test_a_quantile_losss_slope_is_autograds(loss):
    rng = np.random.default_rng(0)
    quantiles, targets = rng.normal(scale=2, size=(2, 3, 5)), rng.normal(scale=2, size=(2, 3, 7))
    theta = torch.tensor(quantiles, requires_grad=True)
    criterion = {"huber": torch.nn.functional.smooth_l1_loss, "mse": torch.nn.functional.mse_loss}[loss]
    total = 0
    for i in range(5):
        for j in range(7):
            error = torch.tensor(targets[..., j]) - theta[..., i]
            weight = abs((i + 0.5) / 5 - (error.detach() < 0).double())
            total = total + (weight * criterion(error, torch.zeros_like(error), reduction="none")).sum() / 7
    total.backward()
    losses, slopes = quantile_loss(quantiles, targets, loss)
    np.testing.assert_allclose(losses.sum(), total.item())
    np.testing.assert_allclose(slopes, theta.grad.numpy())


def test_a_quantile_loss_is_least_at_the_quantiles():
    """Where returns are far apart the Huber loss is an absolute one, and its slope changes sign at the quantile."""
    sample = np.sort(np.random.default_rng(1).normal(scale=1e5, size=1000))
    exact = np.quantile(sample, (np.arange(8) + 0.5) / 8, method="hazen")
    for shift, sign in ((-1e4, -1), (1e4, 1)):
        _, slopes = quantile_loss(exact + shift, sample, "huber")
        assert (np.sign(slopes) == sign).all()


def test_single_precision_stays_single():
    losses, slopes = quantile_loss(np.zeros((2, 3), np.float32), np.ones((2, 3), np.float32), "huber")
    assert (losses.dtype, slopes.dtype) == (np.float32, np.float32)
