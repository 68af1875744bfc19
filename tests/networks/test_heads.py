import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from tuner.networks.heads import QHead


def test_a_dueling_head_adds_the_value_to_mean_free_advantages():
    # V = 2, A = (1, 3, 5): mean 3, so Q = 2 + (-2, 0, 2).
    outputs = np.array([[2.0, 1.0, 3.0, 5.0]])
    head = QHead(3, dueling=True)
    np.testing.assert_array_equal(head.q_values(outputs), [[0.0, 2.0, 4.0]])
    np.testing.assert_array_equal(head.preferences(outputs), [[1.0, 3.0, 5.0]])
    assert head.n_outputs == 4


def test_a_plain_head_hands_outputs_on():
    outputs = np.zeros((2, 3))
    assert QHead(3).q_values(outputs) is outputs
    assert QHead(3).n_outputs == 3


def test_a_q_value_is_the_mean_of_its_quantiles_dueling_in_each():
    # First quantile: V = 2, A = (1, 3); second: V = 0, A = (5, -5).
    outputs = np.array([[2.0, 1.0, 3.0, 0.0, 5.0, -5.0]])
    head = QHead(2, dueling=True, quantiles=2)
    np.testing.assert_array_equal(head.quantile_values(outputs), [[[1.0, 3.0], [5.0, -5.0]]])
    np.testing.assert_array_equal(head.q_values(outputs), [[3.0, -1.0]])
    np.testing.assert_array_equal(head.preferences(outputs), [[3.0, -1.0]])
    assert head.n_outputs == 6
    np.testing.assert_array_equal(QHead(3, quantiles=2).q_values(np.arange(6.0)[None]), [[1.5, 2.5, 3.5]])


@given(st.integers(1, 4), st.booleans(), st.integers(2, 5), st.integers(0, 2**32 - 1))
def test_the_written_gradient_of_quantiles_is_autograds(n_actions, dueling, quantiles, seed):
    rng = np.random.default_rng(seed)
    head = QHead(n_actions, dueling, quantiles)
    outputs = rng.normal(size=(2, 5, head.n_outputs))
    actions, slope = rng.integers(n_actions, size=(2, 5)), rng.normal(size=(2, 5, quantiles))
    tensor = torch.tensor(outputs, requires_grad=True)
    which = torch.tensor(actions)[..., None, None].expand(2, 5, quantiles, 1)
    taken = head.quantile_values(tensor).gather(-1, which).squeeze(-1)
    (expected,) = torch.autograd.grad((taken * torch.tensor(slope)).sum(), tensor)
    delta = rng.normal(size=outputs.shape)
    begins = np.arange(10 * quantiles).reshape(2, 5, quantiles) * n_actions
    head.spread(slope, begins + actions[..., None], delta)
    np.testing.assert_allclose(delta, expected.numpy(), atol=1e-12)


@given(st.integers(1, 6), st.booleans(), st.integers(0, 2**32 - 1))
def test_the_written_gradient_is_autograds(n_actions, dueling, seed):
    rng = np.random.default_rng(seed)
    head = QHead(n_actions, dueling)
    outputs = rng.normal(size=(2, 5, head.n_outputs))
    actions, slope = rng.integers(n_actions, size=(2, 5)), rng.normal(size=(2, 5))
    tensor = torch.tensor(outputs, requires_grad=True)
    q_taken = head.q_values(tensor).gather(-1, torch.tensor(actions)[..., None]).squeeze(-1)
    (expected,) = torch.autograd.grad((q_taken * torch.tensor(slope)).sum(), tensor)
    delta = rng.normal(size=outputs.shape)
    head.spread(slope, np.arange(10).reshape(2, 5) * n_actions + actions, delta)
    np.testing.assert_allclose(delta, expected.numpy(), atol=1e-12)
