"""The report's tables: the best trial's values, all trials, and the ``trials.csv`` beside the page."""

from __future__ import annotations

import csv
import io
import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from tuner.errors import InputError
from tuner.hyperparameters import algorithm_class, field_infos
from tuner.report.numbers.axes import parameter_axes
from tuner.report.numbers.edges import end_of, tells_apart
from tuner.report.numbers.parameters import by_importance
from tuner.report.numbers.trials import last_evaluation
from tuner.result.sampled import as_fields, field_of, value_of
from tuner.result.study import StudyData, TrialRow
from tuner.text import duration, plain, printable, score_text, short_numbers, value_text

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class BestValue:
    """One hyperparameter of the best trial.

    Attributes:
        name: Field, or a helper of the search space.
        value: As text.
        default: As text; empty when it has none.
        differs: Whether the value is not the default.
        position: Share of its range at which it lies, None when it has no numeric range.
        low: Lower end of the range as text.
        high: Upper end.
        at_edge: ``low`` or ``high`` when the value lies at that end of its range, else empty.
        help: What it is.
    """

    name: str
    value: str
    default: str
    differs: bool
    position: float | None = None
    low: str = ""
    high: str = ""
    at_edge: str = ""
    help: str = ""


#: Trials in the page's table; ``trials.csv`` holds all.
MOST_ROWS = 300


#: Hyperparameters with a column on any page, from 940 pixels on, and from 1,160 on: the most important first.
ALWAYS, MIDDLE, WIDE = 2, 4, 6


@dataclass(frozen=True)
class Cell:
    """A table cell: what is shown, what it is sorted by (numbers before text), and what is said below it."""

    text: str
    sort: str | float | None
    css: str = ""
    note: str = ""


class Column(NamedTuple):
    """A column of the table of all trials.

    Attributes:
        name: Its header; user text, to be escaped by the template.
        needs: What it is shown on: ``""`` any page, ``middle`` or ``wide`` ones, ``all``: only with all columns.
    """

    name: str
    needs: str = ""


def best_values(data: StudyData) -> tuple[list[BestValue], list[BestValue]]:
    """Return (what was searched, what else differs from the defaults) of the trial to use."""
    best = data.chosen
    if best is None:
        return [], []
    fields = _fields(data)
    searched = []
    for name, axis in parameter_axes(data).items():
        if name in best.params:
            field = field_of(name)
            position = axis.position(best.params[name]) if axis.numeric and axis.known else None
            value = best.hyperparameters.get(field, value_of(name, best.params[name]))
            row = _best_value(field, value, fields)
            if position is not None:
                position = 1 - position if axis.falls else position
                edge = end_of(position) if tells_apart(data) else ""
                low, high = map(value_text, axis.ends)
                ends = {"low": low, "high": high, "at_edge": edge}
                row = BestValue(row.name, row.value, row.default, row.differs, position, **ends, help=row.help)
            searched.append(row)
    drawn = as_fields(best.params)
    rest = [_best_value(n, v, fields) for n, v in best.hyperparameters.items() if n not in drawn]
    return searched, [row for row in rest if row.differs]


def trial_columns(data: StudyData) -> list[Column]:
    """Return the columns of the table of all trials; those that fit no page are shown when asked for."""
    rank = {name: place for place, name in enumerate(by_importance(data))}
    found = [Column("trial"), Column("outcome"), Column("score")]
    found += [Column("from", "middle")] if data.knew_beforehand else []
    for name in parameter_axes(data):
        places = {ALWAYS: "", MIDDLE: "middle", WIDE: "wide"}
        needs = next((needs for most, needs in places.items() if rank[name] < most), "all")
        found.append(Column(field_of(name), needs))
    return [*found, Column("steps", "middle"), Column("time"), Column("seed", "all")]


def trial_rows(data: StudyData) -> list[list[Cell]]:
    """Return the table of trials, in the order of :func:`trial_columns`: of many, the :data:`MOST_ROWS` best."""
    names = list(parameter_axes(data))
    ranked = sorted(data.trials, key=lambda t: (t is not data.chosen, t.score is None, -(t.score or 0.0), t.number))
    shown = sorted(ranked[:MOST_ROWS], key=lambda t: t.number)
    return [_trial_row(trial, names, data.chosen, with_source=data.knew_beforehand) for trial in shown]


def trials_csv(data: StudyData) -> str:
    """Return ``trials.csv``: the columns of :func:`trials_frame`, and a line for each trial."""
    columns, rows = _columns_and_rows(data)
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def trials_frame(data: StudyData) -> pd.DataFrame:
    """Return all trials as ``trials.csv`` holds them, one row each.

    Columns: ``number``, ``state``, ``outcome``, ``score``, ``final_return``, ``params_<name>`` for what was sampled,
    ``hyperparameters_<field>`` for resolved fields that vary and were not sampled under their own name, ``steps``,
    ``duration_s``, ``started``, ``finished``, ``seeds`` (separated by spaces), ``reason``; ``source`` (empty for the
    sampler's own) where something was known beforehand.
    """
    import pandas as pd

    columns, rows = _columns_and_rows(data)
    frame = pd.DataFrame(rows, columns=columns)
    # Whole numbers stay whole when another trial has none: pandas would write 64 as 64.0.
    whole = [c for c in columns if rows and all(_is_int(row[c]) or row[c] is None for row in rows)]
    return frame.astype(dict.fromkeys(whole, "Int64"))


def _columns_and_rows(data: StudyData) -> tuple[list[str], list[dict[str, Any]]]:
    names = list(parameter_axes(data))
    varying = [n for n in _varying_fields(data) if n not in names]
    rows = []
    for trial in data.trials:
        row: dict[str, Any] = {
            "number": trial.number,
            "state": trial.state,
            "outcome": _csv_value(trial.outcome),
            "score": trial.score,
            "final_return": last_evaluation(trial),
        }
        row |= {printable(f"params_{name}"): _csv_value(trial.params.get(name)) for name in names}
        row |= {printable(f"hyperparameters_{name}"): _csv_value(trial.hyperparameters.get(name)) for name in varying}
        row |= {
            "steps": trial.steps,
            "duration_s": plain(trial.duration_s),
            "started": plain(trial.started),
            "finished": plain(trial.finished),
            "seeds": _csv_value(" ".join(str(seed) for _, seed in sorted(trial.seeds.items()))),
            "reason": _csv_value(trial.reason),
        }
        if data.knew_beforehand:
            row["source"] = _csv_value(trial.source)
        rows.append(row)
    return list(rows[0]) if rows else [
        "number",
        "state",
        "outcome",
        "score",
        "final_return",
        "steps",
        "duration_s",
    ], rows


def provenance_rows(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return nested plain data as (dotted name, text) rows."""
    rows: list[tuple[str, str]] = []
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            rows.extend(provenance_rows(value, f"{prefix}{key}."))
        else:
            rows.append((f"{prefix}{key}", _provenance_text(key, value)))
    return rows


def _provenance_text(key: str, value: Any) -> str:
    if key == "command" and isinstance(value, (list, tuple)):  # as it is typed
        return shlex.join(str(word) for word in value)
    return str(value) if isinstance(value, int) else value_text(value)


def _fields(data: StudyData) -> Mapping[str, Any]:
    try:
        return field_infos(algorithm_class(str(data.recipe.get("algo"))))
    except InputError:  # a study of another version's algorithm still has a report, without defaults
        return {}


def _best_value(name: str, value: Any, fields: Mapping[str, Any]) -> BestValue:
    if name not in fields:
        return BestValue(name, value_text(value), "", differs=True)
    default = plain(fields[name].default)
    return BestValue(name, value_text(value), value_text(default), plain(value) != default, help=fields[name].help)


def _trial_row(trial: TrialRow, names: list[str], best: TrialRow | None, *, with_source: bool) -> list[Cell]:
    is_best = best is not None and trial.number == best.number
    gone_on = trial.continued_as is not None
    word = "best" if is_best else "continued" if gone_on else trial.outcome.replace("_", " ")
    css = "best" if is_best else trial.outcome if trial.outcome.isidentifier() else "failed"
    seeds = [str(seed) for _, seed in sorted(trial.seeds.items())]
    reason = f"goes on as trial {trial.continued_as}" if gone_on else trial.reason
    params = []
    for name in names:
        value = value_of(name, trial.params.get(name))
        numeric = isinstance(value, int | float)
        value = short_numbers(value)
        params.append(Cell(value_text(value), value if numeric else None if value is None else str(value)))
    return [
        Cell(str(trial.number), trial.number),
        Cell(word, word, f"outcome {css}", reason),
        Cell(score_text(trial.score, 4), plain(trial.score)),
        *([Cell(trial.source or "sampler", trial.source)] if with_source else []),
        *params,
        Cell(f"{trial.steps:,}", trial.steps),
        Cell(duration(trial.duration_s), plain(trial.duration_s)),
        Cell(" ".join(seeds), float(seeds[0]) if len(seeds) == 1 else " ".join(seeds)),
    ]


def _varying_fields(data: StudyData) -> list[str]:
    seen: dict[str, set[str]] = {}
    for trial in data.trials:
        for name, value in trial.hyperparameters.items():
            seen.setdefault(name, set()).add(json.dumps(plain(value)))
    return [name for name, values in seen.items() if len(values) > 1]


def _csv_value(value: Any) -> Any:
    """Return a cell; text that a spreadsheet would run as a formula is quoted by an apostrophe."""
    value = plain(value)
    if isinstance(value, list | dict):
        return json.dumps(value)
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
