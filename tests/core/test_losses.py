import numpy as np
import pytest
import torch

from tuner.core.losses import LOSSES

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
