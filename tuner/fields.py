"""What is known of a setting or hyperparameter apart from its value: range, unit, help. And how a value is checked."""

from __future__ import annotations

import math
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from types import MappingProxyType
from typing import Any, Literal

from tuner.durations import parse_duration
from tuner.errors import InputError, nearest

Kind = Literal["float", "number", "int", "bool", "choice", "layers", "text", "texts", "duration", "mapping"]
Scope = Literal["lane", "shape"]

#: Where Stable-Baselines3 takes a hyperparameter: its class's constructor; ``policy_kwargs``; around the environment;
#: as the course of another one over the run (``learning_rate_schedule``); as noise on actions.
Place = Literal["constructor", "policy", "environment", "schedule", "noise"]

#: Largest integer that databases and arrays hold.
LARGEST = 2**63 - 1


@dataclass(frozen=True)
class FieldInfo:
    """What is known of one setting or hyperparameter apart from its value.

    Attributes:
        name: Field name.
        kind: ``layers`` is a sequence of layer widths, ``texts`` one of words, ``duration`` seconds or text such as
            ``10m``, ``mapping`` keys and values; ``number`` is a ``float`` of a study's settings.
        default: Value when nothing is said; where it is None, None is valid.
        help: One sentence.
        low: Smallest valid value (numbers and layer widths).
        high: Largest valid value.
        low_open: Whether ``low`` itself is excluded.
        choices: Valid words for ``choice``.
        unit: Unit of the value, or an empty string.
        scope: ``lane`` when lanes of one stack may differ, ``shape`` when they must agree.
        sb3: Whether Stable-Baselines3's algorithm has it.
        native_choices: Those of ``choices`` that Stable-Baselines3 does not have, where it has the field.
        learned: Whether what is learned depends on it, not only what is evaluated and saved of it.
        compiled: The ``update_path`` (see ``tuner/contract/rules.py``) from which on compiled code trains with it on;
            below, and always where it is None, NumPy or torch does.
        younger: Whether it came after runs and settings had names: at its default it has no part in them.
        place: Where Stable-Baselines3 takes it.
        idea: What papers call it where it is on, and who is cited: ``noisy networks [@fortunato2018]``.
        unset: What Stable-Baselines3 and RL Zoo call None, such as ``auto``; empty where that is None.
        pinned: Whether it defines a study and cannot change when that is resumed.
    """

    name: str
    kind: Kind
    default: Any
    help: str
    low: float = -math.inf
    high: float = math.inf
    low_open: bool = False
    choices: tuple[str, ...] = ()
    unit: str = ""
    scope: Scope = "lane"
    sb3: bool = True
    native_choices: tuple[str, ...] = ()
    learned: bool = True
    compiled: int | None = 2
    younger: bool = False
    place: Place = "constructor"
    idea: str = ""
    unset: str = ""
    pinned: bool = False

    @property
    def valid_range(self) -> str:
        """The rule in words, as error messages and tables show it."""
        if self.kind == "choice":
            return "one of " + ", ".join(self.choices)
        if self.kind in _WORDS:
            return _WORDS[self.kind]
        low = f"{'above' if self.low_open else 'at least'} {_short(self.low)}"
        high = "" if math.isinf(self.high) else f" and at most {_short(self.high)}"
        return f"{_KINDS[self.kind]}{low}{high}"

    @property
    def default_text(self) -> str:
        """The default as YAML has it."""
        value = self.default
        if value is None or isinstance(value, bool):
            return "null" if value is None else str(value).lower()
        if isinstance(value, tuple):
            return f"[{', '.join(map(str, value))}]"
        return f"{value:_}" if isinstance(value, int) else f"{value:g}" if isinstance(value, float) else str(value)

    def beyond_sb3(self, value: object) -> bool:
        """Whether Stable-Baselines3 lacks this value of it, other than by default."""
        return value in self.native_choices if self.sb3 else value != self.default

    def uses_idea(self, value: object) -> bool:
        """Whether with this value, None where it is not known, the field is the idea that it is named after."""
        return value in self.native_choices if self.native_choices else value not in (None, self.default)

    def check(self, value: object, called: str = "") -> Any:
        """Return ``value`` in the field's own type, or raise.

        Args:
            value: What was given; NumPy's numbers and arrays count as Python's, paths as text.
            called: The field in the error, such as ``--trials``; empty takes its name.

        Raises:
            InputError: Wrong type or out of range; the message names field, rule and value.
        """
        if value is None and self.default is None:
            return None
        value = _plain(value)
        if self.kind == "duration":
            return parse_duration(value, called or self.name)
        ok, coerced = self._coerce(value)
        if not ok:
            hint = nearest(str(value), self.choices) if self.choices else "" if self.kind in _WORDS else _hint(value)
            raise InputError(f"{called or self.name} must be {self.valid_range}, got {value!r}.{hint}")
        return coerced

    def _coerce(self, value: object) -> tuple[bool, Any]:
        if self.kind == "bool":
            return isinstance(value, bool), value
        if self.kind == "choice":
            return isinstance(value, str) and value in self.choices, value
        if self.kind == "text":
            return isinstance(value, str) and bool(value or self.default == ""), value
        if self.kind == "mapping":
            ok = isinstance(value, Mapping) and all(isinstance(key, str) for key in value)
            return ok, dict(value) if isinstance(value, Mapping) else value
        if self.kind == "texts":
            ok = isinstance(value, list | tuple) and all(isinstance(word, str) and word for word in value)
            return ok, tuple(value) if isinstance(value, list | tuple) else value
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
        return above and value <= (min(self.high, LARGEST) if self.kind == "int" else self.high), value


#: Kind to its rule, where no bounds belong to it; and what stands before the bounds of the others.
_WORDS = {
    "bool": "true or false",
    "text": "text that is not empty",
    "texts": "a list of words",
    "mapping": "key=value pairs",
    "duration": "a time",
}
_KINDS = {"float": "", "number": "a number of ", "int": "an integer of ", "layers": "a list of layer widths, each "}


def _plain(value: object) -> object:
    """Return what a program has computed, or found, as what a file or a command line would say."""
    if type(value) in (int, float, str, bool):
        return value
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value] if isinstance(value, list) else tuple(_plain(each) for each in value)
    return value.tolist() if type(value).__module__ == "numpy" and hasattr(value, "tolist") else value


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _short(number: float) -> str:
    return f"{number:g}" if abs(number) < 1e6 else f"{int(number):_}"


#: A number that YAML 1.1 reads as one where no quotes make it text.
_YAML_NUMBER = re.compile(r"[-+]?([0-9]+|[0-9]+\.[0-9]*([eE][-+][0-9]+)?|\.[0-9]+)")


def _hint(value: object) -> str:
    """Explain a number in quotes, YAML 1.1's trap (``1e-5`` is text), and a schedule where there is none."""
    if isinstance(value, str) and value.startswith("lin_"):
        return (
            " Write a number, or lin_ and a number in that range where the field has a schedule, as learning_rate has."
        )
    try:
        number = float(value) if isinstance(value, str) else math.nan
    except ValueError:
        return ""
    if isinstance(value, str) and _YAML_NUMBER.fullmatch(value):
        return f" Write it without quotes: {value}."
    return f" YAML reads {value} as text; write {_yaml_float(number)}." if math.isfinite(number) else ""


def _yaml_float(number: float) -> str:
    text = repr(number)
    mantissa, e, exponent = text.partition("e")
    return f"{mantissa if '.' in mantissa else mantissa + '.0'}e{exponent}" if e else text


#: What a default's type says of the kind of its field.
_KIND_OF: dict[type, Kind] = {bool: "bool", int: "int", float: "float", dict: "mapping"}


def declare(default: Any, help: str, **rules: Any) -> Any:
    """Return a dataclass field that carries what :class:`FieldInfo` describes; ``rules`` are its other attributes.

    ``kind`` is to be said where the default's own type does not tell: of None, and of lists.
    """
    metadata = {"help": help, "kind": "choice" if "choices" in rules else _KIND_OF.get(type(default), "text"), **rules}
    if isinstance(default, dict):
        return field(default_factory=dict, metadata=metadata)
    return field(default=default, metadata=metadata)


def redeclare(cls: type[Any], name: str, default: Any, **rules: Any) -> Any:
    """Return a field that means what that of another dataclass does, with its own default and ``rules``."""
    return declare(default, **{**next(f.metadata for f in fields(cls) if f.name == name), **rules})


def plain(value: Any) -> Any:
    """Return a field's value as plain data, as in YAML: mappings as dicts, tuples as lists."""
    return dict(value) if isinstance(value, Mapping) else list(value) if isinstance(value, tuple) else value


def field_infos(cls: type[Any]) -> Mapping[str, FieldInfo]:
    """Return the declared fields of a dataclass in order."""
    if cls not in _INFOS:
        found = {
            f.name: FieldInfo(name=f.name, default={} if f.default is MISSING else f.default, **f.metadata)
            for f in fields(cls)
            if f.metadata
        }
        _INFOS[cls] = MappingProxyType(found)
    return _INFOS[cls]


#: What :func:`field_infos` has found: it is asked for with every setting.
_INFOS: dict[type[Any], Mapping[str, FieldInfo]] = {}
