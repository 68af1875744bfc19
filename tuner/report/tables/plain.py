"""A study as plain data: the part of ``report.json`` that needs no statistics and no figures."""

from __future__ import annotations

import dataclasses
from typing import Any

from tuner.report.numbers.trials import wall_seconds
from tuner.report.words.caution import caution
from tuner.result.study import StudyData, TrialRow

#: Raised when a key changes its meaning or goes away; new keys do not raise it.
SCHEMA_VERSION = 1


def study_document(data: StudyData) -> dict[str, Any]:
    """Return what ``report.json`` says of a study itself, to be passed through :func:`tuner.text.plain`.

    Keys: ``schema_version``, ``study``, ``summary`` and ``trials``.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "study": {
            "name": data.name,
            "recipe": data.recipe,
            "space": data.space,
            "grid": data.grid,
            "reward_threshold": data.reward_threshold,
            "provenance": data.provenance,
        },
        "summary": _summary(data),
        "trials": [_trial(trial) for trial in data.trials],
    }


def _summary(data: StudyData) -> dict[str, Any]:
    best = data.best
    return {
        "trials": len(data.trials),
        "outcomes": {o: data.count(o) for o in dict.fromkeys(t.outcome for t in data.trials)},
        "best": None
        if best is None
        else {
            "trial": best.number,
            "score": best.score,
            "params": best.params,
            "hyperparameters": best.hyperparameters,
            "seeds": best.seeds,
            "caution": caution(data),
        },
        "chosen": None if data.chosen is None else data.chosen.number,
        "random_play": None
        if data.random_mean is None
        else {"mean": data.random_mean, "episodes": len(data.random_play)},
        "steps_spent": data.steps_spent,
        "steps_saved": data.steps_saved if data.grid else 0,
        "training_s": sum(t.duration_s for t in data.trials),
        "wall_s": wall_seconds(data),
    }


def _trial(trial: TrialRow) -> dict[str, Any]:
    row = {f.name: getattr(trial, f.name) for f in dataclasses.fields(trial)}
    row["curves"] = {
        replicate: [{"step": p.step, "returns": p.returns, "metrics": p.metrics} for p in points]
        for replicate, points in trial.curves.items()
    }
    return row
