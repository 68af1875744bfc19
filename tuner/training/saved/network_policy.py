"""A Q-network out of a file: layers, a torso where it sees images, and what its inputs are normalised by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.agents.dqn.layout import q_head_of
from tuner.hyperparameters import DQNHyperparameters
from tuner.training.saved.image_policy import TORSO, ImagePolicy, image_policy
from tuner.training.saved.vector_policy import Policy

Array = NDArray[Any]

#: How arrays of running statistics are named (Stable-Baselines3's names): observations', and the discounted return's.
STATISTICS = ("obs_rms.", "ret_rms.")


def network_policy(arrays: Mapping[str, Array], hyperparameters: DQNHyperparameters, seed: int) -> Policy | ImagePolicy:
    """Check names and shapes of the arrays against what the hyperparameters ask for, and return the policy.

    Raises:
        KeyError: An array is missing.
        ValueError: Shapes or values do not fit.
    """
    torso = {name: array for name, array in arrays.items() if name.startswith(TORSO)}
    head = _head({name: array for name, array in arrays.items() if name not in torso}, hyperparameters)
    return image_policy(torso, head) if torso else head


def _head(arrays: Mapping[str, Array], hyperparameters: DQNHyperparameters) -> Policy:
    statistics = statistics_of(arrays)
    arrays = {name: array for name, array in arrays.items() if not name.startswith(STATISTICS)}
    layers: list[tuple[Array, ...]] = []
    apart = 3 if hyperparameters.layer_norm else 2
    for i in range(len(hyperparameters.net_arch) + 1):
        weight, bias = _part(arrays, f"q_net.{apart * i}")
        if weight.ndim != 2 or 0 in weight.shape or bias.shape != weight.shape[:1]:
            raise ValueError(f"q_net.{apart * i} has shapes {weight.shape} and {bias.shape}")
        if layers and weight.shape[1] != layers[-1][1].shape[0]:
            raise ValueError(f"q_net.{apart * i} does not fit the layer before it")
        layer: tuple[Array, ...] = (np.ascontiguousarray(weight.T), bias)
        if hyperparameters.layer_norm and i < len(hyperparameters.net_arch):
            norm = _part(arrays, f"q_net.{apart * i + 1}")
            if not norm[0].shape == norm[1].shape == bias.shape:
                raise ValueError(f"q_net.{apart * i + 1} does not fit the layer before it")
            layer += norm
        layers.append(layer)
    if len(arrays) != sum(map(len, layers)):
        raise ValueError(f"{len(arrays)} arrays instead of {sum(map(len, layers))}")
    hidden = tuple(layer[1].shape[0] for layer in layers[:-1])
    if hidden != hyperparameters.net_arch:
        raise ValueError(f"hidden layers are {hidden}, net_arch says {hyperparameters.net_arch}")
    if statistics is not None and statistics[0].shape != layers[0][0].shape[:1]:
        raise ValueError(f"obs_rms.mean has shape {statistics[0].shape}, the network reads {layers[0][0].shape[0]}")
    return Policy(tuple(layers), q_head_of(hyperparameters, layers[-1][1].shape[0]), statistics)


def _part(arrays: Mapping[str, Array], name: str) -> tuple[Array, Array]:
    weight, bias = arrays[f"{name}.weight"], arrays[f"{name}.bias"]
    if weight.dtype != np.float32 or bias.dtype != np.float32:
        raise ValueError(f"{name} is not float32")
    if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
        raise ValueError(f"{name} is not finite")
    return weight, bias


def statistics_of(arrays: Mapping[str, Array]) -> tuple[Array, Array] | None:
    """Return the mean and variance that a network's inputs are normalised by; None where they are not."""
    if "obs_rms.mean" not in arrays:
        return None
    mean, variance = arrays["obs_rms.mean"], arrays["obs_rms.var"]
    for name, array in (("obs_rms.mean", mean), ("obs_rms.var", variance)):
        if array.dtype != np.float64 or array.shape != mean.shape or not np.isfinite(array).all():
            raise ValueError(f"{name} is not a vector of finite float64 numbers, one for each input")
    if (variance < 0).any():
        raise ValueError("obs_rms.var is negative")
    return mean, variance
