"""From the database to plain tables. No Optuna object leaves this module."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tuner.contract.outcome import bounded
from tuner.contract.rules import rules_of
from tuner.envs.family_names import eval_epsilon
from tuner.plan.naming import confirm_name
from tuner.result.curve import CurvePoint
from tuner.result.study import StudyData, TrialRow
from tuner.storage_url import default_storage
from tuner.study.reading.importance import importance_of
from tuner.study.reading.stored_study import StoredStudy, StoredTrial, stored_study
from tuner.study.store import keys as attr
from tuner.study.store.catalog import look, study_names, unknown_study
from tuner.study.store.checked import check_attributes
from tuner.study.store.keys import outcome_in

if TYPE_CHECKING:
    from tuner.result.confirmation import Confirmation
    from tuner.study.store.database import Readable


def load(name: str, storage: str | None = None, *, importances: bool = True) -> StudyData:
    """Read a study from its database.

    Args:
        name: Study name.
        storage: Storage URL; None takes ``$TUNE_STORAGE``, else the default.
        importances: Whether they are wanted; without, they are empty, as where they say nothing.

    Raises:
        InputError: The storage cannot be used, or has no such study; the nearest name is given.
    """
    url = storage or default_storage()
    return look(url, lambda database: _study(name, database, url, importances=importances))


def _study(name: str, database: Readable, url: str, *, importances: bool) -> StudyData:
    study = stored_study(name, database)
    if study is None:
        raise unknown_study(name, study_names(database), url)
    stored = study.attributes
    check_attributes(name, stored, {trial.number: trial.user_attrs for trial in study.trials})
    confirmation = _confirmation(study, database)
    successors = {t.user_attrs[attr.RETRY_OF]: t.number for t in study.trials if attr.RETRY_OF in t.user_attrs}
    trials = tuple(_row(trial, successors.get(trial.number)) for trial in study.trials)
    important = importance_of(study.trials) if importances else {}
    return StudyData(
        name=name,
        recipe=stored.get(attr.RECIPE, {}),
        space=stored.get(attr.SPACE, {}),
        grid=tuple(stored.get(attr.GRID, ())),
        trials=trials,
        importances=important,
        importance_trials=sum(t.state == "COMPLETE" for t in trials) if important else 0,
        provenance=stored.get(attr.PROVENANCE, {}),
        reward_threshold=stored.get(attr.REWARD_THRESHOLD),
        confirmation=confirmation,
        rules=rules_of(stored),
        random_play=tuple(stored.get(attr.RANDOM_PLAY, ())),
        eval_epsilon=eval_epsilon(str(stored.get(attr.RECIPE, {}).get("env", ""))),
    )


def _confirmation(study: StoredStudy, database: Readable) -> Confirmation | None:
    """Return a study's confirm stage, or None when it has not begun."""
    confirmed = stored_study(confirm_name(study.name), database)
    if confirmed is None or not attr.is_companion(confirmed.attributes, study.attributes):
        return None
    from tuner.study.reading.confirmation import read_confirmation  # brings SciPy

    return read_confirmation(study, confirmed)


def _row(trial: StoredTrial, successor: int | None) -> TrialRow:
    stored = trial.user_attrs
    return TrialRow(
        number=trial.number,
        state=trial.state,
        outcome=_outcome(trial),
        score=_score(trial),
        params=dict(trial.params),
        hyperparameters=stored.get(attr.HYPERPARAMETERS, {}),
        curves=_curves(trial),
        seeds=dict(enumerate(stored.get(attr.SEEDS, ()))),
        steps=int(stored.get(attr.STEPS, max(trial.intermediate_values, default=0))),
        duration_s=float(stored.get(attr.DURATION, 0.0)),
        started=trial.started,
        finished=trial.finished,
        reason=bounded(str(stored.get(attr.REASON, ""))),
        spared_at=stored.get(attr.SPARED),
        source=str(stored.get(attr.SOURCE, "")),
        continued_as=successor,
        evaluation_s=float(stored.get(attr.EVALUATING, 0.0)),
        point=stored.get(attr.POINT),
    )


def _outcome(trial: StoredTrial) -> str:
    return outcome_in(trial.state, trial.user_attrs.get(attr.OUTCOME))


def _score(trial: StoredTrial) -> float | None:
    """Return the score: ours, else (a trial another program made) Optuna's value; None unless completed."""
    if _outcome(trial) != "completed" or trial.state != "COMPLETE":
        return None
    return attr.score_in(trial.user_attrs.get(attr.SCORE, trial.value))


def _curves(trial: StoredTrial) -> Mapping[int, tuple[CurvePoint, ...]]:
    stored = {k: v for k, v in trial.user_attrs.items() if k.startswith(attr.CURVE_PREFIX)}
    if not stored and trial.intermediate_values:
        # Still in training: what is known is the mean at each step.
        return {0: tuple(CurvePoint(step, (value,)) for step, value in sorted(trial.intermediate_values.items()))}
    curves = {int(key.removeprefix(attr.CURVE_PREFIX)): attr.curve_from_json(rows) for key, rows in stored.items()}
    return {r: tuple(CurvePoint(*row) for row in rows) for r, rows in sorted(curves.items()) if rows}
