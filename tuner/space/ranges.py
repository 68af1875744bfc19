"""Ranges of single hyperparameters: what is written, what the sampler sees, and the way back.

What a sampler sees can differ from the field: ``gamma`` on a ``one_minus_log`` scale is sampled as ``one_minus_gamma``,
``batch_size`` on a ``power_of_two`` scale as ``batch_size_pow``, network shapes as text. Bounds are always written in
the field's own units.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

DimensionKind = Literal["float", "int", "categorical"]

#: Conditions: field name -> the values it may have for the range to apply.
When = tuple[tuple[str, tuple[Any, ...]], ...]


@dataclass(frozen=True)
class Dimension:
    """One number or word that a sampler chooses.

    Attributes:
        name: What the sampler stores it as.
        field: The hyperparameter (or helper of a derived rule) it decides.
        kind: ``float`` and ``int`` have bounds, ``categorical`` has choices.
        low: Smallest value.
        high: Largest value, included.
        log: Whether to sample its logarithm uniformly.
        step: Spacing of the values, or None for every float.
        choices: Words, numbers or booleans.
    """

    name: str
    field: str
    kind: DimensionKind
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    step: float | None = None
    choices: tuple[Any, ...] = ()


class Suggest(Protocol):
    """Who chooses values: a sampler behind whatever library."""

    def float(self, name: str, low: float, high: float, log: bool, step: float | None) -> float:
        """Return a float in ``[low, high]``."""
        ...

    def int(self, name: str, low: int, high: int, log: bool, step: int) -> int:
        """Return an integer in ``[low, high]``."""
        ...

    def choice(self, name: str, options: tuple[Any, ...]) -> Any:
        """Return one of the options."""
        ...


@dataclass(frozen=True)
class Bound:
    """An upper bound that follows another field: ``min(field, max)``, but never below the range's ``low``."""

    field: str
    max: int


@dataclass(frozen=True)
class FloatRange:
    """Floats in ``[low, high]``.

    Attributes:
        low: Smallest value.
        high: Largest value.
        log: Sample the logarithm uniformly.
        step: Spacing, or None.
        scale: ``one_minus_log`` samples ``log(1 - value)`` uniformly: for values that crowd towards 1.
        when: Conditions.
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None
    scale: Literal["one_minus_log"] | None = None
    when: When = ()

    def dimension(self, field: str, values: Mapping[str, Any] | None = None) -> Dimension:
        """Return what the sampler sees (``values`` plays no part)."""
        if self.scale == "one_minus_log":
            # Rounded, as 1 - 0.9999 is not 0.0001 in binary; 1e-12 is far below any sensible bound.
            low, high = round(1.0 - self.high, 12), round(1.0 - self.low, 12)
            return Dimension(f"one_minus_{field}", field, "float", low, high, log=True)
        return Dimension(field, field, "float", self.low, self.high, self.log, self.step)

    def decode(self, sampled: Any) -> Any:
        """Return the field's value."""
        return 1.0 - sampled if self.scale == "one_minus_log" else float(sampled)

    def to_mapping(self) -> dict[str, Any]:
        """Return plain data as in YAML."""
        return {"type": "float", "low": self.low, "high": self.high, **_options(self)}


@dataclass(frozen=True)
class IntRange:
    """Integers in ``[low, high]``.

    Attributes:
        low: Smallest value.
        high: Largest value, or a bound that follows another field.
        log: Sample the logarithm uniformly.
        step: Spacing.
        scale: ``power_of_two`` samples the exponent uniformly; low and high are powers of two.
        when: Conditions.
    """

    low: int
    high: int | Bound
    log: bool = False
    step: int = 1
    scale: Literal["power_of_two"] | None = None
    when: When = ()

    @property
    def largest(self) -> int:
        """The largest value that any trial can get."""
        return self.high.max if isinstance(self.high, Bound) else self.high

    def dimension(self, field: str, values: Mapping[str, Any] | None = None) -> Dimension:
        """Return what the sampler sees once the fields in ``values`` are decided; by default the widest."""
        high = self.largest
        if isinstance(self.high, Bound) and values is not None:
            high = max(self.low, min(high, values[self.high.field]))
            high -= (high - self.low) % self.step
        if self.scale == "power_of_two":
            low, high = self.low.bit_length() - 1, high.bit_length() - 1
            return Dimension(f"{field}_pow", field, "int", low, high, step=1)
        return Dimension(field, field, "int", self.low, high, self.log, self.step)

    def decode(self, sampled: Any) -> Any:
        """Return the field's value."""
        return 2 ** int(sampled) if self.scale == "power_of_two" else int(sampled)

    def to_mapping(self) -> dict[str, Any]:
        """Return plain data as in YAML."""
        high = {"field": self.high.field, "max": self.high.max} if isinstance(self.high, Bound) else self.high
        return {"type": "int", "low": self.low, "high": high, **_options(self)}


@dataclass(frozen=True)
class Choice:
    """One of several values: numbers, words, booleans, or network shapes (tuples of layer widths).

    Attributes:
        choices: The values, at least one, all different.
        when: Conditions.
    """

    choices: tuple[Any, ...]
    when: When = ()

    def dimension(self, field: str, values: Mapping[str, Any] | None = None) -> Dimension:
        """Return what the sampler sees: network shapes as text."""
        options = tuple(shape_text(c) if isinstance(c, tuple) else c for c in self.choices)
        return Dimension(field, field, "categorical", choices=options)

    def decode(self, sampled: Any) -> Any:
        """Return the field's value."""
        shapes = {shape_text(c): c for c in self.choices if isinstance(c, tuple)}
        return shapes[sampled] if shapes else sampled

    def to_mapping(self) -> dict[str, Any]:
        """Return plain data as in YAML."""
        choices = [list(c) if isinstance(c, tuple) else c for c in self.choices]
        return {"type": "categorical", "choices": choices, **_options(self)}


Range = FloatRange | IntRange | Choice


def shape_text(widths: tuple[int, ...]) -> str:
    """Return a network shape as text: ``64x64``; ``linear`` without hidden layers."""
    return "x".join(str(w) for w in widths) or "linear"


def applies(item: Range, values: Mapping[str, Any]) -> bool:
    """Return whether a range's conditions hold for the fields decided so far; a field that is not there is None."""
    return all(values.get(field) in allowed for field, allowed in item.when)


def _options(item: Range) -> dict[str, Any]:
    """Return the optional keys that differ from their defaults."""
    options: dict[str, Any] = {}
    if getattr(item, "log", False):
        options["log"] = True
    # Without one, integers are 1 apart, and floats anywhere between.
    if not isinstance(item, Choice) and item.step != (1 if isinstance(item, IntRange) else None):
        options["step"] = item.step
    if getattr(item, "scale", None) is not None:
        options["scale"] = item.scale  # type: ignore[union-attr]
    if item.when:
        options["when"] = {field: allowed[0] if len(allowed) == 1 else list(allowed) for field, allowed in item.when}
    return options
