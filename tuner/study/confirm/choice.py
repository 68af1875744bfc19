"""What the confirm stage chooses by: the mean over seeds, or with ``--objective worst`` their worst quarter."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from tuner.contract.rules import CURRENT
from tuner.core.elimination import clearly_beaten
from tuner.core.reliability import clearly_worse_quarters, shortfalls, worst_quarter
from tuner.result.confirmation import Contestant
from tuner.result.study import StudyData
from tuner.result.verdict import rounded

#: Score of a run that diverged, before it is known what was the worst beside it.
WORST = float("-inf")


def mean(values: Sequence[float]) -> float:
    """Return the mean of at least one value."""
    return sum(values) / len(values)


def lowest(scores: Iterable[float], floor: float | None) -> float:
    """Return what a run that diverged counts as: the worst of the others, and not more than the floor."""
    shown = [score for score in scores if score != WORST]
    return min([*shown, *([] if floor is None else [floor])], default=0.0)


@dataclass(frozen=True)
class Choice:
    """How scores of runs make one number of a setting.

    Attributes:
        value: That number, from scores.
        beaten: Names the settings that the leader clearly beats by it.
        parts: One number per run, whose mean is ``value`` and whose spread says how sure it is.
        searched: By setting, scores of the search's own runs that count beside the select ones where the winner is
            chosen. They are high, as they named the finalists, but of all finalists.
        floor: As for :func:`tuner.study.confirm.schedule.select`.
        exact: Whether values that differ by the rounding of means alone differ, as by rule 4 and before.
    """

    value: Callable[[Sequence[float]], float]
    beaten: Callable[[Mapping[str, Sequence[float]]], set[str]]
    parts: Callable[[Sequence[float]], Sequence[float]]
    searched: Mapping[str, Sequence[float]] = dataclasses.field(default_factory=dict)
    floor: float | None = None
    exact: bool = False

    def worth(self, key: str, scores: Sequence[float]) -> float:
        """Return what a setting is chosen by, from its select scores."""
        value = self.value([*self.searched.get(key, ()), *scores])
        return value if self.exact else rounded([value], [])[0][0]


MEAN = Choice(mean, clearly_beaten, lambda scores: scores)
WORST_QUARTER = Choice(worst_quarter, clearly_worse_quarters, shortfalls)


def choice_of(
    objective: str,
    finalists: Iterable[Contestant] = (),
    floor: float | None = None,
    rule: int = CURRENT.finalists,
) -> Choice:
    """Return what a study's objective chooses by: the worst quarter of the select runs, or the mean of all runs.

    Args:
        objective: The study's.
        finalists: With the scores of the search's runs that count.
        floor: As for :func:`tuner.study.confirm.schedule.select`.
        rule: The study's ``finalists``. Before 5, of equal settings with unequal numbers of runs, or ranks of several
            environments, the rounding of their means decided which one was beaten, or won.
    """
    choice = dataclasses.replace(WORST_QUARTER if objective == "worst" else MEAN, floor=floor)
    if objective != "worst":
        choice = dataclasses.replace(choice, searched={c.key: c.searched for c in finalists if c.role == "finalist"})
    if rule < 5:
        beaten = clearly_worse_quarters if objective == "worst" else clearly_beaten
        choice = dataclasses.replace(choice, exact=True, beaten=partial(beaten, rounding=None))
    return choice


def no_finalist(data: StudyData, found: Sequence[Contestant], backend: str) -> str:
    """Return why there is nobody to train again on a backend, in one line; empty where there is."""
    if found:
        return ""
    if not data.ranked:
        return "No trial has completed, so there is nothing to confirm."
    return (
        f"The finalists were not trained again: --confirm-backend {backend} trains none of their settings as they are. "
        "Leave it out."
    )


def floor_of(data: StudyData) -> float | None:
    """Return what a run that diverges counts as at most: the search's lowest score, or random play where that is less.

    None where nothing is known.
    """
    scores = [t.score for t in data.ranked if t.score is not None]
    return min([*scores, *([] if data.random_mean is None else [data.random_mean])], default=None)
