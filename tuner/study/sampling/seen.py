"""What a sampler asks of all trials again and again, kept from proposal to proposal: a finished trial never changes."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial


class Seen:
    """The finished trials of one study, each looked at once.

    Optuna compares every distribution of every trial anew for each proposal, and translates every value: half of what
    a proposal takes at 400 trials of fifteen parameters.
    """

    def __init__(self) -> None:
        self._spaces: list[Mapping[str, BaseDistribution]] = []
        self._places: dict[tuple[tuple[str, BaseDistribution], ...], int] = {}
        self._space_of: dict[int, int] = {}
        self._values: dict[str, tuple[BaseDistribution, array[float]]] = {}

    def common_space(self, finished: Iterable[FrozenTrial]) -> dict[str, BaseDistribution]:
        """Return what all of the trials draw, and all from the same, by name in order of the names.

        As :class:`optuna.search_space.IntersectionSearchSpace`.
        """
        spaces = [self._spaces[i] for i in sorted({self._space(trial) for trial in finished})]
        if not spaces:
            return {}
        first, *others = spaces
        return {name: first[name] for name in sorted(first) if all(s.get(name) == first[name] for s in others)}

    def columns(
        self, drawn: Iterable[tuple[FrozenTrial, Mapping[str, Any]]], space: Mapping[str, BaseDistribution]
    ) -> dict[str, NDArray[np.float64]]:
        """Return Optuna's numbers for values that were drawn, each ``[trials]``.

        Args:
            drawn: Trials, and what they have drawn: of one that is running, perhaps not all of it yet.
            space: What to return; trials that have not drawn all of it are left out.
        """
        complete = [(trial, params) for trial, params in drawn if space.keys() <= params.keys()]
        return {name: np.array(self._column(complete, name, drawn_from)) for name, drawn_from in space.items()}

    def _space(self, trial: FrozenTrial) -> int:
        found = self._space_of.get(trial.number)
        if found is None:
            # By hash: where a bound follows another value, there may be as many spaces as trials.
            key = tuple(sorted(trial.distributions.items(), key=lambda item: item[0]))
            found = self._space_of[trial.number] = self._places.setdefault(key, len(self._spaces))
            if found == len(self._spaces):
                self._spaces.append(trial.distributions)
        return found

    def _column(
        self, drawn: Iterable[tuple[FrozenTrial, Mapping[str, Any]]], name: str, drawn_from: BaseDistribution
    ) -> list[float]:
        known_from, values = self._values.get(name, (None, array("d")))  # by number; NaN: not known
        if known_from is not drawn_from:
            values = values if known_from == drawn_from else array("d")
            self._values[name] = (drawn_from, values)
        column = []
        for trial, params in drawn:
            value = values[trial.number] if trial.number < len(values) else math.nan
            if math.isnan(value):
                value = drawn_from.to_internal_repr(params[name])
                if trial.state.is_finished():
                    values.extend([math.nan] * (trial.number + 1 - len(values)))
                    values[trial.number] = value
            column.append(value)
        return column
