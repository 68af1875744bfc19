"""A policy of Stable-Baselines3 out of a file of plain arrays: for algorithms that only it has."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy

from tuner.core.normalization import normalized
from tuner.envs.actions import Actions
from tuner.envs.image_encoder import ImageEncoder
from tuner.hyperparameters import Hyperparameters
from tuner.training.player import Act
from tuner.training.saved.network_policy import STATISTICS, statistics_of
from tuner.training.sb3.arguments import policy_arguments

Array = NDArray[Any]

#: Names of the array that holds the shape of an observation, channels first, and the number of actions, and of those
#: that hold the bounds of continuous ones.
SPACES, LOW, HIGH = "spaces", "actions.low", "actions.high"

#: Arrays of a file that are not the network's.
NOT_WEIGHTS = (SPACES, LOW, HIGH)


@dataclass(frozen=True)
class SB3Policy:
    """Plays greedily.

    Attributes:
        network: The policy, on observations that are network input already.
        shape: (input size,), or (channels, height, width).
        n_actions: Number of actions, or of numbers in a continuous one.
        statistics: (mean, variance), ``[input_size]`` each, that inputs are normalised by; None where they are not.
    """

    network: BasePolicy
    shape: tuple[int, ...]
    n_actions: int
    statistics: tuple[Array, Array] | None

    @property
    def input_size(self) -> int:
        """Length of the input vector."""
        return int(np.prod(self.shape))

    def act(self, inputs: Array) -> Array:
        """Return greedy actions for network inputs ``[..., input_size]``: indices ``[...]``, or ``[..., *shape]``.

        At the first step of episodes, where the policy remembers.
        """
        return self.begin()(inputs)

    def begin(self) -> Act:
        """Return greedy play from the first step of episodes on."""
        memory: Any = None  # of a policy that has one

        def act(inputs: Array) -> Array:
            nonlocal memory
            rows = inputs if self.statistics is None else normalized(inputs, *self.statistics)
            seen = np.asarray(rows, np.float32).reshape(-1, *self.shape)
            best, memory = self.network.predict(seen, memory, deterministic=True)
            return best.reshape(*inputs.shape[:-1], *best.shape[1:])

        return act


def spaces_of(observation: spaces.Space[Any], action: spaces.Space[Any]) -> dict[str, Array]:
    """Return what :func:`sb3_policy` has to know of the spaces that a policy was trained on."""
    assert isinstance(action, spaces.Discrete | spaces.Box)
    if isinstance(observation, spaces.Discrete | spaces.MultiDiscrete):  # seen as one-hot vectors
        shape: tuple[int, ...] | None = (int(spaces.flatdim(observation)),)
    else:
        shape = observation.shape
    found = {SPACES: np.array([*(shape or ()), Actions(action).n], np.float32)}
    return found | ({LOW: action.low, HIGH: action.high} if isinstance(action, spaces.Box) else {})


def sb3_policy(arrays: Mapping[str, Array], hyperparameters: Hyperparameters) -> SB3Policy:
    """Return the policy whose arrays these are.

    Raises:
        KeyError: An array is missing.
        ValueError, RuntimeError: Names or shapes are not those that the hyperparameters ask for.
    """
    *shape, n_actions = (int(number) for number in arrays[SPACES])
    image = len(shape) == 3
    encoder = ImageEncoder((shape[0], shape[1], shape[2]), channels_last=False, scale=1) if image else None
    space = spaces.Box(0 if image else -np.inf, 1 if image else np.inf, tuple(shape), np.float32)
    module, _, name = hyperparameters.sb3_class.rpartition(".")
    trainer: type[BaseAlgorithm] = getattr(importlib.import_module(module), name)
    arguments = policy_arguments(hyperparameters, encoder)
    kind = trainer.policy_aliases[arguments["policy"]]
    actions: spaces.Space[Any] = spaces.Discrete(n_actions)
    if LOW in arrays:
        actions = spaces.Box(arrays[LOW].astype(np.float32), arrays[HIGH].astype(np.float32), dtype=np.float32)
    kwargs = arguments["policy_kwargs"]
    if getattr(hyperparameters, "use_sde", False):
        kwargs["use_sde"] = True
    network: Any = kind(space, actions, lambda _: 0.0, **kwargs)
    own = {n: torch.as_tensor(a) for n, a in arrays.items() if n not in NOT_WEIGHTS and not n.startswith(STATISTICS)}
    network.load_state_dict(own)
    return SB3Policy(network, tuple(shape), n_actions, statistics_of(arrays))
