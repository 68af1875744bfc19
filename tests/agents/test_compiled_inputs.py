"""Compiled training calls see what NumPy's see: one-hot and normalised observations, and more of them than a block."""

import numpy as np
import pytest
from agents.test_values_ahead import BASE, filled

from tuner.agents.dqn import update_numpy
from tuner.agents.dqn.update_compiled import AHEAD_ROWS
from tuner.envs.encoders import BoxEncoder, DiscreteEncoder
from tuner.hyperparameters import DQNHyperparameters

MUNCHAUSEN = {"munchausen": True, "munchausen_tau": 0.5}


def assert_both_learn_alike(encoder, changes, transitions=100, prepare=lambda stack: None):
    h = DQNHyperparameters(**{**BASE, "gradient_steps": 1, **changes})
    found = []
    for path in ("compiled", "numpy"):
        stack = filled(encoder, h, path=path, transitions=transitions)
        prepare(stack)
        found.append((stack.learn([0])[0], stack.state.online))
    (mine, compiled), (theirs, numpys) = found
    np.testing.assert_allclose(mine, theirs, rtol=1e-5)
    # Adam's first step is lr * sign(gradient): where a gradient is nearly 0, its rounding decides the sign.
    assert np.mean(np.abs(compiled - numpys) > 2e-6) < 4e-3


@pytest.mark.parametrize("batch_size", [1, 2, 7, 100])
@pytest.mark.parametrize(
    "changes",
    [{}, {"double_q": True}, MUNCHAUSEN, {"quantiles": 3}, {"quantiles": 3, **MUNCHAUSEN}, {"noisy": True}],
    ids=str,
)
def test_minibatches_of_any_size(batch_size, changes):
    assert_both_learn_alike(BoxEncoder(5), {"batch_size": batch_size, **changes})


@pytest.mark.parametrize("transitions", [1, AHEAD_ROWS - 1, AHEAD_ROWS, AHEAD_ROWS + 1, 3 * AHEAD_ROWS])
@pytest.mark.parametrize("changes", [{}, MUNCHAUSEN, {"quantiles": 3}], ids=str)
def test_next_states_are_valued_once_however_many_blocks_they_fill(transitions, changes, monkeypatch):
    monkeypatch.setattr(update_numpy, "FUSED_PARAMETERS", 10**9)
    changes = {**changes, "batch_size": 500, "max_grad_norm": 1e9}
    assert_both_learn_alike(BoxEncoder(5), changes, transitions)


@pytest.mark.parametrize("net_arch", [(), (12, 8)], ids=str)
@pytest.mark.parametrize("changes", [{}, {"double_q": True, "dueling": True}, {"quantiles": 3}, MUNCHAUSEN], ids=str)
def test_numbers_are_shown_one_hot(changes, net_arch):
    assert_both_learn_alike(DiscreteEncoder(6), {"net_arch": net_arch, **changes})


@pytest.mark.parametrize("changes", [{}, {"double_q": True}, MUNCHAUSEN, {"noisy": True, "quantiles": 2}], ids=str)
def test_observations_are_on_the_scale_of_their_statistics(changes):
    def move(stack):
        stack.normalizer.mean[0] = [0.5, -1.0, 0.0, 2.0, 0.1]
        stack.normalizer.variance[0] = [4.0, 0.25, 1e-4, 9.0, 0.0]  # some are beyond ten deviations
        stack.normalizer.return_variance[0] = 0.04

    changes = {"normalize_observations": True, "normalize_rewards": True, **changes}
    assert_both_learn_alike(BoxEncoder(5), changes, prepare=move)
