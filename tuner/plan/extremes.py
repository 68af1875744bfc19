"""Which settings of a search space stand for all of it where time and memory are concerned."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tuner.hyperparameters import Hyperparameters, algorithm_class
from tuner.space.model import SearchSpace
from tuner.space.nearest import on_grid

#: Extreme settings looked at, at most.
MOST_EXTREMES = 4096

#: Random settings, from which a few are taken.
DRAWS = 1000


#: Spaces whose extreme settings are kept: a study asks for them when it forecasts memory, time and each proposal.
_KEPT_SPACES = 8

_kept: dict[str, tuple[Hyperparameters, ...]] = {}


def extremes(space: SearchSpace) -> tuple[Hyperparameters, ...]:
    """Return the settings with every costly field at its lowest or highest value, or at each of its choices."""
    key = space.hash()
    if key not in _kept:
        while len(_kept) >= _KEPT_SPACES:
            del _kept[next(iter(_kept))]
        _kept[key] = tuple(_extremes(space))
    return _kept[key]


def _extremes(space: SearchSpace) -> Iterator[Hyperparameters]:
    helpers = {rule.by for rule in space.derived.values()}
    costly = algorithm_class(space.algorithm).costly
    names = {d.name for d in space.dimensions if d.field in costly or d.field in helpers}
    path: list[int] | None = []
    for _ in range(MOST_EXTREMES):
        if path is None:
            return
        follower = _Follow(names, path)
        yield space.resolve(space.sample(follower))
        path = _next_path(path, follower.options)


def drawn(
    space: SearchSpace, cost: Callable[[Hyperparameters], float], count: int, weight: float = 0.0
) -> list[Hyperparameters]:
    """Return random settings, each with about the mean cost of an equal share of a study's proposals by cost.

    The same every time. Their mean cost is the study's, where the middle of each share would be below it: costs have a
    long tail.

    Args:
        space: What is searched.
        cost: Of a setting, > 0.
        count: Settings wanted.
        weight: How much the study prefers what costs less: its proposals are as dense as the cost to the power of minus
            this.
    """
    suggest = Draw(np.random.default_rng(0))
    settings = [space.resolve(space.sample(suggest)) for _ in range(DRAWS)]
    costs = np.array([cost(setting) for setting in settings])
    order = np.argsort(costs, kind="stable")
    costs = costs[order]
    above = np.cumsum((costs / costs[0]) ** -weight)  # proposals up to each setting, itself included
    above *= count / above[-1]
    below = np.concatenate([[0.0], above[:-1]])
    found = []
    for share in range(count):
        part = np.clip(np.minimum(above, share + 1) - np.maximum(below, share), 0.0, None)
        mean = np.average(costs, weights=part)
        nearest = np.argmin(np.where(part > 0, np.abs(costs - mean), np.inf))
        found.append(settings[order[nearest]])
    return found


def _next_path(path: list[int], options: list[int]) -> list[int] | None:
    """Count up, the last place first; None after the last path."""
    digits = [*path, *itertools.repeat(0, len(options) - len(path))]
    while digits and digits[-1] + 1 >= options[len(digits) - 1]:
        digits.pop()
    return [*digits[:-1], digits[-1] + 1] if digits else None


class _Follow:
    """Takes the way that ``path`` names, then the first option at every fork, and notes how many options there were."""

    def __init__(self, names: set[str], path: list[int]) -> None:
        self._names, self._path = names, path
        self.options: list[int] = []

    def float(self, name: str, low: float, high: float, log: bool, step: float | None) -> float:
        return float(self._pick(name, (low, high)))

    def int(self, name: str, low: int, high: int, log: bool, step: int) -> int:
        return int(self._pick(name, (low, high)))

    def choice(self, name: str, options: tuple[Any, ...]) -> Any:
        return self._pick(name, options)

    def _pick(self, name: str, options: tuple[Any, ...]) -> Any:
        if name not in self._names:
            return options[0]
        place = len(self.options)
        self.options.append(len(options))
        return options[self._path[place] if place < len(self._path) else 0]


class Draw:
    """Draws uniformly, as the random sampler does: a :class:`tuner.space.ranges.Suggest`.

    Args:
        rng: Draws.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def float(self, name: str, low: float, high: float, log: bool, step: float | None) -> float:
        """Return a float in ``[low, high]``, uniform in its logarithm with ``log``; with ``step`` one of its grid."""
        if log:
            return min(max(math.exp(self._rng.uniform(math.log(low), math.log(high))), low), high)
        if step is None:
            return float(self._rng.uniform(low, high))
        return on_grid(float(self._rng.uniform(low - step / 2, high + step / 2)), low, high, step)

    def int(self, name: str, low: int, high: int, log: bool, step: int) -> int:
        """Return an integer in ``[low, high]``, likewise."""
        if log:
            value = math.exp(self._rng.uniform(math.log(low - 0.5), math.log(high + 0.5)))
            return min(max(round(value), low), high)
        return low + step * int(self._rng.integers((high - low) // step + 1))

    def choice(self, name: str, options: tuple[Any, ...]) -> Any:
        """Return one of the options."""
        return options[int(self._rng.integers(len(options)))]
