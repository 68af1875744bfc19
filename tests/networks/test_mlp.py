import numpy as np
import pytest
import torch

from tuner.networks.mlp import Activations, MLPLayout, append_one, forward


def outputs_of(flat, inputs):
    buffers = Activations(LAYOUT, len(flat), inputs.shape[1], flat.dtype)
    return forward(LAYOUT.network(flat), append_one(inputs), buffers)


LAYOUT = MLPLayout((3, 7, 5, 2))


def rows(k: int) -> np.ndarray:
    return np.stack([LAYOUT.initial(np.random.default_rng(i)) for i in range(k)]).astype(np.float32)


def test_views_cover_the_row_without_overlap():
    flat = np.zeros((1, LAYOUT.n_parameters))
    for weight, bias in LAYOUT.views(flat):
        weight += 1
        bias += 1
    np.testing.assert_array_equal(flat, 1)


def test_matrices_are_weight_and_bias_in_one():
    flat = rows(2)
    for (weight, bias), matrix in zip(LAYOUT.views(flat), LAYOUT.matrices(flat), strict=True):
        np.testing.assert_array_equal(np.concatenate([weight, bias], axis=1), matrix)
        assert np.shares_memory(matrix, flat)


def test_forward_equals_a_torch_module_with_the_exported_weights():
    flat = rows(3)
    inputs = np.random.default_rng(9).normal(size=(3, 11, 3)).astype(np.float32)
    outputs = outputs_of(flat, inputs)
    for lane in range(3):
        module = torch.nn.Sequential(
            torch.nn.Linear(3, 7), torch.nn.ReLU(), torch.nn.Linear(7, 5), torch.nn.ReLU(), torch.nn.Linear(5, 2)
        )
        named = LAYOUT.to_state_dict(flat[lane])
        module.load_state_dict({name.removeprefix("q_net."): torch.from_numpy(v) for name, v in named.items()})
        np.testing.assert_allclose(
            outputs[lane], module(torch.from_numpy(inputs[lane])).detach().numpy(), rtol=1e-5, atol=1e-6
        )


def test_forward_is_bit_equal_for_any_number_of_lanes():
    flat = rows(9)
    inputs = np.random.default_rng(9).normal(size=(9, 16, 3)).astype(np.float32)
    together = outputs_of(flat, inputs)
    for lane in range(9):
        alone = outputs_of(flat[lane : lane + 1], inputs[lane : lane + 1])
        np.testing.assert_array_equal(alone[0], together[lane])


def test_state_dict_round_trip():
    row = rows(1)[0]
    np.testing.assert_array_equal(LAYOUT.from_state_dict(LAYOUT.to_state_dict(row)), row)


def test_a_weight_of_another_shape_is_named():
    named = LAYOUT.to_state_dict(rows(1)[0])
    named["q_net.2.weight"] = np.zeros((4, 7))
    with pytest.raises(ValueError, match=r"q_net\.2\.weight must have shape \(5, 7\), found \(4, 7\)"):
        LAYOUT.from_state_dict(named)


def test_initial_weights_follow_torchs_rule():
    row = MLPLayout((400, 300)).initial(np.random.default_rng(0))
    assert np.abs(row).max() <= 1 / 20
    np.testing.assert_allclose(row.std(), 1 / 20 / np.sqrt(3), rtol=0.02)
