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
from tuner.report.pages.sections import FIGURES
from tuner.report.tables.plain import study_document
from tuner.report.words import search as words
from tuner.report.words.agents import agent_facts
from tuner.report.words.evidence import luck_sentences, verdict
from tuner.report.words.in_short import in_short
from tuner.result.agents import KeptAgent, Place
from tuner.result.study import StudyData
from tuner.text import plain


def report_document(
    data: StudyData,
    *,
    best_yaml: str | None,
    commands: Mapping[str, str],
    written: datetime,
    found: Mapping[str, Any] | None = None,
    agents: Mapping[Place, KeptAgent] | None = None,
) -> dict[str, Any]:
    """Return the report as plain data: text, finite numbers, booleans, None, lists and mappings.

    Keys: ``schema_version``, ``written`` (ISO 8601, UTC), ``study``, ``summary``, ``words``, ``trials``, ``figures``
    (the numbers behind each figure), ``best_yaml``, ``agents`` (those that are there), ``commands``, ``audits`` and
    ``evidence`` (``found`` where it is at hand, else computed; None until finalists have been trained again).
    """
    found = evidence(data) if found is None else found
    study = study_document(data)
    document = {
        **{name: study[name] for name in ("schema_version", "study", "summary")},
        "written": written,
        "words": {
            "headline": words.headline(data),
            "in_short": in_short(data, found),
            "verdict": verdict(found, data.chosen.params if data.chosen is not None else None),
            "luck": luck_sentences(found),
            "lead": words.lead(data),
            "notices": [dataclasses.asdict(notice) for notice in words.notices(data)],
            "reasons": [dataclasses.asdict(group) for group in reason_groups(data)],
        },
        "trials": study["trials"],
        "figures": {f.key: f.numbers(data) for f in FIGURES if f.numbers is not None},
        "best_yaml": best_yaml,
        "agents": agent_facts(agents or {}),
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
