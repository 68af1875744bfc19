"""Where the good settings of a study lie, and which hyperparameters are worth tuning further."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tuner.core.regions import best_trials, favoured, good_trials, is_clear, span
from tuner.report.numbers.axes import ParameterAxis, parameter_axes
from tuner.report.numbers.once import once
from tuner.result.sampled import field_of, value_of
from tuner.result.study import StudyData, TrialRow
from tuner.text import number, value_text

#: Trials that the model sees at most, spread evenly over the ranks.
MOST_TRIALS = 120

#: How sure it must be that not one of the regions is due to chance.
LEVEL = 0.05

#: Hyperparameters worth tuning further, at most.
NEXT = 2


@dataclass(frozen=True)
class Region:
    """What the good trials have in common in one parameter.

    Attributes:
        name: The hyperparameter, or a helper of the search space.
        low: Lower end; None for choices.
        high: Upper end; None for choices.
        choices: Texts of the choices; empty for numbers.
        searched: What the study searched, as text.
        decides: Whether the parameter's importance is more than noise.
    """

    name: str
    low: float | None
    high: float | None
    choices: tuple[str, ...]
    searched: str
    decides: bool

    @property
    def text(self) -> str:
        """The region in words."""
        if self.low is None or self.high is None:
            return " or ".join(self.choices)
        return f"{_short(self.low)} to {_short(self.high)}"


@once
def regions(data: StudyData) -> list[Region]:
    """Return the regions of the parameters in which good trials differ from the others, the most important first.

    Good is the best quarter of the completed trials by a model of their scores; there is a region where a test says
    that the best quarter by the scores themselves lies elsewhere than the others, all tests together with 95 %. Nothing
    below twenty trials, or where all scores are equal.
    """
    trials = _spread(data)
    axes = parameter_axes(data)
    if len({t.score for t in trials}) < 2 or not axes:
        return []
    points = np.concatenate([_columns(axis, trials) for axis in axes.values()], axis=1)
    scores = np.array([t.score for t in trials], dtype=float)
    good, best = good_trials(points, scores), best_trials(scores)
    found = [_region(axis, trials, good, best, data, LEVEL / len(axes)) for axis in axes.values()]
    return [region for region in found if region is not None]


def worth_tuning_next(data: StudyData) -> list[str]:
    """Return the hyperparameters that decide most beyond noise, at most two, the most important first."""
    telling = [(name, found.share) for name, found in data.importances.items() if found.share > found.noise]
    return [name for name, _ in sorted(telling, key=lambda item: -item[1])[:NEXT]]


def _spread(data: StudyData) -> list[TrialRow]:
    trials = [t for t in data.ranked if t.params]
    if len(trials) <= MOST_TRIALS:
        return trials
    return [trials[i] for i in np.linspace(0, len(trials) - 1, MOST_TRIALS).astype(int)]


def _columns(axis: ParameterAxis, trials: list[TrialRow]) -> NDArray[np.float64]:
    """Return the coordinates of one parameter, [N, 1] or, one-hot over sqrt 2, [N, choices]."""
    if axis.numeric:
        places = [axis.position(t.params[axis.name]) if axis.name in t.params else None for t in trials]
        return np.array([[0.5 if p is None else p] for p in places])
    texts = [value_text(t.params[axis.name]) if axis.name in t.params else "" for t in trials]
    return np.array([[float(text == choice) for choice in axis.categories] for text in texts]) * 2**-0.5


def _region(
    axis: ParameterAxis,
    trials: list[TrialRow],
    good: NDArray[np.bool_],
    best: NDArray[np.bool_],
    data: StudyData,
    level: float,
) -> Region | None:
    having = np.array([axis.name in t.params and axis.position(t.params[axis.name]) is not None for t in trials])
    good, best = good[having], best[having]
    values = [t.params[axis.name] for t, has in zip(trials, having, strict=True) if has]
    places = np.array([axis.position(value) for value in values], dtype=float)
    if not good.any() or not is_clear(places, best, axis.numeric, level):
        return None
    importance = data.importances.get(axis.name)
    decides = importance is not None and importance.share > importance.noise
    if not axis.numeric:
        kept = favoured([value_text(value) for value in values], good)
        choices = tuple(c for c in axis.categories if c in kept)
        return Region(axis.name, None, None, choices, " or ".join(axis.categories), decides)
    low, high = span(places, good)
    searched = " to ".join(map(value_text, axis.ends))
    first, last = sorted(value_of(axis.name, axis.value(place)) for place in (low, high))
    return Region(field_of(axis.name), first, last, (), searched, decides)


def _short(value: float) -> str:
    """Return a value with two digits; close below one with those that tell it from one."""
    return number(value, 2) if 0.9 < value < 1 else value_text(float(f"{value:.2g}"))
