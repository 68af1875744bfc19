"""What a run of a setting will take in a confirm stage, from what the search's runs have taken.

A run trains, which its settings decide, and plays evaluation episodes, which its policy decides: in the confirm stage
the late ones have five times as many episodes, so a run may take twice its time in the search, or hardly longer.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from statistics import median

from tuner.contract.spec import RunSpec
from tuner.result.confirmation import Contestant
from tuner.result.curve import CurvePoint
from tuner.result.study import StudyData, TrialRow

#: A trial's training is not taken for longer than so many times what its computing takes in the middling one: a
#: worker's first runs waited for code to be compiled and loaded.
MOST_OF_COMPUTING = 3.0


def expected_seconds(
    contestants: Sequence[Contestant],
    specs: Mapping[str, RunSpec],
    works: Mapping[str, float],
    trials: Mapping[int, tuple[TrialRow, float]],
) -> dict[str, tuple[float, ...]]:
    """Return the seconds of a worker that a run of each contestant takes to each of its evaluations, by key.

    A finalist trains as long as its trial did, and evaluates for as many more steps as it has more episodes; a baseline
    that has not trained takes as long for its computing as trials did, and its evaluations those of the middling one.

    Args:
        contestants: Whose runs.
        specs: A run of each as the stage trains it, by key.
        works: The computing of a run of each, by key, in any unit.
        trials: By number, those that have run: the trial, and the computing of what it has run, in the same unit.

    Returns:
        For each grid point the seconds from the one before it to the end of its evaluation.
    """
    rows = [trial for trial, _ in trials.values()]
    training = median([(t.duration_s - t.evaluation_s) / work for t, work in trials.values() if work] or [0.0])
    evaluating = sum(t.evaluation_s for t in rows) / max(sum(_evaluation_steps(t) for t in rows), 1.0)
    usual = median([_episode_steps(trial) for trial in rows] or [0.0])
    found = {}
    for contestant in contestants:
        spec, work = specs[contestant.key], works[contestant.key]
        trains, rate = training * work, evaluating
        steps = [usual * spec.episodes_at(step) for step in spec.grid]
        if contestant.trial is not None and contestant.trial in trials:
            trial, done = trials[contestant.trial]
            trains = min((trial.duration_s - trial.evaluation_s) * work / done, MOST_OF_COMPUTING * trains)
            rate = trial.evaluation_s / max(_evaluation_steps(trial), 1.0)
            steps = _steps_of_evaluations(trial, spec)
        intervals = [after - before for before, after in itertools.pairwise((0, *spec.grid))]
        found[contestant.key] = tuple(
            trains * interval / spec.grid[-1] + rate * n for interval, n in zip(intervals, steps, strict=True)
        )
    return found


def worked(data: StudyData, workers: int) -> tuple[float, float]:
    """Return the seconds of all workers of a search, and those of its runs."""
    ran = [t for t in data.trials if t.steps and t.hyperparameters]
    times = [(t.started, t.finished) for t in ran if t.started is not None and t.finished is not None]
    if not times:
        return 0.0, 0.0
    wall = max(end for _, end in times) - min(start for start, _ in times)
    return workers * wall.total_seconds(), sum(t.duration_s for t in ran)


def late_length(trial: TrialRow) -> float:
    """Return the mean length of a trial's last evaluation episodes, in environment steps; 0 where nobody counted."""
    return _mean_length([curve[-1] for curve in trial.curves.values() if curve])


def _intervals(spec: RunSpec, whole: float, evaluating: Sequence[float]) -> tuple[float, ...]:
    """Return a run's seconds to each of its evaluations: the rest of the whole goes by training steps."""
    share = min(whole / max(sum(evaluating), 1e-300), 1.0)
    training = max(whole - sum(evaluating), 0.0) / spec.grid[-1]
    steps = [after - before for before, after in itertools.pairwise((0, *spec.grid))]
    return tuple(training * n + share * s for n, s in zip(steps, evaluating, strict=True))


def _evaluation_steps(trial: TrialRow) -> float:
    return float(sum(point.steps for curve in trial.curves.values() for point in curve))


def _episode_steps(trial: TrialRow) -> float:
    """Return the mean length of a trial's evaluation episodes."""
    return _mean_length([point for curve in trial.curves.values() for point in curve])


def _mean_length(points: Sequence[CurvePoint]) -> float:
    return sum(point.steps for point in points) / max(sum(len(point.returns) for point in points), 1)


def _steps_of_evaluations(trial: TrialRow, spec: RunSpec) -> list[float]:
    """Return the steps of each of a run's evaluations in the stage, where a trial's first seed had episodes as long."""
    curve = next(iter(trial.curves.values()), ())
    lengths = {point.step: point.steps / max(len(point.returns), 1) for point in curve}
    last = curve[-1].step if curve else 0
    return [spec.episodes_at(step) * lengths.get(step, lengths.get(last, 0.0)) for step in spec.grid]
