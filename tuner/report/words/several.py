"""One setting on several environments, in sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tuner.report.numbers.several import OURS
from tuner.report.words.evidence import caption, interval_text
from tuner.text import counted

#: Group to what it is called.
TITLES = {OURS: "the setting", "defaults": "the defaults", "zoo": "RL Zoo's tuned values"}

#: Result of a comparison, in words.
SAID = {"better": "better than", "worse": "worse than", "tie": "ties with", "undecided": "cannot be told from"}


def several_sentences(document: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each environment of a ``several.json``."""
    return [_sentence(row) for row in document["environments"]]


def _sentence(row: Mapping[str, Any]) -> str:
    seen = " (not seen by the search)" if row["held_out"] else ""
    estimate = row["settings"][OURS]["estimate"]
    if estimate is None:
        return f"{row['env']}{seen}: no run of the setting has completed."
    parts = [
        f"{SAID[found['result']]} {TITLES[name]} ({caption(row['settings'][name]['estimate'])})"
        for name, found in row["comparisons"].items()
    ]
    beside = f"; {'; '.join(parts)}" if parts else ""
    return f"{row['env']}{seen}: {interval_text(estimate)} over {counted(estimate['n'], 'fresh seed')}{beside}."
