"""What an algorithm's settings owe to whom: the ideas behind the fields that are on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tuner.hyperparameters import algorithm_class, field_infos


def ideas(algorithm: str, settings: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return what any of some settings uses, each with its citation: ``noisy networks [@fortunato2018]``."""
    settings = list(settings)
    infos = field_infos(algorithm_class(algorithm)).values()
    return [i.idea for i in infos if i.idea and any(i.uses_idea(values.get(i.name)) for values in settings)]
