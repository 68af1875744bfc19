"""``tune board``: many studies on one page, a leaderboard for each environment, that opens offline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tuner.report.numbers.board import BASELINES
from tuner.report.pages.template import render_template, write_page
from tuner.report.words.evidence import caption
from tuner.report.words.in_short import SHORT
from tuner.text import argument_text, counted, duration, percent, plain, score_text, sentence, value_text

#: A study beside a baseline, in a word.
RESULTS = {"better": "ahead", "worse": "behind", "undecided": "undecided", "tie": "tie"}

#: Raised when a key of ``board.json`` changes its meaning or goes away.
SCHEMA_VERSION = 1


def board_document(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the board as plain data: ``schema_version``, ``written`` and ``rows``.

    Args:
        rows: What :func:`tuner.report.numbers.board.ranked` gives, each with ``page`` and ``film``: their paths beside
            the board, or None.
    """
    found: dict[str, Any] = plain({"schema_version": SCHEMA_VERSION, "written": datetime.now(UTC), "rows": list(rows)})
    return found


def write_board(document: Mapping[str, Any], page: Path) -> Path:
    """Write the page, and its numbers beside it as ``.json``; return the page's path."""
    return write_page(page, render_board(document), document)


def render_board(document: Mapping[str, Any]) -> str:
    """Return the page of a board as HTML."""
    rows = document["rows"]
    judged = [row for row in rows if row["verdict"] is not None]
    environments = {row["environment"] for row in rows}
    filmed = any(row.get("film") for row in rows)
    several = len({row["objective"] for row in rows}) > 1
    verdicts = counted(len(judged), "verdict")
    return render_template(
        "board.html.j2",
        {},
        {
            "headline": f"{counted(len(rows), 'study', 'studies')} in {counted(len(environments), 'environment')}",
            "lead": f"{sentence(verdicts)} on seeds that no choice has seen, with 95 % intervals. A rank is among the "
            "studies of one environment and objective, whatever their budgets: look at the steps of a run beside it. A "
            "score in brackets is that of a search, the luckiest of many.",
            "columns": ["environment", *(["objective"] if several else []), "rank", "score", "seeds",
                        *(SHORT[role] for role in BASELINES), "solved", "study", *(["film"] if filmed else []),
                        "algorithm", "steps of a run", "steps spent", "training"],
            "rows": [
                _row(row, sum(_among(other) == _among(row) for other in judged) > 1, filmed=filmed, several=several)
                for row in rows
            ],
            "settings": [(_name(row), _setting(row)) for row in rows if row["setting"]],
        },
    )  # fmt: skip


def _row(row: Mapping[str, Any], contested: bool, *, filmed: bool, several: bool) -> dict[str, Any]:
    verdict, against = row["verdict"], row["against"]
    score = "" if row["search_score"] is None else f"[{score_text(row['search_score'])}]"
    cells = [
        _cell(_place(row)),
        *([_cell(row["objective"])] if several else []),
        _cell("" if row["rank"] is None else str(row["rank"]), row["rank"]),
        _cell(score, row["search_score"]) if verdict is None else _cell(caption(verdict), verdict["value"]),
        _cell("" if verdict is None else str(verdict["n"]), None if verdict is None else verdict["n"]),
        *(_beside(against.get(role)) for role in BASELINES),
        _cell("" if row["reached"] is None else f"{percent(row['reached'])} of seeds", row["reached"]),
        {**_cell(row["study"]), "link": row.get("page")},
        *([{**_cell("film" if row.get("film") else ""), "link": row.get("film")}] if filmed else []),
        _cell(f"{row['algorithm']}, {row['backend']}"),
        _cell("" if row["steps"] is None else f"{row['steps']:,}", row["steps"]),
        _cell(f"{row['steps_spent']:,}", row["steps_spent"]),
        _cell(duration(row["training_s"]).replace(" ", "\N{NO-BREAK SPACE}"), row["training_s"]),
    ]
    return {"cells": cells, "best": row["rank"] == 1 and contested}


def _cell(text: str, sort: float | None = None) -> dict[str, Any]:
    return {"text": text, "sort": text if sort is None else sort, "link": None}


def _beside(found: Mapping[str, Any] | None) -> dict[str, Any]:
    if found is None:
        return _cell("")
    return _cell(f"{score_text(found['score'])}, {RESULTS.get(found['result'], '?')}", found["score"])


def _among(row: Mapping[str, Any]) -> tuple[str, str]:
    """Return what rows have in common that are ranked together."""
    return _place(row), row["objective"]


def _place(row: Mapping[str, Any]) -> str:
    given = ", ".join(f"{name}={argument_text(value)}" for name, value in sorted(row["arguments"].items()))
    return f"{row['environment']} ({given})" if given else str(row["environment"])


def _name(row: Mapping[str, Any]) -> str:
    trial = "" if row["trial"] is None else f", trial {row['trial']}"
    return f"{_place(row)}: {row['study']}{trial}"


def _setting(row: Mapping[str, Any]) -> str:
    return "\n".join(f"{name}: {value_text(value)}" for name, value in row["setting"].items())
