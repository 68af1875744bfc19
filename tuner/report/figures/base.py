"""What all figures share: an empty canvas in the page's style, axes, and markers of trials."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, Self

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from tuner.report.figures.palette import COLOURS, SURFACE, Mark, colorscale, light
from tuner.report.numbers.axes import ParameterAxis
from tuner.text import figure_text, number

#: Air beyond either end of a parameter's range, as a share of it.
AIR = 0.04

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


def canvas(height: int = 400, *, x_title: str = "", y_title: str = "") -> go.Figure:
    """Return an empty figure: transparent, hairline grid, legend above the plot.

    Titles of axes are our own words or have gone through ``figure_text``.
    """
    axis: dict[str, Any] = {
        "gridcolor": light("rule"),
        "linecolor": light("rule"),
        "zeroline": False,
        "automargin": True,
        "title": {"standoff": 8, "font": {"size": 12, "color": light("muted")}},
        "tickfont": {"size": 11, "color": light("muted")},
    }
    return go.Figure(
        layout={
            "template": go.layout.Template(),
            "height": height,
            "margin": {"l": 8, "r": 18, "t": 30, "b": 8},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"family": FONT, "size": 12, "color": light("ink")},
            "hovermode": "closest",
            "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": light("muted"), "activecolor": light("ink")},
            "hoverlabel": {"bgcolor": SURFACE[0], "bordercolor": light("muted"), "font": {"color": light("ink")}},
            "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "font": {"size": 11}},
            "xaxis": {**axis, "title": {**axis["title"], "text": x_title}, "showgrid": False, "ticks": "outside"},
            "yaxis": {**axis, "title": {**axis["title"], "text": y_title}},
        }
    )


def style_axis(figure: go.Figure, which: str, axis: ParameterAxis) -> None:
    """Make ``xaxis`` or ``yaxis`` that of a parameter: its name, its scale, its whole range with a little air."""
    update: dict[str, Any] = {"title": {"text": figure_text(axis.label)}}
    if not axis.numeric:
        categories = [figure_text(text) for text in axis.categories]
        update |= {"type": "category", "categoryorder": "array", "categoryarray": categories}
        update["range"] = [-0.5, len(categories) - 0.5]
    elif axis.log:
        values = log_ticks(axis.low, axis.high)
        update |= {"type": "log", "tickvals": values, "ticktext": [number(v, 3) for v in values], "ticks": "outside"}
        update["range"] = _airy(math.log10(axis.low), math.log10(axis.high))
    else:
        update["range"] = _airy(axis.low, axis.high)
    figure.update_layout({which: update})


def _airy(low: float, high: float) -> list[float]:
    """Return the ends of an axis from ``low`` to ``high`` whose markers at the ends are whole."""
    air = AIR * (high - low) if high > low else max(abs(low), 1.0) / 2
    return [low - air, high + air]


def log_ticks(low: float, high: float) -> list[float]:
    """Return values from ``low`` to ``high``, two at least where they differ: powers of ten, thirds of a decade between
    them on short axes, and both ends where hardly any round value lies between them.
    """
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = (1.0,) if high / low >= 999 else (1.0, 3.0) if high / low >= 10 else (1.0, 2.0, 3.0, 5.0, 7.0)
    round_ones = [
        v for d in decades for v in (factor * 10.0**d for factor in factors) if low <= v * 1.0001 and v <= high * 1.0001
    ]
    return round_ones if len(round_ones) > 1 else list(dict.fromkeys((low, high)))


def threshold_line(figure: go.Figure, threshold: float | None) -> None:
    """Draw the return at which the environment counts as solved, when that is known."""
    if threshold is not None:
        figure.add_hline(
            y=threshold,
            line={"color": light("muted"), "width": 1, "dash": "dot"},
            annotation={
                "text": f"solved at {threshold:g}",
                "font": {"size": 11, "color": light("muted")},
                "bgcolor": SURFACE[0],
            },
            annotation_position="bottom left",
        )


def markers(
    trials: Sequence[int], x: Iterable[Any], y: Iterable[Any], mark: Mark, hover: str, **more: Any
) -> go.Scatter:
    """Return one marker for each trial; ``hover`` is what follows the trial's number."""
    style = {"color": mark.colour, "symbol": mark.symbol, "size": 7, "line": {"width": 1.4, "color": mark.colour}}
    return go.Scatter(
        x=data_array(x),
        y=data_array(y),
        mode="markers",
        name=mark.word,
        marker=style | more.pop("marker", {}),
        customdata=data_array(trials),
        hovertemplate=f"trial %{{customdata}}<br>{hover}<extra>{mark.word}</extra>",
        **more,
    )


def star(trial: int, x: Any, y: Any, hover: str, **more: Any) -> go.Scatter:
    """Return the best trial's marker, drawn over the others."""
    best = Mark(light("best"), "star", f"best: trial {trial}")
    marker = {"size": 14, "line": {"width": 1.2, "color": SURFACE[0]}}
    return markers([trial], [x], [y], best, hover, marker=marker, **more)


def score_coloraxis(scores: Sequence[float]) -> dict[str, Any]:
    """Return the layout's colour axis from the lowest to the highest score."""
    low, high = min(scores), max(scores)
    return {
        "colorscale": colorscale(),
        "cmin": low if high > low else low - 1,
        "cmax": high if high > low else low + 1,
        "colorbar": {
            "title": {"text": "score", "font": {"size": 11, "color": COLOURS["muted"][0]}},
            "thickness": 10,
            "outlinewidth": 0,
            "tickfont": {"size": 11, "color": COLOURS["muted"][0]},
            "len": 0.9,
        },
    }


class _Whole(np.ndarray[Any, np.dtype[np.object_]]):
    """An array that plotly has made read-only: it copies a figure's data time and again."""

    def __deepcopy__(self, memo: dict[int, Any] | None, /) -> Self:
        return self


def data_array(values: Iterable[Any]) -> NDArray[np.object_]:
    """Return values, one for each point, as plotly takes them whole: of a list it looks at each element, many times."""
    values = list(values)
    array = np.empty(len(values), dtype=object).view(_Whole)
    array[:] = values
    return array


def broken(pieces: Iterable[Sequence[Any]]) -> list[Any]:
    """Join lines into one trace: a gap (None) after each piece, so that 1,000 lines cost one trace."""
    joined: list[Any] = []
    for piece in pieces:
        joined.extend(piece)
        joined.append(None)
    return joined
