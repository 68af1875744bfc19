"""A run's hyperparameters as the arguments of Stable-Baselines3's classes, each where that takes it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.noise import ActionNoise, NormalActionNoise, OrnsteinUhlenbeckActionNoise
from stable_baselines3.common.utils import LinearSchedule

from tuner.envs.encoders import Encoder
from tuner.errors import InputError
from tuner.hyperparameters import BACKENDS, Hyperparameters, beyond_sb3, field_infos
from tuner.hyperparameters.schedules import scheduled
from tuner.networks.conv import NATURE_MIN_SIZE
from tuner.training.sb3.inputs import SmallCNN

ACTIVATIONS = {
    "relu": torch.nn.ReLU,
    "tanh": torch.nn.Tanh,
    "elu": torch.nn.ELU,
    "leaky_relu": torch.nn.LeakyReLU,
}

_NOISES: dict[str, type[NormalActionNoise | OrnsteinUhlenbeckActionNoise]] = {
    "normal": NormalActionNoise,
    "ornstein-uhlenbeck": OrnsteinUhlenbeckActionNoise,
}


def constructor_arguments(
    hyperparameters: Hyperparameters, n_timesteps: int, encoder: Encoder | None = None
) -> dict[str, Any]:
    """Return the keyword arguments of Stable-Baselines3's class for a run, without ``env``, ``seed`` and ``device``.

    The names are the same; what is the policy's goes into ``policy_kwargs``, what is the environment's is left out, and
    so is noise (:func:`noise_arguments`). ``buffer_size`` is cut to the run's budget: a run of ``n_timesteps`` steps
    cannot fill more, so nothing but the memory changes. A minibatch is cut to the rollout, as Stable-Baselines3 does
    with a warning. An exported YAML keeps the uncut values, since its reader may train longer.

    Args:
        hyperparameters: The run's.
        n_timesteps: The run's budget in environment steps.
        encoder: Of its observations: images get a ``CnnPolicy``.

    Raises:
        InputError: Stable-Baselines3 does not have the algorithm, or not an option that is on.
    """
    if not hyperparameters.sb3_class:
        raise InputError(f"{BACKENDS['sb3']} does not train {hyperparameters.algorithm}. Use --backend native.")
    foreign = beyond_sb3(hyperparameters)
    if foreign:
        settings = ", ".join(f"{name}={getattr(hyperparameters, name)}" for name in foreign)
        title = hyperparameters.title
        raise InputError(f"Stable-Baselines3's {title} has no {settings}. Leave it out, or use --backend native.")
    infos = field_infos(type(hyperparameters)).values()
    values = hyperparameters.to_mapping()
    arguments = {i.name: values[i.name] for i in infos if i.sb3 and i.place == "constructor"}
    arguments |= {i.name: i.unset for i in infos if i.unset and values[i.name] is None}
    arguments |= {name: LinearSchedule(values[name], 0.0, 1.0) for name in scheduled(hyperparameters)}
    arguments |= policy_arguments(hyperparameters, encoder)
    if "buffer_size" in arguments:  # at least a transition for each environment
        arguments["buffer_size"] = max(min(arguments["buffer_size"], n_timesteps), values.get("n_envs", 1))
    elif "batch_size" in arguments:
        arguments["batch_size"] = min(arguments["batch_size"], values["n_steps"] * values["n_envs"])
    return arguments


def policy_arguments(hyperparameters: Hyperparameters, encoder: Encoder | None) -> dict[str, Any]:
    """Return ``policy`` and ``policy_kwargs`` for these observations (None: a vector)."""
    infos = field_infos(type(hyperparameters)).values()
    kwargs = {i.name: getattr(hyperparameters, i.name) for i in infos if i.sb3 and i.place == "policy"}
    if "net_arch" in kwargs:
        kwargs["net_arch"] = list(kwargs["net_arch"])
    if "activation_fn" in kwargs:
        kwargs["activation_fn"] = ACTIVATIONS[kwargs["activation_fn"]]
    if encoder is None or encoder.image is None:
        return {"policy": f"Mlp{hyperparameters.policy_suffix}", "policy_kwargs": kwargs}
    if min(encoder.image[1:]) < NATURE_MIN_SIZE:
        kwargs["features_extractor_class"] = SmallCNN
    if encoder.scale != 255:
        kwargs["normalize_images"] = False  # they are in [0, 1] already
    return {"policy": f"Cnn{hyperparameters.policy_suffix}", "policy_kwargs": kwargs}


def noise_arguments(hyperparameters: Hyperparameters, actions: spaces.Space[Any]) -> dict[str, ActionNoise]:
    """Return ``action_noise`` where the hyperparameters ask for one, as RL Zoo makes it."""
    kind = getattr(hyperparameters, "noise_type", "none")
    if kind == "none":
        return {}
    zero = np.zeros(actions.shape or ())
    return {"action_noise": _NOISES[kind](mean=zero, sigma=zero + getattr(hyperparameters, "noise_std", 0.0))}
