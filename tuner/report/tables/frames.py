"""A study's evaluations and confirm runs as pandas frames: one row for each, for a notebook."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from tuner.result.curve import CurvePoint
from tuner.result.study import StudyData

if TYPE_CHECKING:
    import pandas as pd


def curves_frame(data: StudyData) -> pd.DataFrame:
    """Return every evaluation of the search, one row each.

    Columns: ``trial``, ``replicate``, ``seed``, ``outcome`` of the trial, ``step``, ``mean_return``, and what was
    measured of the training since the evaluation before (``epsilon``, ``loss``, ``q_value``, ``train_return``,
    ``train_episodes``), as far as its trainer says.
    """
    rows: list[dict[str, Any]] = []
    for trial in data.trials:
        for replicate, curve in sorted(trial.curves.items()):
            told = {"trial": trial.number, "replicate": replicate, "seed": trial.seeds.get(replicate)}
            rows += _points({**told, "outcome": trial.outcome}, curve)
    return _frame(rows, ["trial", "replicate", "seed", "outcome", "step", "mean_return"])


def confirm_frame(data: StudyData) -> pd.DataFrame:
    """Return every training of the confirm stage, one row each; empty before there is one.

    Columns: ``contestant``, ``role``, ``trial``, ``phase`` (select or verdict), ``replicate``, ``seed``, ``outcome``,
    ``score`` by the study's objective, ``steps``, ``duration_s``.
    """
    found = data.confirmation
    columns = ["contestant", "role", "trial", "phase", "replicate", "seed", "outcome", "score", "steps", "duration_s"]
    if found is None:
        return _frame([], columns)
    rows = [
        {
            "contestant": contestant.title,
            "role": contestant.role,
            "trial": contestant.trial,
            "phase": run.phase,
            "replicate": run.replicate,
            "seed": run.seed,
            "outcome": run.outcome,
            "score": run.score(found.objective),
            "steps": run.steps,
            "duration_s": run.duration_s,
        }
        for contestant in found.contestants
        for run in (*contestant.phase("select"), *contestant.phase("verdict"))
    ]
    return _frame(rows, columns)


def _points(told: dict[str, Any], curve: Iterable[CurvePoint]) -> list[dict[str, Any]]:
    return [{**told, "step": p.step, "mean_return": p.mean, **p.metrics} for p in curve]


def _frame(rows: list[dict[str, Any]], columns: list[str]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(rows) if rows else pd.DataFrame(columns=columns)
