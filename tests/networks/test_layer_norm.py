"""Normalised hidden layers: the passes of every path against torch's own modules."""

import numpy as np
import pytest
import torch

from tuner.agents.dqn.kernels import layers_of
from tuner.networks.conv import ConvLayout, Convolution, Torso
from tuner.networks.forward_torch import outputs
from tuner.networks.mlp import Activations, Backward, MLPLayout, append_one, forward, outputs_of

LAYOUT = MLPLayout((3, 7, 1, 5, 2), layer_norm=True)
K, B = 3, 11


def row(seed: int) -> np.ndarray:
    """A row whose gains and biases have been learned."""
    rng = np.random.default_rng(seed)
    return LAYOUT.initial(rng) + rng.normal(scale=0.3, size=LAYOUT.n_parameters)


def module(row: np.ndarray) -> torch.nn.Sequential:
    parts: list[torch.nn.Module] = []
    for fan_in, fan_out in LAYOUT.layers[:-1]:
        parts += [torch.nn.Linear(fan_in, fan_out), torch.nn.LayerNorm(fan_out), torch.nn.ReLU()]
    made = torch.nn.Sequential(*parts, torch.nn.Linear(5, 2)).double()
    named = LAYOUT.to_state_dict(row)
    made.load_state_dict({name.removeprefix("q_net."): torch.from_numpy(array) for name, array in named.items()})
    return made


@pytest.fixture
def drawn():
    flat = np.stack([row(i) for i in range(K)])
    return flat, np.random.default_rng(9).normal(size=(K, B, 3))


def test_all_forward_passes_are_torchs(drawn):
    flat, inputs = drawn
    numpy = forward(LAYOUT.network(flat), append_one(inputs), Activations(LAYOUT, K, B, flat.dtype))
    grouped = outputs(LAYOUT, LAYOUT.views(torch.from_numpy(flat)), torch.from_numpy(inputs))
    for lane in range(K):
        made = module(flat[lane])
        expected = made(torch.from_numpy(inputs[lane])).detach().numpy()
        np.testing.assert_allclose(numpy[lane], expected, atol=1e-12)
        np.testing.assert_allclose(grouped[lane], expected, atol=1e-12)
        layers = [
            (linear.weight.T.detach().numpy(), linear.bias.detach().numpy())
            for linear in made
            if isinstance(linear, torch.nn.Linear)
        ]
        for i, norm in enumerate(part for part in made if isinstance(part, torch.nn.LayerNorm)):
            layers[i] += (norm.weight.detach().numpy(), norm.bias.detach().numpy())
        np.testing.assert_allclose(outputs_of(layers, inputs[lane]), expected, atol=1e-12)


def test_the_way_back_is_autograds(drawn):
    flat, inputs = drawn
    delta = np.random.default_rng(1).normal(size=(K, B, 2))
    activations = Activations(LAYOUT, K, B, flat.dtype)
    back, network = Backward(LAYOUT, activations), LAYOUT.network(flat)
    forward(network, append_one(inputs), activations)
    back.output_delta[...] = delta
    back(network, append_one(inputs))
    for lane in range(K):
        made = module(flat[lane])
        (made(torch.from_numpy(inputs[lane])) * torch.from_numpy(delta[lane])).sum().backward()
        expected = {f"q_net.{name}": part.grad.numpy() for name, part in made.named_parameters()}
        found = LAYOUT.to_state_dict(back.gradient[lane])
        assert found.keys() == expected.keys()
        for name, gradient in found.items():
            np.testing.assert_allclose(gradient, expected[name], atol=1e-11)


def test_a_layer_begins_with_mean_0_and_deviation_1_and_the_row_comes_back():
    fresh = LAYOUT.initial(np.random.default_rng(0))
    plain = MLPLayout(LAYOUT.sizes).initial(np.random.default_rng(0))
    np.testing.assert_array_equal(fresh[: len(plain)], plain)  # whoever compares the two compares equal weights
    assert [(gain.mean(), bias.mean()) for gain, bias in LAYOUT.norms(fresh[None])] == [(1, 0)] * 3
    np.testing.assert_array_equal(LAYOUT.from_state_dict(LAYOUT.to_state_dict(row(3))), row(3))


def test_compiled_code_finds_gains_behind_all_layers_of_a_convolution_too():
    torso = Torso((2, 10, 10), 1, (Convolution(4, 3, 1),), 6)
    layout = ConvLayout(torso, MLPLayout((6, 5, 3), layer_norm=True))
    layers, before = layers_of(layout, 8, np.float32)
    assert (layers.sizes.tolist(), layers.norm_at.tolist()) == ([256, 6, 5, 3], [-1, layers.linear])
    assert before + layers.linear + 2 * 5 == layout.n_parameters
    assert before == 4 * (2 * 9 + 1)
    plain, before = layers_of(MLPLayout((4, 8, 2)), 8, np.float32)
    assert (before, plain.linear, len(plain.norm_at), len(plain.normal)) == (0, 58, 0, 0)
