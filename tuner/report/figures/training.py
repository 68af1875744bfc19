"""Figures of one training: returns, loss, Q-values and epsilon over environment steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from tuner.report.figures.base import canvas, log_ticks, threshold_line
from tuner.report.figures.palette import light
from tuner.text import number

#: Episodes averaged, and the most that are drawn one by one.
WINDOW, DRAWN_EPISODES = 100, 2000


def trailing_mean(values: Sequence[float], window: int = WINDOW) -> NDArray[np.float64]:
    """Return the mean over the last ``window`` values at each place; over all so far while there are fewer."""
    total = np.concatenate([[0.0], np.cumsum(np.asarray(values, dtype=np.float64))])
    ends = np.arange(1, len(total))
    starts = np.maximum(0, ends - window)
    return np.asarray((total[ends] - total[starts]) / (ends - starts))


def training_returns(
    episodes: Mapping[str, Sequence[float]],
    evaluations: Mapping[str, Sequence[float]],
    threshold: float | None = None,
    intervals: bool = False,
    clock: str = "environment steps",
) -> go.Figure | None:
    """Return training episodes with their 100-episode mean, and greedy evaluations.

    Args:
        episodes: ``step`` and ``return``; beyond 2,000 every n-th is drawn, the mean is over all.
        evaluations: ``step``, ``mean``, ``low`` and ``high``.
        threshold: The environment's own 'solved' return.
        intervals: Whether ``low`` and ``high`` are those of the mean, not the worst and the best episode.
        clock: What a run's budget counts.
    """
    if not episodes["step"] and not evaluations["step"]:
        return None
    figure = canvas(460, x_title=clock, y_title="return")
    if episodes["step"]:
        shown = slice(None, None, max(1, -(-len(episodes["step"]) // DRAWN_EPISODES)))
        steps = list(episodes["step"])[shown]
        dots = {"color": light("pruned"), "size": 4, "opacity": 0.45}
        figure.add_trace(_trace("training episodes", steps, list(episodes["return"])[shown], "markers", marker=dots))
        means = trailing_mean(episodes["return"])[shown].tolist()
        line = {"color": light("completed"), "width": 2.5}
        figure.add_trace(_trace(f"their {WINDOW}-episode mean", steps, means, "lines", line=line))
    if evaluations["step"]:
        line = {"color": light("best"), "width": 2.5}
        spread = {
            "type": "data",
            "symmetric": False,
            "array": [h - m for h, m in zip(evaluations["high"], evaluations["mean"], strict=True)],
            "arrayminus": [m - low for low, m in zip(evaluations["low"], evaluations["mean"], strict=True)],
            "color": light("best"),
            "thickness": 1,
            "width": 3,
        }
        more = {"line": line, "marker": {"color": light("best"), "size": 8}, "error_y": spread}
        name = f"greedy evaluation, {'95 % interval' if intervals else 'worst to best episode'}"
        figure.add_trace(_trace(name, evaluations["step"], evaluations["mean"], "lines+markers", **more))
    threshold_line(figure, threshold)
    return figure


def training_metric(
    steps: Sequence[float],
    values: Sequence[float],
    *,
    may_be_log: bool = False,
    clock: str = "environment steps",
) -> go.Figure | None:
    """Return one measured number over training, on a log axis when allowed and it spans two decades."""
    finite = [v for v in values if np.isfinite(v)]
    if not finite:
        return None
    figure = canvas(280, x_title=clock)
    figure.add_trace(_trace("", steps, values, "lines", line={"color": light("completed"), "width": 1.5}))
    low, high = min(finite), max(finite)
    if may_be_log and low > 0 and high / low > 100:
        ticks = log_ticks(low, high)
        figure.update_yaxes(type="log", tickvals=ticks, ticktext=[number(t, 3) for t in ticks])
    elif low >= 0:
        figure.update_yaxes(rangemode="nonnegative")  # of equal values the axis would reach as far below as above
    figure.update_layout(showlegend=False, margin={"t": 8})
    return figure


def _trace(name: str, x: Sequence[float], y: Sequence[float], mode: str, **more: Any) -> go.Scatter:
    hover = "step %{x:,.0f}<br>%{y:.4~g}<extra>" + name + "</extra>"
    return go.Scatter(x=list(x), y=list(y), mode=mode, name=name, hovertemplate=hover, **more)
