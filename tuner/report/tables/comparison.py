"""Settings as a table: on the page, and in Markdown to paste."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tuner.report.tables.evidence import RESULTS
from tuner.report.tables.trials import Cell
from tuner.report.words.evidence import caption, probability_text
from tuner.text import NOTHING, number, printable, typed_text


def settings_columns(document: Mapping[str, Any], objective: str) -> list[str]:
    """Return the heads of :func:`settings_rows`."""
    named = [] if document["vary"] else ["setting"]
    corrected = ["p (Holm)"] if len(document["comparisons"]) > 1 else []
    return [
        *named, *document["fields"], f"{objective} score (95 % interval)", "difference",
        "P(better)", *corrected, "result", "diverged", "seconds a run",
    ]  # fmt: skip


def settings_rows(document: Mapping[str, Any], objective: str) -> list[list[Cell]]:
    """Return a row for each setting; only fields that differ are columns, and only varied fields name a setting."""
    compared = {c["label"]: c["scores"].get(objective) for c in document["comparisons"]}
    corrected = len(document["comparisons"]) > 1
    return [_row(document, s, objective, compared.get(s["label"]), corrected) for s in document["settings"]]


def _row(
    document: Mapping[str, Any], setting: Mapping[str, Any], objective: str, found: Any, corrected: bool
) -> list[Cell]:
    label, estimate, nothing = setting["label"], setting["estimates"].get(objective), Cell(NOTHING, None)
    cells = [] if document["vary"] else [Cell(label, label)]
    for field in document["fields"]:
        value = setting["values"][field]
        numeric = isinstance(value, int | float) and not isinstance(value, bool)
        cells.append(Cell(_value_text(value, document, field), value if numeric else typed_text(value)))
    cells.append(nothing if estimate is None else _estimate(estimate))
    if found is None:
        cells += [nothing] * (4 if corrected else 3)
    else:
        difference, probability = found["difference"], found["probability"]
        cells += [_estimate(difference), Cell(probability_text(probability), probability["value"])]
        cells += [Cell(f"{found['p_holm']:.2g}", found["p_holm"])] if corrected else []
        cells.append(Cell(RESULTS[found["result"]], RESULTS[found["result"]]))
    diverged, seconds = setting["diverged"], setting["seconds"]
    cells.append(Cell(f"{diverged['runs']} of {len(setting['outcomes'])}", diverged["share"]))
    cells.append(Cell(number(seconds["median"], 2), seconds["median"]))
    return cells


def _value_text(value: Any, document: Mapping[str, Any], field: str) -> str:
    """Return a setting's value with few digits, unless all are needed to tell it from another's."""
    if not isinstance(value, float):
        return typed_text(value)
    short = number(value)
    others = [s["values"][field] for s in document["settings"]]
    alike = {other for other in others if isinstance(other, float) and number(other) == short}
    return short if len(alike) == 1 else typed_text(value)


def _estimate(estimate: Mapping[str, Any]) -> Cell:
    return Cell(caption(estimate), estimate["value"])


def settings_markdown(document: Mapping[str, Any], objective: str) -> str:
    """Return the table in Markdown, with a final newline; nothing in it is read as markup."""
    columns = settings_columns(document, objective)
    rows = [[cell.text for cell in row] for row in settings_rows(document, objective)]
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(map(_escaped, line))} |\n" for line in lines)


#: What Markdown reads as markup, or a table as its border, each behind a backslash.
_ESCAPED = str.maketrans({character: f"\\{character}" for character in "\\|`[]_*<&"})


def _escaped(text: str) -> str:
    return " ".join(printable(text).split()).translate(_ESCAPED)
