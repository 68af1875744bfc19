"""Learning curves of all trials, and what their training measured on the way."""

from __future__ import annotations

import math
from typing import Any

import plotly.graph_objects as go

from tuner.report.figures.base import broken, canvas, data_array, log_ticks, markers, score_coloraxis, threshold_line
from tuner.report.figures.palette import RAMP, light, mark, ramp_steps
from tuner.report.numbers.thinning import evenly
from tuner.report.numbers.trials import METRICS, Series, curves_series, metrics_series, won_or_lost
from tuner.result.study import StudyData
from tuner.text import number

#: A logarithmic axis is used where positive values span more than this factor.
LOG_FACTOR = 100.0


def learning_curves(data: StudyData) -> go.Figure | None:
    """Return mean return over environment steps: completed trials coloured by score, others marked at their end."""
    curves = curves_series(data)
    if not curves:
        return None
    figure = canvas(460, x_title=data.clock, y_title="mean return of an evaluation")
    everyone, curves = len(curves), drawn_curves(data, curves)
    if len(curves) < everyone:
        figure.update_xaxes(title_text=f"{data.clock} ({len(curves)} of {everyone:,} trials, evenly over their scores)")
    figure.add_traces(_lines(curves, "mean", "mean return"))
    for outcome in ("pruned", "timed_out", "diverged", "failed", "lost"):
        ended = [c for c in curves if c["outcome"] == outcome]
        if ended:
            figure.add_trace(_ends(ended, outcome))
    best = [c for c in curves if data.chosen is not None and c["trial"] == data.chosen.number]
    for curve in best:
        returns = (
            (r for points in data.chosen.curves.values() for p in points for r in p.returns) if data.chosen else ()
        )
        name = "95 % interval of its mean" if won_or_lost(returns) else "its worst to best episode"
        figure.add_traces([_band(curve, name), _best_line(curve, "mean", "mean return")])
    _colour_by_score(figure, curves)
    threshold_line(figure, data.reward_threshold)
    return figure


def metric_curves(data: StudyData) -> dict[str, go.Figure]:
    """Return metric title to its curves in all trials, coloured as the learning curves are."""
    figures = {}
    for name, curves in metrics_series(data).items():
        curves = drawn_curves(data, curves)
        figure = canvas(300, x_title=data.clock)
        figure.add_traces(_lines(curves, "value", "value"))
        for curve in curves:
            if data.chosen is not None and curve["trial"] == data.chosen.number:
                figure.add_trace(_best_line(curve, "value", "value"))
        values = [v for c in curves for v in c["value"]]
        if min(values) > 0 and max(values) / min(values) > LOG_FACTOR:
            ticks = log_ticks(min(values), max(values))
            figure.update_yaxes(type="log", tickvals=ticks, ticktext=[number(t, 3) for t in ticks])
        figure.update_layout(showlegend=False, margin={"t": 8})
        figures[METRICS[name]] = figure
    return figures


def drawn_curves(data: StudyData, curves: list[Series]) -> list[Series]:
    """Return the curves that are drawn: of many trials some, evenly over the ranks of their scores, and the best.

    Trials with a score and those that ended early keep their shares.
    """
    best = None if data.chosen is None else data.chosen.number
    first = next((i for i, curve in enumerate(curves) if curve["trial"] == best), None)
    return [curves[i] for i in evenly([curve["score"] for curve in curves], first)]


def _lines(curves: list[Series], key: str, what: str) -> list[go.Scatter]:
    """Return unscored curves as one grey trace, scored ones as one trace for each step of the colour ramp."""
    scored = [c for c in curves if c["score"] is not None]
    unscored = [c for c in curves if c["score"] is None]
    groups: dict[int, list[Series]] = {-1: unscored} if unscored else {}
    for curve, step in zip(scored, ramp_steps([c["score"] for c in scored]), strict=True):
        groups.setdefault(step, []).append(curve)
    traces = []
    for step, members in sorted(groups.items()):
        colour = light("pruned") if step < 0 else RAMP[0][step]
        style = {"color": colour, "width": 1 if step < 0 else 1.5}
        trials = broken([[c["trial"]] * len(c["step"]) for c in members])
        trace = _line(broken([c["step"] for c in members]), broken([c[key] for c in members]), trials, what, style)
        trace.update(opacity=0.55 if step < 0 else 0.9, showlegend=False)
        traces.append(trace)
    return traces


def _line(steps: list[Any], values: list[Any], trials: list[Any], what: str, style: dict[str, Any]) -> go.Scatter:
    # A single evaluation makes no line, so points are drawn where a curve has only one.
    single = any(a is not None for a in values) and all(
        values[i - 1] is None or values[i] is None for i in range(1, len(values))
    )
    return go.Scatter(
        x=data_array(steps),
        y=data_array(values),
        mode="markers" if single else "lines",
        line=style,
        marker={"color": style["color"], "size": 6},
        customdata=data_array(trials),
        hovertemplate=f"trial %{{customdata}}<br>step %{{x:,}}<br>{what} %{{y:.4~g}}<extra></extra>",
    )


def _best_line(curve: Series, key: str, what: str) -> go.Scatter:
    trials = [curve["trial"]] * len(curve["step"])
    trace = _line(curve["step"], curve[key], trials, what, {"color": light("best"), "width": 3})
    trace.update(name=f"best: trial {curve['trial']}", mode="lines+markers")
    return trace


def _band(curve: Series, name: str) -> go.Scatter:
    """Return the best trial's range around its mean."""
    steps = [*curve["step"], *reversed(curve["step"])]
    return go.Scatter(
        x=steps,
        y=[*curve["high"], *reversed(curve["low"])],
        fill="toself",
        fillcolor=light("best"),
        opacity=0.14,
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
        name=name,
    )


def _ends(curves: list[Series], outcome: str) -> go.Scatter:
    hover = "ended at step %{x:,}<br>mean return %{y:.4~g}"
    ends = [(c["trial"], c["step"][-1], c["mean"][-1]) for c in curves if math.isfinite(c["mean"][-1])]
    trials, steps, means = zip(*ends, strict=True) if ends else ((), (), ())
    return markers(trials, steps, means, mark(outcome), hover)


def _colour_by_score(figure: go.Figure, curves: list[Series]) -> None:
    scores = [c["score"] for c in curves if c["score"] is not None]
    if len(set(scores)) < 2:
        return
    # Lines cannot carry a colour bar; an invisible marker can.
    figure.add_trace(
        go.Scatter(
            x=[None],
            y=[None],
            mode="markers",
            marker={"color": [scores[0]], "coloraxis": "coloraxis"},
            showlegend=False,
            hoverinfo="skip",
        )
    )
    figure.update_layout(coloraxis=score_coloraxis(scores))
