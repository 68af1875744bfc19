"""A network of state and action as a greedy policy: the best of the same sampled actions at every step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from tuner import seeding
from tuner.agents.action_search import ActionSearch
from tuner.agents.action_values import ActionValues
from tuner.agents.sampled_dqn import layout_of, search_of
from tuner.hyperparameters.sampled_dqn import SampledDQNHyperparameters

Array = NDArray[Any]

#: Names of the arrays that hold the bounds of actions, of their own shape; all others are the network's.
LOW, HIGH = "actions.low", "actions.high"


@dataclass(frozen=True)
class SampledPolicy:
    """Plays greedily. What it draws is drawn once, from the run's seed: equal observations get equal actions.

    Attributes:
        values: The network.
        search: How its best action is looked for.
        draws: The randomness of every search, of one state.
        low: Smallest action, of the shape of one.
        high: Largest action.
        input_size: Numbers of an observation.
    """

    values: ActionValues
    search: ActionSearch
    draws: Array
    low: Array
    high: Array
    input_size: int

    @property
    def n_actions(self) -> int:
        """Numbers of an action."""
        return self.search.dimensions

    def act(self, inputs: Array) -> Array:
        """Return greedy actions ``[..., *shape of one]`` for network inputs ``[..., input_size]``."""
        rows = np.asarray(inputs, np.float32).reshape(-1, self.input_size)
        best, _ = self.search.best(lambda tried: self.values.of(rows, tried), self.draws, len(rows))
        return scaled(best, self.low, self.high).reshape(*inputs.shape[:-1], *self.low.shape)


def bounds_of(space: spaces.Box) -> tuple[Array, Array]:
    """Return the bounds of actions in float32, rounded to the inside of the space."""
    low, high = space.low.astype(np.float32), space.high.astype(np.float32)
    low = np.where(low < space.low, np.nextafter(low, np.float32(np.inf)), low)
    return low, np.where(high > space.high, np.nextafter(high, np.float32(-np.inf)), high)


def scaled(actions: Array, low: Array, high: Array) -> Array:
    """Return actions ``[N, dimensions]`` from -1 to 1 as the environment takes them, ``[N, *shape]`` of its type."""
    share = (actions.astype(np.float64) + 1) / 2
    flat_low, flat_high = low.reshape(-1).astype(np.float64), high.reshape(-1).astype(np.float64)
    own = flat_low * (1 - share) + flat_high * share  # no difference, which the widest bounds have none of
    return np.clip(own, flat_low, flat_high).astype(low.dtype).reshape(-1, *low.shape)


def draws_of(search: ActionSearch, run_seed: int) -> Array:
    """Return the randomness of a run's greedy play."""
    return search.draws(seeding.stream(run_seed, "greedy actions"), 1)


def sampled_policy(arrays: Mapping[str, Array], hyperparameters: SampledDQNHyperparameters, seed: int) -> SampledPolicy:
    """Return the policy whose arrays these are.

    Raises:
        KeyError: An array is missing.
        ValueError: Shapes or values are not those that the hyperparameters ask for.
    """
    low, high = (arrays[name].astype(np.float32) for name in (LOW, HIGH))
    if low.shape != high.shape or not (np.isfinite(low).all() and np.isfinite(high).all() and (low <= high).all()):
        raise ValueError("the bounds of actions are none")
    named = {name: array for name, array in arrays.items() if name not in (LOW, HIGH)}
    first = named["q_net.0.weight"]
    size = (first.shape[1] if first.ndim == 2 else 0) - low.size
    if size < 1:
        raise ValueError(f"q_net.0.weight {first.shape} reads no observation beside {low.size} numbers of an action")
    layout = layout_of(hyperparameters, size, low.size)
    row = layout.from_state_dict(named).astype(np.float32)[None]
    if len(named) != 2 * len(layout.layers) or not np.isfinite(row).all():
        raise ValueError("the network's arrays are too many, or not finite")
    search = search_of(hyperparameters, low.size)
    return SampledPolicy(ActionValues(layout, row, size), search, draws_of(search, seed), low, high, size)
