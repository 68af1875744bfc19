"""A Q-table beside the true values as cells to draw: what the page's script needs, and no more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tuner.report.figures.palette import RAMP

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
