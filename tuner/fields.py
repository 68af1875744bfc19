"""What is known of a hyperparameter apart from its value: range, unit, scope, help. And how a value is checked."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, field
from typing import Any, Literal

from tuner.errors import InputError

Kind = Literal["float", "int", "bool", "choice", "layers"]
Scope = Literal["lane", "shape"]


@dataclass(frozen=True)
class FieldInfo:
    """What is known of one hyperparameter apart from its value.

    Attributes:
        name: Field name.
        kind: ``layers`` is a sequence of layer widths.
        default: Value when nothing is said.
        low: Smallest valid value (numbers and layer widths).
        high: Largest valid value.
        low_open: Whether ``low`` itself is excluded.
        choices: Valid words for ``choice``.
        unit: Unit of the value, or an empty string.
        scope: ``lane`` when lanes of one stack may differ, ``shape`` when they must agree.
        sb3: Whether Stable-Baselines3's algorithm has it.
        help: One sentence.
    """

    name: str
    kind: Kind
    default: Any
    low: float
    high: float
    low_open: bool
    choices: tuple[str, ...]
    unit: str
    scope: Scope
    sb3: bool
    help: str

    @property
    def valid_range(self) -> str:
        """The rule in words, as error messages and tables show it."""
        if self.kind == "bool":
            return "true or false"
        if self.kind == "choice":
            return "one of " + ", ".join(self.choices)
        low = f"{'above' if self.low_open else 'at least'} {_short(self.low)}"
        high = "" if math.isinf(self.high) else f" and at most {_short(self.high)}"
        what = (
            "a list of layer widths, each " if self.kind == "layers" else ("an integer " if self.kind == "int" else "")
        )
        return f"{what}{low}{high}"

    def check(self, value: object) -> Any:
        """Return ``value`` in the field's own type, or raise.

        Raises:
            InputError: Wrong type or out of range; the message names field, rule and value.
        """
        ok, coerced = self._coerce(value)
        if not ok:
            raise InputError(f"{self.name} must be {self.valid_range}, got {value!r}.{_number_hint(value)}")
        return coerced

    def _coerce(self, value: object) -> tuple[bool, Any]:
        if self.kind == "bool":
            return isinstance(value, bool), value
        if self.kind == "choice":
            return isinstance(value, str) and value in self.choices, value
        if self.kind == "layers":
            if not isinstance(value, list | tuple):
                return False, value
            widths = tuple(value)
            return all(_is_int(w) and self.low <= w <= self.high for w in widths), widths
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= sys.float_info.max:
            return False, value
        if self.kind == "int":
            if not float(value).is_integer():
                return False, value
            value = int(value)
        else:
            value = float(value)
        above = value > self.low if self.low_open else value >= self.low
        return above and value <= self.high, value


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _short(number: float) -> str:
    return f"{number:g}" if abs(number) < 1e6 else f"{int(number):_}"


def _number_hint(value: object) -> str:
    """Explain YAML 1.1's trap: ``1e-5`` without a dot is text."""
    if isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            return ""
        return f" YAML reads {value} as text; write {_yaml_float(number)}."
    return ""


def _yaml_float(number: float) -> str:
    text = repr(number)
    mantissa, e, exponent = text.partition("e")
    return f"{mantissa if '.' in mantissa else mantissa + '.0'}e{exponent}" if e else text


def declare(
    default: Any,
    help: str,
    *,
    kind: Kind,
    low: float = -math.inf,
    high: float = math.inf,
    low_open: bool = False,
    choices: tuple[str, ...] = (),
    unit: str = "",
    scope: Scope = "lane",
    sb3: bool = True,
) -> Any:
    """Return a dataclass field that carries what :class:`FieldInfo` describes."""
    metadata = {
        "kind": kind,
        "low": low,
        "high": high,
        "low_open": low_open,
        "choices": choices,
        "unit": unit,
        "scope": scope,
        "sb3": sb3,
        "help": help,
    }
    return field(default=default, metadata=metadata)
