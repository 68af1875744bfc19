"""One range of a search space, from plain data, with errors that teach."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from tuner.errors import InputError
from tuner.fields import FieldInfo
from tuner.space.ranges import Bound, Choice, FloatRange, IntRange, Range, When

#: Raises the error for a key: (key path, what is wrong).
Fail = Callable[[str, str], NoReturn]

KEYS = {
    "float": ("type", "low", "high", "log", "step", "scale", "when"),
    "int": ("type", "low", "high", "log", "step", "scale", "when"),
    "categorical": ("type", "choices", "when"),
}
SCALES = {"float": "one_minus_log", "int": "power_of_two"}

#: Steps of a range of floats, beyond which their number has no exact float any more.
MOST_STEPS = 1e15

#: Words of other tools, and ours.
SYNONYMS = {"min": "low", "lower": "low", "max": "high", "upper": "high", "values": "choices", "options": "choices"}


def parse_range(key: str, data: Any, infos: Mapping[str, FieldInfo], fail: Fail) -> Range:
    """Return the range of one field.

    Args:
        key: Its path in the file, such as ``search.gamma``.
        data: What the file says.
        infos: All names the space may set.
        fail: Raises the error.
    """
    info = infos[key.rpartition(".")[2]]
    if not isinstance(data, Mapping):
        fail(key, f"must be a range such as {_example(info)}, got {data!r}. To fix a value put it under 'fixed'.")
    kind = _kind(key, data, info, fail)
    check_keys(key, data, KEYS[kind], fail)
    when = _when(f"{key}.when", data["when"], infos, fail) if "when" in data else ()
    if kind == "categorical":
        return Choice(_choices(f"{key}.choices", data.get("choices"), info, fail), when)
    for end in ("low", "high"):
        if end not in data:
            fail(key, f"lacks '{end}'. Write for example {_example(info)}.")
    log = data.get("log", False)
    if not isinstance(log, bool):
        fail(f"{key}.log", f"must be true or false, got {log!r}.")
    scale = data.get("scale")
    if scale is not None and scale != SCALES[kind]:
        fail(f"{key}.scale", f"must be {SCALES[kind]} for type {kind}, got {scale!r}.")
    if scale is not None and (log or "step" in data):
        fail(f"{key}.scale", f"{scale} goes with neither 'log' nor 'step'; leave them out.")
    build = _float_range if kind == "float" else _int_range
    return build(key, data, info, infos, when, fail)


def check_keys(key: str, data: Mapping[Any, Any], known: tuple[str, ...], fail: Fail) -> None:
    """Raise for the first key that is not known, naming the nearest."""
    for name in data:
        if name not in known:
            close = (
                [SYNONYMS[name]] if name in SYNONYMS else difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
            )
            hint = f" Did you mean '{close[0]}'?" if close and close[0] in known else ""
            fail(f"{key}.{name}" if key else str(name), f"unknown key.{hint} Known: {', '.join(known)}.")


def checked(key: str, info: FieldInfo, value: Any, fail: Fail) -> Any:
    """Return ``value`` in the field's own type, or raise with the field's rule."""
    try:
        return info.check(value)
    except InputError as error:
        fail(key, str(error))


def _kind(key: str, data: Mapping[str, Any], info: FieldInfo, fail: Fail) -> str:
    natural = info.kind if info.kind in ("float", "int") else "categorical"
    kind = data.get("type", "categorical" if "choices" in data else natural)
    if not isinstance(kind, str) or kind not in KEYS:
        fail(f"{key}.type", f"must be one of {', '.join(KEYS)}, got {kind!r}.")
    if kind not in (natural, "categorical"):
        fail(f"{key}.type", f"must be {natural} or categorical, as {info.name} is {info.valid_range}; got {kind!r}.")
    return str(kind)


def _float_range(
    key: str, data: Mapping[str, Any], info: FieldInfo, infos: Mapping[str, FieldInfo], when: When, fail: Fail
) -> Range:
    low, high = (checked(f"{key}.{end}", info, data[end], fail) for end in ("low", "high"))
    log, step, scale = data.get("log", False), data.get("step"), data.get("scale")
    _check_order(key, low, high, fail)
    if log and low <= 0:
        fail(f"{key}.low", f"must be above 0 on a log scale, got {low}.")
    if scale and high >= 1:
        fail(f"{key}.high", f"must be below 1 on the scale {scale}, got {high}.")
    if scale and FloatRange(low, high, scale="one_minus_log").dimension("").low <= 0:
        fail(f"{key}.high", f"must be below 1 by 1e-12 or more on the scale {scale}, got {high}.")
    if step is not None:
        if isinstance(step, bool) or not isinstance(step, int | float) or not 0 < step <= max(high - low, 0):
            fail(f"{key}.step", f"must be a number above 0 and at most high - low, got {step!r}.")
        if log:
            fail(f"{key}.step", "goes with a linear scale only; leave out 'log' or 'step'.")
        steps = (high - low) / step
        if steps > MOST_STEPS:
            least = (high - low) / MOST_STEPS
            fail(f"{key}.step", f"must be at least {least:g} here, got {step!r}. Leave it out for every float.")
        if not math.isclose(steps, round(steps), abs_tol=1e-8):
            fail(f"{key}.high", f"must be low plus whole steps of {step}, such as {low + math.floor(steps) * step:g}.")
        step = float(step)
    return FloatRange(low, high, log, step, scale, when)


def _int_range(
    key: str, data: Mapping[str, Any], info: FieldInfo, infos: Mapping[str, FieldInfo], when: When, fail: Fail
) -> Range:
    low = checked(f"{key}.low", info, data["low"], fail)
    high = _int_high(f"{key}.high", data["high"], info, infos, fail)
    log, step, scale = data.get("log", False), data.get("step", 1), data.get("scale")
    largest = high.max if isinstance(high, Bound) else high
    _check_order(key, low, largest, fail)
    if (log or scale) and low < 1:
        fail(f"{key}.low", f"must be at least 1 on a logarithmic scale, got {low}.")
    if scale:
        for end, number in (("low", low), ("high", largest)):
            if number & (number - 1):
                fail(f"{key}.{end}", f"must be a power of two, such as {1 << (number.bit_length() - 1)}, got {number}.")
    if isinstance(step, bool) or not isinstance(step, int) or step < 1:
        fail(f"{key}.step", f"must be an integer of at least 1, got {step!r}.")
    if log and step != 1:
        fail(f"{key}.step", "goes with a linear scale only; leave out 'log' or 'step'.")
    if (largest - low) % step:
        fail(f"{key}.high", f"must be low plus whole steps of {step}, such as {largest - (largest - low) % step}.")
    return IntRange(low, high, log, step, scale, when)


def _int_high(key: str, data: Any, info: FieldInfo, infos: Mapping[str, FieldInfo], fail: Fail) -> int | Bound:
    if not isinstance(data, Mapping):
        return int(checked(key, info, data, fail))
    check_keys(key, data, ("field", "max"), fail)
    for part in ("field", "max"):
        if part not in data:
            fail(key, f"lacks '{part}'. A bound that follows another field is {{field: train_freq, max: 8}}.")
    field = data["field"]
    if not isinstance(field, str) or field not in infos or infos[field].kind != "int":
        fail(f"{key}.field", f"must name an integer field, got {field!r}.")
    return Bound(field, int(checked(f"{key}.max", info, data["max"], fail)))


def _check_order(key: str, low: float, high: float, fail: Fail) -> None:
    if low > high:
        fail(key, f"low must not be above high, got low {low!r} and high {high!r}. Swap them.")


def _choices(key: str, data: Any, info: FieldInfo, fail: Fail) -> tuple[Any, ...]:
    if not isinstance(data, list) or not data:
        fail(key, f"must be a list of at least one value, got {data!r}.")
    choices = tuple(checked(f"{key}[{i}]", info, value, fail) for i, value in enumerate(data))
    for i, choice in enumerate(choices):
        if choice in choices[:i]:
            fail(f"{key}[{i}]", f"{data[i]!r} is there twice. Leave one out.")
    return choices


def _when(key: str, data: Any, infos: Mapping[str, FieldInfo], fail: Fail) -> When:
    if not isinstance(data, Mapping) or not data:
        fail(key, f"must say which field has which value, such as {{double_q: true}}, got {data!r}.")
    check_keys(key, data, tuple(name for name, info in infos.items() if info.kind != "layers"), fail)
    conditions = []
    for name, allowed in data.items():
        values = allowed if isinstance(allowed, list) else [allowed]
        if not values:
            fail(f"{key}.{name}", "must be a value or a list of at least one value, got [].")
        conditions.append((str(name), tuple(checked(f"{key}.{name}", infos[name], value, fail) for value in values)))
    return tuple(conditions)


def _example(info: FieldInfo) -> str:
    if info.kind == "layers":
        return "{choices: [[64, 64], [256, 256]]}"
    if info.kind in ("float", "int"):
        low, high = ("0.1", "0.9") if info.kind == "float" else ("1", "100")
        return f"{{type: {info.kind}, low: {low}, high: {high}}}"
    return f"{{choices: [{', '.join(info.choices or ('true', 'false'))}]}}"
