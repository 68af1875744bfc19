"""What a setting of the library is called: its environment's id, then arguments; and the file that holds it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from tuner.fields import plain

#: How an agent may meet an environment other than it is, by settings of a recipe.
CHANGES = ("pixels", "discretize", "frame_stack", "wrapper")


def changes_of(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Return which :data:`CHANGES` a recipe's settings ask for, as plain data."""
    return {name: plain(recipe[name]) for name in CHANGES if recipe.get(name) not in (None, False, (), [])}


def entry_name(env: str, arguments: Mapping[str, Any], changes: Mapping[str, Any]) -> str:
    """Return ``FrozenLake-v1``, ``FrozenLake-v1,is_slippery=false``, ``CartPole-v1,pixels``, ``X-v1,frame_stack=4``.

    Wrappers stand by the names of their classes, the innermost first: ``X-v1,wrapper=A+B``.

    Args:
        env: Environment id.
        arguments: Its keyword arguments, plain data; they stand in order of their names.
        changes: As :func:`changes_of` gives them.
    """
    words = [f"{name}={_word(value)}" for name, value in sorted(arguments.items())]
    changes = {name: "+".join(map(_class, value)) if name == "wrapper" else value for name, value in changes.items()}
    words += [name if value is True else f"{name}={_word(value)}" for name, value in sorted(changes.items())]
    return ",".join([env, *words])


def entry_file(name: str) -> str:
    """Return the name of an entry's file; what not every system takes in one becomes a dash."""
    return re.sub(r"[^A-Za-z0-9._=,-]", "-", name) + ".yaml"


def _class(wrapper: str) -> str:
    path, colon, arguments = wrapper.partition(":")
    return path.rpartition(".")[2] + colon + arguments


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), sort_keys=True)
