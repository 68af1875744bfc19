"""``key=value`` arguments: plain scalars, lists and mappings, nothing that executes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tuner.errors import InputError
from tuner.plain_yaml import parse, read_number

_WORDS: dict[str, Any] = {"true": True, "false": False, "null": None, "none": None}


def read_pairs(flag: str, pairs: Iterable[str]) -> dict[str, Any]:
    """Return repeated ``key=value`` arguments as a mapping; the last of equal keys wins.

    Raises:
        InputError: An argument without ``=``, without a key, or with a list or mapping that is not one.
    """
    found = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key.strip():
            raise InputError(f"{flag} takes key=value, such as {_EXAMPLES.get(flag, 'key=value')}; got '{pair}'.")
        try:
            found[key.strip()] = read_value(text.strip())
        except ValueError as error:
            raise InputError(f"{flag} {key.strip()}: {error}") from error
    return found


_EXAMPLES = {"--set": "--set gamma=0.98", "--env-arg": "--env-arg is_slippery=false"}


def read_value(text: str) -> Any:
    """Return what a word of the command line stands for.

    Numbers (``1e-3`` and ``50_000`` too, which YAML 1.1 would read as text), ``true``, ``false``, ``null``, lists such
    as ``[64, 64]``, mappings such as ``{duration: 5}``, quoted text; everything else is text as it stands.

    Raises:
        ValueError: A broken list, mapping or quotation.
    """
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if text[:1] not in ("[", "{", "'", '"'):
        return read_number(text)
    try:
        value = parse(text)
    except InputError as error:
        raise ValueError(
            f"'{text}' is not a list such as [64, 64], a mapping such as {{duration: 5}}, nor quoted text: it {error}"
        ) from None
    return value if isinstance(value, str) else _item(value, text)


def _item(value: Any, whole: str) -> Any:
    if isinstance(value, list):
        return [_item(v, whole) for v in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: _item(v, whole) for key, v in value.items()}
    if isinstance(value, str):
        return read_number(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    raise ValueError(f"'{whole}' may hold numbers, text, booleans, lists and mappings with text keys only.")
