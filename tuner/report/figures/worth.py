"""What the search was worth, and what a run of each setting costs."""

from __future__ import annotations

import plotly.graph_objects as go

from tuner.report.figures.base import canvas, log_ticks, markers, star
from tuner.report.figures.palette import SURFACE, Mark, light, mark
from tuner.report.numbers.worth import ORIGINS, cost_series, worth_series
from tuner.result.study import StudyData
from tuner.text import number

#: What rows are called, those without trials of the search among them.
TITLES = {**ORIGINS, "defaults": "the algorithm's defaults"}

FRESH = "mean on fresh seeds (95 % interval)"


def scores_by_origin(data: StudyData) -> go.Figure | None:
    """Return the scores of completed trials in a row for each origin, and what each row's best earns on fresh seeds."""
    series = worth_series(data)
    if sum(bool(mine["trial"]) for mine in series.values()) == 0:
        return None
    figure = canvas(90 + 52 * len(series), x_title="score")
    rows = [(TITLES[key], mine) for key, mine in series.items()]
    scored = [(title, t, s) for title, mine in rows for t, s in zip(mine["trial"], mine["score"], strict=True)]
    figure.add_trace(
        markers(
            [t for _, t, _ in scored], [s for *_, s in scored], [title for title, *_ in scored], mark("completed"),
            "score %{x:.4~f}", opacity=0.6,
        )
    )  # fmt: skip
    fresh = [(title, mine["fresh"]) for title, mine in rows if mine["fresh"]]
    if fresh:
        ends = [(f["low"], f["high"]) if f["low"] is not None else (f["value"], f["value"]) for _, f in fresh]
        figure.add_trace(
            go.Scatter(
                x=[f["value"] for _, f in fresh],
                y=[title for title, _ in fresh],
                error_x={
                    "type": "data",
                    "symmetric": False,
                    "array": [high - f["value"] for (_, high), (_, f) in zip(ends, fresh, strict=True)],
                    "arrayminus": [f["value"] - low for (low, _), (_, f) in zip(ends, fresh, strict=True)],
                    "color": light("best"),
                    "thickness": 1.6,
                },
                mode="markers",
                name=FRESH,
                marker={"symbol": "diamond", "size": 11, "color": light("best"), "line": {"color": SURFACE[0]}},
                customdata=[f["n"] for _, f in fresh],
                hovertemplate="mean %{x:.4~f} of %{customdata} runs<extra>on fresh seeds</extra>",
            )
        )
    titles = [title for title, _ in rows]
    figure.update_yaxes(
        type="category", categoryorder="array", categoryarray=titles[::-1], range=[-0.6, len(titles) - 0.4]
    )
    return figure


def score_against_cost(data: StudyData) -> go.Figure | None:
    """Return score against the seconds of a run, with the Pareto front: no trial there is beaten at its price."""
    series = cost_series(data)
    if len(series["trial"]) < 2:
        return None
    figure = canvas(360, x_title="seconds of a worker for one run", y_title="score")
    rows = list(zip(series["trial"], series["seconds"], series["score"], series["front"], strict=True))
    front = [row for row in rows if row[3]]
    figure.add_trace(
        go.Scatter(
            x=[seconds for _, seconds, *_ in front],
            y=[score for _, _, score, _ in front],
            mode="lines",
            name="nothing better at this price",
            line={"color": light("muted"), "width": 1.5, "shape": "hv"},
            hoverinfo="skip",
        )
    )
    hover = "score %{y:.4~f}<br>%{x:.3~g} s"
    for part, name in (([r for r in rows if not r[3]], mark("completed").word), (front, "on the front")):
        if part:
            look = Mark(light("completed"), "circle" if part is front else "circle-open", name)
            figure.add_trace(markers([r[0] for r in part], [r[1] for r in part], [r[2] for r in part], look, hover))
    chosen = next((r for r in rows if data.chosen is not None and r[0] == data.chosen.number), None)
    if chosen is not None:
        figure.add_trace(star(chosen[0], chosen[1], chosen[2], hover))
    if max(series["seconds"]) > 10 * min(series["seconds"]):
        ticks = log_ticks(min(series["seconds"]), max(series["seconds"]))
        figure.update_xaxes(type="log", tickvals=ticks, ticktext=[number(t, 3) for t in ticks])
    return figure
