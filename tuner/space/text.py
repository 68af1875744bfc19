"""Values as people type them on a command line, read by the field's own kind."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from tuner.errors import InputError
from tuner.fields import FieldInfo
from tuner.plain_yaml import read_number

_WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def read_text(info: FieldInfo, text: str) -> Any:
    """Return the value that ``text`` stands for, or ``text`` itself when it does not fit the field's kind.

    ``1e-3`` and ``50_000`` are numbers here (there is no YAML in between), ``true`` a boolean, ``64x64``, ``64,64`` and
    ``[64, 64]`` a network shape, ``null`` what is not given where that is possible. :meth:`FieldInfo.check` says
    whether it is valid.
    """
    word = text.strip()
    if info.default is None and word and word in ("null", info.unset):
        return None
    if info.kind == "bool":
        return _WORDS.get(word.lower(), text)
    if info.kind == "layers":
        return _read_layers(word, text)
    if info.kind in ("int", "float"):
        return read_number(word)
    return word


def as_meant(infos: Mapping[str, FieldInfo], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values of fields in one spelling each, as plain data: ``no`` is false, ``64x64`` is ``[64, 64]``.

    A whole number is written as one, whatever its field's type. What is no field's, or breaks its rule, stays as it is.
    """
    found = dict(values)
    for name, value in values.items():
        if name in infos:
            with contextlib.suppress(InputError):
                read = infos[name].check(read_text(infos[name], value) if isinstance(value, str) else value)
                whole = isinstance(read, float) and read.is_integer() and abs(read) < 1e15
                found[name] = int(read) if whole else list(read) if isinstance(read, tuple) else read
    return found


def _read_layers(word: str, text: str) -> Any:
    inner = word.strip("[]() ")
    if word == "linear" or (word and not inner):
        return ()
    parts = inner.replace("x", ",").split(",")
    if inner.endswith(","):  # (64,)
        parts.pop()
    try:
        return tuple(int(part) for part in parts)
    except ValueError:
        return text
