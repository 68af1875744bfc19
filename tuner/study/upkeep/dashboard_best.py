"""Which trial optuna-dashboard calls a study's best: the exported one, as everywhere else.

Optuna's own is the trial with the highest score, which fresh seeds may have shown to be luck. The dashboard asks its
storage for it, whenever a page asks the dashboard.
"""

from __future__ import annotations

from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial

from tuner.errors import TunerError
from tuner.plan.naming import confirm_name
from tuner.study.reading.study import load


def mark_exported(storage: BaseStorage, url: str) -> BaseStorage:
    """Let a storage that nobody else uses name the exported trial as a study's best, and return it.

    Args:
        storage: Is changed.
        url: Where it is.
    """
    optunas, known = storage.get_best_trial, dict[int, tuple[object, FrozenTrial]]()

    def best(study_id: int) -> FrozenTrial:
        state = _counts(storage, study_id)
        if known.get(study_id, (None,))[0] != state:
            known[study_id] = state, _exported(storage, study_id, url) or optunas(study_id)
        return known[study_id][1]

    storage.get_best_trial = best  # type: ignore[method-assign]  # its class has many methods, and others ask for it
    return storage


def _counts(storage: BaseStorage, study_id: int) -> object:
    """Return what changes when a trial of a study, or of its confirm stage, ends."""
    name = storage.get_study_name_from_id(study_id)
    found = []
    for part in (name, confirm_name(name)):
        try:
            trials = storage.get_all_trials(storage.get_study_id_from_name(part), deepcopy=False)
        except KeyError:
            continue
        found.append((len(trials), sum(trial.state.is_finished() for trial in trials)))
    return found


def _exported(storage: BaseStorage, study_id: int, url: str) -> FrozenTrial | None:
    """Return the trial that an export takes; None where there is none, as in studies of other programs."""
    try:
        chosen = load(storage.get_study_name_from_id(study_id), url).chosen
    except TunerError:
        return None
    if chosen is None:
        return None
    return storage.get_trial(storage.get_trial_id_from_study_id_trial_number(study_id, chosen.number))
