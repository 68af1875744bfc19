"""How parameters work together: parallel coordinates of all, contours of pairs."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from tuner.report.figures.base import broken, canvas, data_array, score_coloraxis, star, style_axis
from tuner.report.figures.palette import RAMP, SURFACE, colorscale, light, ramp_steps
from tuner.report.numbers.axes import parameter_axes
from tuner.report.numbers.parameters import Series, contours_series, parallel_series
from tuner.report.numbers.thinning import LINES, evenly
from tuner.result.sampled import axis_label
from tuner.result.study import StudyData
from tuner.text import figure_text, number

#: Pixels of a letter beside an axis of parallel coordinates, at most on average.
TICK_LETTER = 7


def parallel_coordinates(data: StudyData) -> go.Figure | None:
    """Return one line for each scored trial across all sampled parameters and its score.

    Of more than :data:`LINES` trials, as many, evenly over the ranks of their scores, best and worst among them.
    Drawn with ordinary lines: plotly's own trace needs WebGL, which many offline readers lack. ``layout.meta.lines``
    (trial to its heights) lets the page trace single trials under the pointer.
    """
    series = parallel_series(data)
    if len(series["trial"]) < 2 or not series["parameter"]:
        return None
    trials = len(series["trial"])
    if trials > LINES:
        series = _thinned(series, None if data.chosen is None else series["trial"].index(data.chosen.number))
    title = "" if trials <= LINES else f"{LINES} of {trials:,} trials, evenly from the best to the worst"
    figure = canvas(440, x_title=title)
    scores = series["score"]
    low, high = min(scores), max(scores)
    heights = [
        [*positions, (score - low) / (high - low) if high > low else 0.5]
        for positions, score in zip(series["position"], scores, strict=True)
    ]
    columns = list(range(len(series["parameter"]) + 1))
    groups: dict[int, list[int]] = {}
    for i, step in enumerate(ramp_steps(scores)):
        groups.setdefault(step, []).append(i)
    for step, members in sorted(groups.items()):
        x, y = broken([columns] * len(members)), broken([heights[i] for i in members])
        trace = go.Scatter(x=data_array(x), y=data_array(y), mode="lines")
        trace.update(line={"color": RAMP[0][step], "width": 1.3}, opacity=0.8, hoverinfo="skip", showlegend=False)
        figure.add_trace(trace)
    if data.chosen is not None:
        best = series["trial"].index(data.chosen.number)
        line = {"color": light("best"), "width": 3}
        name = f"best: trial {data.chosen.number}"
        figure.add_trace(go.Scatter(x=columns, y=heights[best], mode="lines", line=line, name=name, hoverinfo="skip"))
    figure.add_trace(_handles(series, heights, columns))
    traced = {"color": light("ink"), "width": 2.5}
    figure.add_trace(go.Scatter(x=[], y=[], mode="lines", line=traced, hoverinfo="skip", showlegend=False))
    figure.update_layout(meta={"lines": dict(zip(map(str, series["trial"]), heights, strict=True))}, dragmode="select")
    figure.update_layout(selectdirection="v")
    _parallel_axes(figure, data, columns, low, high)
    return figure


def _thinned(series: Series, best: int | None) -> Series:
    """Return the series of :data:`LINES` of its trials, evenly over the ranks of their scores, ``best`` among them."""
    chosen = evenly(series["score"], best)
    rows = {key: [series[key][i] for i in chosen] for key in ("trial", "score", "value", "position")}
    return {**series, **rows}


def _handles(series: Series, heights: list[list[Any]], columns: list[int]) -> go.Scatter:
    """Return small points on the axes: what the pointer meets."""
    x, y, trials, texts = [], [], [], []
    names = [*map(axis_label, series["parameter"]), "score"]
    for i, trial in enumerate(series["trial"]):
        values = [*series["value"][i], series["score"][i]]
        for column in columns:
            if heights[i][column] is not None:
                x.append(column)
                y.append(heights[i][column])
                trials.append(trial)
                shown = number(values[column]) if isinstance(values[column], int | float) else str(values[column])
                texts.append(f"{figure_text(names[column])} {figure_text(shown)}")
    return go.Scatter(
        x=data_array(x),
        y=data_array(y),
        mode="markers",
        marker={"size": 5, "color": light("muted"), "opacity": 0.35},
        customdata=data_array(trials),
        text=data_array(texts),
        hovertemplate="trial %{customdata}<br>%{text}<extra></extra>",
        showlegend=False,
    )


def _parallel_axes(figure: go.Figure, data: StudyData, columns: list[int], low: float, high: float) -> None:
    axes = parameter_axes(data)
    ticks = [axis.ticks() for axis in axes.values()]
    ticks.append([(0.0, number(low)), (1.0, number(high))] if high > low else [(0.5, number(low))])
    annotations = []
    for column, marks in zip(columns, ticks, strict=True):
        figure.add_shape(
            type="line", x0=column, x1=column, y0=0, y1=1, line={"color": light("muted"), "width": 1}, layer="above"
        )
        for position, text in marks:
            annotations.append(
                {
                    "x": column,
                    "y": position,
                    "text": figure_text(text),
                    "xanchor": "left",
                    "xshift": 3,
                    "showarrow": False,
                    "font": {"size": 10.5, "color": light("ink")},
                    "bgcolor": SURFACE[0],
                    "borderpad": 0,
                }
            )
    names = [*(figure_text(axis.label) for axis in axes.values()), "score"]
    names = [name.replace("_", "_<br>").replace("- ", "-<br>").replace("log2 ", "log2<br>") for name in names]
    room = max(len(text) for _, text in ticks[-1]) * TICK_LETTER + 10
    figure.update_layout(annotations=annotations, margin={"r": max(room, 18)})
    figure.update_xaxes(
        tickvals=columns,
        ticktext=names,
        side="bottom",
        range=[-0.15, columns[-1] + 0.1],
        fixedrange=True,
        ticks="",
        tickfont={"size": 11.5 if len(columns) <= 12 else 9.5, "color": light("ink")},
        tickangle=0,
        ticklabeloverflow="allow",
    )
    figure.update_yaxes(visible=False, range=[-0.06, 1.06], fixedrange=True)


def contours(data: StudyData) -> dict[str, go.Figure]:
    """Return both labels, ``"1 - gamma and n_steps"``, to the score over both: a smoothed surface, trials on it."""
    axes = parameter_axes(data)
    figures = {}
    for series in contours_series(data):
        first, second = axes[series["x_parameter"]], axes[series["y_parameter"]]
        figure = canvas(360)
        if series["surface"] is not None:
            figure.add_trace(_surface(series["surface"], series["score"]))
        x = [v if first.numeric else figure_text(v) for v in series["x"]]
        y = [v if second.numeric else figure_text(v) for v in series["y"]]
        hover = "%{x}<br>%{y}<br>score %{marker.color:.4~f}"
        figure.add_trace(
            go.Scatter(
                x=data_array(x),
                y=data_array(y),
                mode="markers",
                marker={
                    "color": data_array(series["score"]),
                    "coloraxis": "coloraxis",
                    "size": 8,
                    "line": {"color": light("ink"), "width": 0.8},
                },
                customdata=data_array(series["trial"]),
                hovertemplate=f"trial %{{customdata}}<br>{hover}<extra></extra>",
                showlegend=False,
            )
        )
        if data.chosen is not None and data.chosen.number in series["trial"]:
            i = series["trial"].index(data.chosen.number)
            figure.add_trace(star(data.chosen.number, x[i], y[i], "%{x}<br>%{y}", showlegend=False))
        style_axis(figure, "xaxis", first)
        style_axis(figure, "yaxis", second)
        figure.update_layout(coloraxis=score_coloraxis(series["score"]), margin={"t": 8})
        figures[f"{first.label} and {second.label}"] = figure
    return figures


def _surface(surface: Series, scores: list[float]) -> go.Contour:
    # Its own scale, equal to that of the markers: a surface and markers on one colour axis are two kinds of scale to
    # plotly.js, which then warns without end.
    return go.Contour(
        x=surface["x"],
        y=surface["y"],
        z=surface["score"],
        colorscale=colorscale(),
        zmin=min(scores),
        zmax=max(scores),
        showscale=False,
        ncontours=12,
        line={"width": 0.4, "color": light("rule")},
        opacity=0.85,
        hoverinfo="skip",
        connectgaps=False,
    )
