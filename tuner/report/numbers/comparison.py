"""The numbers of ``tune compare`` and ``tune sweep``: groups of runs on the same seeds, side by side, as plain data."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from tuner.core.multiple_comparisons import holm
from tuner.core.statistics import iqm_interval, share_interval
from tuner.report.numbers.evidence import seed_curves
from tuner.result.confirmation import Confirmation, ConfirmRun, Contestant
from tuner.result.verdict import LEVEL, compare, p_value

#: Scores compared, the one that decides first.
OBJECTIVES = ("late", "auc", "final", "best")

Runs = Mapping[str, Sequence[ConfirmRun]]


def group_numbers(groups: Runs, *, floored: bool = True) -> dict[str, dict[str, Any]]:
    """Return for each group of runs ``seeds``, ``outcomes``, ``reasons``, ``training_s``, ``scores``, ``estimates`` and
    ``curves``.

    A run that diverged counts as the lowest evaluation of any run, where one has completed: as the worst completed run
    it would be as good as all others where these are at the ceiling.

    Args:
        groups: Name to its runs, in the order of seeds.
        floored: False: it counts as the worst completed run of all groups.
    """
    grid = tuple(sorted({p.step for members in groups.values() for r in members for p in r.curve}))
    contestants = tuple(
        Contestant(name, "finalist", name, None, "", {}, None, tuple(members)) for name, members in groups.items()
    )
    floor = lowest_evaluation(groups) if floored else None
    table = Confirmation("", OBJECTIVES[0], grid, contestants, None, True, 0, 0, floor=floor)
    found = {}
    for contestant in contestants:
        members = groups[contestant.key]
        scores = {o: table.scores(contestant, "verdict", o) for o in OBJECTIVES}
        found[contestant.key] = {
            "seeds": [r.seed for r in members],
            "outcomes": [r.outcome for r in members],
            "reasons": sorted({r.reason for r in members if r.reason}),
            "training_s": sum(r.duration_s for r in members),
            "scores": {o: list(s) for o, s in scores.items()},
            "estimates": {o: dataclasses.asdict(iqm_interval(s)) for o, s in scores.items() if s},
            "curves": seed_curves(members, floor),
        }
    return found


def lowest_evaluation(groups: Runs) -> float | None:
    """Return what a run that diverged counts as, the lowest mean return of any evaluation; None if none completed."""
    completed = any(r.outcome == "completed" for members in groups.values() for r in members)
    return return_range(groups)[0] if completed else None


def return_range(groups: Runs) -> tuple[float, float]:
    """Return the lowest and the highest mean return of any evaluation; zeros where there is none."""
    means = [p.mean for members in groups.values() for r in members for p in r.curve if math.isfinite(p.mean)]
    return (min(means), max(means)) if means else (0.0, 0.0)


def setting_numbers(groups: Runs) -> list[dict[str, Any]]:
    """Return for each setting its ``label``, what :func:`group_numbers` gives, and what a knob does besides.

    ``diverged`` (``runs``, ``share`` and its exact interval ``low`` to ``high``), ``seconds`` (``runs``: training time
    of each run, and their ``median``), ``q_values`` (mean over runs at each ``step``; empty where none was measured).
    """
    numbers = group_numbers(groups)
    found = []
    for label, members in groups.items():
        diverged = sum(r.outcome == "diverged" for r in members)
        low, high = share_interval(diverged, len(members))
        share = {"runs": diverged, "share": diverged / len(members), "low": low, "high": high}
        seconds = [r.duration_s for r in members]
        timed = {"runs": seconds, "median": statistics.median(seconds)}
        found.append(
            {"label": label, **numbers[label], "diverged": share, "seconds": timed, "q_values": _q_values(members)}
        )
    return found


def _q_values(runs: Sequence[ConfirmRun]) -> dict[str, list[float]]:
    by_step: dict[int, list[float]] = {}
    for run in runs:
        for point in run.curve:
            if math.isfinite(value := point.metrics.get("q_value", math.nan)):
                by_step.setdefault(point.step, []).append(value)
    steps = sorted(by_step)
    return {"step": list(steps), "mean": [statistics.fmean(by_step[step]) for step in steps]}


def against_first(settings: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return each setting beside the first one, for each score that both have.

    Entries: ``label``, ``scores``: score to ``difference`` (its own minus the first's) and ``probability`` that a run
    of it is the better one, both estimates; ``p_value`` and ``p_holm``, over all comparisons of that score; and
    ``result``, which is ``better`` or ``worse`` only where that holds after Holm's correction, too.
    """
    first, *others = settings
    found: list[dict[str, Any]] = [{"label": other["label"], "scores": {}} for other in others]
    for objective in OBJECTIVES:
        theirs = first["scores"][objective]
        rows = []
        for entry, other in zip(found, others, strict=True):
            if theirs and (ours := other["scores"][objective]):
                compared = compare(ours, theirs)
                p = p_value(compared, len(ours), len(theirs))
                entry["scores"][objective] = {**dataclasses.asdict(compared), "p_value": p}
                rows.append(entry["scores"][objective])
        for row, adjusted in zip(rows, holm([row["p_value"] for row in rows]), strict=True):
            row["p_holm"] = adjusted
            if row["result"] in ("better", "worse") and adjusted > LEVEL:
                row["result"] = "undecided"
    return found
