"""What a sampler saw, as the hyperparameter that it stands for: names and values that people know.

A sampler draws ``gamma`` as ``one_minus_gamma`` and ``batch_size`` as ``batch_size_pow`` where the search space gives
them a scale; tables, sentences and the terminal speak of the fields.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from tuner.hyperparameters import ALGORITHMS, field_infos

ONE_MINUS = "one_minus_"
POWER = "_pow"

#: Helpers of the packaged search spaces that are sampled on a scale: no hyperparameters, but known by name.
HELPERS = ("rollout_steps",)


@functools.cache
def _fields() -> frozenset[str]:
    own = {name for algorithm in ALGORITHMS.values() for name in field_infos(algorithm)}
    return frozenset(own | set(HELPERS))


def field_of(name: str) -> str:
    """Return the hyperparameter that a sampled name stands for; the name itself where it is one, or a helper."""
    field = name.removeprefix(ONE_MINUS) if name.startswith(ONE_MINUS) else name.removesuffix(POWER)
    return field if name not in _fields() and field in _fields() else name


def value_of(name: str, sampled: Any) -> Any:
    """Return the hyperparameter's value for what was sampled under a name; anything else as it is."""
    number = isinstance(sampled, int | float) and not isinstance(sampled, bool)
    if not number or field_of(name) == name:
        return sampled
    return 1.0 - sampled if name.startswith(ONE_MINUS) else 2**sampled


def as_fields(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return sampled values by the hyperparameters that they stand for, in the same order."""
    return {field_of(name): value_of(name, value) for name, value in params.items()}


def axis_label(name: str) -> str:
    """Return what an axis of sampled values shows: ``1 - gamma``, ``log2 batch_size``, or the name itself."""
    field = field_of(name)
    if field == name:
        return name
    return f"1 - {field}" if name.startswith(ONE_MINUS) else f"log2 {field}"
