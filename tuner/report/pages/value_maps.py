"""A Q-table beside the true values as cells to draw: what the page's script needs, and no more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from tuner.report.figures.palette import RAMP
from tuner.report.pages.template import script_json
from tuner.text import number, percent

#: Curves of how near a table is to the truth: key of ``training.json``'s ``table`` to the figure's title.
TABLE_CURVES = {
    "optimal_share": "Share of states in which the action played is an optimal one",
    "largest_error": "Largest error of a state's value",
}

#: Columns of the cells of states that lie on no map, and the most states whose numbers are written into them.
COLUMNS, NUMBERED = 20, 200


def value_maps(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is drawn of the ``table`` of a ``training.json``.

    ``steps``, ``values`` and ``actions`` of the tables that are shown, ``truth``, ``reachable``; ``rows``, ``columns``,
    ``layers`` (``name`` and ``states``), ``signs`` of the actions, ``meanings`` of signs that are letters, ``marks``
    and ``walls`` by cell; ``low`` and ``high``, the ends of the colours, and the colours on light and dark pages.
    """
    truth, counted = table["truth"], [s for s, reached in enumerate(table["reachable"]) if reached]
    # The last table and the truth: earlier ones may be far off, as an optimistic start is.
    ends = [values[state] for values in (truth["values"], table["values"][-1]) for state in counted]
    return {
        "steps": [table["steps"][i] for i in table["shown"]],
        "values": table["values"],
        "actions": table["actions"],
        "truth": truth,
        "reachable": table["reachable"],
        **(_numbered(len(table["reachable"])) if table["map"] is None else _layout(table)),
        "low": min(ends),
        "high": max(ends),
        "ramps": RAMP,
    }


def value_multiples(settings: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return what is drawn of the last tables of several settings, each with the same colours; None without a table.

    ``captions`` of the maps (what each is, how near the truth) and ``json``: what :func:`value_maps` has but for the
    tables themselves, and ``panels``, one for each map: ``label``, ``values`` and ``actions`` (a list for each state).
    The truth comes last where it is the same for all: gammas may differ.
    """
    shown = [s for s in settings if s.get("table") is not None]
    if not shown:
        return None
    tables = [s["table"] for s in shown]
    drawn = [value_maps(table) for table in tables]
    panels = [_panel(s["label"], t["values"][-1], [[a] if a >= 0 else [] for a in t["actions"][-1]])
              for s, t in zip(shown, tables, strict=True)]  # fmt: skip
    captions = [(s["label"], _nearness(s["table"])) for s in shown]
    if len({table["gamma"] for table in tables}) == 1:
        truth, reached = tables[0]["truth"], tables[0]["reachable"]
        best = [actions if there else [] for actions, there in zip(truth["actions"], reached, strict=True)]
        panels.append(_panel("True value and optimal actions of each state", truth["values"], best))
        captions.append(("True", "by value iteration"))
    ends = {"low": min(d["low"] for d in drawn), "high": max(d["high"] for d in drawn)}
    layout = {key: drawn[0][key] for key in ("reachable", "rows", "columns", "layers", "signs", "meanings", "marks",
                                             "walls", "ramps")}  # fmt: skip
    found = {**layout, **ends, "steps": [tables[0]["steps"][-1]], "panels": panels}
    return {"captions": captions, "json": Markup(script_json(found))}


def _panel(label: str, values: Sequence[float], actions: Sequence[Sequence[int]]) -> dict[str, Any]:
    return {"label": label, "values": [values], "actions": [actions]}


def _nearness(table: Mapping[str, Any]) -> str:
    share, error = table["optimal_share"][-1], table["largest_error"][-1]
    return f"plays an optimal action in {percent(share)} of the states, values off by up to {number(error, 2)}"


def _layout(table: Mapping[str, Any]) -> dict[str, Any]:
    found, reached = table["map"], table["reachable"]
    return {
        "rows": found["rows"],
        "columns": found["columns"],
        "layers": [
            {"name": name, "states": states} for name, states in found["layers"] if any(reached[s] for s in states)
        ],
        "signs": found["actions"],
        "meanings": found["signs"],
        "marks": found["marks"],
        "walls": found["walls"],
    }


def _numbered(n_states: int) -> dict[str, Any]:
    """Return the cells of states of which only the numbers are known."""
    columns = min(COLUMNS, n_states) if n_states <= NUMBERED else round(n_states**0.5)
    marks = {state: str(state) for state in range(n_states)} if n_states <= NUMBERED else {}
    layers = [{"name": "", "states": list(range(n_states))}]
    shape = {"rows": -(-n_states // columns), "columns": columns}
    return {**shape, "layers": layers, "signs": None, "meanings": {}, "marks": marks, "walls": []}
