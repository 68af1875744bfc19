"""Ranges of a search space in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tuner.text import typed_text


def range_text(mapping: Mapping[str, Any]) -> str:
    """Return a range in words: ``1e-05 to 0.01, log``."""
    rest = dict(mapping)
    kind = rest.pop("type", "")
    if "choices" in rest:
        return "one of " + ", ".join(map(_choice, rest.pop("choices"))) + _options(rest)
    if "low" in rest and "high" in rest:
        low, high = rest.pop("low"), rest.pop("high")
        if isinstance(high, dict):
            high = f"{high.get('field')}, at most {high.get('max')}"
        return f"{low} to {high}" + (", integer" if kind == "int" else "") + _options(rest)
    return ", ".join(f"{key} {value}" for key, value in mapping.items())


def _choice(value: Any) -> str:
    """Return a listed value as a space has it, and as ``--set`` takes it: ``true``, ``null``, ``[64, 64]``."""
    return typed_text(value) if value is None or isinstance(value, bool) else str(value)


def _options(rest: dict[str, Any]) -> str:
    words = [key if value is True else f"{key} {value}" for key, value in rest.items() if value not in (False, None)]
    return "".join(f", {word}" for word in words)
