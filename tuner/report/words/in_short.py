"""The result in three short lines: what the exported setting scores, beside what, and what may be said of that."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from tuner.report.words.evidence import BACKEND_NAMES, FEW_SEEDS, range_text, steps_text
from tuner.result.study import StudyData
from tuner.text import counted, listed, number, percent, score_text, sentence

#: What a role is called where there is little room.
SHORT = {
    "defaults": "defaults", "zoo": "RL Zoo", "known": "best known beforehand", "startup": "best of the first random",
}  # fmt: skip

#: Share of pairs of runs in which the winner does better, ties one half, up to which another trial is ahead of it.
AHEAD = 1 / 3


def in_short(data: StudyData, found: Mapping[str, Any] | None) -> list[str]:
    """Return the lines; nothing where no trial has completed.

    Args:
        data: The study.
        found: What :func:`tuner.report.numbers.evidence.evidence` gives.
    """
    if data.chosen is None:
        return []
    rows = {row["key"]: row for row in found["contestants"]} if found is not None else {}
    winner = rows.get(found["winner"] or "") if found is not None else None
    estimate = winner["verdict"]["estimates"].get(found["objective"]) if found is not None and winner else None
    solved = f"; solved at {number(data.reward_threshold)}" if data.reward_threshold is not None else ""
    if found is None or winner is None or estimate is None:
        trained = "one training run" if len(data.chosen.curves) <= 1 else f"{len(data.chosen.curves)} training runs"
        first = f"Trial {data.chosen.number}: {score_text(data.chosen.score, 4)} in the search, {trained}{solved}."
        return [first, *_beside([], data), *_below(data.chosen.score, data)]
    value = score_text(estimate["value"])
    sure = f" ({range_text(estimate)})" if estimate["kind"] == "interval" else ""
    first = f"{sentence(winner['name'])}: {value}{sure}, {counted(estimate['n'], 'fresh seed')}{solved}."
    others = [
        f"{_short(rows[c['with']])}: {score_text(theirs['value'])}{steps_text(rows[c['with']])}"
        for c in found["comparisons"]
        if (theirs := rows[c["with"]]["verdict"]["estimates"].get(found["objective"])) is not None
    ]
    lines = [first, *_beside(others, data), *_results(found, rows), *_ahead(found, rows, data)]
    lines += _untried(found, rows, data)
    return [*lines, *_below(estimate["value"], data)]


def random_text(data: StudyData) -> str:
    """Return ``random play: 22.4``; nothing where nobody has played."""
    return "" if data.random_mean is None else f"random play: {score_text(data.random_mean)}"


def below_random(value: float | None, data: StudyData) -> str:
    """Return that a score is no better than random play; empty where it is, or nobody has played."""
    if value is None or data.random_mean is None or value > data.random_mean:
        return ""
    how = "below random play" if value < data.random_mean else "no better than random play"
    played = f"{score_text(data.random_mean)} over {counted(len(data.random_play), 'episode')}"
    return f"That is {how} ({played}): nothing was learned."


def nothing_learned(means: Sequence[float], random_mean: float | None) -> str:
    """Return that no evaluation was better than random play; empty where one was, or nobody has played.

    Args:
        means: Mean return of each evaluation.
        random_mean: That of random play, or None.
    """
    if random_mean is None or not means or max(means) > random_mean:
        return ""
    how = "below" if max(means) < random_mean else "no better than"
    played = score_text(random_mean)
    return f"Nothing was learned: the best evaluation ({score_text(max(means), 4)}) is {how} random play ({played})."


def _beside(others: list[str], data: StudyData) -> list[str]:
    parts = [*others, *filter(None, [random_text(data)])]
    return [sentence("; ".join(parts)) + "."] if parts else []


def _results(found: Mapping[str, Any], rows: Mapping[str, Any]) -> list[str]:
    named: dict[str, list[str]] = {"better": [], "tie": [], "undecided": [], "worse": []}
    for comparison in found["comparisons"]:
        if (scores := comparison["scores"].get(found["objective"])) is not None:
            sure = (comparison["sequence"] or {}).get("sure_after")
            named[scores["result"]].append(
                _short(rows[comparison["with"]]) + (f" (sure after {counted(sure, 'seed')})" if sure else "")
            )
    said = {"better": "better than", "tie": "ties with", "undecided": "cannot be told from", "worse": "worse than"}
    parts = [f"{said[result]} {listed(names)}" for result, names in named.items() if names]
    few = any(row["verdict"]["seeds"] and len(row["verdict"]["seeds"]) < FEW_SEEDS for row in rows.values())
    return [sentence("; ".join(parts)) + ("; few seeds, so a guess." if few else ".")] if parts else []


def _ahead(found: Mapping[str, Any], rows: Mapping[str, Any], data: StudyData) -> list[str]:
    """Return how to take another trial of the study that does better on the verdict's seeds, told apart or not.

    Those seeds choose nothing, so the export stays; whoever reads them may choose.
    """
    lines = []
    for comparison in found["comparisons"]:
        scores, row = comparison["scores"].get(found["objective"]), rows[comparison["with"]]
        if scores is None or row["trial"] is None or scores["probability"]["value"] > AHEAD:
            continue
        share = f"{percent(1 - scores['probability']['value'])} of the pairs of runs"
        lines.append(
            f"{sentence(row['name'])}, {_short(row)}, does better on these seeds in {share}: "
            f"tune export {shlex.quote(data.name)} --trial {row['trial']} takes it."
        )
    return lines


def _untried(found: Mapping[str, Any], rows: Mapping[str, Any], data: StudyData) -> list[str]:
    """Return how a search begins with a baseline that is better than what this one found, and that it has not tried."""
    sources = {trial.source for trial in data.trials}
    known = ("defaults",) if data.recipe.get("zoo_full_budget") else ("defaults", "zoo")
    lines = []
    for comparison in found["comparisons"]:
        scores, role = comparison["scores"].get(found["objective"]), rows[comparison["with"]]["role"]
        worse = scores is not None and scores["result"] == "worse"
        if worse and role in known and not sources & {role, f"portfolio/{role}"}:
            lines.append(
                f"The search has not tried {SHORT[role]}: the same command with --start-with {role} begins with "
                "that, as another study."
            )
    return lines


def _below(value: float | None, data: StudyData) -> list[str]:
    return list(filter(None, [below_random(value, data)]))


def _short(row: Mapping[str, Any]) -> str:
    if row["role"] == "other_backend":
        return f"the same on {BACKEND_NAMES.get(row['backend'], row['backend'])}"
    return SHORT.get(row["role"], str(row["name"]))
