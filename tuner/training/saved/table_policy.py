"""A table of action values as a greedy policy, and as arrays in a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.envs.discretiser import Discretiser
from tuner.envs.encoders import DiscreteEncoder
from tuner.hyperparameters import QLearningHyperparameters

Array = NDArray[Any]

TABLE, LOW, HIGH = "table", "bins.low", "bins.high"


@dataclass(frozen=True)
class TablePolicy:
    """Plays the best action of each row; of equals the first.

    Attributes:
        table: Action values ``[rows, n_actions]``.
        discretiser: From a Box observation to its row; None where they are numbers: one-hot, or many as they are.
    """

    table: Array
    discretiser: Discretiser | None = None

    @property
    def input_size(self) -> int:
        """Length of the input vector."""
        return self._encoder.input_size if self.discretiser is None else len(self.discretiser.low)

    @property
    def _encoder(self) -> DiscreteEncoder:
        return DiscreteEncoder(int(self.table.shape[0]))

    @property
    def n_actions(self) -> int:
        """Number of actions."""
        return int(self.table.shape[1])

    def q_values(self, inputs: Array) -> Array:
        """Return action values ``[..., n_actions]`` of inputs ``[..., input_size]``."""
        if self.discretiser is not None:
            rows = self.discretiser.row_array(inputs)
        elif self._encoder.one_hot:
            rows = inputs.argmax(axis=-1)
        else:
            rows = inputs[..., 0].astype(np.intp)
        values: Array = self.table[rows]
        return values

    def act(self, inputs: Array) -> Array:
        """Return greedy action indices ``[...]`` (from 0) for inputs ``[..., input_size]``."""
        best: Array = self.q_values(inputs).argmax(axis=-1)
        return best

    def arrays(self) -> dict[str, Array]:
        """Return what a file holds of it."""
        found = {TABLE: self.table}
        if self.discretiser is not None:
            found |= {LOW: np.array(self.discretiser.low), HIGH: np.array(self.discretiser.high)}
        return found


def table_policy(arrays: Mapping[str, Array], hyperparameters: QLearningHyperparameters, seed: int) -> TablePolicy:
    """Return the policy that :meth:`TablePolicy.arrays` describes.

    Raises:
        KeyError: An array is missing.
        ValueError: Shapes or values do not fit.
    """
    table = arrays[TABLE]
    if table.ndim != 2 or 0 in table.shape or not np.isfinite(table).all():
        raise ValueError(f"table has shape {table.shape}, or values that are not finite")
    if set(arrays) == {TABLE}:
        return TablePolicy(table)
    if set(arrays) != {TABLE, LOW, HIGH}:
        raise ValueError(f"unexpected arrays {sorted(set(arrays) - {TABLE, LOW, HIGH})}")
    low, high = arrays[LOW], arrays[HIGH]
    if low.ndim != 1 or low.shape != high.shape or not (high > low).all():
        raise ValueError("bins do not rise")
    discretiser = Discretiser(tuple(map(float, low)), tuple(map(float, high)), hyperparameters.bins)
    if discretiser.rows != len(table):
        raise ValueError(f"{len(table)} rows for {discretiser.rows} cells")
    return TablePolicy(table, discretiser)
