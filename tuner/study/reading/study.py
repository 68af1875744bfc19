"""From the database to plain tables. No Optuna object leaves this module."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial

from tuner.contract.outcome import bounded
from tuner.contract.rules import rules_of
from tuner.errors import InputError, nearest
from tuner.result.curve import CurvePoint
from tuner.result.study import StudyData, StudySummary, TrialRow
from tuner.storage_url import default_storage, mask
from tuner.study.reading.confirmation import read_confirmation
from tuner.study.store import keys as attr
from tuner.study.store.connect import open_storage, sqlite_path, storage_errors
from tuner.study.store.health import at_work
from tuner.study.store.keys import outcome_of

#: Completed trials below which importance says nothing: PED-ANOVA compares the best tenth with the rest.
MIN_IMPORTANCE_TRIALS = 10


def load(name: str, storage: str | None = None) -> StudyData:
    """Read a study from its database.

    Args:
        name: Study name.
        storage: Storage URL; None takes ``$TUNE_STORAGE``, else the default.

    Raises:
        InputError: The storage cannot be used, or has no such study; the nearest name is given.
    """
    url = storage or default_storage()
    opened = open_storage(url, create=False)
    with storage_errors(url):
        names = [s.study_name for s in optuna.get_all_study_summaries(opened, include_best_trial=False)]
        if name not in names:
            listed = f" Known: {', '.join(sorted(names)[:10])}." if names else " There are no studies in it yet."
            raise InputError(f"There is no study '{name}' in {mask(url)}.{nearest(name, names)}{listed}")
        study = optuna.load_study(study_name=name, storage=opened)
        stored = study.user_attrs
        frozen = study.get_trials(deepcopy=False)
        confirmation = read_confirmation(study, opened)
    trials = tuple(_row(trial) for trial in frozen)
    importance = _importance(study)
    return StudyData(
        name=name,
        recipe=stored.get(attr.RECIPE, {}),
        space=stored.get(attr.SPACE, {}),
        grid=tuple(stored.get(attr.GRID, ())),
        trials=trials,
        importance=importance,
        importance_trials=sum(t.state == "COMPLETE" for t in trials) if importance else 0,
        provenance=stored.get(attr.PROVENANCE, {}),
        reward_threshold=stored.get(attr.REWARD_THRESHOLD),
        confirmation=confirmation,
        rules=rules_of(stored),
    )


def list_studies(storage: str | None = None) -> list[StudySummary]:
    """Return all studies of a storage by name.

    Raises:
        InputError: The storage cannot be used.
    """
    url = storage or default_storage()
    opened = open_storage(url, create=False)
    with storage_errors(url):
        summaries = optuna.get_all_study_summaries(opened, include_best_trial=False)
        searches = (s for s in summaries if attr.CONFIRM not in s.user_attrs)
        path = sqlite_path(url)
        return sorted((_summary(s, opened, path) for s in searches), key=lambda s: s.name)


def _summary(
    summary: optuna.study.StudySummary, storage: optuna.storages.BaseStorage, path: Path | None
) -> StudySummary:
    recipe = summary.user_attrs.get(attr.RECIPE, {})
    study = optuna.load_study(study_name=summary.study_name, storage=storage)
    rows = study.get_trials(deepcopy=False)
    scores = [s for t in rows if (s := _score(t)) is not None]
    started = summary.datetime_start
    return StudySummary(
        name=summary.study_name,
        env=str(recipe.get("env", "")),
        algo=str(recipe.get("algo", "")),
        backend=str(recipe.get("backend", "")),
        trials=sum(outcome_of(t) in attr.COUNTED for t in rows),
        asked=recipe.get("trials"),
        best=max(scores, default=None),
        started=_utc(started),
        owners=at_work(storage, path, summary.study_name),
    )


def _row(trial: FrozenTrial) -> TrialRow:
    stored = trial.user_attrs
    return TrialRow(
        number=trial.number,
        state=trial.state.name,
        outcome=outcome_of(trial),
        score=_score(trial),
        params=dict(trial.params),
        hyperparameters=stored.get(attr.HYPERPARAMETERS, {}),
        curves=_curves(trial),
        seeds=dict(enumerate(stored.get(attr.SEEDS, ()))),
        steps=int(stored.get(attr.STEPS, max(trial.intermediate_values, default=0))),
        duration_s=float(stored.get(attr.DURATION, 0.0)),
        started=_utc(trial.datetime_start),
        finished=_utc(trial.datetime_complete),
        reason=bounded(str(stored.get(attr.REASON, ""))),
        spared_at=stored.get(attr.SPARED),
    )


def _score(trial: FrozenTrial) -> float | None:
    """Return the score: ours, else (a trial another program made) Optuna's value; None unless completed."""
    if outcome_of(trial) != "completed" or trial.state != optuna.trial.TrialState.COMPLETE:
        return None
    score = trial.user_attrs.get(attr.SCORE, trial.value)
    return float(score) if score is not None and math.isfinite(score) else None


def _curves(trial: FrozenTrial) -> Mapping[int, tuple[CurvePoint, ...]]:
    stored = {k: v for k, v in trial.user_attrs.items() if k.startswith(attr.CURVE_PREFIX)}
    if not stored and trial.intermediate_values:
        # Still in training: what is known is the mean at each step.
        return {0: tuple(CurvePoint(step, (value,)) for step, value in sorted(trial.intermediate_values.items()))}
    curves = {int(key.removeprefix(attr.CURVE_PREFIX)): attr.curve_from_json(rows) for key, rows in stored.items()}
    return {r: tuple(CurvePoint(*row) for row in rows) for r, rows in sorted(curves.items()) if rows}


def _importance(study: optuna.Study) -> dict[str, float]:
    """Return PED-ANOVA importance (Watanabe et al. 2023) by parameter, summing to 1; empty where it means nothing."""
    complete = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    if len(complete) < MIN_IMPORTANCE_TRIALS or len({t.value for t in complete}) < 2:
        return {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # remarks on ties and single values, said better by an empty result
            raw: dict[str, Any] = get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())
    except (ValueError, RuntimeError, ZeroDivisionError, FloatingPointError):
        return {}
    total = sum(raw.values())
    if not (math.isfinite(total) and total > 0):
        return {}
    return {name: float(value) / total for name, value in raw.items()}


def _utc(moment: datetime | None) -> datetime | None:
    """Return an aware time: Optuna gives naive local ones."""
    return None if moment is None else moment.astimezone(UTC)
