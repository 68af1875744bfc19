"""Edge audit: which of the best trials sit at an end of a searched range, and which wider range to try."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from tuner.errors import InputError
from tuner.hyperparameters import FieldInfo, algorithm_class, field_infos
from tuner.report.numbers.axes import ParameterAxis, parameter_axes
from tuner.result.sampled import field_of
from tuner.result.study import StudyData, TrialRow
from tuner.text import CLOSEST, counted, plain, value_text

#: Best trials that are looked at.
TOP = 5

#: Share of a range that counts as its end; twice this and one in five trials would lie there by chance.
EDGE = 0.1

#: A range is widened by this factor (logarithmic), by half of its width (linear) or by a power of two (on that scale).
FACTOR = 3.0


@dataclass(frozen=True)
class Edge:
    """A range that seems too narrow.

    Attributes:
        name: The hyperparameter, or a helper of the search space.
        end: ``low`` or ``high``.
        trials: Numbers of the best trials at that end.
        of: How many best trials were looked at.
        low: Lower end of the range.
        high: Upper end.
        wider: The range to try, or None where the field's valid range ends there too.
    """

    name: str
    end: str
    trials: tuple[int, ...]
    of: int
    low: float
    high: float
    wider: tuple[float, float] | None

    @property
    def text(self) -> str:
        """One sentence for the page."""
        where = "lower" if self.end == "low" else "upper"
        found = (
            f"{self.name}: {len(self.trials)} of the {counted(self.of, 'best trial')} lie at the {where} end of "
            f"{value_text(self.low)} to {value_text(self.high)}"
        )
        if self.wider is None:
            return f"{found}, and nothing beyond it makes sense here."
        return f"{found}; try {value_text(self.wider[0])} to {value_text(self.wider[1])}."


def edges(data: StudyData) -> list[Edge]:
    """Return the ranges at whose end at least half of the best trials lie (two or more of them).

    The best are the finalists of the confirm stage, else the five highest scores. Nothing is said where fewer than ten
    different scores exist: then the best were chosen by chance.
    """
    if not tells_apart(data):
        return []
    best = _best(data)
    found = []
    for name, axis in parameter_axes(data).items():
        if not (axis.numeric and axis.known) or axis.low == axis.high:
            continue
        places = [(t.number, _place(axis, t.params[name])) for t in best if name in t.params]
        for end in ("low", "high"):
            there = tuple(n for n, p in places if p is not None and end_of(p) == end)
            if len(there) >= 2 and 2 * len(there) >= len(places):
                found.append(Edge(field_of(name), end, there, len(places), *axis.ends, _wider(data, axis, end)))
    return found


def tells_apart(data: StudyData) -> bool:
    """Return whether scores differ enough that the best trials were not chosen by chance."""
    return len({t.score for t in data.ranked}) >= 2 * TOP


def end_of(position: float) -> str:
    """Return the end of a range, ``low`` or ``high``, that a position from 0 to 1 lies at; empty between them."""
    return "low" if position <= EDGE else "high" if position >= 1 - EDGE else ""


def wider_space(data: StudyData, found: list[Edge]) -> str | None:
    """Return the study's search space with the wider ranges, as YAML for ``--space``; None without any."""
    wider = [edge for edge in found if edge.wider is not None]
    if not wider or not data.space:
        return None
    space = plain(data.space)
    env = str(data.recipe.get("env"))
    for edge in wider:
        for search in (space.get("search"), space.get("environments", {}).get(env, {}).get("search")):
            if isinstance(search, dict) and isinstance(search.get(edge.name), dict) and edge.wider is not None:
                search[edge.name] |= {edge.end: edge.wider[0 if edge.end == "low" else 1]}
    return wider_title(data.name) + yaml.safe_dump(space, sort_keys=False, allow_unicode=True)


def wider_title(study: str) -> str:
    """Return the first line of a study's :func:`wider_space`, by which it is known again."""
    return f"# {study}, with wider ranges where its best trials lay at an end.\n"


def _place(axis: ParameterAxis, value: Any) -> float | None:
    """Return where a sampled value lies in the range of its hyperparameter, 0 at the lower end."""
    position = axis.position(value)
    return 1 - position if axis.falls and position is not None else position


def _best(data: StudyData) -> list[TrialRow]:
    if data.confirmation is not None and data.confirmation.finalists:
        numbers = {c.trial for c in data.confirmation.finalists}
        return [t for t in data.ranked if t.number in numbers]
    return list(data.ranked[:TOP])


def _wider(data: StudyData, axis: ParameterAxis, end: str) -> tuple[float, float] | None:
    """Return the wider range within what the field allows; None without room, or where the range is not a plain one."""
    name = field_of(axis.name)
    declared = _declared(data, name)
    if declared is None:
        return None
    try:
        algorithm = algorithm_class(str(data.recipe.get("algo")))
    except InputError:
        return None
    info = field_infos(algorithm).get(name)
    if info is None:
        return None
    if axis.name != name:
        return _wider_scaled(axis, end, info, algorithm.largest_meaningful(name, data.grid[-1]) if data.grid else None)
    low, high = axis.low, axis.high
    if end == "low":
        low = low / FACTOR if axis.log else low - (high - low) / 2
        least = info.low if not info.low_open else math.nextafter(info.low, math.inf)
        low = max(low, least, 1.0 if axis.log and info.kind == "int" else least)
        if axis.log and low <= 0:
            return None
    else:
        # What lies beyond would be cut again when the space is read.
        cap = algorithm.largest_meaningful(name, data.grid[-1]) if data.grid else None
        most = info.high if cap is None else max(cap, high)
        high = min(high * FACTOR if axis.log else high + (high - low) / 2, info.high, most)
    low, high = (round(low), round(high)) if info.kind == "int" else (_short(low), _short(high))
    if (low, high) == (axis.low, axis.high) or low < info.low or high > info.high:
        return None
    return (low, high)


def _wider_scaled(axis: ParameterAxis, end: str, info: FieldInfo, cap: float | None) -> tuple[float, float] | None:
    """Return the wider range of a hyperparameter that is sampled on a scale, as :func:`_wider` does."""
    low, high = axis.ends
    if axis.falls:  # a factor of what is missing to one
        gaps = (1 - high) / (FACTOR if end == "high" else 1), (1 - low) * (FACTOR if end == "low" else 1)
        wider = 1 - _short(gaps[1]), 1 - _short(gaps[0])
        low, high = max(round(wider[0], CLOSEST), info.low), min(round(wider[1], CLOSEST), info.high)
    else:  # a power of two further
        most = min(info.high, math.inf if cap is None else max(cap, high))
        low, high = (max(low / 2, info.low, 1), high) if end == "low" else (low, high * 2 if high * 2 <= most else high)
        low, high = round(low), round(high)
    return None if (low, high) == axis.ends else (low, high)


def _declared(data: StudyData, name: str) -> Mapping[str, Any] | None:
    """Return the range as the space's YAML has it, where both of its ends are plain numbers without a step."""
    search = data.space.get("search")
    here = search.get(name) if isinstance(search, Mapping) else None
    if not isinstance(here, Mapping) or "step" in here:
        return None
    return here if all(isinstance(here.get(end), int | float) for end in ("low", "high")) else None


def _short(value: float) -> float:
    """Return a value with three significant digits."""
    return float(f"{value:.3g}")
