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
