"""A verdict that went on until it was sure, in plain words: what is told, how far it holds, what it assumes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tuner.text import counted, listed, number, percent, score_text


def sequence_sentence(title: str, value: str, found: Mapping[str, Any]) -> str:
    """Return how the winner stands beside one baseline.

    Args:
        title: What a text calls the baseline.
        value: Its score.
        found: ``sequence`` of the comparison.
    """
    seeds = counted(found["n"], "seed")
    if found["result"] == "tie":
        return f"It ties with {title}: every run of both scores the same over {seeds}."
    gap = f"on average a run of it scores {score_text(abs(found['mean']))} "
    gap += f"{'more' if found['mean'] >= 0 else 'less'} than one of theirs on the same seed ({ends_text(found)})"
    if found["result"] == "better":
        return f"It is ahead of {title} ({value}), sure after {seeds}: {gap}."
    if found["result"] == "worse":
        return f"It is behind {title} ({value}), sure after {seeds}: {gap}; prefer those."
    close = ", and the seeds left would hardly have told them apart" if found["given_up"] else ""
    return f"It cannot be told from {title} ({value}) after {seeds}{close}: {gap}{needed_text(found)}."


def ends_text(found: Mapping[str, Any]) -> str:
    """Return ``a mean difference of 120 to 410 at every look``."""
    if found["low"] is None or found["high"] is None:
        return "too few to bound their mean"
    return f"a mean difference of {score_text(found['low'])} to {score_text(found['high'])} at every look"


def needed_text(found: Mapping[str, Any]) -> str:
    """Return how many more seeds would decide it, were mean and spread to stay as they are."""
    needed = found["seeds_needed"]
    if needed is None:
        return "; no number of seeds worth training would decide it"
    more = max(needed - found["n"], 1)
    share = score_text(found["probability"], 2)
    return f"; about {more:,} more would decide it, were it to do better in {share} of all pairs of runs as it does now"


def basis_sentences(evidence: Mapping[str, Any]) -> list[str]:
    """Return what the comparisons rest on; nothing where the number of seeds was fixed before any result was known."""
    found = evidence["until"]
    if found is None:
        return _again(evidence["looked"])
    if found["bounds_hold"]:
        low, high = (number(end) for end in found["bounds"])
        basis = f"assume nothing but that returns lie between {low} and {high} (--return-range)"
    else:
        basis = (
            "assume that the differences of two runs of a seed are normal; a failure too rare to have been seen may "
            "mislead them"
        )
    sentences = [
        f"Seeds went on until each comparison was sure at {found['level']:g}, or was unlikely (below "
        f"{percent(found['give_up'])}) to become so within {found['seeds']} seeds, or the budget was spent. "
        "Sure is who does better in most pairs of runs, by a rank test for all comparisons together and at every look: "
        f"beside settings that are alike it is wrong in at most {percent(1 - found['level'])} of such verdicts, "
        f"whatever the scores' distribution. The differences of means hold at every look too, and {basis}."
    ]
    if found["bounds_hold"] is False:
        low, high = (number(end) for end in found["bounds"])
        sentences.append(f"--return-range {low}:{high} does not hold: a run lies outside it, so it is not used.")
    return sentences


def _again(looked: Sequence[int]) -> list[str]:
    """Return what it costs to be judged by another number of seeds once results are known (Bonferroni's bound)."""
    if not looked:
        return []
    from tuner.result.verdict import LEVEL  # brings SciPy

    times, numbers = len(looked) + 1, listed([f"{seeds:,}" for seeds in looked])
    return [
        f"It had been judged by {numbers} seeds when this number of seeds was asked for: beside settings that are "
        f"alike one of the {times} verdicts names a difference in up to {percent(times * LEVEL)} of such cases, not in "
        f"{percent(LEVEL)} (--until P allows for it)."
    ]
