"""What a knob does: scores, divergence, Q-values and seconds against the values of one hyperparameter or of two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import plotly.graph_objects as go

from tuner.report.figures.base import canvas, score_coloraxis, style_axis
from tuner.report.figures.confirmed import Look
from tuner.report.figures.palette import SURFACE, light
from tuner.report.numbers.axes import ParameterAxis
from tuner.text import figure_text, number, typed_text

#: Where an axis of numbers begins and ends.
Scale = Literal["free", "from_zero", "share"]

#: Positive values that span more than this factor are drawn on a log axis.
DECADE = 10.0


def values_axis(name: str, values: Sequence[Any]) -> ParameterAxis:
    """Return the axis of listed values: numbers, logarithmic over more than a decade, or else categories."""
    if not all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
        texts = tuple(typed_text(v) for v in values)
        return ParameterAxis(name, False, texts, 0.0, len(texts) - 1.0)
    low, high = min(values), max(values)
    return ParameterAxis(name, low > 0 and high / low > DECADE, (), low, high)


def against_values(
    name: str, rows: Sequence[Mapping[str, Any]], y_title: str, *, height: int = 400, scale: Scale = "free"
) -> go.Figure | None:
    """Return dots of single runs and an estimate with its interval at each value of a field.

    Args:
        name: The field.
        rows: ``value``, ``dots`` (a number for each run), ``middle``, and ``low`` and ``high`` (None without an
            interval).
        y_title: What the numbers are.
        height: In pixels.
        scale: ``share`` for shares, 0 to 1; ``from_zero`` where a cut axis would mislead.
    """
    if not rows:
        return None
    axis = values_axis(name, [row["value"] for row in rows])
    if axis.numeric:
        rows = sorted(rows, key=lambda row: row["value"])
    place = [row["value"] if axis.numeric else figure_text(typed_text(row["value"])) for row in rows]
    figure = canvas(height, y_title=y_title)
    hover = f"{figure_text(name)} %{{x}}<br>%{{y:.4~g}}"
    figure.add_trace(
        go.Scatter(
            x=[x for x, row in zip(place, rows, strict=True) for _ in row["dots"]],
            y=[y for row in rows for y in row["dots"]],
            mode="markers",
            marker={"color": light("completed"), "size": 8, "opacity": 0.45},
            hovertemplate=f"{hover}<extra>a run</extra>",
        )
    )
    reach = [(0, 0) if r["low"] is None else (r["high"] - r["middle"], r["middle"] - r["low"]) for r in rows]
    figure.add_trace(
        go.Scatter(
            x=place,
            y=[row["middle"] for row in rows],
            mode="lines+markers",
            line={"color": light("best"), "width": 2},
            marker={"color": light("best"), "size": 10, "symbol": "diamond", "line": {"width": 1, "color": SURFACE[0]}},
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [up for up, _ in reach],
                "arrayminus": [down for _, down in reach],
                "color": light("best"),
                "thickness": 2,
                "width": 6,
            },
            hovertemplate=f"{hover}<extra>all runs</extra>",
        )
    )
    style_axis(figure, "xaxis", axis)
    if scale == "from_zero":
        figure.update_yaxes(rangemode="tozero")
    if scale == "share":
        figure.update_yaxes(range=[-0.03, 1.03], tickformat=".0%")
    figure.update_layout(showlegend=False, margin={"t": 8})
    return figure


def value_lines(
    lines: Sequence[Mapping[str, Any]], looks: Sequence[Look], y_title: str, clock: str
) -> go.Figure | None:
    """Return one line for each value of a field.

    Args:
        lines: ``title``, ``step`` and ``mean``.
        looks: One for each line.
        y_title: What the numbers are.
        clock: What steps count.
    """
    if not any(line["step"] for line in lines):
        return None
    figure = canvas(380, x_title=clock, y_title=y_title)
    for line, look in zip(lines, looks, strict=True):
        title = figure_text(line["title"])
        figure.add_trace(
            go.Scatter(
                x=line["step"],
                y=line["mean"],
                mode="lines+markers",
                name=title,
                line={"color": look.colour, "width": 2, "dash": look.dash},
                marker={"color": look.colour, "size": 6, "symbol": look.symbol},
                hovertemplate=f"step %{{x:,}}<br>%{{y:.4~g}}<extra>{title}</extra>",
            )
        )
    return figure


def heat_map(
    fields: Sequence[str],
    values: Sequence[Sequence[Any]],
    cells: Sequence[Sequence[float | None]],
    title: str,
    *,
    share: bool = False,
) -> go.Figure | None:
    """Return a colour and a number for each pair of values.

    Args:
        fields: The field along, and the one upwards.
        values: Values of each, in order.
        cells: [values upwards, values along]; None where there is nothing.
        title: What the numbers are.
        share: Whether they are shares, 0 to 1.
    """
    found = [cell for row in cells for cell in row if cell is not None]
    if not found:
        return None
    named = [figure_text(field) for field in fields]
    along, upwards = ([figure_text(typed_text(v)) for v in listed] for listed in values)
    figure = canvas(150 + 44 * len(upwards))
    figure.add_trace(
        go.Heatmap(
            x=along,
            y=upwards,
            z=cells,
            text=[["" if z is None else f"{z:.0%}" if share else number(z, 3) for z in row] for row in cells],
            texttemplate="%{text}",
            textfont={"size": 13},
            coloraxis="coloraxis",
            xgap=2,
            ygap=2,
            hovertemplate=f"{named[0]} %{{x}}<br>{named[1]} %{{y}}<br>%{{text}}<extra></extra>",
        )
    )
    coloraxis = score_coloraxis([0.0, 1.0] if share else found)
    coloraxis["colorbar"]["title"]["text"] = title
    figure.update_layout(coloraxis=coloraxis, margin={"t": 8})
    for which, name in zip(("xaxis", "yaxis"), named, strict=True):
        figure.update_layout({which: {"type": "category", "title": {"text": name}, "showgrid": False}})
    return figure
