"""What attributes must look like: other programs write to a database, too, and a damaged one is read."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from tuner.errors import InputError
from tuner.plan.recipe import SETTINGS
from tuner.study.store import keys as attr

#: (whether it fits, in words)
_Rule = tuple[Callable[[Any], bool], str]


def _whole(value: Any) -> bool:
    return type(value) is int and abs(value) < 2**63


def _number(value: Any) -> bool:
    return _whole(value) or (type(value) is float and math.isfinite(value))


def _numbers(values: list[Any]) -> bool:
    """Return whether all are finite numbers or None; hundreds of thousands are looked at, nearly all of one type."""
    kinds = set(map(type, values))
    if kinds == {float} and math.isfinite(sum(values)):
        return True
    if kinds == {int}:
        return bool(max(values) < 2**63 and min(values) > -(2**63))
    return all(x is None or _number(x) for x in values)


def _rows(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(row, list)
        and len(row) == 4
        and _whole(row[0])
        and all(isinstance(part, list) and _numbers(part) for part in row[1:3])
        and isinstance(row[3], dict)
        and _numbers(list(row[3].values()))
        for row in value
    )


def _list_of(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(fits, value))


def _or_none(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or fits(value)


def _sitting(value: Any) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("versions", {}), dict):
        return False
    with contextlib.suppress(TypeError, ValueError):
        return value.get("created") is None or bool(datetime.fromisoformat(value["created"]))
    return False


_MAPPING: _Rule = (lambda value: isinstance(value, dict), "a mapping")
_TEXT: _Rule = (lambda value: isinstance(value, str), "text")
_COUNT: _Rule = (lambda value: _whole(value) and value >= 0, "a whole number, 0 or more")
_NUMBER: _Rule = (_number, "a finite number")

_STUDY: dict[str, _Rule] = {
    **dict.fromkeys((attr.RECIPE, attr.SPACE, attr.PROVENANCE, attr.EVALUATION, attr.CONFIRM), _MAPPING),
    **dict.fromkeys((attr.ID, attr.PARENT, attr.SPACE_HASH), _TEXT),
    attr.GRID: (
        lambda value: value and _list_of(_whole)(value) and value == sorted({step for step in value if step > 0}),
        "a rising list of environment steps",
    ),
    attr.REWARD_THRESHOLD: (_or_none(_number), "a finite number or nothing"),
    attr.RANDOM_PLAY: (_list_of(_number), "a list of finite numbers"),
}

_OUTCOMES = (*attr.COUNTED, attr.LOST)

_TRIAL: dict[str, _Rule] = {
    attr.HYPERPARAMETERS: _MAPPING,
    attr.SEEDS: (_list_of(_whole), "a list of whole numbers"),
    attr.OUTCOME: (lambda value: value in _OUTCOMES, f"one of {', '.join(_OUTCOMES)}"),
    attr.SCORE: _NUMBER,
    attr.DURATION: _NUMBER,
    attr.EVALUATING: _NUMBER,
    **dict.fromkeys((attr.STEPS, attr.SPARED, attr.RETRY_OF, attr.ROOT, attr.POINT), _COUNT),
    **dict.fromkeys((attr.REASON, attr.OWNER, attr.FINGERPRINT), _TEXT),
    attr.REUSED: (
        lambda value: isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and _whole(value[1]),
        "a study's name and the number of a trial",
    ),
}

_CURVE: _Rule = (_rows, "a list of [step, returns, lengths, metrics]")

_TEXTS: _Rule = (_list_of(lambda value: isinstance(value, str)), "a list of texts")
_MAYBE_TEXT: _Rule = (_or_none(_TEXT[0]), "text or nothing")
_MAYBE_COUNT: _Rule = (_or_none(_COUNT[0]), "a whole number, 0 or more, or nothing")

#: Kind of a setting -> what a stored recipe holds of it. Its very rule may have been another one then.
_OF_KIND: dict[str, _Rule] = {
    **dict.fromkeys(("text", "choice"), _MAYBE_TEXT),
    "int": _MAYBE_COUNT,
    "number": (_or_none(_number), "a finite number or nothing"),
    "duration": (lambda value: value is None or _number(value) or isinstance(value, str), "a time or nothing"),
    "bool": (lambda value: isinstance(value, bool), "true or false"),
    "texts": _TEXTS,
    "mapping": _MAPPING,
}

#: Keys of a stored recipe and space that everybody reads.
_PARTS: dict[str, dict[str, _Rule]] = {
    attr.RECIPE: {
        **{name: _OF_KIND[info.kind] for name, info in SETTINGS.items() if info.kind in _OF_KIND},
        **dict.fromkeys(("env", "algo", "backend", "sampler", "pruner", "objective", "space", "report_dir"), _TEXT),
        "trials": _COUNT,
    },
    attr.SPACE: dict.fromkeys(("budget", "fixed", "search"), _MAPPING),
    attr.PROVENANCE: {
        **dict.fromkeys(("preprocessing", "versions", "hardware"), _MAPPING),
        "resumed": (_list_of(_sitting), "a list of sittings, each with its time and versions"),
    },
}

#: What a provenance says that is done to the environment.
_PREPROCESSING: dict[str, _Rule] = {
    "wrapper": _TEXTS,
    **dict.fromkeys(("image", "action_shape"), (_list_of(_whole), "a list of whole numbers")),
    **dict.fromkeys(("flattened", "encoded", "needs_wrapper", "observation", "whole_numbers"), _TEXT),
    **dict.fromkeys(("discretize", "frame_stack", "frame_skip", "stack"), _COUNT),
}


_NEEDED = {attr.RECIPE: ("env", "algo", "backend"), attr.SPACE: ("algorithm", "budget")}

_ADVICE = "Restore the database from a backup, or delete the study with tune delete."


def check_attributes(name: str, stored: Mapping[str, Any], trials: Mapping[int, Mapping[str, Any]]) -> None:
    """Check what a study and its trials store.

    Args:
        name: The study's name.
        stored: Its attributes.
        trials: Their attributes, by the trial's number.

    Raises:
        InputError: An attribute is of another kind than ``tune`` writes; the message names the place.
    """
    _check(f"The study '{name}'", stored, _STUDY)
    for part, rules in _PARTS.items():
        what = f"The {part} of the study '{name}'"
        missing = [key for key in _NEEDED.get(part, ()) if part in stored and key not in stored[part]]
        if missing:
            raise InputError(f"{what} is damaged: it has no '{missing[0]}'. {_ADVICE}")
        _check(what, stored.get(part, {}), rules)
    done = stored.get(attr.PROVENANCE, {}).get("preprocessing", {})
    _check(f"The preprocessing of the study '{name}'", done, _PREPROCESSING)
    for number, attributes in trials.items():
        curves = {key: _CURVE for key in attributes if key.startswith(attr.CURVE_PREFIX)}
        _check(f"Trial {number} of the study '{name}'", attributes, {**_TRIAL, **curves})
        if not all(key.removeprefix(attr.CURVE_PREFIX).isdecimal() for key in curves):
            raise InputError(f"Trial {number} of the study '{name}' has a curve of no seed.")


def _check(what: str, stored: Mapping[str, Any], rules: Mapping[str, _Rule]) -> None:
    for key, (fits, wanted) in rules.items():
        if key in stored and not fits(stored[key]):
            shown = repr(stored[key])
            shown = shown if len(shown) <= 80 else f"{shown[:77]}..."
            raise InputError(f"{what} is damaged: '{key}' must be {wanted}, got {shown}. {_ADVICE}")
