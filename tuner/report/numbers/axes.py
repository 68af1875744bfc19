"""The axis of a sampled parameter: logarithmic where the search space says so, categories in the space's order."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tuner.report.numbers.once import once
from tuner.result.sampled import ONE_MINUS, axis_label, field_of, value_of
from tuner.result.study import StudyData
from tuner.text import number, typed_text, value_text


@dataclass(frozen=True)
class ParameterAxis:
    """One sampled parameter as an axis from 0 to 1.

    Attributes:
        name: The sampler's name.
        log: Whether positions are logarithmic.
        categories: Texts of the categories in order; empty for numbers.
        low: Lower end; for categories 0.
        high: Upper end; for categories their number minus one.
        known: Whether the ends come from the search space and not from the values tried.
    """

    name: str
    log: bool
    categories: tuple[str, ...]
    low: float
    high: float
    known: bool = True

    @property
    def label(self) -> str:
        """What stands beside the axis."""
        return axis_label(self.name)

    @property
    def ends(self) -> tuple[float, float]:
        """The range of the hyperparameter itself, its lower end first."""
        first, last = value_of(self.name, self.low), value_of(self.name, self.high)
        return min(first, last), max(first, last)

    @property
    def falls(self) -> bool:
        """Whether the hyperparameter falls along the axis: ``gamma`` on that of ``one_minus_gamma``."""
        return self.name.startswith(ONE_MINUS) and field_of(self.name) != self.name

    @property
    def numeric(self) -> bool:
        """Whether values are numbers."""
        return not self.categories

    def position(self, value: Any) -> float | None:
        """Return where ``value`` lies, 0 at the lower end and 1 at the upper; None for a value that has no place."""
        if not self.numeric:
            text = value_text(value)
            return self._share(self.categories.index(text)) if text in self.categories else None
        if not _is_number(value) or (self.log and value <= 0):
            return None
        return self._share(value)

    def value(self, position: float) -> float:
        """Return the number at a position: the inverse of :meth:`position` for numbers."""
        if self.log:
            return float(math.exp(math.log(self.low) + position * (math.log(self.high) - math.log(self.low))))
        return self.low + position * (self.high - self.low)

    def ticks(self) -> list[tuple[float, str]]:
        """Return (position, text) of the categories, or of both ends and round values between them."""
        if not self.numeric:
            return [(self._share(i), text) for i, text in enumerate(self.categories)]
        if self.low == self.high:
            return [(0.5, value_text(self.low))]
        inner = self._powers() if self.log else self._fifths()
        low, high = (value_text(end) if self.known else number(end, 2) for end in (self.low, self.high))
        ends = [(0.0, low), (1.0, high)]
        return [ends[0], *((p, t) for p, t in inner if 0.08 < p < 0.92), ends[1]]

    def _powers(self) -> list[tuple[float, str]]:
        exponents = range(math.ceil(math.log10(self.low)), math.floor(math.log10(self.high)) + 1)
        values = [10.0**e for e in exponents]
        return [(self._share(v), value_text(int(v) if v >= 1 else v)) for v in values]

    def _fifths(self) -> list[tuple[float, str]]:
        span = self.high - self.low
        step = 10.0 ** math.floor(math.log10(span))
        step = next(s for s in (step / 5, step / 2, step, 2 * step) if span / s <= 6)
        first = math.ceil(self.low / step)
        values = [round(k * step, 12) for k in range(first, math.floor(self.high / step) + 1)]
        return [(self._share(v), value_text(v)) for v in values]

    def _share(self, value: float) -> float:
        if self.high == self.low:
            return 0.5
        if self.log:
            return (math.log(value) - math.log(self.low)) / (math.log(self.high) - math.log(self.low))
        return (value - self.low) / (self.high - self.low)


@once
def parameter_axes(data: StudyData) -> dict[str, ParameterAxis]:
    """Return an axis for every parameter that any trial sampled, most important first, then in order of appearance."""
    values: dict[str, list[Any]] = {}
    for trial in data.trials:
        for name, value in trial.params.items():
            values.setdefault(name, []).append(value)
    ranked = sorted(values, key=lambda name: -data.importance.get(name, 0.0))
    search = _search(data)
    return {name: _axis(name, values[name], search) for name in ranked}


def _search(data: StudyData) -> Mapping[str, Any]:
    """Return the space's ranges, those of the study's environment over the general ones."""
    search = dict(_mapping(data.space.get("search")))
    here = _mapping(_mapping(data.space.get("environments")).get(str(data.recipe.get("env"))))
    search.update(_mapping(here.get("search")))
    return search


def _axis(name: str, values: list[Any], search: Mapping[str, Any]) -> ParameterAxis:
    declared = _as_sampled(name, search)
    choices = declared.get("choices")
    if isinstance(choices, list | tuple) or not all(_is_number(v) for v in values):
        # The sampler's text of a network shape, so that a shape is one category: 64x64.
        texts = [typed_text(c) if isinstance(c, list | tuple) else value_text(c) for c in choices or ()]
        texts += [value_text(v) for v in values]
        categories = tuple(dict.fromkeys(texts))
        return ParameterAxis(name, False, categories, 0.0, len(categories) - 1.0, known=bool(choices))
    low, high = declared.get("low"), declared.get("high")
    known = _is_number(low) and _is_number(high)
    low, high = (low, high) if known else (min(values), max(values))
    low, high = float(min(low, *values)), float(max(high, *values))
    log = bool(declared.get("log")) or (name not in search and name.startswith(ONE_MINUS))
    return ParameterAxis(name, log and low > 0, (), low, high, known)


def _as_sampled(name: str, search: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the declared range of a sampled name, its ends as the sampler has them."""
    field = field_of(name)
    if name in search or field == name:
        return _mapping(search.get(name))
    declared = _mapping(search.get(field))
    ends = [float(end) for end in (declared.get("low"), declared.get("high")) if isinstance(end, int | float)]
    if len(ends) < 2:  # one end may follow another field
        return {}
    low, high = ends
    if name.startswith(ONE_MINUS):  # rounded, as 1 - 0.9999 is not 0.0001 in binary
        return {"low": round(1.0 - high, 12), "high": round(1.0 - low, 12), "log": True} if high < 1 else {}
    return {"low": math.log2(low), "high": math.log2(high)} if low >= 1 else {}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
