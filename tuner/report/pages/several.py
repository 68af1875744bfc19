"""One setting for several environments as a page that opens offline, and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tuner.report.numbers.several import OURS
from tuner.report.pages.template import render_template, write_page
from tuner.report.tables.trials import Cell, provenance_rows
from tuner.report.words.evidence import caption
from tuner.report.words.several import SAID, several_sentences
from tuner.text import counted, number

#: Raised when a key of ``several.json`` changes its meaning or goes away.
SCHEMA_VERSION = 1


def write_several(document: Mapping[str, Any], folder: Path) -> Path:
    """Write ``several.html`` and ``several.json`` into an existing folder; return the page's path.

    Args:
        document: Plain data, as ``docs/report-schema.md`` describes it.
        folder: Where to.
    """
    return write_page(folder / "several.html", render_several(document), document)


def render_several(document: Mapping[str, Any]) -> str:
    """Return the page of a ``several.json`` as HTML."""
    rows = document["environments"]
    return render_template(
        "several.html.j2",
        {},
        {
            "headline": f"One setting for {counted(len(rows), 'environment')}",
            "lead": f"{counted(document['points'], 'setting')} trained in every environment that the search saw; the "
            "objective is the mean over environments of a setting's rank in each, as a share of the others that it "
            f"beats. {counted(len(document['finalists']), 'finalist')} trained again on fresh seeds; scores below are "
            "on seeds that no choice has seen.",
            "words": several_sentences(document),
            "columns": ["environment", "steps", "the setting", "defaults", "beside defaults", "RL Zoo's values",
                        "beside RL Zoo"],
            "rows": [_row(row) for row in rows],
            "finalist_columns": ["finalist", "rank in the search", "rank on fresh seeds"],
            "finalist_rows": [_finalist(one) for one in document["finalists"]],
            "setting_rows": provenance_rows(document["hyperparameters"]),
            "provenance_rows": provenance_rows(document["provenance"]),
        },
    )  # fmt: skip


def _row(row: Mapping[str, Any]) -> list[Cell]:
    name = f"{row['env']}, not seen by the search" if row["held_out"] else row["env"]
    cells = [Cell(name, name), Cell(f"{row['n_timesteps']:,}", row["n_timesteps"]), _score(row, OURS)]
    for other in ("defaults", "zoo"):
        result = row["comparisons"].get(other, {}).get("result")
        cells += [_score(row, other), Cell(SAID[result] if result else "–", result or "")]
    return cells


def _score(row: Mapping[str, Any], group: str) -> Cell:
    estimate = row["settings"].get(group, {}).get("estimate")
    return Cell("–", None) if estimate is None else Cell(caption(estimate), estimate["value"])


def _finalist(one: Mapping[str, Any]) -> list[Cell]:
    fresh = one["rank_on_fresh_seeds"]
    return [
        Cell(one["name"], one["name"]),
        Cell(number(one["rank_in_search"], 3), one["rank_in_search"]),
        Cell("–" if fresh is None else number(fresh, 3), fresh),
    ]
