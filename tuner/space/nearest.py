"""Known hyperparameters as a point of a search space: the nearest that the space can sample."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tuner.hyperparameters import Hyperparameters
from tuner.space.model import SearchSpace


def nearest_params(space: SearchSpace, hyperparameters: Hyperparameters) -> dict[str, Any]:
    """Return what a study of ``space`` would store for the point nearest to ``hyperparameters``.

    Each field on its own: numbers go to the nearest that the range holds, what is not given to its lowest, networks
    to the listed one of the nearest size, words that are not among the choices to the first. What the space fixes stays
    fixed.
    """
    return space.sample(_Nearest(space, hyperparameters))


class _Nearest:
    """A suggestion source that answers with what is nearest to given hyperparameters."""

    def __init__(self, space: SearchSpace, hyperparameters: Hyperparameters) -> None:
        values = hyperparameters.to_mapping()
        if values.get("gradient_steps", 0) < 0:  # as many updates as steps since the last training call
            values["gradient_steps"] = values["train_freq"]
        values |= {rule.by: rule.helper(values) for rule in space.derived.values()}
        self._values = values
        self._fields = {d.name: d.field for d in space.dimensions}

    def float(self, name: str, low: float, high: float, log: bool, step: float | None) -> float:
        """Return the nearest float."""
        wanted: float = min(max(self._wanted(name, low), low), high)
        return wanted if step is None else on_grid(wanted, low, high, step)

    def int(self, name: str, low: int, high: int, log: bool, step: int) -> int:
        """Return the nearest integer."""
        last = low + (high - low) // step * step
        return int(min(max(low + round((self._wanted(name, low) - low) / step) * step, low), last))

    def choice(self, name: str, options: tuple[Any, ...]) -> Any:
        """Return the option itself, else the nearest number, else the network of the nearest size, else the first."""
        value = self._values[self._fields[name]]
        if isinstance(value, list | tuple):
            sizes = [_log_weights(_widths(option)) for option in options]
            return min(zip(options, sizes, strict=True), key=lambda each: abs(each[1] - _log_weights(value)))[0]
        if value in options:
            return value
        if _is_number(value) and all(_is_number(option) and option > 0 for option in options) and value > 0:
            return min(options, key=lambda option: abs(math.log(option / value)))
        return options[0]

    def _wanted(self, name: str, low: Any) -> Any:
        value = self._values[self._fields[name]]
        if value is None:  # such as a weight that is learned: no number is near it
            return low
        if name.startswith("one_minus_"):
            return 1.0 - value
        return math.log2(max(value, 1)) if name.endswith("_pow") else value


def on_grid(value: float, low: float, high: float, step: float) -> float:
    """Return the nearest value on the grid of ``step`` from ``low`` on, rounded: 0.7, never 0.7000000000000001.

    Optuna takes a value just above a range for none of it.
    """
    last = math.floor((high - low) / step + 1e-9)
    return min(round(low + min(round((value - low) / step), last) * step, 12), high)


def _is_number(value: Any) -> bool:
    return isinstance(value, float | int) and not isinstance(value, bool)


def _widths(text: str) -> list[int]:
    return [] if text == "linear" else [int(width) for width in text.split("x")]


def _log_weights(widths: Sequence[int]) -> float:
    """Return the logarithm of about how many weights a network of these hidden layers has."""
    if not widths:
        return 0.0
    return math.log(1 + sum(a * b for a, b in zip((widths[0], *widths), (*widths, 4), strict=True)))
