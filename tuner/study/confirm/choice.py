"""What the confirm stage chooses by: the mean over seeds, or with ``--objective worst`` their worst quarter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tuner.core.elimination import clearly_beaten
from tuner.core.reliability import clearly_worse_quarters, shortfalls, worst_quarter
from tuner.study.confirm.schedule import mean


@dataclass(frozen=True)
class Choice:
    """How scores of runs make one number of a setting.

    Attributes:
        value: That number, from scores.
        beaten: Names the settings that the leader clearly beats by it.
        parts: One number per run, whose mean is ``value`` and whose spread says how sure it is.
    """

    value: Callable[[Sequence[float]], float]
    beaten: Callable[[Mapping[str, Sequence[float]]], set[str]]
    parts: Callable[[Sequence[float]], Sequence[float]]


MEAN = Choice(mean, clearly_beaten, lambda scores: scores)
WORST_QUARTER = Choice(worst_quarter, clearly_worse_quarters, shortfalls)


def choice_of(objective: str) -> Choice:
    """Return what a study's objective chooses by."""
    return WORST_QUARTER if objective == "worst" else MEAN
