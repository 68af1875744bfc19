"""The evidence as the page shows it: tables and titles, made from the numbers of ``report.json``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tuner.report.tables.trials import Cell
from tuner.report.words.evidence import (
    CHOSEN_BY,
    caption,
    contestant_title,
    luck_sentences,
    probability_text,
    range_text,
)
from tuner.report.words.reliability import share_text
from tuner.text import score_text

#: Score to its column.
SCORES = {"late": "late", "final": "final", "best": "best", "auc": "area under the curve"}

#: Result of a comparison in the table.
RESULTS = {"better": "ahead", "worse": "behind", "undecided": "cannot be told apart", "tie": "tie"}


def evidence_view(found: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return what the template shows; None while nothing has been trained again."""
    if found is None:
        return None
    objectives = list(dict.fromkeys((found["objective"], "late", "final", "best")))
    rows = ordered(found)
    selected = found["winner"] is None or any(row["select"]["seeds"] for row in rows)
    threshold = any((row["verdict"]["reliability"] or {}).get("reached") is not None for row in rows)
    chosen = [f"select {CHOSEN_BY[found['chosen_by']]}", "select seeds"] if selected else []
    return {
        "selected": selected,
        "ended_early": "A run that diverged or ran out of time counts as the worst completed run"
        + (
            "."
            if found["floor"] is None
            else f", and as {score_text(found['floor'], 4)} at most. Curves have it there from its end on."
        ),
        "luck_sentences": luck_sentences(found),
        "has_winner": found["winner"] is not None,
        "curves_title": "Learning curves on the verdict's seeds"
        if any(curve["phase"] == "verdict" for curve in found["curves"])
        else "Learning curves on the selection's seeds",
        "columns": [
            "who", "trained by", "search score", *chosen, "verdict seeds",
            *(f"verdict: {SCORES[o]}" for o in objectives),
        ],
        "rows": [_row(row, objectives, found["chosen_by"] if selected else None) for row in rows],
        "comparison_columns": _comparison_columns(found),
        "comparison_rows": _comparison_rows(found, objectives) if found["until"] is None else _sequence_rows(found),
        "until": found["until"],
        "reliability_columns": [
            "who", "verdict seeds", "worst seed", "worst quarter", *["reach the threshold"] * threshold,
        ],
        "reliability_rows": [
            _reliability(row, found)[: None if threshold else -1] for row in rows if row["verdict"]["reliability"]
        ],
    }  # fmt: skip


def ordered(found: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the contestants, the winner first."""
    return sorted(found["contestants"], key=lambda row: row["key"] != found["winner"])


def judged(found: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return who has runs in the verdict, the winner first, no run twice: a finalist that is a baseline stands as that.

    The two share their runs; whoever counts runs, or prints a row for each, has to count them once.
    """
    others = {row["key"] for row in found["contestants"] if row["role"] != "finalist"} - {found["winner"]}
    rows = [row for row in ordered(found) if row["verdict"]["seeds"]]
    return [row for row in rows if row["role"] != "finalist" or row["key"] not in others]


def titled_curves(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the curves with titles, the winner's first."""
    curves = sorted(found["curves"], key=lambda curve: curve["key"] != found["winner"])
    # By its own role: a finalist may be the best of the known settings, too, and have the same key.
    return [{**curve, "title": contestant_title(curve)} for curve in curves]


def score_rows(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what the figure of scores shows: ``title``, ``scores``, ``seeds``, ``estimate``."""
    objective = found["objective"]
    return [
        {
            "title": contestant_title(row),
            "scores": row["verdict"]["scores"][objective],
            "seeds": row["verdict"]["seeds"],
            "estimate": row["verdict"]["estimates"][objective],
        }
        for row in ordered(found)
        if objective in row["verdict"]["estimates"]
    ]


def _row(row: Mapping[str, Any], objectives: list[str], chosen_by: str | None) -> list[Cell]:
    title = contestant_title(row)
    dropped = f"{len(row['select']['seeds'])}" + (", then dropped" if row["dropped_after"] is not None else "")
    verdict = row["verdict"]
    cells = [
        Cell(title, title),
        Cell(row["backend"], row["backend"]),
        Cell(score_text(row["search_score"], 4), row["search_score"]),
    ]
    if chosen_by is not None:
        cells.append(Cell(score_text(row["select"][chosen_by], 4), row["select"][chosen_by]))
        cells.append(Cell(dropped, len(row["select"]["seeds"])))
    cells.append(Cell(str(len(verdict["seeds"])), len(verdict["seeds"])))
    for objective in objectives:
        estimate = verdict["estimates"].get(objective)
        cells.append(Cell("–", None) if estimate is None else Cell(caption(estimate), estimate["value"]))
    return cells


def _reliability(row: Mapping[str, Any], found: Mapping[str, Any]) -> list[Cell]:
    title, mine = contestant_title(row), row["verdict"]["reliability"]
    worst, reached = mine["worst"], mine["reached"]
    return [
        Cell(title, title),
        Cell(str(len(row["verdict"]["seeds"])), len(row["verdict"]["seeds"])),
        Cell(worst["outcome"] if worst["score"] is None else score_text(worst["score"]), worst["score"]),
        Cell(score_text(mine["worst_quarter"]), mine["worst_quarter"]),
        Cell(f"{reached['runs']} of {reached['n']} ({share_text(reached, found['until'])})", reached["share"])
        if reached is not None
        else Cell("–", None),
    ]


def _comparison_columns(found: Mapping[str, Any]) -> list[str]:
    if found["until"] is None:
        return ["against", "score", "result", "P(a run is better)", "difference", "95 % interval"]
    sure = f"{found['until']['each']:.4g} at every look"
    return ["against", "score", "result", "seeds of both", "mean difference", sure, "seeds it takes"]


def _sequence_rows(found: Mapping[str, Any]) -> list[list[Cell]]:
    rows = {row["key"]: row for row in found["contestants"]}
    cells = []
    for comparison in found["comparisons"]:
        title, sequence = contestant_title(rows[comparison["with"]]), comparison["sequence"]
        if sequence is None:
            continue
        needed, low = sequence["seeds_needed"], sequence["low"]
        cells.append(
            [
                Cell(title, title),
                Cell(SCORES[found["objective"]], SCORES[found["objective"]]),
                Cell(RESULTS[sequence["result"]], RESULTS[sequence["result"]]),
                Cell(str(sequence["n"]), sequence["n"]),
                Cell(score_text(sequence["mean"]), sequence["mean"]),
                Cell("–" if low is None else f"{score_text(low)} to {score_text(sequence['high'])}", low),
                Cell("more than 10,000" if needed is None else f"{needed:,}", needed),
            ]
        )
    return cells


def _comparison_rows(found: Mapping[str, Any], objectives: list[str]) -> list[list[Cell]]:
    rows = {row["key"]: row for row in found["contestants"]}
    cells = []
    for comparison in found["comparisons"]:
        title = contestant_title(rows[comparison["with"]])
        for objective in objectives:
            scores = comparison["scores"].get(objective)
            if scores is None:
                continue
            difference, probability = scores["difference"], scores["probability"]
            cells.append(
                [
                    Cell(title, title),
                    Cell(SCORES[objective], SCORES[objective]),
                    Cell(RESULTS[scores["result"]], RESULTS[scores["result"]]),
                    Cell(probability_text(probability), probability["value"]),
                    Cell(score_text(difference["value"]), difference["value"]),
                    Cell(range_text(difference), difference["low"]),
                ]
            )
    return cells
