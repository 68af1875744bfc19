"""Environments and networks as Stable-Baselines3 reads them; what the agent sees is the native agent's."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.wrappers import DtypeObservation, FlattenObservation, TransformAction, TransformObservation
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

from tuner.envs.encoders import BoxEncoder, DiscreteEncoder, Encoder
from tuner.envs.make import plain
from tuner.envs.needs_wrapper import needs_wrapper
from tuner.hyperparameters import Hyperparameters
from tuner.networks.conv import SMALL, Torso

AnyEnv = gym.Env[Any, Any]
Array = NDArray[Any]

#: Axes of an image as `for_sb3` shows it; vectors have one, and all else comes as one.
IMAGE_AXES = 3


def for_sb3(
    env: AnyEnv, encoder: Encoder, *, normalizing: tuple[bool, bool] = (False, False), rollouts: bool = False
) -> AnyEnv:
    """Return the environment with spaces that Stable-Baselines3 takes; networks see what the native ones see.

    Args:
        env: The environment.
        encoder: Of its observations.
        normalizing: Whether a VecNormalize comes around it, for observations and for rewards. A replay memory of its
            transitions takes no plain numbers: they become arrays of one, which a policy turns into the same one-hot
            vectors.
        rollouts: Whether what stores them does so as they are normalised, in the type of the space: vectors of whole
            numbers become vectors of real ones. It takes plain numbers.
    """
    space = env.observation_space
    arrays = any(normalizing) and not rollouts
    vector = isinstance(space, spaces.Box) and len(space.shape) == 1 and encoder.image is None
    if any(normalizing) and rollouts:
        vector = vector and np.issubdtype(space.dtype, np.floating)
    if not (vector or (isinstance(space, spaces.Discrete) and space.start == 0 and not arrays)):
        env = _Encoded(env, encoder)
    if arrays and isinstance(encoder, DiscreteEncoder):
        one = spaces.MultiDiscrete([encoder.n])
        env = TransformObservation(env, lambda number: np.array([number], dtype=np.int64), one)
    start = int(getattr(env.action_space, "start", 0))
    return TransformAction(env, lambda action: action + start, spaces.Discrete(env.action_space.n)) if start else env  # type: ignore[attr-defined]


def as_exported(
    env: AnyEnv,
    encoder: Encoder,
    *,
    normalizing: tuple[bool, bool] = (False, False),
    rollouts: bool = False,
    vectors: bool = False,
) -> AnyEnv:
    """Return the environment with the spaces that it has in RL Zoo, given an export: those of an agent's zip.

    What Stable-Baselines3 itself turns into the vector that our network sees is left as the environment shows it.
    Where RL Zoo's form has no words for it, it is that of :func:`for_sb3`.

    Args:
        env: The environment.
        encoder: Of its observations.
        normalizing: As for :func:`for_sb3`.
        rollouts: Likewise.
        vectors: Whether the policy reads nothing but vectors, as one that remembers does.
    """
    space = env.observation_space
    discrete = isinstance(space, spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary)
    reals = isinstance(encoder, BoxEncoder) and encoder.divisor == 1
    if not (discrete or reals) or needs_wrapper(space, plain(env.action_space)):  # type: ignore[arg-type]
        return for_sb3(env, encoder, normalizing=normalizing, rollouts=rollouts)
    if discrete:
        return FlattenObservation(env) if any(normalizing) or vectors else env
    cut = normalizing[0] and rollouts and not np.issubdtype(space.dtype, np.floating)
    return DtypeObservation(env, np.float32) if cut else env


def what_is_normalized(hyperparameters: Hyperparameters, encoder: Encoder) -> tuple[bool, bool]:
    """Return whether observations and rewards are."""
    on = {name: bool(getattr(hyperparameters, name)) for name in hyperparameters.wrapped}
    return on.get("normalize_observations", False) and encoder.normalizable, on.get("normalize_rewards", False)


def normalized(env: VecEnv, hyperparameters: Hyperparameters, encoder: Encoder) -> VecEnv:
    """Return the environment with observations and rewards normalised where the hyperparameters say so."""
    observations, rewards = what_is_normalized(hyperparameters, encoder)
    if not (observations or rewards):
        return env
    gamma: float = getattr(hyperparameters, "gamma", 0.99)
    return VecNormalize(env, norm_obs=observations, norm_reward=rewards, gamma=gamma)


def observations(inputs: Array, space: spaces.Space[Any]) -> Array:
    """Return network inputs ``[N, input_size]`` as a policy on ``space`` takes them, ``[N, *space.shape]``.

    A policy turns numbers into one-hot vectors and divides the bytes of an image itself, so that is taken back; it
    takes a vector of bytes as it is.
    """
    if isinstance(space, spaces.Discrete | spaces.MultiDiscrete):  # the latter of one number, see `for_sb3`
        numbers: Array = inputs.argmax(axis=-1)
        return numbers.reshape(-1, *(space.shape or ()))
    assert space.shape is not None
    shaped = inputs.reshape(-1, *space.shape)
    if space.dtype != np.uint8 or len(space.shape) != IMAGE_AXES:
        return shaped
    assert isinstance(space, spaces.Box)
    pixels: Array = np.rint(shaped * space.high.max()).astype(np.uint8)
    return pixels


def statistics(normalizer: VecNormalize | None) -> dict[str, Array]:
    """Return what is saved with a network, under the native agent's names."""
    found: dict[str, Array] = {}
    if normalizer is not None and normalizer.norm_obs:
        seen: Any = normalizer.obs_rms  # one, since observations are flat
        found |= {"obs_rms.mean": seen.mean, "obs_rms.var": seen.var}
    if normalizer is not None and normalizer.norm_reward:
        found["ret_rms.var"] = np.atleast_1d(normalizer.ret_rms.var)
    return found


class SmallCNN(torch.nn.Module):
    """The native agent's small network as Stable-Baselines3's features extractor.

    Args:
        observation_space: Images, channels first.
    """

    def __init__(self, observation_space: spaces.Box) -> None:
        super().__init__()
        channels, height, width = observation_space.shape
        ((made, kernel, stride),), self.features_dim = SMALL
        torso = Torso((channels, height, width), 1, *SMALL)
        self.cnn = torch.nn.Sequential(
            torch.nn.Conv2d(channels, made, kernel, stride), torch.nn.ReLU(), torch.nn.Flatten()
        )
        self.linear = torch.nn.Sequential(torch.nn.Linear(int(np.prod(torso.seen)), self.features_dim), torch.nn.ReLU())

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the features."""
        features: torch.Tensor = self.linear(self.cnn(images))
        return features


class _Encoded(gym.ObservationWrapper[Any, Any, Any]):
    """Observations as the native agent stores them; images in three dimensions, channels first.

    Bytes of 0 to 255 are left to Stable-Baselines3 to divide; those of another scale are divided here.
    """

    def __init__(self, env: AnyEnv, encoder: Encoder) -> None:
        super().__init__(env)
        self._encoder = encoder
        self._divides = encoder.image is not None and encoder.scale not in (1, 255)
        size = (encoder.input_size,)
        if isinstance(encoder, DiscreteEncoder):
            self.observation_space = spaces.Discrete(encoder.n)
        elif encoder.image is None:
            self.observation_space = spaces.Box(-np.inf, np.inf, size, np.float32)
        elif self._divides:
            self.observation_space = spaces.Box(0, 1, encoder.image, np.float32)
        else:
            self.observation_space = spaces.Box(0, encoder.scale, encoder.image, np.uint8)

    def observation(self, observation: Any) -> Any:
        """Return it in the form of ``observation_space``."""
        stored = self._encoder.store(observation)
        if self._divides:
            stored = self._encoder.to_input(stored)
        return stored if self._encoder.image is None else stored.reshape(self._encoder.image)
