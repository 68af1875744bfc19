"""Runs that an earlier study has trained, in words: the plan, the terminal and the report say it alike."""

from __future__ import annotations

from collections.abc import Mapping

from tuner.text import counted, listed


def reused_text(runs: Mapping[str, Mapping[str, int]]) -> str:
    """Return a sentence on runs that are not trained again; empty for none.

    Args:
        runs: Title of a setting to studies that trained it, each with how many runs of it are taken over.
    """
    parts = [
        f"{counted(n, 'run')} of {title} from the study '{study}'"
        for title, studies in runs.items()
        for study, n in studies.items()
    ]
    if not parts:
        return ""
    return (
        f"Known, and not trained again: {listed(parts)}. Seeds, budget, evaluation, versions and arithmetic are the "
        "same, so training again would give the same numbers; they count no steps here."
    )
