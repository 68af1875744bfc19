"""The numbers behind each figure of trials over time, as plain data: figures draw them, ``report.json`` holds them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from tuner.report.numbers.once import once
from tuner.result.curve import CurvePoint
from tuner.result.study import StudyData, TrialRow

Series = dict[str, Any]

#: Metrics of a run that are drawn when present, in this order, with their titles.
METRICS = {
    "loss": "Loss (temporal-difference error)",
    "q_value": "Mean Q-value of the actions taken",
    "train_return": "Return of training episodes",
    "epsilon": "Epsilon (probability of a random action)",
}


def learning_curve(trial: TrialRow) -> Series:
    """Return a trial's evaluations over its seeds: ``step``, ``mean``, ``low`` and ``high`` return, as lists.

    ``mean`` is the mean over seeds of their mean returns, ``low`` and ``high`` as :func:`spread` gives them. Only steps
    that every seed with an evaluation has reached are there: an average over fewer seeds would bend the line.
    """
    shared = [(step, points, [r for p in points for r in p.returns]) for step, points in _shared_points(trial)]
    low, high, _ = spread([returns for *_, returns in shared])
    means = [sum(p.mean for p in points) / len(points) for _, points, _ in shared]
    return {"step": [step for step, *_ in shared], "mean": means, "low": low, "high": high}


def spread(evaluations: Sequence[Sequence[float]]) -> tuple[list[float], list[float], bool]:
    """Return (low, high, whether they are intervals) of each evaluation's episodes.

    The worst and the best of them; where returns take two values alone (won or lost), that would say nothing: then the
    exact 95 % interval of the mean.

    Args:
        evaluations: Returns of each evaluation's episodes, at least one each.
    """
    if not won_or_lost(r for returns in evaluations for r in returns):
        return [min(r) for r in evaluations], [max(r) for r in evaluations], False
    from tuner.core.statistics import share_interval  # brings SciPy

    bottom, top = min(map(min, evaluations)), max(map(max, evaluations))
    shares = [share_interval(sum(r == top for r in returns), len(returns)) for returns in evaluations]
    return [bottom + (top - bottom) * s[0] for s in shares], [bottom + (top - bottom) * s[1] for s in shares], True


def won_or_lost(returns: Iterable[float]) -> bool:
    """Whether returns take exactly two values."""
    seen: set[float] = set()
    for value in returns:
        seen.add(value)
        if len(seen) > 2:
            return False
    return len(seen) == 2


def last_evaluation(trial: TrialRow) -> float | None:
    """Return the mean return of a trial's last evaluation, None without any or when it is not finite.

    Of several seeds it is the last that all of them have reached, as in :func:`learning_curve`.
    """
    last = next(iter(reversed([points for _, points in _shared_points(trial)])), [])
    mean = sum(p.mean for p in last) / len(last) if last else math.nan
    return mean if math.isfinite(mean) else None


def history_series(data: StudyData) -> Series:
    """Return scores by trial, the best so far, last evaluations of pruned trials, and trials without any value."""
    completed = [t for t in data.trials if t.score is not None]
    pruned = [(t, last_evaluation(t)) for t in data.trials if t.score is None and t.outcome == "pruned"]
    rest = [t for t in data.trials if t.score is None and t.outcome not in ("pruned", "running", "waiting")]
    rest += [t for t, value in pruned if value is None]
    best_so_far: list[float] = []
    for trial in completed:
        score = trial.score if trial.score is not None else -math.inf
        best_so_far.append(max(best_so_far[-1], score) if best_so_far else score)
    return {
        "scored": {"trial": [t.number for t in completed], "score": [t.score for t in completed]},
        "best_so_far": {"trial": [t.number for t in completed], "score": best_so_far},
        "pruned": {
            "trial": [t.number for t, value in pruned if value is not None],
            "last_evaluation": [value for _, value in pruned if value is not None],
        },
        "without_value": {"trial": [t.number for t in rest], "outcome": [t.outcome for t in rest]},
    }


@once
def curves_series(data: StudyData) -> list[Series]:
    """Return the learning curve of every trial that was evaluated at least once."""
    curves = [
        {"trial": t.number, "outcome": t.outcome, "score": t.score, **learning_curve(t)}
        for t in data.trials
        if t.curves
    ]
    return [c for c in curves if c["step"]]


@once
def metrics_series(data: StudyData) -> dict[str, list[Series]]:
    """Return metric to its curve in each trial that has it, the mean over seeds."""
    metrics: dict[str, list[Series]] = {name: [] for name in METRICS}
    for trial in data.trials:
        shared = list(_shared_points(trial))
        for name, curves in metrics.items():
            steps, values = [], []
            for step, points in shared:
                found = [p.metrics[name] for p in points if math.isfinite(p.metrics.get(name, math.nan))]
                if found:
                    steps.append(step)
                    values.append(sum(found) / len(found))
            if steps:
                curve = {"trial": trial.number, "outcome": trial.outcome, "score": trial.score}
                curves.append({**curve, "step": steps, "value": values})
    return {name: curves for name, curves in metrics.items() if curves}


def effort_series(data: StudyData) -> Series:
    """Return environment steps by trial: ``spent``, and ``saved`` by ending it before its budget."""
    rows = [t for t in data.trials if t.steps > 0]
    saved = [_saved(t, data.grid) for t in rows]
    return {
        "trial": [t.number for t in rows],
        "outcome": [t.outcome for t in rows],
        "spent": [t.steps for t in rows],
        "saved": saved,
    }


def timeline_series(data: StudyData) -> Series:
    """Return when each trial ran: ``start_s`` since the first began and ``duration_s``, wall-clock seconds.

    A trial that is still running lasts until the study's last known moment.
    """
    times = [_utc(moment) for t in data.trials for moment in (t.started, t.finished) if moment is not None]
    rows = [(t, _utc(t.started)) for t in data.trials if t.started is not None]
    first, last = (min(times), max(times)) if times else (None, None)
    series: Series = {"trial": [], "outcome": [], "start_s": [], "duration_s": []}
    for trial, started in rows:
        end = _utc(trial.finished) if trial.finished is not None else last
        if first is None or end is None:
            continue
        series["trial"].append(trial.number)
        series["outcome"].append(trial.outcome)
        series["start_s"].append((started - first).total_seconds())
        series["duration_s"].append(max(0.0, (end - started).total_seconds()))
    return series


def wall_seconds(data: StudyData) -> float | None:
    """Return the seconds from the first trial's start to the last one's end, None while nothing has ended."""
    starts = [_utc(t.started) for t in data.trials if t.started is not None]
    ends = [_utc(t.finished) for t in data.trials if t.finished is not None]
    return (max(ends) - min(starts)).total_seconds() if starts and ends else None


def _saved(trial: TrialRow, grid: Sequence[int]) -> int:
    # The rule of StudyData.steps_saved, trial by trial.
    ended_early = trial.outcome in ("pruned", "diverged", "timed_out") and trial.curves and grid
    return len(trial.curves) * grid[-1] - trial.steps if ended_early else 0


def _shared_points(trial: TrialRow) -> Iterable[tuple[int, list[CurvePoint]]]:
    by_seed = [{p.step: p for p in points if p.returns} for _, points in sorted(trial.curves.items()) if points]
    if by_seed:
        for step in sorted(set.intersection(*(set(points) for points in by_seed))):
            yield step, [points[step] for points in by_seed]


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
