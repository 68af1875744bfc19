"""Schedules of hyperparameters in RL Zoo's words: ``learning_rate: lin_3e-4`` falls from 3e-4 to 0 over the run.

Here the value and its course are two fields, so that a search can choose the course: ``learning_rate`` and
``learning_rate_schedule``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from tuner.fields import field_infos
from tuner.hyperparameters.base import Hyperparameters

LINEAR = "lin_"

_SUFFIX = "_schedule"


def scheduled(hyperparameters: Hyperparameters) -> list[str]:
    """Return the fields that fall to 0 over the run."""
    infos = field_infos(type(hyperparameters)).values()
    return [
        info.name.removesuffix(_SUFFIX)
        for info in infos
        if info.place == "schedule" and getattr(hyperparameters, info.name) == "linear"
    ]


def fallen(hyperparameters: Hyperparameters) -> list[str]:
    """Return the names of schedules by which a field is 0 from the end of the run on."""
    infos = field_infos(type(hyperparameters)).values()
    return [i.name for i in infos if i.place == "schedule" and getattr(hyperparameters, i.name) != "constant"]


def spelled_out(cls: type[Hyperparameters], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values with ``lin_X`` as the two fields it stands for, where the algorithm has them."""
    found = dict(values)
    infos = field_infos(cls)
    for name, value in values.items():
        course = infos.get(f"{name}{_SUFFIX}")
        if course is None or course.place != "schedule" or not isinstance(value, str) or not value.startswith(LINEAR):
            continue
        with contextlib.suppress(ValueError):  # what is no number is refused like any other text
            found |= {name: float(value.removeprefix(LINEAR)), course.name: "linear"}
    return found


def contradiction(values: Mapping[str, Any]) -> str:
    """Return which value says by itself how it falls beside another word for that; empty where none does."""
    for name, value in values.items():
        course = values.get(f"{name}{_SUFFIX}", "linear")
        if isinstance(value, str) and value.startswith(LINEAR) and course != "linear":
            return f"{name}={value} falls linearly, and {name}{_SUFFIX}={course} is there too. Leave one out."
    return ""


def in_zoo_words(hyperparameters: Hyperparameters) -> dict[str, str]:
    """Return the fields with a schedule as RL Zoo writes them."""
    return {name: f"{LINEAR}{getattr(hyperparameters, name)!r}" for name in scheduled(hyperparameters)}
