"""Second seeds for the settings that are level at the top, as many as the study's own results ask for.

Where more settings than there are finalists share the best score to the last bit, as at the ceiling of an environment,
one run each can't tell the reliable from the lucky, and nothing that is new can score higher. Then every second trial
repeats one of them with a fresh seed: the one with the fewest runs, of these the one with the best curve. A setting
that falls short in a repeat is level no more, so the question settles itself, and new proposals take over again.

Half of the trials stay new ones, because what looks like a ceiling may be a plateau below a rare success. Where half
of all completed trials are level it is more likely the floor, and nothing is repeated.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from tuner.result.study import REPEAT
from tuner.study.store import keys as attr

#: Settings that may be level at the top before the first is repeated: as many as are finalists by default.
LEVEL = 5

#: Newest trials that are looked at, so that a proposal costs the same at trial 10,000.
NEWEST = 400

_RUNNING = (TrialState.RUNNING, TrialState.WAITING)


def setting_to_repeat(trials: Sequence[FrozenTrial], point: int) -> dict[str, Any] | None:
    """Return the values of the setting that a new trial is to repeat; None where it is to be a new one.

    Trials that were lost count for nothing: a study that was killed goes on as one that was not.

    Args:
        trials: Of a study that maximises; the newest :data:`NEWEST` are looked at.
        point: Which of the study's points the new trial is: every second one may be a repeat.
    """
    if point % 2 == 0:
        return None
    trials = trials[-NEWEST:]
    scores = [t.value for t in trials if t.state == TrialState.COMPLETE and t.value is not None]
    if len(scores) <= LEVEL or (top := max(scores)) <= statistics.median(scores):
        return None
    runs: dict[tuple[tuple[str, Any], ...], list[FrozenTrial]] = {}
    for trial in trials:
        if _reached(trial, top):
            runs.setdefault(_key(trial.params), [])
    for trial in trials:
        if trial.state == TrialState.FAIL:
            continue
        if (trial.value == top or trial.user_attrs.get(attr.SOURCE) == REPEAT) and (key := _key(trial.params)) in runs:
            runs[key].append(trial)
    level = [each for each in runs.values() if all(t.state in _RUNNING or _reached(t, top) for t in each)]
    if len(level) <= LEVEL:
        return None
    chosen = min(level, key=lambda each: (len(each), -max(map(_curve_mean, each)), each[0].number))
    return dict(chosen[0].params)


def _reached(trial: FrozenTrial, top: float) -> bool:
    """Whether a run has ended with the best score. Of one that was stopped or diverged Optuna has the last report."""
    return trial.state == TrialState.COMPLETE and trial.value == top


def _key(params: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted(params.items()))


def _curve_mean(trial: FrozenTrial) -> float:
    """Return the mean of a completed trial's curve; lowest for one that is still running."""
    if trial.state != TrialState.COMPLETE:
        return -math.inf
    values = [value for value in trial.intermediate_values.values() if not math.isnan(value)]
    return statistics.fmean(values) if values else -math.inf
