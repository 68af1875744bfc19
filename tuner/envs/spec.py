"""The name of an environment: plain data that any process can make it from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class EnvSpec:
    """Everything needed to make the environment again, in any process.

    Attributes:
        id: Gymnasium id, optionally ``module:Id``.
        kwargs: Keyword arguments as sorted (name, value) pairs, so that the spec can be hashed.
        module: File or module to import first (``--env-module``), or None.
        pixels: Observe rendered frames instead of the state.
    """

    id: str
    kwargs: tuple[tuple[str, Any], ...] = ()
    module: str | None = None
    pixels: bool = False
