"""Settings beside the first of them in sentences, with no winner where the intervals name none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tuner.report.words.evidence import few_sentence, interval_text, probability_text, range_text
from tuner.result.verdict import LEVEL, smallest_p_value
from tuner.text import counted, listed, score_text

#: Settings that a paragraph names one by one; the table has all.
NAMED = 6


def settings_words(document: Mapping[str, Any], objective: str) -> list[str]:
    """Return what a document of settings says of one score."""
    settings, comparisons = document["settings"], document["comparisons"]
    first = settings[0]
    scored = [s for s in settings if objective in s["estimates"]]
    if not scored:
        return ["No run has completed, so there is nothing to compare.", *_ended(settings)]
    sentences = []
    if document["vary"] and len(scored) > 2:
        worst, *_, best = sorted(scored, key=lambda s: s["estimates"][objective]["value"])
        ends = [f"{interval_text(s['estimates'][objective])} with {s['label']}" for s in (worst, best)]
        sentences.append(f"The estimates of the {objective} score go from {ends[0]} to {ends[1]}.")
    if objective not in first["estimates"]:
        return [
            *sentences,
            f"No run of {first['label']} has completed, so nothing is compared with it.",
            *_ended(settings),
        ]
    sentences.append(f"{first['label']}: {objective} score {interval_text(first['estimates'][objective])}.")
    estimates = {s["label"]: s["estimates"].get(objective) for s in settings}
    found = {c["label"]: c["scores"][objective] for c in comparisons if objective in c["scores"]}
    for result, is_ahead in (("better", "is ahead of"), ("worse", "is behind")):
        rows = [(label, row) for label, row in found.items() if row["result"] == result]
        sentences += [_sentence(label, estimates[label], row, is_ahead, first["label"]) for label, row in rows[:NAMED]]
        if len(rows) > NAMED:
            sentences.append(f"{counted(len(rows) - NAMED, 'more setting')} {is_ahead} it: see the table.")
    undecided = [(label, row) for label, row in found.items() if row["result"] == "undecided"]
    if len(undecided) == 1:
        label, row = undecided[0]
        sentences.append(_sentence(label, estimates[label], row, "cannot be told from", first["label"]))
    elif undecided:
        sentences.append(f"Cannot be told from {first['label']}: {_named([label for label, _ in undecided])}.")
    tied = [label for label, row in found.items() if row["result"] == "tie"]
    if tied:
        sentences.append(f"Ties with {first['label']} in every run: {_named(tied)}.")
    few = few_sentence(s["estimates"][objective] for s in scored)
    return [*sentences, *few, *_too_few(first, found, objective), *_ended(settings)]


def _named(labels: Sequence[str]) -> str:
    """Return labels, which may hold commas, in a row."""
    more = [f"{len(labels) - NAMED} more"] if len(labels) > NAMED else []
    return "; ".join([*labels[:NAMED], *more])


def _sentence(label: str, estimate: Any, row: Mapping[str, Any], relation: str, first: str) -> str:
    difference = row["difference"]
    gap = f"difference {score_text(difference['value'])}, {range_text(difference)}"
    chance = f"a run of it is the better one with probability {probability_text(row['probability'])}"
    return f"{label} {relation} {first}: {interval_text(estimate)}; {gap}; {chance}."


def _too_few(first: Mapping[str, Any], found: Mapping[str, Any], objective: str) -> list[str]:
    """Say so where no result could ever be shown with so few runs, and how many could show one."""
    n, comparisons = len(first["scores"][objective]), len(found)
    if not comparisons or smallest_p_value(n, n) * comparisons <= LEVEL:
        return []
    enough = next(k for k in range(n, 100) if smallest_p_value(k, k) * comparisons <= LEVEL)
    return [
        f"{counted(n, 'seed')} for each setting can show no difference in {counted(comparisons, 'comparison')}, "
        f"however large; --seeds {enough} can, and trains only the new ones."
    ]


def _ended(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Name the runs that did not complete."""
    sentences = []
    for setting in settings:
        bad = [o.replace("_", " ") for o in setting["outcomes"] if o != "completed"]
        if bad:
            kinds = listed([f"{bad.count(kind)} {kind}" for kind in dict.fromkeys(bad)])
            why = f" ({'; '.join(setting['reasons'][:2])})" if setting["reasons"] else ""
            sentences.append(f"{setting['label']}: of {counted(len(setting['outcomes']), 'run')} {kinds}{why}.")
    left = len(sentences) - NAMED
    return sentences[:NAMED] + ([f"So it is with {counted(left, 'more setting')}: see the table."] if left > 0 else [])
