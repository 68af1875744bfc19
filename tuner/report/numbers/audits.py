"""Audits of the search itself: was pruning right, and does the importance rest on anything?"""

from __future__ import annotations

from typing import Any

from tuner.core.statistics import share_interval
from tuner.result.study import StudyData
from tuner.text import counted, large, number

#: Best completed trials among which an audited one must come to count as wrongly pruned.
TOP = 5

#: Share of completed trials with the same best score above which importance is warned about.
TIED = 0.1


def pruning_audit(data: StudyData) -> dict[str, Any]:
    """Return how many trials were pruned, the steps that saved, and what the audited ones would have come to.

    An audited trial is one that the pruner wanted to stop and that was finished all the same (``--audit-pruning``). It
    was wrongly pruned when its score is among the five best of all completed trials.

    Keys: ``pruned``, ``steps_saved``, ``audited`` (``trial``, ``step`` it would have been stopped at, ``score``,
    ``wrong``), ``top``, and ``wrong_share`` (an estimate, None without audited trials).
    """
    audited = [t for t in data.trials if t.spared_at is not None and t.score is not None]
    best = {t.number for t in data.ranked[:TOP]}
    rows = [
        {"trial": t.number, "step": t.spared_at, "score": t.score, "wrong": t.number in best and len(data.ranked) > TOP}
        for t in audited
    ]
    share = None
    if rows:
        wrong = sum(bool(row["wrong"]) for row in rows)
        low, high = share_interval(wrong, len(rows))
        share = {"value": wrong / len(rows), "low": low, "high": high, "kind": "interval", "n": len(rows)}
    return {
        "pruned": data.count("pruned"),
        "steps_saved": data.steps_saved if data.grid else 0,
        "audited": rows,
        "top": TOP,
        "wrong_share": share,
    }


def pruning_sentences(data: StudyData) -> list[str]:
    """Return the pruning audit in words; nothing where no trial was pruned or audited."""
    audit = pruning_audit(data)
    pruned, rows, share = audit["pruned"], audit["audited"], audit["wrong_share"]
    if not pruned and not rows:
        return []
    first = f"The pruner stopped {counted(pruned, 'trial')}, {large(audit['steps_saved'])} {data.clock} saved."
    if share is None:
        return [f"{first} Whether it was right is not known; --audit-pruning finishes a sample of what it would stop."]
    wrong = sum(bool(row["wrong"]) for row in rows)
    low, high = share["low"] * pruned, share["high"] * pruned
    return [
        first,
        f"Of {counted(len(rows), 'trial')} finished though it wanted to stop {'it' if len(rows) == 1 else 'them'}, "
        f"{wrong} came among the best {TOP}. So about {number(share['value'] * pruned, 2)} of "
        f"{counted(pruned, 'pruned trial')} would have, too (95 % interval {number(low, 2)} to {number(high, 2)}).",
    ]


def importance_caution(data: StudyData) -> str:
    """Return a warning where many completed trials tie at the best score; empty where they do not."""
    scores = [t.score for t in data.ranked]
    tied = scores.count(scores[0]) if scores else 0
    if tied < 2 or tied < TIED * len(scores) or tied == len(scores):
        return ""
    return (
        f"{tied} of {counted(len(scores), 'completed trial')} tie at the best score, {number(scores[0])}: importance "
        "says what keeps a trial from failing, not what makes the best one."
    )
