import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st
from stable_baselines3.common.preprocessing import preprocess_obs

from tuner.envs.encoders import MAX_INPUT_SIZE, encoder_for
from tuner.errors import UnusableEnvironmentError


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.int8])
@pytest.mark.parametrize("shape", [(4,), (), (2, 3), (2, 3, 4)])
def test_box_reaches_the_network_as_in_sb3(dtype: type, shape: tuple[int, ...]) -> None:
    space = spaces.Box(0, 100, shape, dtype)
    encoder = encoder_for(space)
    observation = np.random.default_rng(0).uniform(0, 100, shape).astype(dtype)
    expected = preprocess_obs(torch.as_tensor(observation)[None], space).reshape(-1).numpy()
    stored = encoder.store(observation)
    assert stored.shape == encoder.storage_shape == (encoder.input_size,)
    assert stored.dtype == encoder.storage_dtype
    np.testing.assert_array_equal(encoder.to_input(stored), expected)


@given(n=st.integers(1, 40), start=st.integers(-5, 5), data=st.data())
def test_discrete_is_one_hot_as_in_sb3(n: int, start: int, data: st.DataObject) -> None:
    encoder = encoder_for(spaces.Discrete(n, start=start))
    values = data.draw(st.lists(st.integers(start, start + n - 1), min_size=1, max_size=6))
    stored = np.array([encoder.store(v) for v in values], encoder.storage_dtype)
    assert stored.shape == (len(values), *encoder.storage_shape)
    zero_based = spaces.Discrete(n)
    expected = preprocess_obs(torch.as_tensor(np.array(values) - start), zero_based).numpy()
    np.testing.assert_array_equal(encoder.to_input(stored), expected)


def test_float_memory_holds_discrete_observations() -> None:
    encoder = encoder_for(spaces.Discrete(5))
    np.testing.assert_array_equal(encoder.to_input(np.array([[0.0, 4.0]], np.float32)), np.eye(5)[[[0, 4]]])


def test_box_input_is_the_stored_array_itself() -> None:
    encoder = encoder_for(spaces.Box(-1, 1, (3,), np.float32))
    stored = np.ones((2, 5, 3), np.float32)
    assert encoder.to_input(stored) is stored
    assert np.shares_memory(encoder.store(stored[0, 0]), stored)


@pytest.mark.parametrize("space", [spaces.Box(-1, 1, (3,)), spaces.Discrete(3)])
def test_given_buffer_is_filled_and_decides_the_precision(space: spaces.Space) -> None:
    encoder = encoder_for(space)
    stored = np.array([encoder.store(space.sample()) for _ in range(7)])
    out = np.full((7, encoder.input_size), 9.0)
    assert encoder.to_input(stored, out) is out
    np.testing.assert_array_equal(out, encoder.to_input(stored).astype(np.float64))


@pytest.mark.parametrize(
    "space",
    [
        spaces.Box(0, 255, (84, 84, 3), np.uint8),
        spaces.Box(0, 255, (3, 3, 3), np.uint8),
        spaces.Box(0, 1, (MAX_INPUT_SIZE + 1,)),
        spaces.Box(0, 1, (0,)),
        spaces.Discrete(MAX_INPUT_SIZE + 1),
        spaces.Dict(a=spaces.Discrete(2)),
        spaces.MultiDiscrete([2, 2]),
        spaces.MultiBinary(3),
    ],
)
def test_other_observations_are_refused(space: spaces.Space) -> None:
    with pytest.raises(UnusableEnvironmentError, match="observations are"):
        encoder_for(space)
