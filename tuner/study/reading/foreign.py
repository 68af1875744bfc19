"""Trials of any Optuna study, whoever made it: what ``--start-with`` begins from. Nothing is written."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tuner.errors import InputError
from tuner.plan.imported import ForeignTrial
from tuner.storage_url import mask
from tuner.study.store import keys as attr


def best_trials(url: str, name: str) -> Sequence[ForeignTrial]:
    """Return a study's completed trials, the best first by its own direction.

    Args:
        url: Storage URL.
        name: The study's name.

    Raises:
        InputError: The storage cannot be used, has no such study, or the study has several objectives.
        StorageLostError: It stops answering.
    """
    import optuna

    from tuner.study.store.catalog import check_study
    from tuner.study.store.connect import open_storage, reading_errors

    storage = open_storage(url, create=False)
    check_study(name, storage, url)
    with reading_errors(url):
        study_id = storage.get_study_id_from_name(name)
        directions = storage.get_study_directions(study_id)
        trials = storage.get_all_trials(study_id, deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    if len(directions) != 1:
        raise InputError(f"the study '{name}' in {mask(url)} has {len(directions)} objectives; one is needed.")
    sign = 1 if directions[0] == optuna.study.StudyDirection.MINIMIZE else -1
    scored = [(sign * trial.value, trial) for trial in trials if trial.value is not None and math.isfinite(trial.value)]
    ranked = [trial for _, trial in sorted(scored, key=lambda each: (each[0], each[1].number))]
    stored = [trial.user_attrs.get(attr.HYPERPARAMETERS) for trial in ranked]
    return [
        ForeignTrial(t.number, t.params, own if isinstance(own, dict) else {})
        for t, own in zip(ranked, stored, strict=True)
    ]
