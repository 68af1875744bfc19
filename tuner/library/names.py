"""What a setting of the library is called: its environment's id, then arguments; and the file that holds it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

#: Stands for ``--pixels`` in a name.
PIXELS = "pixels"


def entry_name(env: str, arguments: Mapping[str, Any], *, pixels: bool = False) -> str:
    """Return ``FrozenLake-v1``, ``FrozenLake-v1,is_slippery=false`` or ``CartPole-v1,pixels``.

    Args:
        env: Environment id.
        arguments: Its keyword arguments, plain data; they stand in order of their names.
        pixels: Whether it is seen through rendered frames.
    """
    words = [f"{name}={_word(value)}" for name, value in sorted(arguments.items())]
    return ",".join([env, *words, *([PIXELS] if pixels else [])])


def entry_file(name: str) -> str:
    """Return the name of an entry's file; what not every system takes in one becomes a dash."""
    return re.sub(r"[^A-Za-z0-9._=,-]", "-", name) + ".yaml"


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), sort_keys=True)
