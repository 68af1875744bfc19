"""Compiled training calls see what NumPy's see: one-hot and normalised observations, and more of them than a block."""

import numpy as np
import pytest
from agents.test_values_ahead import BASE, filled

from tuner.agents.dqn import update_numpy
from tuner.agents.dqn.update_compiled import AHEAD_ROWS
from tuner.envs.encoders import BoxEncoder, DiscreteEncoder
from tuner.hyperparameters import DQNHyperparameters

MUNCHAUSEN = {"munchausen": True, "munchausen_tau": 0.5}
PATHS = ("compiled", "numpy")


def assert_both_learn_alike(encoder, changes, transitions=100, prepare=lambda stack: None):
    h = DQNHyperparameters(**{**BASE, "gradient_steps": 1, **changes})
    found = []
    for path in PATHS:
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


#: With an epsilon this large, steps are as smooth as gradients are.
SMOOTH = {"optimizer": "rmsprop", "optimizer_eps": 0.1, "learning_rate": 3e-3}


@pytest.mark.parametrize("encoder", [BoxEncoder(5), DiscreteEncoder(6)], ids=["vectors", "one-hot"])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"double_q": True, "layer_norm": True},
        MUNCHAUSEN,
        {"quantiles": 3},
        {"quantiles": 9, "dueling": True, "double_q": True},
        {"noisy": True, "layer_norm": True},
    ],
    ids=str,
)
def test_a_gradient_step_finds_nothing_that_the_one_before_left(encoder, changes):
    """Minibatches of two: in each, an action and most numbers are missing that the one before may have had."""
    h = DQNHyperparameters(**{**BASE, **SMOOTH, "batch_size": 2, "gradient_steps": 12, "max_grad_norm": 1e9, **changes})
    (mine, compiled), (theirs, numpys) = (
        (stack.learn([0])[0], stack.state.online[0]) for stack in (filled(encoder, h, path=p) for p in PATHS)
    )
    np.testing.assert_allclose(mine, theirs, rtol=2e-5)
    np.testing.assert_allclose(compiled, numpys, rtol=1e-4, atol=5e-6)


@pytest.mark.parametrize("changes", [{}, {"double_q": True, "quantiles": 3}], ids=str)
def test_each_lane_learns_with_numbers_of_its_own(changes):
    shared = {**BASE, **SMOOTH, "munchausen": True, "gradient_steps": 2, **changes}
    each = [
        DQNHyperparameters(
            **shared,
            learning_rate_schedule=("constant", "linear", "cosine")[lane],
            max_grad_norm=(0.05, 10.0, 0.5)[lane],
            munchausen_tau=(0.3, 2.0, 0.7)[lane],
            munchausen_alpha=(0.9, 0.3, 0.6)[lane],
            munchausen_clip=(-1.0, -3.0, -0.1)[lane],
            normalize_observations=lane > 0,
            normalize_rewards=lane != 1,
            n_steps=(3, 1, 5)[lane],
            gamma=(0.9, 0.95, 0.8)[lane],
        )
        for lane in range(3)
    ]
    found = []
    for path in PATHS:
        stack = filled(BoxEncoder(5), each[0], lanes=3, path=path, each=each)
        for lane in range(3):
            stack.clock[lane] = 40 * lane
            stack.normalizer.mean[lane] = [0.5 * lane, -lane, 0.3, 0.2, 0.1]
            stack.normalizer.variance[lane] = [1.0 + lane, 0.25, 9.0, 0.01 * (1 + lane), 1.0]
            stack.normalizer.return_variance[lane] = (0.02, 5.0, 0.01)[lane]
        found.append((stack.learn([0, 1, 2]), stack))
    (mine, compiled), (theirs, numpys) = found
    for lane in range(3):
        np.testing.assert_allclose(mine[lane], theirs[lane], rtol=2e-5)
        np.testing.assert_allclose(compiled.state.online[lane], numpys.state.online[lane], rtol=1e-4, atol=5e-6)
