"""``report.json``: the whole report for machines. Its schema is described in ``docs/report-schema.md``."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tuner.report.numbers.audits import importance_caution, pruning_audit
from tuner.report.numbers.edges import edges
from tuner.report.numbers.evidence import evidence
from tuner.report.numbers.reasons import reason_groups
from tuner.report.numbers.regions import regions, worth_tuning_next
from tuner.report.numbers.trials import wall_seconds
from tuner.report.pages.sections import FIGURES
from tuner.report.words import search as words
from tuner.report.words.evidence import luck_sentences, verdict
from tuner.result.study import StudyData, TrialRow
from tuner.text import plain

#: Raised when a key changes its meaning or goes away; new keys do not raise it.
SCHEMA_VERSION = 1


def report_document(
    data: StudyData,
    *,
    best_yaml: str | None,
    commands: Mapping[str, str],
    written: datetime,
    found: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the report as plain data: text, finite numbers, booleans, None, lists and mappings.

    Keys: ``schema_version``, ``written`` (ISO 8601, UTC), ``study``, ``summary``, ``words``, ``trials``, ``figures``
    (the numbers behind each figure), ``best_yaml``, ``commands``, ``audits`` and ``evidence`` (``found`` where it is
    at hand, else computed; None until finalists have been trained again).
    """
    found = evidence(data) if found is None else found
    document = {
        "schema_version": SCHEMA_VERSION,
        "written": written,
        "study": {
            "name": data.name,
            "recipe": data.recipe,
            "space": data.space,
            "grid": data.grid,
            "reward_threshold": data.reward_threshold,
            "provenance": data.provenance,
        },
        "summary": _summary(data),
        "words": {
            "headline": words.headline(data),
            "verdict": verdict(found, data.chosen.params if data.chosen is not None else None),
            "luck": luck_sentences(found),
            "lead": words.lead(data),
            "notices": [dataclasses.asdict(notice) for notice in words.notices(data)],
            "reasons": [dataclasses.asdict(group) for group in reason_groups(data)],
        },
        "trials": [_trial(trial) for trial in data.trials],
        "figures": {f.key: f.numbers(data) for f in FIGURES if f.numbers is not None},
        "best_yaml": best_yaml,
        "commands": commands,
        "audits": {
            "edges": [dataclasses.asdict(edge) for edge in edges(data)],
            "pruning": pruning_audit(data),
            "importance": importance_caution(data),
            "regions": [dataclasses.asdict(region) for region in regions(data)],
            "tune_next": worth_tuning_next(data),
        },
        "evidence": found,
    }
    plain_document: dict[str, Any] = plain(document)
    return plain_document


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
            "caution": words.caution(data),
        },
        "chosen": None if data.chosen is None else data.chosen.number,
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
