"""From values to text: numbers and durations as people read them, text that is safe inside a figure, plain JSON."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import PurePath
from typing import Any

#: Shown where there is nothing to show.
NOTHING = "–"


#: Decimals that tell a number from one; beyond, it is the rounding of a sum.
CLOSEST = 12

#: Not printable by Unicode's classes, but harmless: line break, tab, no-break spaces (wide and narrow).
KEPT = "\n\t\u00a0\u202f"


def printable(text: str) -> str:
    """Return text without what steers a terminal, hides or turns other text: control and format characters, surrogates.

    Every text that leaves the program for people goes through here; line breaks, tabs and no-break spaces stay.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in KEPT else "\ufffd" for c in text)


def env_changes(settings: Mapping[str, Any]) -> str:
    """Return how an agent meets an environment other than it is, in words: ``actions in 5 steps a dimension``.

    Args:
        settings: Of a recipe, or what is done to an environment; what is missing or None is not done.
    """
    words = ["rendered frames in place of the state"] if settings.get("pixels") is True else []
    if wrappers := settings.get("wrapper"):
        words.append(f"wrapped in {listed([wrapper_title(str(each)) for each in wrappers])}")
    if (steps := settings.get("discretize")) is not None:
        words.append(f"actions in {steps} steps a dimension")
    if (last := settings.get("frame_stack")) is not None:
        words.append(f"the last {last} observations at once")
    return ", ".join(words)


def wrapper_title(text: str) -> str:
    """Return what a wrapper is called, its module left out: ``TimeLimit:{"max_episode_steps": 100}``."""
    path, brace, arguments = text.partition(":{")
    return path.rpartition(".")[2] + brace + arguments


def env_title(settings: Mapping[str, Any]) -> str:
    """Return the ``env`` of a recipe or a run, with its arguments and how it is met.

    ``FrozenLake-v1 (is_slippery=false)``, ``Pendulum-v1 (actions in 5 steps a dimension)``.
    """
    given = settings.get("env_arg")
    given = sorted(given.items()) if isinstance(given, Mapping) else []
    words = [f"{name}={argument_text(value)}" for name, value in given]
    words += list(filter(None, [env_changes(settings)]))
    return f"{settings.get('env') or ''}" + (f" ({', '.join(words)})" if words else "")


def argument_text(value: Any) -> str:
    """Return an environment's argument in full, as YAML would have it in a line: numbers with all digits."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {argument_text(item)}" for name, item in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(map(argument_text, value)) + "]"
    return typed_text(value)


def number(value: float | None, digits: int = 4) -> str:
    """Return ``value`` with ``digits`` significant digits, integers of any size in full with thousands separated.

    Close below one there are more, so that a discount of 0.99996 is neither 1 nor 0.9999.
    The minus is the one of the keyboard, so that a value can be copied into a command or a file.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return NOTHING
    if math.isinf(value):
        return "infinity" if value > 0 else "-infinity"
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    size = abs(value)
    if size < 1e-4 or size >= 1e15:
        mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
        mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
        return f"{mantissa}e{int(exponent)}"
    decimals = max(0, digits - 1 - math.floor(math.log10(size)))
    if 0.9 < size < 1:
        decimals = max(decimals, min(digits - 2 - math.floor(math.log10(1 - size)), CLOSEST))
    text = f"{value:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def score_text(value: float | None, digits: int = 3) -> str:
    """Return a score, or how far two are apart, without the noise of floating point: 500.00000000000006 reads 500.

    Ten steps at -0.1 and a goal worth 1 make a return of 1.1e-16: that reads 0. All else is rounded once.
    """
    near = None if value is None else float(round(value, 9))
    return number(near if near is not None and near.is_integer() else value, digits)


def percent(share: float) -> str:
    """Return a share as ``17 %``; all and nothing are said only where it is so: 199 of 200 are 99.5 %."""
    text = f"{100 * share:.0f}"
    if (text in ("0", "-0") and share) or (text == "100" and share != 1):
        text = f"{100 * share:.1f}"
        if text in ("0.0", "-0.0", "100.0"):
            return "less than 0.1 %" if abs(share) < 0.5 else f"{'more' if share > 1 else 'less'} than 100 %"
    return f"{'0' if text == '-0' else text} %"


def signed_percent(share: float, decimals: int = 0) -> str:
    """Return how far something is from something else as ``+17 %`` or ``-3 %``; what rounds to nothing has no sign."""
    text = f"{100 * share:+.{decimals}f}"
    return f"{text if float(text) else '0'} %"


def level_percent(level: float) -> str:
    """Return how sure something is in full: ``95 %``, ``97.5 %``."""
    return f"{100 * level:g} %"


def value_text(value: Any) -> str:
    """Return a hyperparameter's value as text: numbers by :func:`number`, booleans as in YAML, lists joined."""
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return number(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {value_text(item)}" for key, item in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(value_text(item) for item in value) + "]"
    return str(value)


def typed_text(value: Any) -> str:
    """Return a hyperparameter's value as it is typed on a command line, with all its digits: ``1e-05``, ``64x64``."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "x".join(map(str, value)) or "linear"
    return str(value)


def large(value: float) -> str:
    """Return a count rounded for a headline: ``950``, ``12.4 k``, ``2.31 M``, ``1.2 G``."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{number(value / (1e3 if unit == 'k' else size), 3)} {unit}"
    return number(value)


def duration(seconds: float | None) -> str:
    """Return seconds as ``0.4 s``, ``42 s``, ``3 min 12 s``, ``2 h 5 min`` or ``3 d 4 h``."""
    if seconds is None or not math.isfinite(seconds):
        return NOTHING
    if seconds < 10:
        return f"{number(round(seconds, 1))} s"
    whole = round(seconds)
    for size, unit, smaller, small_unit in ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {unit}" + (f" {rest} {small_unit}" if rest else "")
    return f"{whole} s"


def counted(count: int, noun: str, plural: str = "") -> str:
    """Return ``1 trial`` or ``5 trials``."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def listed(items: Sequence[str], most: int = 12) -> str:
    """Return ``a, b and c``; what goes beyond ``most`` is counted."""
    shown = list(items[:most])
    if len(items) > most:
        shown.append(f"{len(items) - most} more")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}" if shown else ""


def sentence(text: str) -> str:
    """Return a text with a capital letter."""
    return text[:1].upper() + text[1:]


def figure_text(text: Any) -> str:
    """Return untrusted text as it may stand in a figure: plotly reads a subset of HTML and ``%{...}`` in labels."""
    return html.escape(printable(str(text)), quote=False).replace("%{", "%&#123;")


#: A list of nothing else, with a finite sum, is plain.
_PLAIN_NUMBERS = frozenset((int, float))


def plain(value: Any) -> Any:
    """Return ``value`` as JSON knows it: text, finite numbers, booleans, None, lists and string-keyed mappings.

    Not-a-number and infinities become None (JSON has neither), times ISO 8601 text.
    """
    kind = type(value)
    if kind is float:  # a large report has hundreds of thousands of numbers: the plain types come first
        return value if math.isfinite(value) else None
    if kind is int or value is None or kind is bool:
        return value
    if kind is str:
        return printable(value)
    if kind is dict:
        return {printable(str(key)): plain(item) for key, item in value.items()}
    if (kind is list or kind is tuple) and _PLAIN_NUMBERS.issuperset(map(type, value)) and math.isfinite(sum(value)):
        return list(value)
    return _plain(value)


def short_numbers(value: Any, digits: int = 7) -> Any:
    """Return plain data with ``digits`` significant digits of each float: what no screen shows is not sent."""
    if type(value) is float:
        return float(f"{value:.{digits}g}")
    if type(value) is list:
        return [short_numbers(item, digits) for item in value]
    if type(value) is dict:
        return {key: short_numbers(item, digits) for key, item in value.items()}
    return value


def _plain(value: Any) -> Any:
    """Return one of the rarer kinds."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {printable(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, PurePath):
        return printable(str(value))
    if hasattr(value, "tolist"):  # NumPy scalars and arrays
        return plain(value.tolist())
    if isinstance(value, Sequence | set | frozenset):
        return [plain(item) for item in value]
    return printable(str(value))
