"""Figures of the evidence: learning curves by seed with their mean band, scores by seed, search against fresh seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go

from tuner.report.figures.base import broken, canvas, threshold_line
from tuner.report.figures.palette import RAMP, SURFACE, light
from tuner.text import figure_text


class Look(NamedTuple):
    """How a contestant is drawn: never by colour alone."""

    colour: str
    dash: str
    symbol: str


#: Looks in order of contestants; the winner has the first.
LOOKS = (
    Look(light("best"), "solid", "star"),
    Look(light("completed"), "dash", "circle"),
    Look(light("failed"), "dot", "square"),
    Look(light("diverged"), "dashdot", "triangle-up"),
    Look(light("timed_out"), "longdash", "diamond"),
    Look(light("pruned"), "longdashdot", "x"),
    Look(light("running"), "solid", "cross"),
)

#: More curves in ordered looks than these are drawn without a line for each seed.
MOST_WITH_SEEDS = 4


def ordered_looks(count: int) -> list[Look]:
    """Return looks for things that have an order, light to dark blue; symbols tell apart those of one colour."""
    ramp = RAMP[0][1:]  # the first is near the background
    steps = [round(i * (len(ramp) - 1) / max(count - 1, 1)) for i in range(count)]
    return [Look(ramp[step], "solid", LOOKS[1 + i % 6].symbol) for i, step in enumerate(steps)]


def looks_of(count: int) -> list[Look]:
    """Return looks for settings: those of contestants, ordered ones where there are more settings."""
    return list(LOOKS[:count]) if count <= len(LOOKS) else ordered_looks(count)


def seed_curves(
    curves: Sequence[Mapping[str, Any]],
    threshold: float | None = None,
    looks: Sequence[Look] = (),
    clock: str = "environment steps",
) -> go.Figure | None:
    """Return learning curves: a thin line for each seed, the interquartile mean with its 95 % band over them.

    Args:
        curves: Entries of ``evidence.curves`` with a ``title``; the first is the one that matters.
        threshold: The environment's own 'solved' return.
        looks: One for each curve; none takes those of contestants.
        clock: What a run's budget counts.
    """
    if not curves:
        return None
    figure = canvas(460, x_title=clock, y_title="mean return of an evaluation")
    for curve, look in zip(curves, looks or _looks(len(curves)), strict=True):
        thin, *rest = _curve(curve, look)
        if curve is curves[0] and "worst_quarter" in curve:
            rest.append(_worst_quarter(curve, look))
        figure.add_traces(rest if looks and len(curves) > MOST_WITH_SEEDS else [thin, *rest])
    threshold_line(figure, threshold)
    figure.update_layout(margin={"t": 30 + 18 * max(0, len(curves) - 2)})
    return figure


def _curve(curve: Mapping[str, Any], look: Look) -> list[go.Scatter]:
    colour, title = look.colour, figure_text(curve["title"])
    runs = curve["runs"]
    thin = go.Scatter(
        x=broken([run["step"] for run in runs]),
        y=broken([run["mean"] for run in runs]),
        customdata=broken([[run["seed"]] * len(run["step"]) for run in runs]),
        mode="lines",
        line={"color": colour, "width": 1, "dash": look.dash},
        opacity=0.3,
        legendgroup=title,
        showlegend=False,
        hovertemplate=f"seed %{{customdata}}<br>step %{{x:,}}<br>mean return %{{y:.4~g}}<extra>{title}</extra>",
    )
    stretches = bands(curve)
    band = go.Scatter(
        x=broken([*steps, *reversed(steps)] for steps, _, _ in stretches),
        y=broken([*high, *reversed(low)] for _, low, high in stretches),
        fill="toself",
        fillcolor=colour,
        opacity=0.14,
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
        legendgroup=title,
        showlegend=False,
    )
    bold = go.Scatter(
        x=curve["step"],
        y=curve["iqm"],
        mode="lines+markers",
        name=title,
        legendgroup=title,
        line={"color": colour, "width": 2.5, "dash": look.dash},
        marker={"color": colour, "size": 7, "symbol": look.symbol},
        hovertemplate=f"step %{{x:,}}<br>interquartile mean %{{y:.4~g}}<extra>{title}</extra>",
    )
    return [thin, band, bold] if stretches else [thin, bold]


def bands(curve: Mapping[str, Any]) -> list[tuple[list[int], list[float], list[float]]]:
    """Return the stretches of a curve's 95 % band: steps, lower and upper ends.

    Where all runs that count tie it is as thin as the curve, as it must not pass beside it; it ends where one run alone
    is left, which says nothing of the others. None of a curve without any interval.

    Args:
        curve: ``step``, ``iqm``, ``low``, ``high`` and ``n``, lists of one length.
    """
    stretches: list[tuple[list[int], list[float], list[float]]] = [([], [], [])]
    for step, middle, low, high, n in zip(*(curve[key] for key in ("step", "iqm", "low", "high", "n")), strict=True):
        if low is None and n < 2:
            stretches.append(([], [], []))
            continue
        steps, bottom, top = stretches[-1]
        steps.append(step)
        bottom.append(middle if low is None else low)
        top.append(middle if high is None else high)
    held = any(low is not None for low in curve["low"])
    return [stretch for stretch in stretches if stretch[0]] if held else []


def _worst_quarter(curve: Mapping[str, Any], look: Look) -> go.Scatter:
    """Return the mean of the worst quarter of a setting's seeds at each step."""
    return go.Scatter(
        x=curve["step"],
        y=curve["worst_quarter"],
        mode="lines",
        name=f"{figure_text(curve['title'])}, worst quarter",
        line={"color": look.colour, "width": 2, "dash": "dot"},
        hovertemplate="step %{x:,}<br>worst quarter %{y:.4~g}<extra></extra>",
    )


def confirmed_scores(rows: Sequence[Mapping[str, Any]], looks: Sequence[Look] = ()) -> go.Figure | None:
    """Return every seed's score as a dot, and the interquartile mean with its interval, one line for each contestant.

    Args:
        rows: ``title``, ``scores``, ``seeds`` and ``estimate``; the winner first. One without scores is left out.
        looks: One for each row that has scores; none takes those of contestants.
    """
    rows = [row for row in rows if row["scores"]]
    if not rows:
        return None
    figure = canvas(130 + 46 * len(rows), x_title="score of a run")
    for i, (row, look) in enumerate(zip(rows, looks or _looks(len(rows)), strict=True)):
        colour, estimate, title = look.colour, row["estimate"], figure_text(row["title"])
        dots = go.Scatter(
            x=row["scores"],
            y=[i] * len(row["scores"]),
            mode="markers",
            marker={"color": colour, "size": 8, "opacity": 0.45, "symbol": "circle"},
            showlegend=False,
            hovertemplate=f"score %{{x:.4~g}}<extra>{title}</extra>",
        )
        middle = go.Scatter(
            x=[estimate["value"]],
            y=[i],
            mode="markers",
            marker={"color": colour, "size": 13, "symbol": look.symbol, "line": {"width": 1, "color": SURFACE[0]}},
            showlegend=False,
            hovertemplate=f"interquartile mean %{{x:.4~g}}<extra>{title}</extra>",
        )
        if estimate["low"] is not None:
            reach = {
                "type": "data",
                "symmetric": False,
                "array": [estimate["high"] - estimate["value"]],
                "arrayminus": [estimate["value"] - estimate["low"]],
            }
            middle.update(error_x={**reach, "color": colour, "thickness": 2.5, "width": 8})
        figure.add_traces([dots, middle])
    figure.update_yaxes(
        tickvals=list(range(len(rows))),
        ticktext=[figure_text(_wrapped(row["title"])).replace("\n", "<br>") for row in rows],
        range=[len(rows) - 0.5, -0.5],
        showgrid=False,
    )
    figure.update_xaxes(showgrid=True)
    figure.update_layout(margin={"t": 8})
    return figure


def luck_lines(finalists: Sequence[Mapping[str, Any]], winner: str | None) -> go.Figure | None:
    """Return each finalist's search score beside its mean on fresh seeds, joined by a line.

    Args:
        finalists: Entries of ``evidence.luck.finalists``.
        winner: Key of the winner.
    """
    if not finalists:
        return None
    figure = canvas(360, y_title="score")
    for row in finalists:
        won = row["key"] == winner
        colour, title = light("best" if won else "completed"), figure_text(row["name"]) + (" (winner)" if won else "")
        figure.add_trace(
            go.Scatter(
                x=["in the search", "on fresh seeds"],
                y=[row["search_score"], row["confirmed"]],
                mode="lines+markers",
                name=title,
                line={"color": colour, "width": 3 if won else 1.5},
                marker={"color": colour, "size": 12 if won else 8, "symbol": "star" if won else "circle"},
                hovertemplate=f"%{{y:.4~g}} %{{x}}<extra>{title}</extra>",
                showlegend=won,
            )
        )
    figure.update_xaxes(range=[-0.25, 1.25])
    return figure


def _looks(count: int) -> list[Look]:
    return [LOOKS[min(i, len(LOOKS) - 1)] for i in range(count)]


def _wrapped(title: str, width: int = 22) -> str:
    """Break a title into lines, so that a phone keeps room for the figure."""
    lines = [""]
    for word in title.split():
        if lines[-1] and len(lines[-1]) + len(word) >= width:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)
