"""A fitted policy out of a file: the data of the last regression, fitted again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner import seeding
from tuner.agents.fqi import FittedQ
from tuner.agents.offline_data import OfflineData
from tuner.hyperparameters import FQIHyperparameters

Array = NDArray[Any]


@dataclass(frozen=True)
class FittedPolicy:
    """Plays greedily by fitted values.

    Attributes:
        fitted: The values.
        input_size: Length of the input vector.
        n_actions: Number of actions.
    """

    fitted: FittedQ
    input_size: int
    n_actions: int

    def q_values(self, inputs: Array) -> Array:
        """Return action values ``[..., n_actions]`` of inputs ``[..., input_size]``."""
        return self.fitted.q_values(np.asarray(inputs, np.float32))

    def act(self, inputs: Array) -> Array:
        """Return greedy action indices ``[...]`` (from 0)."""
        return self.fitted.act(np.asarray(inputs, np.float32))


def fitted_policy(arrays: Mapping[str, Array], hyperparameters: FQIHyperparameters, run_seed: int) -> FittedPolicy:
    """Return the policy that :meth:`tuner.training.lone.fitted.FittedRun.arrays` describes.

    Raises:
        KeyError: An array is missing.
        InputError: Shapes do not fit.
        ValueError: Values do not fit.
        MissingExtraError: scikit-learn is not installed.
    """
    observations = arrays["observations"].astype(np.float32)
    actions, targets = arrays["actions"].astype(np.int64), arrays["targets"].astype(np.float64)
    n_actions = int(arrays["n_actions"])
    if not 1 <= n_actions <= 100_000 or not len(actions) or actions.max() >= n_actions:
        raise ValueError("actions do not fit their number")
    if targets.shape != actions.shape or not np.isfinite(targets).all() or not np.isfinite(observations).all():
        raise ValueError("targets do not fit the data, or something is not finite")
    nothing = np.zeros(len(actions), bool)
    data = OfflineData(observations, actions, np.zeros(len(actions)), observations, nothing, nothing)
    seed = int(seeding.stream(run_seed, "network").integers(2**31))
    fitted = FittedQ.refitted(data, targets, n_actions, hyperparameters, seed)
    return FittedPolicy(fitted, int(observations.shape[1]), n_actions)
