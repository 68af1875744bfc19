"""The numbers behind each figure of parameters, as plain data: importance, slices, parallel coordinates, contours."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.report.numbers.axes import ParameterAxis, parameter_axes
from tuner.report.numbers.once import once
from tuner.result.study import StudyData, TrialRow
from tuner.text import value_text

Series = dict[str, Any]

#: A surface through fewer scores would show the smoothing, not the scores.
SURFACE_TRIALS = 10
#: How many parameters are paired in contours: the most important ones.
PAIRED_PARAMETERS = 3
#: Points along each side of a surface.
SURFACE_SIDE = 40
#: Standard deviation of the smoothing kernel, and the reach beyond which the surface is left open; shares of an axis.
BANDWIDTH, REACH = 0.10, 0.16


def by_importance(data: StudyData) -> list[str]:
    """Return the names of all sampled parameters, most important first; those without an importance as they come."""
    told = sorted(data.importances, key=lambda name: -data.importances[name].share)
    return list(dict.fromkeys([*told, *parameter_axes(data)]))


def importance_series(data: StudyData) -> Series:
    """Return parameters and their importance, most important first, and the number of trials it rests on."""
    ranked = sorted(data.importances.items(), key=lambda item: -item[1].share)
    return {
        "parameter": [name for name, _ in ranked],
        "importance": [found.share for _, found in ranked],
        "low": [found.low for _, found in ranked],
        "high": [found.high for _, found in ranked],
        "noise": [found.noise for _, found in ranked],
        "trials": data.importance_trials,
    }


@once
def slices_series(data: StudyData) -> dict[str, Series]:
    """Return, for each sampled parameter, values and scores of scored trials, and the values of the others."""
    slices: dict[str, Series] = {}
    for name, axis in parameter_axes(data).items():
        having = [t for t in data.trials if name in t.params and axis.position(t.params[name]) is not None]
        scored = [t for t in having if t.score is not None]
        rest = [t for t in having if t.score is None and t.outcome in ("pruned", "diverged", "timed_out", "failed")]
        if scored:
            slices[name] = {
                "trial": [t.number for t in scored],
                "value": [_plot_value(axis, t) for t in scored],
                "score": [t.score for t in scored],
                "unscored": {
                    "trial": [t.number for t in rest],
                    "value": [_plot_value(axis, t) for t in rest],
                    "outcome": [t.outcome for t in rest],
                },
            }
    return slices


@once
def parallel_series(data: StudyData) -> Series:
    """Return every scored trial as positions in [0, 1] along the parameters' axes; None where it has no value."""
    axes = parameter_axes(data)
    scored = [t for t in data.trials if t.score is not None and t.params]
    return {
        "parameter": list(axes),
        "trial": [t.number for t in scored],
        "score": [t.score for t in scored],
        "value": [[t.params.get(name) for name in axes] for t in scored],
        "position": [
            [axis.position(t.params[name]) if name in t.params else None for name, axis in axes.items()] for t in scored
        ],
    }


@once
def contours_series(data: StudyData) -> list[Series]:
    """Return, for pairs of the most important parameters, scored trials and a smoothed surface of their scores.

    ``surface`` is None for categories, for fewer than ten trials, and where all scores are equal.
    """
    axes = list(parameter_axes(data).values())[:PAIRED_PARAMETERS]
    contours = []
    for first, second in combinations(axes, 2):
        trials = [t for t in data.trials if t.score is not None and _placed(first, t) and _placed(second, t)]
        if trials:
            contours.append(
                {
                    "x_parameter": first.name,
                    "y_parameter": second.name,
                    "trial": [t.number for t in trials],
                    "x": [_plot_value(first, t) for t in trials],
                    "y": [_plot_value(second, t) for t in trials],
                    "score": [t.score for t in trials],
                    "surface": _surface(first, second, trials),
                }
            )
    return contours


def _surface(first: ParameterAxis, second: ParameterAxis, trials: list[TrialRow]) -> Series | None:
    scores = np.array([t.score for t in trials], dtype=float)
    if not (first.numeric and second.numeric) or len(trials) < SURFACE_TRIALS or np.ptp(scores) == 0:
        return None
    points = np.array([[axis.position(t.params[axis.name]) for axis in (first, second)] for t in trials], dtype=float)
    side = np.linspace(0, 1, SURFACE_SIDE)
    heights = smooth_surface(points, scores, side)
    return {
        "x": [first.value(p) for p in side],
        "y": [second.value(p) for p in side],
        "score": [[None if np.isnan(z) else float(z) for z in row] for row in heights],
    }


def smooth_surface(points: NDArray[Any], scores: NDArray[Any], side: NDArray[Any]) -> NDArray[np.float64]:
    """Return the kernel-weighted mean of scores (Nadaraya 1964, Watson 1964) on a square grid.

    Args:
        points: ``[n, 2]`` positions (x, y) in the unit square.
        scores: ``[n]``.
        side: ``[m]`` grid positions along both axes.

    Returns:
        ``[m, m]``, rows along y; not-a-number farther than :data:`REACH` from every point. Always within the range of
        ``scores``.
    """
    x, y = np.meshgrid(side, side)
    squared = (x[..., None] - points[:, 0]) ** 2 + (y[..., None] - points[:, 1]) ** 2
    nearest = squared.min(axis=-1)
    # Distances count from the nearest point, so that the weights never all vanish.
    weights = np.exp(-(squared - nearest[..., None]) / (2 * BANDWIDTH**2))
    heights = np.asarray((weights * scores).sum(axis=-1) / weights.sum(axis=-1), dtype=np.float64)
    return np.where(nearest > REACH**2, np.nan, heights)


def _placed(axis: ParameterAxis, trial: TrialRow) -> bool:
    return axis.name in trial.params and axis.position(trial.params[axis.name]) is not None


def _plot_value(axis: ParameterAxis, trial: TrialRow) -> Any:
    value = trial.params[axis.name]
    return value if axis.numeric else value_text(value)
