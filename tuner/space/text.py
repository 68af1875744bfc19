"""Values as people type them on a command line, read by the field's own kind."""

from __future__ import annotations

from typing import Any

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
