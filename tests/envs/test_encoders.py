import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st
from stable_baselines3.common.preprocessing import preprocess_obs

from tuner.envs.encoders import MAX_INPUT_SIZE, encoder_for
from tuner.envs.frames import FramesBox
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
    assert stored.dtype == (np.uint8 if encoder.image is not None else np.float32)
    np.testing.assert_array_equal(encoder.to_input(stored), expected)


@given(n=st.integers(1, 40), start=st.integers(-5, 5), data=st.data())
def test_discrete_is_one_hot_as_in_sb3(n: int, start: int, data: st.DataObject) -> None:
    encoder = encoder_for(spaces.Discrete(n, start=start))
    values = data.draw(st.lists(st.integers(start, start + n - 1), min_size=1, max_size=6))
    stored = np.array([encoder.store(v) for v in values])
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
        spaces.Box(0, 1, (MAX_INPUT_SIZE + 1,)),
        spaces.Box(0, 255, (84, 84, 4), np.float32),
        spaces.Box(0, 1, (0,)),
        spaces.MultiDiscrete([MAX_INPUT_SIZE, 2]),
        spaces.Sequence(spaces.Discrete(2)),
        spaces.Dict(a=spaces.Sequence(spaces.Discrete(2))),
        spaces.Text(5),
    ],
)
def test_other_observations_are_refused(space: spaces.Space) -> None:
    with pytest.raises(UnusableEnvironmentError, match="observations are"):
        encoder_for(space)


@pytest.mark.parametrize(
    "space",
    [
        spaces.MultiDiscrete([3, 2, 4]),
        spaces.MultiBinary(3),
        spaces.Tuple((spaces.Discrete(4), spaces.Box(-1, 1, (2, 2)))),
        spaces.Dict(b=spaces.Discrete(3), a=spaces.Tuple((spaces.MultiBinary(2), spaces.Box(-1, 1, (3,), np.float64)))),
    ],
)
def test_composite_observations_are_gymnasiums_flat_vector(space: spaces.Space) -> None:
    encoder = encoder_for(space)
    space.seed(0)
    for _ in range(5):
        observation = space.sample()
        stored = encoder.store(observation)
        assert stored.dtype == np.float32 and stored.shape == (encoder.input_size,) == encoder.storage_shape
        np.testing.assert_array_equal(encoder.to_input(stored), spaces.flatten(space, observation).astype(np.float32))


def test_multi_discrete_is_one_hot_as_in_sb3() -> None:
    space = spaces.MultiDiscrete([3, 2, 4])
    expected = preprocess_obs(torch.tensor([[2, 0, 3]]), space)[0].numpy()
    np.testing.assert_array_equal(encoder_for(space).store(np.array([2, 0, 3])), expected)


@pytest.mark.parametrize(
    ("space", "image", "frames", "scale"),
    [
        (spaces.Box(0, 255, (96, 80, 3), np.uint8), (3, 96, 80), 0, 255),
        (spaces.Box(0, 255, (3, 96, 80), np.uint8), (3, 96, 80), 0, 255),
        (spaces.Box(0, 255, (96, 80), np.uint8), (1, 96, 80), 0, 255),
        (spaces.Box(0, 1, (10, 10, 4), bool), (4, 10, 10), 0, 1),
        (spaces.Box(0, 1, (10, 10, 10), bool), (10, 10, 10), 0, 1),
        (FramesBox(4, 84, 84), (4, 84, 84), 4, 255),
    ],
)
def test_images_are_bytes_channels_first_and_scaled(space: spaces.Box, image: tuple, frames: int, scale: int) -> None:
    encoder = encoder_for(space)
    assert (encoder.image, encoder.frames, encoder.scale) == (image, frames, scale)
    observation = space.sample()
    stored = encoder.store(observation)
    assert stored.dtype == np.uint8 and stored.size == np.prod(image)
    first = observation.reshape(space.shape if len(space.shape) == 3 else (*space.shape, 1))
    first = first if first.shape == image and space.shape[-1] != image[0] else np.moveaxis(first, -1, 0)
    np.testing.assert_array_equal(stored.reshape(image), first)
    np.testing.assert_allclose(encoder.to_input(stored), stored / scale, rtol=1e-6)


def test_tiny_images_are_vectors() -> None:
    assert encoder_for(spaces.Box(0, 255, (3, 3, 3), np.uint8)).image is None


@pytest.mark.parametrize(
    ("space", "value", "old", "new"),
    [
        (spaces.Box(0, 1, (8, 8, 1), np.uint8), 1, np.float32(1 / 255), 1.0),
        (spaces.Box(0, 5, (9, 8, 3), np.uint8), 5, np.float32(5) * np.float32(1 / 255), 1.0),
        (spaces.Box(0, 255, (8, 8, 1), np.uint8), 255, 1.0, 1.0),
        (spaces.Box(0, 255, (4, 4, 1), np.uint8), 255, 255.0, 1.0),
        (spaces.Box(0, 1, (8, 8), np.bool_), 1, 1.0, 1.0),
        (spaces.Dict({"a": spaces.Box(0, 255, (3, 3, 1), np.uint8)}), 255, 255.0, 1.0),
    ],
)
def test_a_picture_is_scaled_by_the_rule_of_its_study(space, value, old, new):
    observation = (
        {"a": np.full((3, 3, 1), value, np.uint8)} if isinstance(space, spaces.Dict) else np.full(space.shape, value)
    )
    for version, seen in ((1, old), (2, new)):
        encoder = encoder_for(space, version)
        shown = encoder.to_input(np.asarray(encoder.store(observation))[None])
        np.testing.assert_allclose(shown, np.float32(seen), rtol=1e-7)
    assert encoder_for(space) == encoder_for(space, 2)
