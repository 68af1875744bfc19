"""Numbers that several parts of a report take, worked out once."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TypeVar

from tuner.result.study import StudyData

T = TypeVar("T")


def once(numbers: Callable[[StudyData], T]) -> Callable[[StudyData], T]:
    """Keep what a function gives for the study that it was asked for last; nobody may change that."""
    last: list[tuple[StudyData, T]] = []

    @functools.wraps(numbers)
    def kept(data: StudyData) -> T:
        if not last or last[0][0] is not data:
            last[:] = [(data, numbers(data))]
        return last[0][1]

    return kept
