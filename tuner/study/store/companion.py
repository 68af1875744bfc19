"""Which confirm study belongs to a study: one of its name alone may be the user's, or that of a study deleted since."""

from __future__ import annotations

import optuna
from optuna.storages import BaseStorage

from tuner.errors import InputError
from tuner.plan.naming import confirm_name
from tuner.study.store import keys as attr


def companion_of(study: optuna.Study, storage: BaseStorage) -> optuna.Study | None:
    """Return a study's confirm study, or None where it has none of its own.

    Both carry the same random id; neither does where version 0.1.0 made the study.
    """
    try:
        found = optuna.load_study(study_name=confirm_name(study.study_name), storage=storage)
    except KeyError:
        return None
    return found if attr.is_companion(found.user_attrs, study.user_attrs) else None


def open_companion(study: optuna.Study, storage: BaseStorage) -> tuple[optuna.Study, bool]:
    """Return (a study's confirm study, whether it was there); one whose own study was deleted makes room.

    Raises:
        InputError: A study that is no confirm study has the name.
    """
    name = confirm_name(study.study_name)
    found = companion_of(study, storage)
    if found is not None:
        return found, True
    made = optuna.create_study(storage=storage, study_name=name, direction="maximize", load_if_exists=True)
    stored = made.user_attrs
    if attr.RECIPE in stored or (attr.CONFIRM not in stored and made.get_trials(deepcopy=False)):
        raise InputError(
            f"The runs of the finalists of '{study.study_name}' are kept as '{name}', and a study of its own has that "
            "name. Choose another --study, or --confirm 0."
        )
    if attr.CONFIRM in stored:
        optuna.delete_study(study_name=name, storage=storage)
        made = optuna.create_study(storage=storage, study_name=name, direction="maximize")
    if attr.ID in study.user_attrs:
        made.set_user_attr(attr.PARENT, study.user_attrs[attr.ID])
    return made, False
