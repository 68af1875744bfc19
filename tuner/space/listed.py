"""Every combination of a search space whose ranges are lists of values: what ``--sampler grid`` trains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import yaml

from tuner.errors import InputError
from tuner.seeding import stream
from tuner.space.model import SearchSpace
from tuner.space.ranges import Dimension

#: A range of more values than these is not meant as a list.
MOST_VALUES = 100


def listed_values(dimension: Dimension) -> tuple[Any, ...] | None:
    """Return the values that a sampler may choose from, in order; None where they are no list.

    Choices, powers of two, a range of integers and one of floats with a ``step`` are lists, up to :data:`MOST_VALUES`;
    a range with ``log`` is none.
    """
    d = dimension
    if d.kind == "categorical":
        return d.choices
    if d.log or (d.kind == "float" and d.step is None):
        return None
    step = d.step or 1
    count = round((d.high - d.low) / step) + 1
    if count > MOST_VALUES:
        return None
    # Rounded, as 0.1 + 2 * 0.1 is not 0.3 in binary; 1e-12 is far below any sensible step.
    return tuple(int(d.low + i * step) if d.kind == "int" else round(d.low + i * step, 12) for i in range(count))


def combinations(space: SearchSpace, *, seed: int, most: int) -> tuple[dict[str, Any], ...]:
    """Return every combination of listed values as sampled, each once: the first ones spread over all values.

    Conditions and bounds that follow a field leave out what no trial could be. In the first combinations, as many as
    the longest list has values, each value of each unconditional list is there; beyond, the next is always one whose
    values have been there least often.

    Args:
        space: The space, cut to its budget.
        seed: Decides among equals.
        most: Combinations that there may be.

    Raises:
        InputError: A range is no list, or there are more combinations.
    """
    ranges = [name for name, item in space.search.items() if listed_values(item.dimension(name)) is None]
    if ranges:
        low, high = (_yaml(getattr(space.search[ranges[0]], end)) for end in ("low", "high"))
        raise InputError(
            f"--sampler grid takes lists of values, and these are ranges: {', '.join(ranges)}. List values in a search "
            f"space (--space FILE), such as {ranges[0]}: {{type: categorical, choices: [{low}, {high}]}}, give a "
            f"range of at most {MOST_VALUES} values a step, or fix a field with --set."
        )
    found: list[dict[str, Any]] = []
    path: list[int] | None = []
    while path is not None:
        if len(found) == most:
            raise InputError(
                f"--sampler grid takes at most {most:,} combinations, and these lists have more. Take fewer values, or "
                "--sampler qmc, which spreads trials without training all."
            )
        walk = _Walk(path)
        found.append(space.sample(walk))
        path = walk.next_path()
    return tuple(found[i] for i in _spread(found, seed))


class _Walk:
    """A suggestion source that takes the value at a given place of each list, and the first beyond these."""

    def __init__(self, path: Sequence[int]) -> None:
        self._path = path
        self._sizes: list[int] = []

    def next_path(self) -> list[int] | None:
        """Return the places of the next combination, the last list fastest; None after the last."""
        places = [*self._path, *[0] * (len(self._sizes) - len(self._path))]
        while places and places[-1] == self._sizes[len(places) - 1] - 1:
            places.pop()
        return [*places[:-1], places[-1] + 1] if places else None

    def float(self, name: str, low: float, high: float, log: bool, step: float | None) -> float:
        """Return a float of the list."""
        return float(self._take(Dimension(name, name, "float", low, high, log, step)))

    def int(self, name: str, low: int, high: int, log: bool, step: int) -> int:
        """Return an integer of the list."""
        return int(self._take(Dimension(name, name, "int", low, high, log, step)))

    def choice(self, name: str, options: tuple[Any, ...]) -> Any:
        """Return one of the options."""
        return self._take(Dimension(name, name, "categorical", choices=options))

    def _take(self, dimension: Dimension) -> Any:
        values = listed_values(dimension)
        assert values is not None  # a bound that follows a field only makes a list shorter
        place = len(self._sizes)
        self._sizes.append(len(values))
        return values[self._path[place] if place < len(self._path) else 0]


def _spread(points: Sequence[dict[str, Any]], seed: int) -> list[int]:
    """Return the order of points in which the next is always one whose values have been there least often."""
    names = sorted({name for point in points for name in point})
    # [points, names]: the place of a point's value among all of its name; -1 where it does without.
    codes = np.full((len(points), len(names)), -1)
    for j, name in enumerate(names):
        places: dict[str, int] = {}
        for i, point in enumerate(points):
            if name in point:
                codes[i, j] = places.setdefault(repr(point[name]), len(places))
    shuffled = stream(seed, "grid").permutation(len(points))
    codes = codes[shuffled]
    used = np.zeros(len(points), dtype=np.int64)  # [points]: how often its values have been there, all together
    order = []
    for _ in points:
        chosen = int(used.argmin())
        order.append(int(shuffled[chosen]))
        used += ((codes == codes[chosen]) & (codes[chosen] >= 0)).sum(axis=1)
        used[chosen] = np.iinfo(np.int64).max // 2
    return order


def _yaml(value: Any) -> str:
    """Return a number as YAML reads it: ``1.0e-05``."""
    return str(yaml.safe_dump(getattr(value, "max", value))).partition("\n")[0]
