"""The transition table that an environment shows as ``env.unwrapped.P``, where it is what an agent meets."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.wrappers import OrderEnforcing, PassiveEnvChecker, TimeLimit
from numpy.typing import NDArray

from tuner.core.dynamic_programming import Model
from tuner.envs.grid_map import GridMap, grid_map
from tuner.envs.make import make
from tuner.envs.spec import EnvSpec
from tuner.surroundings import Surroundings

#: Most entries of the dense transition matrix: 8 bytes each, 160 MB.
MAX_ENTRIES = 20_000_000


@dataclass(frozen=True)
class TransitionTable:
    """What is known of an environment from its own table.

    Attributes:
        model: The process as arrays.
        start: Probability of each first state, ``[S]``; where the environment does not say, all alike.
        map: Where its states lie, or None.
    """

    model: Model
    start: NDArray[Any]
    map: GridMap | None


def transition_table(spec: EnvSpec) -> TransitionTable | None:
    """Make an environment in this process and return its table.

    None where it has none, where wrappers change what an agent sees or earns, where the table does not fit the spaces,
    is no table of probabilities, is another one each time the environment is made (a random map), or needs more than
    160 MB as a matrix.
    """
    try:
        with Surroundings.kept():
            first, second = _made(spec), _made(spec)
    except Exception:  # an attribute of that name may be anything
        return None
    if first is None or second is None:
        return None
    ours, theirs = first.model, second.model
    same = np.array_equal(ours.successors, theirs.successors) and np.array_equal(ours.rewards, theirs.rewards)
    return first if same else None


def _made(spec: EnvSpec) -> TransitionTable | None:
    env = make(spec)
    try:
        return _read(env)
    finally:
        with contextlib.suppress(Exception):
            env.close()


def _read(env: gym.Env[Any, Any]) -> TransitionTable | None:
    outer: Any = env
    while isinstance(outer, OrderEnforcing | PassiveEnvChecker | TimeLimit):
        outer = outer.env
    bare: Any = env.unwrapped
    states, actions = bare.observation_space, bare.action_space
    if outer is not bare or not isinstance(states, spaces.Discrete) or not isinstance(actions, spaces.Discrete):
        return None
    n_states, n_actions = int(states.n), int(actions.n)
    table = getattr(bare, "P", None)
    if table is None or states.start or actions.start or n_states**2 * n_actions > MAX_ENTRIES:
        return None
    if set(table) != set(range(n_states)) or any(set(row) != set(range(n_actions)) for row in table.values()):
        return None
    each = [outcomes for row in table.values() for outcomes in row.values()]
    if any(not (chance >= 0 and 0 <= following < n_states) for outcomes in each for chance, following, *_ in outcomes):
        return None  # Python would count a negative number from the end
    model = Model.of(table)
    sums = [sum(outcome[0] for outcome in outcomes) for outcomes in each]
    if not np.allclose(sums, 1.0) or not np.isfinite(model.rewards).all():
        return None
    start = np.full(n_states, 1.0 / n_states)
    given = np.asarray(getattr(bare, "initial_state_distrib", start), np.float64)
    if given.shape == (n_states,) and given.min() >= 0 and given.sum() > 0:
        start = given / given.sum()
    return TransitionTable(model, start, grid_map(bare, n_states))
