"""Where the states of Gymnasium's grid worlds lie: what is needed to draw a table as a map."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

#: Where the passenger of Taxi is, or wants to go, in the order of its state numbers.
TAXI_PLACES = ("red", "green", "yellow", "blue")


@dataclass(frozen=True)
class GridMap:
    """States laid out in rows and columns, in one layer or several.

    Attributes:
        rows: Rows of the map.
        columns: Its columns.
        layers: What tells the layers apart, in words, and the state of each cell, row by row; a state is in one layer.
        actions: A sign for each action: an arrow, or a letter.
        signs: Meaning of signs that are no arrows, by sign.
        marks: Words on cells, by cell number: ``hole``, ``goal``.
        walls: Cell numbers that have a wall on their right.
    """

    rows: int
    columns: int
    layers: tuple[tuple[str, tuple[int, ...]], ...]
    actions: tuple[str, ...]
    signs: dict[str, str] = field(default_factory=dict)
    marks: dict[int, str] = field(default_factory=dict)
    walls: tuple[int, ...] = ()


def grid_map(env: Any, n_states: int) -> GridMap | None:
    """Return the map of FrozenLake, CliffWalking or Taxi, or of what is derived from them; None for others.

    Args:
        env: The environment without wrappers.
        n_states: States of its transition table: a derived environment may have others.
    """
    from gymnasium.envs.toy_text.cliffwalking import CliffWalkingEnv
    from gymnasium.envs.toy_text.frozen_lake import FrozenLakeEnv
    from gymnasium.envs.toy_text.taxi import TaxiEnv

    n_actions = int(env.action_space.n)
    if isinstance(env, FrozenLakeEnv) and np.size(env.desc) == n_states and n_actions == 4:
        return _frozen_lake(np.asarray(env.desc))
    if isinstance(env, CliffWalkingEnv) and np.prod(env.shape) == n_states and n_actions == 4:
        return _cliff_walking(env._cliff, int(env.start_state_index))
    if isinstance(env, TaxiEnv) and n_states == 500 and n_actions == 6:
        return _taxi(env.desc, env.locs)
    return None


def _one_layer(cells: int) -> tuple[tuple[str, tuple[int, ...]], ...]:
    return (("", tuple(range(cells))),)


def _frozen_lake(letters: Any) -> GridMap:
    words = {b"S": "start", b"H": "hole", b"G": "goal"}
    flat = letters.ravel().tolist()
    marks = {cell: words[letter] for cell, letter in enumerate(flat) if letter in words}
    rows, columns = letters.shape
    return GridMap(rows, columns, _one_layer(letters.size), ("←", "↓", "→", "↑"), marks=marks)


def _cliff_walking(cliff: Any, start: int) -> GridMap:
    marks = dict.fromkeys(map(int, np.flatnonzero(cliff)), "cliff")
    marks |= {start: "start", cliff.size - 1: "goal"}
    rows, columns = cliff.shape
    return GridMap(rows, columns, _one_layer(cliff.size), ("↑", "→", "↓", "←"), marks=marks)


def _taxi(letters: Any, places: Any) -> GridMap:
    layers = []
    for passenger in range(5):
        waits = "passenger in the taxi" if passenger == 4 else f"passenger at {TAXI_PLACES[passenger]}"
        for destination, name in enumerate(TAXI_PLACES):
            if passenger != destination:  # there the episode has ended
                states = tuple((cell * 5 + passenger) * 4 + destination for cell in range(25))
                layers.append((f"{waits}, to {name}", states))
    marks = {row * 5 + column: name for (row, column), name in zip(places, TAXI_PLACES, strict=True)}
    walls = tuple(c for c in range(25) if c % 5 < 4 and letters[1 + c // 5, 2 * (c % 5) + 2] == b"|")
    signs = {"P": "picks up", "D": "drops off"}
    return GridMap(5, 5, tuple(layers), ("↓", "↑", "→", "←", "P", "D"), signs, marks, walls)
