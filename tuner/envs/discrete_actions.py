"""Continuous actions in steps (``--discretize N``): what a Q-network chooses among where actions are numbers.

RL Zoo's ``env_wrapper`` takes the wrapper by its name, so that a file of an export trains the same actions there.
"""

from __future__ import annotations

import math
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from tuner.envs.actions import unusable
from tuner.errors import UnusableEnvironmentError
from tuner.text import counted

Array = NDArray[Any]

#: Joint actions at most: a network has an output for each, and exploration has to try them all.
MAX_ACTIONS = 1_000

#: Steps that are named where somebody asks how to go on: few, with the bounds and the middle among them.
USUAL_STEPS = 5

#: Who acts in continuous spaces as they are.
CONTINUOUS = "--algo sampled_dqn, or --backend sb3 --algo sac"


class DiscreteActions(gymnasium.ActionWrapper[Any, Any, Any]):
    """An environment with ``steps ** dimensions`` actions: every combination of equal steps in each dimension.

    Action 0 is the lower end of every dimension; the last dimension changes first.

    Args:
        env: Its action space is a Box of floating-point numbers with finite bounds.
        steps: Values of each dimension, >= 2, the bounds among them.

    Attributes:
        table: All actions, ``[steps ** dimensions, *shape]``, of the space's own type.

    Raises:
        UnusableEnvironmentError: Another kind of space, or too many joint actions.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], steps: int) -> None:
        super().__init__(env)
        self.steps = steps
        self.table = joint_actions(env.action_space, steps)
        self.action_space = spaces.Discrete(len(self.table))

    def action(self, action: Any) -> Array:
        """Return the environment's own action, a copy: some environments write into what they are given."""
        own: Array = np.array(self.table[action])
        return own


def joint_actions(space: spaces.Space[Any], steps: int) -> Array:
    """Return every combination of ``steps`` equally spaced values in each dimension of a Box.

    The bounds are met exactly, and so is their middle where ``steps`` is odd.

    Args:
        space: The action space.
        steps: Values of each dimension, >= 2.

    Returns:
        ``[steps ** dimensions, *shape]``, of the space's own type, the last dimension changing first.

    Raises:
        UnusableEnvironmentError: The space is no Box of floating-point numbers with finite bounds, or there would be
            more than :data:`MAX_ACTIONS`.
    """
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 2:
        raise UnusableEnvironmentError(f"steps must be a whole number of at least 2, got {steps!r}.")
    if not isinstance(space, spaces.Box):
        raise UnusableEnvironmentError(
            f"--discretize needs continuous actions (Box), got {type(space).__name__}. Leave it out."
        )
    if why := unusable(space):
        raise UnusableEnvironmentError(f"{why}.")
    dimensions = math.prod(space.shape)
    if steps > _most(dimensions):
        raise UnusableEnvironmentError(_too_many(steps, dimensions))
    low, high = space.low.reshape(-1).astype(np.float64), space.high.reshape(-1).astype(np.float64)
    values = _values(low, high, steps).astype(space.dtype)  # [dimensions, steps]
    places = np.indices((steps,) * dimensions).reshape(dimensions, -1)  # [dimensions, steps ** dimensions]
    found: Array = np.take_along_axis(values, places, axis=1).T.reshape(-1, *space.shape)
    return np.ascontiguousarray(found)


def most_steps(space: spaces.Box) -> int:
    """Return the largest number of steps that :func:`joint_actions` takes for a space; below 2 where it takes none."""
    return _most(math.prod(space.shape))


def _most(dimensions: int) -> int:
    return int(MAX_ACTIONS ** (1 / max(dimensions, 1)) + 1e-9)


def _values(low: Array, high: Array, steps: int) -> Array:
    """Return ``[dimensions, steps]`` values; halves are added, since the bounds' distance may be no float any more."""
    share = np.arange(steps) / (steps - 1)
    values = low[:, None] * (1 - share) + high[:, None] * share
    values[:, 0], values[:, -1] = low, high
    if steps % 2:
        values[:, steps // 2] = low / 2 + high / 2
    clipped: Array = np.clip(values, low[:, None], high[:, None])
    return clipped


def _too_many(steps: int, dimensions: int) -> str:
    fewer = _most(dimensions)
    fits = f"--discretize {fewer}, " if fewer >= 2 else ""
    return (
        f"--discretize {steps} would be {steps}^{dimensions} joint actions of {counted(dimensions, 'number')}, and at "
        f"most {MAX_ACTIONS:,} are taken. Use {fits}{CONTINUOUS}."
    )
