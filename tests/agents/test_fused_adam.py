"""Adam in one pass is Adam: on the same gradients, from the first step to beyond what the decay's power can hold."""

import numpy as np
import pytest
import torch

from tuner.agents.dqn.optimizers import FusedAdam, adam

LANES, SIZE = 3, 20_000


def buffers():
    rng = np.random.default_rng(0)
    parameters = rng.normal(size=(LANES, SIZE)).astype(np.float32)
    return parameters, *(np.zeros((LANES, SIZE), np.float32) for _ in range(2))


def gradients(steps):
    rng = np.random.default_rng(1)
    return [(rng.normal(size=(LANES, SIZE)) * 10.0 ** rng.integers(-4, 2)).astype(np.float32) for _ in range(steps)]


def take_steps(optimizer, steps, beta_powers=None):
    parameters, first, second = buffers()
    beta_powers = np.ones((2, LANES)) if beta_powers is None else beta_powers
    rates, scratch, gradient = np.array([1e-3, 1e-2, 3e-4]), np.zeros_like(parameters), np.zeros_like(parameters)
    for given in gradients(steps):
        gradient[...] = given
        optimizer(parameters, gradient, first, second, beta_powers, rates, scratch)
    return parameters, beta_powers


@pytest.mark.parametrize("steps", [1, 2, 50])
def test_both_take_the_same_steps(steps):
    (passes, powers), (fused, fused_powers) = take_steps(adam, steps), take_steps(FusedAdam(), steps)
    np.testing.assert_allclose(fused, passes, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(fused_powers, powers)
    assert np.abs(fused - buffers()[0]).max() > 1e-4


def test_it_is_torchs_optimizer():
    fused, _ = take_steps(FusedAdam(), 30)
    for lane, rate in enumerate((1e-3, 1e-2, 3e-4)):
        row = torch.from_numpy(buffers()[0][lane].copy()).requires_grad_()
        optimizer = torch.optim.Adam([row], lr=rate)
        for given in gradients(30):
            row.grad = torch.from_numpy(given[lane])
            optimizer.step()
        np.testing.assert_allclose(fused[lane], row.detach().numpy(), rtol=0, atol=1e-6)


def test_after_a_million_steps_no_correction_is_left():
    late = [take_steps(optimizer, 3, np.zeros((2, LANES)))[0] for optimizer in (adam, FusedAdam())]
    np.testing.assert_allclose(late[1], late[0], rtol=0, atol=1e-6)
