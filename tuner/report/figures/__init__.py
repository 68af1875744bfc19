"""Figures drawn from :class:`tuner.result.study.StudyData`, one file for each idea.

Each function returns a ``plotly.graph_objects.Figure``, or a mapping of several small ones, or None (an empty mapping)
where there is nothing to draw. Text of users enters figures only through :func:`tuner.text.figure_text`.
"""

from tuner.report.figures.curves import learning_curves, metric_curves
from tuner.report.figures.effort import steps_by_trial, timeline
from tuner.report.figures.history import optimization_history
from tuner.report.figures.parameters import importance_bars, slices
from tuner.report.figures.relations import contours, parallel_coordinates
from tuner.report.figures.worth import score_against_cost, scores_by_origin

__all__ = [
    "contours",
    "importance_bars",
    "learning_curves",
    "metric_curves",
    "optimization_history",
    "parallel_coordinates",
    "score_against_cost",
    "scores_by_origin",
    "slices",
    "steps_by_trial",
    "timeline",
]
