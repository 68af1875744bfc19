"""Optimization history: every trial's score in order, and the best so far."""

from __future__ import annotations

import plotly.graph_objects as go

from tuner.report.figures.base import canvas, data_array, markers, star, threshold_line
from tuner.report.figures.palette import light, mark
from tuner.report.numbers.trials import history_series
from tuner.result.study import StudyData


def optimization_history(data: StudyData) -> go.Figure | None:
    """Return scores by trial with the best so far; pruned trials at their last evaluation, others in a strip below."""
    series = history_series(data)
    scored, pruned, rest = series["scored"], series["pruned"], series["without_value"]
    if not scored["trial"] and not pruned["trial"]:
        return None
    figure = canvas(420, x_title="trial", y_title="score")
    if len(data.trials) <= 10:  # no halves of a trial
        figure.update_xaxes(dtick=1)
    if pruned["trial"]:
        hover = "last evaluation %{y:.4~g}"
        figure.add_trace(markers(pruned["trial"], pruned["trial"], pruned["last_evaluation"], mark("pruned"), hover))
    if scored["trial"]:
        figure.add_trace(_best_so_far(series["best_so_far"]["trial"], series["best_so_far"]["score"]))
        hover = "score %{y:.4~f}"
        figure.add_trace(markers(scored["trial"], scored["trial"], scored["score"], mark("completed"), hover))
    if data.chosen is not None:
        figure.add_trace(star(data.chosen.number, data.chosen.number, data.chosen.score, "score %{y:.4~f}"))
    if rest["trial"]:
        _strip(figure, rest["trial"], rest["outcome"])
    threshold_line(figure, data.reward_threshold)
    return figure


def _best_so_far(trials: list[int], scores: list[float]) -> go.Scatter:
    return go.Scatter(
        x=data_array(trials),
        y=data_array(scores),
        mode="lines",
        name="best so far",
        line={"color": light("best"), "width": 2, "shape": "hv"},
        hovertemplate="best after trial %{x}<br>score %{y:.4~f}<extra></extra>",
    )


def _strip(figure: go.Figure, trials: list[int], outcomes: list[str]) -> None:
    """Put trials that have no value at all on a line of their own: a height among the scores would be a lie."""
    for outcome in dict.fromkeys(outcomes):
        numbers = [n for n, o in zip(trials, outcomes, strict=True) if o == outcome]
        figure.add_trace(markers(numbers, numbers, [0] * len(numbers), mark(outcome), "no value", yaxis="y2"))
    figure.update_layout(
        yaxis={"domain": [0.13, 1]},
        yaxis2={
            "domain": [0, 0.07],
            "range": [-1, 1],
            "fixedrange": True,
            "showgrid": False,
            "zeroline": True,
            "zerolinecolor": light("rule"),
            "tickvals": [0],
            "ticktext": ["no value"],
            "tickfont": {"size": 11, "color": light("muted")},
            "automargin": True,
        },
    )
    figure.update_xaxes(anchor="y2")
