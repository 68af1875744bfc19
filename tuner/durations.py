"""Durations as people write them: ``90`` seconds, ``10m``, ``2h30m``, ``1h30``, ``1d``."""

from __future__ import annotations

import math
import re
import sys

from tuner.errors import InputError

SECONDS = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0}

_NUMBER = r"(\d+(?:\.\d+)?)"
_PATTERN = re.compile("".join(f"(?:{_NUMBER}{unit})?" for unit in SECONDS) + f"{_NUMBER}?")


def parse_duration(value: object, name: str) -> float:
    """Return a duration in seconds, above 0.

    Args:
        value: A number of seconds, or text: ``"90"``, ``"10m"``, ``"2h30m"``, ``"1.5h"``. A last number without a unit
            counts in the next smaller one: ``"1h30"``.
        name: What it is for, in the error: ``--timeout``.

    Raises:
        InputError: Not a duration, or not above 0.
    """
    seconds = math.nan
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max:
        seconds = float(value)
    elif isinstance(value, str) and (match := _PATTERN.fullmatch(value.strip().lower())) and any(match.groups()):
        *numbers, bare = match.groups()
        parts = [(float(number), unit) for number, unit in zip(numbers, SECONDS.values(), strict=True) if number]
        seconds = sum(number * unit for number, unit in parts)
        if bare is not None:
            smaller = [unit for unit in SECONDS.values() if unit < parts[-1][1]] if parts else [1.0]
            seconds = seconds + float(bare) * smaller[0] if smaller else math.nan
    if not (math.isfinite(seconds) and seconds > 0):
        raise InputError(f"{name} must be a duration above 0, such as 90 (seconds), 10m or 2h30m; got {value!r}.")
    return seconds


def show_duration(seconds: float) -> str:
    """Return a duration in its two largest units: ``45s``, ``3m20s``, ``2h05m``, ``1d03h``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3_600:
        return f"{whole // 60}m{whole % 60:02}s"
    if whole < 86_400:
        return f"{whole // 3_600}h{whole % 3_600 // 60:02}m"
    return f"{whole // 86_400}d{whole % 86_400 // 3_600:02}h"
