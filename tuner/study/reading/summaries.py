"""The studies of a database, one line each. Loads neither Optuna nor SQLAlchemy for a SQLite file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tuner.result.study import StudySummary
from tuner.storage_url import default_storage
from tuner.study.store import keys as attr
from tuner.study.store.catalog import TrialLine, look, study_attributes, trial_lines
from tuner.study.store.database import sqlite_path
from tuner.study.store.health import at_work

if TYPE_CHECKING:
    from tuner.study.store.database import Readable


def list_studies(storage: str | None = None) -> list[StudySummary]:
    """Return all studies of a storage by name.

    Raises:
        InputError: The storage cannot be used.
    """
    url = storage or default_storage()
    path = sqlite_path(url)

    def read(database: Readable) -> list[StudySummary]:
        lines: dict[str, list[TrialLine]] = defaultdict(list)
        for line in trial_lines(database):
            lines[line.study].append(line)
        return [
            _summary(name, stored.get(attr.RECIPE), lines[name], at_work(database, path, name))
            for name, stored in sorted(study_attributes(database, attr.RECIPE, attr.CONFIRM).items())
            if attr.CONFIRM not in stored
        ]

    return look(url, read)


def _summary(name: str, recipe: Any, trials: Sequence[TrialLine], owners: tuple[str, ...]) -> StudySummary:
    recipe = recipe if isinstance(recipe, dict) else {}
    ended = [attr.outcome_in(t.state, t.outcome) for t in trials]
    scores = [
        score
        for t, outcome in zip(trials, ended, strict=True)
        if outcome == "completed" and t.state == "COMPLETE" and (score := attr.score_in(t.score)) is not None
    ]
    asked = recipe.get("trials")
    return StudySummary(
        name=name,
        env=str(recipe.get("env", "")),
        algo=str(recipe.get("algo", "")),
        backend=str(recipe.get("backend", "")),
        trials=sum(outcome in attr.COUNTED for outcome in ended),
        asked=asked if type(asked) is int else None,
        best=max(scores, default=None),
        started=min((t.started for t in trials if t.started is not None), default=None),
        owners=owners,
    )
