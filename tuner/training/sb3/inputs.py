"""Environments and networks in the form that Stable-Baselines3 reads; what the agent sees is the native agent's."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.wrappers import FlattenObservation
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

from tuner.envs.encoders import Encoder, encoder_for
from tuner.envs.image_encoder import ImageEncoder
from tuner.hyperparameters import DQNHyperparameters, Hyperparameters
from tuner.networks.conv import NATURE_MIN_SIZE, SMALL, Torso

AnyEnv = gym.Env[Any, Any]


def for_sb3(env: AnyEnv) -> AnyEnv:
    """Return the environment with spaces that Stable-Baselines3 takes: from 0, flat, images channels first."""
    encoder = encoder_for(env.observation_space)
    if isinstance(env.observation_space, spaces.Dict | spaces.Tuple):
        env = FlattenObservation(env)
    elif isinstance(encoder, ImageEncoder):
        env = _ChannelsFirst(env, encoder)
    if any(getattr(space, "start", 0) != 0 for space in (env.action_space, env.observation_space)):
        env = FromZero(env)
    return env


def policy_arguments(encoder: Encoder | None, net_arch: list[int]) -> dict[str, Any]:
    """Return ``policy`` and ``policy_kwargs`` for these observations (None: a vector)."""
    if encoder is None or encoder.image is None:
        return {"policy": "MlpPolicy", "policy_kwargs": {"net_arch": net_arch}}
    kwargs: dict[str, Any] = {"net_arch": net_arch}
    if min(encoder.image[1:]) < NATURE_MIN_SIZE:
        kwargs["features_extractor_class"] = SmallCNN
    return {"policy": "CnnPolicy", "policy_kwargs": kwargs}


def normalized(env: VecEnv, hyperparameters: Hyperparameters, encoder: Encoder) -> VecEnv:
    """Return the environment with observations and rewards normalised where the hyperparameters say so."""
    assert isinstance(hyperparameters, DQNHyperparameters)
    observations = hyperparameters.normalize_observations and encoder.normalizable
    if not (observations or hyperparameters.normalize_rewards):
        return env
    rewards, gamma = hyperparameters.normalize_rewards, hyperparameters.gamma
    return VecNormalize(env, norm_obs=observations, norm_reward=rewards, gamma=gamma)


def statistics(normalizer: VecNormalize | None) -> dict[str, NDArray[Any]]:
    """Return what is saved with a network, under the native agent's names."""
    found: dict[str, NDArray[Any]] = {}
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


class _ChannelsFirst(gym.ObservationWrapper[Any, Any, Any]):
    """Images as the native agent stores them. Truth values stay 0 and 1."""

    def __init__(self, env: AnyEnv, encoder: ImageEncoder) -> None:
        super().__init__(env)
        self._encoder = encoder
        self.observation_space = spaces.Box(0, encoder.scale, encoder.image, np.uint8)

    def observation(self, observation: Any) -> Any:
        """Return ``[channels, height, width]`` uint8."""
        return self._encoder.store(observation).reshape(self._encoder.image)


class FromZero(gym.Wrapper[Any, Any, Any, Any]):
    """Discrete spaces that begin at 0, as Stable-Baselines3 assumes them to."""

    def __init__(self, env: AnyEnv) -> None:
        super().__init__(env)
        self._action_start = int(getattr(env.action_space, "start", 0))
        self._observation_start = int(getattr(env.observation_space, "start", 0))
        if isinstance(env.action_space, spaces.Discrete):
            self.action_space = spaces.Discrete(int(env.action_space.n))
        if isinstance(env.observation_space, spaces.Discrete):
            self.observation_space = spaces.Discrete(int(env.observation_space.n))

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        """Start an episode."""
        observation, info = self.env.reset(**kwargs)
        return self._from_zero(observation), info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Take a step."""
        observation, reward, terminated, truncated, info = self.env.step(action + self._action_start)
        return self._from_zero(observation), reward, terminated, truncated, info

    def _from_zero(self, observation: Any) -> Any:
        return observation - self._observation_start if self._observation_start else observation
