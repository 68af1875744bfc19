"""Noisy networks: their noise, their gradient, and who feels it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from agents.test_stack import ACTIONS, BASE, OBSERVATION, episode_ends, make_stack, transitions

from tuner import seeding
from tuner.agents.dqn.exploration import epsilon
from tuner.agents.dqn.noise import LaneNoise, NoisyLayout
from tuner.agents.dqn.state import LearnerState
from tuner.hyperparameters import DQNHyperparameters
from tuner.networks.mlp import MLPLayout


def f(x: float) -> float:
    return math.copysign(math.sqrt(abs(x)), x)


def test_noise_is_the_product_of_a_factor_for_each_input_and_one_for_each_unit():
    layout = NoisyLayout((3, 2, 4))
    noise = LaneNoise(LearnerState(layout, 2, np.float64))
    for lane in range(2):
        noise.start(lane, lane)
    online, target = noise.draw(slice(0, 2))
    assert online.shape == target.shape == (2, layout.n_linear)
    for lane in range(2):
        drawn = iter(seeding.stream(lane, "learning noise").standard_normal(2 * (3 + 1 + 2 + 2 + 1 + 4)))
        for eps in (online[lane], target[lane]):
            for weight, bias in MLPLayout(layout.sizes).views(eps[None]):
                inputs = [f(next(drawn)) for _ in range(weight.shape[1])]
                next(drawn)  # the place of a bias, which has its unit's factor alone
                units = [f(next(drawn)) for _ in range(weight.shape[2])]
                np.testing.assert_allclose(weight[0], np.outer(inputs, units))
                np.testing.assert_allclose(bias[0, 0], units)


def test_a_fresh_row_has_the_papers_sigma_and_a_plain_networks_means():
    row = NoisyLayout((9, 4, 2), sigma0=0.3).initial(np.random.default_rng(5))
    plain = MLPLayout((9, 4, 2)).initial(np.random.default_rng(5))
    np.testing.assert_array_equal(row[: len(plain)], plain)
    np.testing.assert_allclose(row[len(plain) :], [0.3 / 3] * 40 + [0.3 / 2] * 10)


# Double precision of the compiled update serves this test alone, and takes half a minute to compile.
@pytest.mark.parametrize("path", ["numpy", "torch", pytest.param("compiled", marks=pytest.mark.slow)])
@pytest.mark.parametrize("variant", [{}, {"double_q": True, "loss": "mse"}, {"layer_norm": True, "tau": 0.5}], ids=str)
def test_gradient_steps_are_autograds_on_means_and_sigmas(path, variant, monkeypatch):
    h = DQNHyperparameters(**{**BASE, "noisy": True, "gradient_steps": 2, "max_grad_norm": 0.7, **variant})
    stack = make_stack(h, path=path, dtype=np.float64)
    stack.start(0, h, seed=3, n_timesteps=400)
    layout = stack.state.layout
    leaf = torch.tensor(stack.state.online[0], requires_grad=True)
    target = leaf.detach().clone()
    optimizer = torch.optim.Adam([leaf], lr=h.learning_rate)
    noises, uniforms = [], []
    drawn_by = "draw_ahead" if path == "compiled" else "draw"
    for part, name, kept in ((stack._perturbation, drawn_by, noises), (stack.memory, "uniforms", uniforms)):
        original = getattr(part, name)
        monkeypatch.setattr(part, name, lambda *a, original=original, kept=kept: kept.append(original(*a)) or kept[-1])
    rows = transitions(80, seed=2)
    stack.observe(0, rows, episode_ends(rows, 2))

    def values(row, eps, inputs):
        views = layout.views(row[None])
        n = len(layout.layers)
        for i in range(n):
            (weight, bias), (sigma, of_bias) = views[i], views[i - n]
            weight_noise, bias_noise = MLPLayout(layout.sizes).views(torch.tensor(eps))[i]
            inputs = inputs @ (weight + sigma * weight_noise)[0] + (bias + of_bias * bias_noise)[0]
            if i < n - 1 and h.layer_norm:
                gain, shift = views[n + i]
                inputs = torch.nn.functional.layer_norm(inputs, inputs.shape[-1:]) * gain[0] + shift[0]
            inputs = torch.relu(inputs) if i < n - 1 else inputs
        return inputs

    for _ in range(3):
        loss, _ = stack.learn([0])[0]
        expected = []
        if path == "compiled":  # all steps of a call at once, as factors
            noises += [stack._perturbation._products(step[None]) for step in noises.pop()]
        for minibatch, (online_eps, target_eps) in zip(uniforms[-1].reshape(2, -1), noises[-2:], strict=True):
            drawn = rows[(minibatch * 80).astype(int)]
            s, s2 = (torch.tensor(drawn[:, i : i + OBSERVATION]) for i in (0, OBSERVATION + 1))
            r, discount, a = (torch.tensor(drawn[:, i]) for i in (-3, -2, -1))
            with torch.no_grad():
                following = values(target, target_eps, s2)
                best = (values(leaf, online_eps, s2) if h.double_q else following).argmax(1)
                y = r + discount * following[torch.arange(len(best)), best]
            q = values(leaf, online_eps, s)[torch.arange(len(a)), a.long()]
            criterion = torch.nn.functional.mse_loss if h.loss == "mse" else torch.nn.functional.smooth_l1_loss
            optimizer.zero_grad()
            (found := criterion(q, y)).backward()
            torch.nn.utils.clip_grad_norm_([leaf], h.max_grad_norm)
            optimizer.step()
            expected.append(found.item())
        assert loss == pytest.approx(np.mean(expected), rel=1e-9)
    np.testing.assert_allclose(stack.state.online[0], leaf.detach().numpy(), rtol=1e-8, atol=1e-10)
    assert np.mean(stack.state.online[0] != target.numpy()) > 0.8, "sigmas stood still"


def test_each_step_has_noise_of_its_own_and_evaluation_none():
    h = DQNHyperparameters(**{**BASE, "noisy": True, "learning_starts": 0})
    stack = make_stack(h)
    stack.start(0, h, seed=1, n_timesteps=400)
    shown = []
    observation = np.ones((1, OBSERVATION + 1), np.float32)
    for explores in (False, True, False):
        stack.act(slice(0, 1), observation, np.array([explores]), np.array([0]))
        stack._perturbation.show(slice(0, 1))
        shown.append(stack._perturbation.online[0].copy())
    twin = LaneNoise(stack.state)
    twin.start(0, 1)
    for row in shown:
        twin.act(slice(0, 1))
        twin.show(slice(0, 1))
        np.testing.assert_array_equal(twin.online[0], row)
    assert len({row.tobytes() for row in shown}) == 3
    plain = MLPLayout(stack.state.layout.sizes)
    named = stack.weights(0)
    assert named.keys() == plain.to_state_dict(plain.initial(np.random.default_rng(0))).keys()
    np.testing.assert_array_equal(plain.from_state_dict(named), stack.state.online[0][: plain.n_parameters])


def test_random_play_ends_with_the_start_of_learning():
    h = DQNHyperparameters(**{**BASE, "noisy": True, "learning_starts": 40, "exploration_initial_eps": 1.0})
    assert not epsilon(h, np.arange(100), 100).any()
    stack = make_stack(h)
    stack.start(0, h, seed=1, n_timesteps=400)
    explores, actions = stack.explore(0, 100)
    np.testing.assert_array_equal(explores, np.arange(100) < 40)
    assert set(actions) == set(range(ACTIONS))


def test_without_sigma_a_noisy_network_learns_as_a_plain_one():
    """Their sigmas are 0, and so are the gradients' products with them; noise on nothing is nothing."""
    losses = []
    for changes in ({}, {"noisy": True, "noisy_sigma": 0.0}):
        h = DQNHyperparameters(**{**BASE, **changes, "gradient_steps": 1, "max_grad_norm": 1e9})
        stack = make_stack(h, dtype=np.float64)
        stack.start(0, h, 3, 400)
        rows = transitions(50, 1)
        stack.observe(0, rows, episode_ends(rows, 1))
        losses.append(stack.learn([0])[0])
    assert losses[0] == pytest.approx(losses[1], rel=1e-9)


def test_numbers_drawn_ahead_are_those_of_one_gradient_step_after_the_other():
    noises = [LaneNoise(LearnerState(NoisyLayout((3, 2, 4)), 1)) for _ in range(2)]
    for noise in noises:
        noise.start(0, 7)
    ahead = noises[0].draw_ahead(0, 5)
    for step in range(5):
        for mine, theirs in zip(noises[0]._products(ahead[step][None]), noises[1].draw(slice(0, 1)), strict=True):
            np.testing.assert_array_equal(mine, theirs)
