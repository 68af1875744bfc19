"""Which parameters matter, and how the score depends on each."""

from __future__ import annotations

import plotly.graph_objects as go

from tuner.report.figures.base import canvas, markers, star, style_axis
from tuner.report.figures.palette import light, mark
from tuner.report.numbers.axes import ParameterAxis, parameter_axes
from tuner.report.numbers.parameters import Series, importance_series, slices_series
from tuner.result.sampled import field_of
from tuner.result.study import StudyData
from tuner.text import figure_text


def importance_bars(data: StudyData) -> go.Figure | None:
    """Return one bar for each parameter, the most important on top, its interval, and how far noise reaches."""
    series = importance_series(data)
    if not series["parameter"]:
        return None
    figure = canvas(70 + 34 * len(series["parameter"]), x_title="share of importance")
    names = [figure_text(field_of(name)) for name in series["parameter"]]
    rows = list(zip(series["importance"], series["low"], series["high"], series["noise"], strict=True))
    figure.add_trace(
        go.Bar(
            x=series["importance"],
            y=names,
            orientation="h",
            marker={"color": [light("completed" if share > noise else "saved") for share, _, _, noise in rows]},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [max(high - share, 0.0) for share, _, high, _ in rows],
                "arrayminus": [max(share - low, 0.0) for share, low, _, _ in rows],
                "color": light("muted"),
                "thickness": 1.2,
                "width": 3,
            },
            customdata=[(low, high, noise) for _, low, high, noise in rows],
            hovertemplate="%{y}<br>%{x:.1%} (95 % interval %{customdata[0]:.1%} to %{customdata[1]:.1%}), "
            "noise reaches %{customdata[2]:.1%}<extra></extra>",
        )
    )
    tick = {"symbol": "line-ns-open", "size": 18, "color": light("best"), "line": {"width": 2}}
    figure.add_trace(go.Scatter(x=series["noise"], y=names, mode="markers", marker=tick, hoverinfo="skip"))
    # No share is above the whole, whatever an older report.json says of noise.
    far = min(max(max(share, high, noise) for _, (share, _, high, noise) in zip(names, rows, strict=True)), 1.0)
    figure.update_xaxes(tickformat=".0%", range=[0, 1.04 * far])
    figure.update_yaxes(autorange="reversed", type="category", showgrid=False, tickfont={"color": light("ink")})
    figure.update_layout(bargap=0.35, margin={"t": 8}, showlegend=False)
    return figure


def slices(data: StudyData) -> dict[str, go.Figure]:
    """Return each parameter's label to its small figure: score over value, ended trials in a strip below.

    Several figures and not one with subplots: the page lays them out in as many columns as fit.
    """
    axes = parameter_axes(data)
    return {axes[name].label: _slice(data, axes[name], series) for name, series in slices_series(data).items()}


def _slice(data: StudyData, axis: ParameterAxis, series: Series) -> go.Figure:
    figure = canvas(280, y_title="score")
    x = [value if axis.numeric else figure_text(value) for value in series["value"]]
    hover = "%{x}<br>score %{y:.4~f}"
    completed = {"opacity": 0.75}
    figure.add_trace(markers(series["trial"], x, series["score"], mark("completed"), hover, marker=completed))
    rest = series["unscored"]
    for outcome in dict.fromkeys(rest["outcome"]):
        members = [i for i, o in enumerate(rest["outcome"]) if o == outcome]
        values = [rest["value"][i] if axis.numeric else figure_text(rest["value"][i]) for i in members]
        trials = [rest["trial"][i] for i in members]
        small = {"size": 6}
        figure.add_trace(markers(trials, values, [0] * len(members), mark(outcome), "%{x}", marker=small, yaxis="y2"))
    if data.chosen is not None and data.chosen.number in series["trial"]:
        i = series["trial"].index(data.chosen.number)
        figure.add_trace(star(data.chosen.number, x[i], series["score"][i], hover))
    style_axis(figure, "xaxis", axis)
    figure.update_layout(showlegend=False, margin={"t": 8})
    if rest["trial"]:
        strip = {"domain": [0, 0.06], "range": [-1, 1], "fixedrange": True, "visible": False}
        figure.update_layout(yaxis={"domain": [0.12, 1]}, yaxis2=strip)
        figure.update_xaxes(anchor="y2")
    return figure
