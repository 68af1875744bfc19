"""Actions of one environment, discrete or continuous: how many, drawn at random, as ``step`` takes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Actions:
    """What a policy chooses from.

    Attributes:
        space: The environment's action space. Indices of a Discrete one count from 0 here, wherever its own begin.
    """

    space: spaces.Discrete | spaces.Box

    @property
    def n(self) -> int:
        """Number of actions, or of numbers in a continuous one."""
        return int(self.space.n) if isinstance(self.space, spaces.Discrete) else int(np.prod(self.space.shape))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one action: () for an index."""
        return () if isinstance(self.space, spaces.Discrete) else self.space.shape

    def draw(self, rng: np.random.Generator, size: tuple[int, ...] = ()) -> Any:
        """Return uniformly random actions, ``[*size, *shape]``."""
        if isinstance(self.space, spaces.Discrete):
            return rng.integers(0, self.n, size) if size else int(rng.integers(0, self.n))
        # Of halves, with the same bits: the distance of the widest bounds is no float.
        drawn = 2 * rng.uniform(self.space.low / 2, self.space.high / 2, (*size, *self.shape))
        return drawn.astype(self.space.dtype)

    def each(self, actions: Array) -> Sequence[Any]:
        """Return actions ``[..., *shape]`` one by one, as :meth:`tuner.envs.bare.BareEnv.step` takes them."""
        if isinstance(self.space, spaces.Discrete):
            return actions.reshape(-1).tolist()
        return list(actions.reshape(-1, *self.shape))


def unusable(space: spaces.Space[Any]) -> str:
    """Return why a continuous action space cannot be used, or an empty string."""
    if not isinstance(space, spaces.Box):
        return ""
    if not np.issubdtype(space.dtype, np.floating):
        return f"its continuous actions must be floating-point numbers, and they are {space.dtype}"
    if 0 in space.shape:
        return f"its continuous actions are empty, Box{space.shape}. Give them a number where it is written"
    if not (np.isfinite(space.low).all() and np.isfinite(space.high).all()):
        return "its continuous actions must have finite bounds. Give them some where it is written"
    return ""


def unscalable(space: spaces.Space[Any]) -> str:
    """Return why continuous actions cannot be brought to a scale from -1 to 1 by a division, or an empty string."""
    if not isinstance(space, spaces.Box):
        return ""
    with np.errstate(over="ignore"):
        distance = space.high - space.low
    if ((distance > 0) & np.isfinite(distance)).all():
        return ""
    return "it divides by the distance of an action's bounds, which must be a finite number above 0"
