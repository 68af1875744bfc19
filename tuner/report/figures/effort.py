"""Where the time and the environment steps went."""

from __future__ import annotations

import plotly.graph_objects as go

from tuner.report.figures.base import canvas, data_array
from tuner.report.figures.palette import light, mark
from tuner.report.numbers.trials import effort_series, timeline_series
from tuner.result.study import StudyData


def steps_by_trial(data: StudyData) -> go.Figure | None:
    """Return environment steps of each trial: spent, coloured by outcome, and saved by ending it early."""
    series = effort_series(data)
    if not series["trial"]:
        return None
    figure = canvas(320, x_title="trial", y_title=data.clock)
    for outcome in dict.fromkeys(series["outcome"]):
        rows = [i for i, o in enumerate(series["outcome"]) if o == outcome]
        hover = "trial %{x}<br>%{y:,} steps<extra>" + mark(outcome).word + "</extra>"
        figure.add_trace(
            go.Bar(
                x=data_array(series["trial"][i] for i in rows),
                y=data_array(series["spent"][i] for i in rows),
                name=mark(outcome).word,
                marker={"color": mark(outcome).colour},
                width=0.85,
                hovertemplate=hover,
            )
        )
    saved = [i for i, steps in enumerate(series["saved"]) if steps > 0]
    if saved:
        figure.add_trace(
            go.Bar(
                x=data_array(series["trial"][i] for i in saved),
                y=data_array(series["saved"][i] for i in saved),
                name="saved by ending early",
                marker={"color": light("saved")},
                width=0.85,
                hovertemplate="trial %{x}<br>%{y:,} steps saved<extra></extra>",
            )
        )
    figure.update_layout(barmode="stack")
    return figure


def timeline(data: StudyData) -> go.Figure | None:
    """Return when each trial ran, one bar for each; trials that trained side by side overlap."""
    series = timeline_series(data)
    if not series["trial"] or not any(series["duration_s"]):
        return None
    end = max(s + d for s, d in zip(series["start_s"], series["duration_s"], strict=True))
    size, unit = (3600.0, "hours") if end > 3 * 3600 else (60.0, "minutes") if end > 180 else (1.0, "seconds")
    figure = canvas(320, x_title=f"{unit} since the first trial began", y_title="trial")
    for outcome in dict.fromkeys(series["outcome"]):
        rows = [i for i, o in enumerate(series["outcome"]) if o == outcome]
        hover = f"trial %{{y}}<br>from %{{base:.3~f}} for %{{x:.3~f}} {unit}<extra>{mark(outcome).word}</extra>"
        figure.add_trace(
            go.Bar(
                x=data_array(series["duration_s"][i] / size for i in rows),
                y=data_array(series["trial"][i] for i in rows),
                base=data_array(series["start_s"][i] / size for i in rows),
                orientation="h",
                name=mark(outcome).word,
                marker={"color": mark(outcome).colour},
                width=0.85,
                hovertemplate=hover,
            )
        )
    figure.update_layout(barmode="overlay")
    figure.update_yaxes(autorange="reversed")
    return figure
