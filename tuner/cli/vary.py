"""``--vary FIELD=v1,v2,...``: the values of one hyperparameter, or of two, around one setting."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any

from tuner.errors import InputError, nearest
from tuner.hyperparameters import algorithm_class, field_infos
from tuner.hyperparameters.schedules import LINEAR
from tuner.space.text import read_text
from tuner.text import typed_text

#: Fields at a time, and settings in all: more cannot be read off a page.
MOST_FIELDS, MOST_SETTINGS = 2, 64

EXAMPLE = "--vary learning_rate=1e-4,1e-3"

#: Commas between values, not those inside a list such as [64, 64].
_BETWEEN = re.compile(r",(?![^\[(]*[\])])")


def read_vary(algorithm: str, texts: Sequence[str]) -> dict[str, list[Any]]:
    """Return the values of each field in the order given, read as ``--set`` reads them: ``64x64`` is a network.

    Raises:
        InputError: An argument of another form, an unknown field, a value that breaks the field's rule or is there
            twice, a single value, more than two fields or too many settings.
    """
    infos = field_infos(algorithm_class(algorithm))
    found: dict[str, list[Any]] = {}
    for text in texts:
        name, equals, listed = (part.strip() for part in text.partition("="))
        if not equals or not name:
            raise InputError(f"--vary takes FIELD=v1,v2,..., such as {EXAMPLE}; got '{text}'.")
        if name not in infos:
            raise InputError(
                f"--vary: {algorithm} has no hyperparameter '{name}'.{nearest(name, infos)} Known: {', '.join(infos)}."
            )
        if name in found:
            raise InputError(f"--vary {name} is there twice. Put all its values into one.")
        values: list[Any] = []
        for word in _BETWEEN.split(listed):
            if word.strip().startswith(LINEAR) and f"{name}_schedule" in infos:
                raise InputError(
                    f"--vary {name} takes numbers, got '{word.strip()}'. How it falls is a field of its own: "
                    f"--vary {name}_schedule=constant,linear."
                )
            value = infos[name].check(read_text(infos[name], word), f"--vary {name}")
            if value in values:
                raise InputError(f"--vary {name} has the value {typed_text(value)} twice. Leave one out.")
            values.append(value)
        if len(values) < 2:
            raise InputError(f"--vary {name} needs at least two values to tell apart, got '{listed}'.")
        found[name] = values
    if len(found) > MOST_FIELDS:
        raise InputError(f"--vary takes at most {MOST_FIELDS} fields, got {len(found)}: {', '.join(found)}.")
    check_count(len(list(itertools.product(*found.values()))))
    return found


def check_count(settings: int) -> None:
    """Refuse more settings than a page can show.

    Raises:
        InputError: There are more.
    """
    if settings > MOST_SETTINGS:
        raise InputError(f"At most {MOST_SETTINGS} settings are compared at a time, got {settings}. Take fewer values.")


def varied(values: Mapping[str, Any], vary: Mapping[str, Sequence[Any]]) -> dict[str, dict[str, Any]]:
    """Return label to hyperparameters, for each combination of values over ``values``; the first field slowest."""
    every = [dict(zip(vary, chosen, strict=True)) for chosen in itertools.product(*vary.values())]
    return {", ".join(f"{n} {typed_text(v)}" for n, v in chosen.items()): {**values, **chosen} for chosen in every}
