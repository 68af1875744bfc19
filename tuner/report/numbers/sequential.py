"""The numbers of a verdict that went on until it was sure (``--until``): what holds at every look."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from tuner.core.confidence_sequence import betting_interval
from tuner.result.confirmation import Confirmation, Contestant
from tuner.result.sequential import GIVE_UP, Standing, of_each, within


def until(confirmation: Confirmation) -> dict[str, Any] | None:
    """Return what ended the verdict; None where its number of seeds was fixed.

    Keys: ``level``, ``each`` (of one comparison's sequence), ``seeds`` (of each, at most), ``plans`` (seeds that were
    planned, the first plan first), ``give_up`` (chance to become sure below which a comparison did not go on),
    ``bounds``, ``bounds_hold`` (None without bounds) and ``estimands``: what is told by ``result`` and what ``low`` and
    ``high`` bound.
    """
    asked = confirmation.until
    if asked is None:
        return None
    everyone = [s for c in confirmation.contestants for s in confirmation.scores(c, "verdict")]
    baselines = {c.key for c in confirmation.baselines} - {confirmation.winner_key}  # one may stand twice
    return {
        "level": asked.level,
        "each": of_each(asked.level, len(baselines)),
        "seeds": asked.seeds,
        "plans": list(asked.looks_of),
        "give_up": GIVE_UP,
        "bounds": None if asked.bounds is None else list(asked.bounds),
        "bounds_hold": None if asked.bounds is None else within(asked.bounds, everyone),
        "estimands": {"result": "probability of improvement", "interval": "mean difference"},
    }


def standing_numbers(found: Standing, plans: Sequence[int]) -> dict[str, Any]:
    """Return a comparison as plain data, with ``seeds_needed``: in all, were the share of won pairs to stay.

    Keys: those of :class:`~tuner.result.sequential.Standing` but ``heights``, and ``sure_after`` (seeds, or None).
    ``seeds_needed`` is None past 10,000.

    Args:
        found: The comparison.
        plans: Seeds that were planned.
    """
    numbers = dataclasses.asdict(found)
    del numbers["heights"]
    return {
        **numbers,
        "sure_after": found.n if found.decided else None,
        "seeds_needed": found.n if found.decided else found.seeds_needed(plans),
    }


def mean_in_range(confirmation: Confirmation, contestant: Contestant) -> dict[str, Any] | None:
    """Return a contestant's mean score, with its sequence where the range of returns is known; None without scores.

    Without a range there is none: scores of single runs pile up at a ceiling, where a normal sequence is wrong
    (``python benchmarks/sequence_coverage.py``). Keys: ``value``, ``low``, ``high``, ``level``.
    """
    scores, asked = confirmation.scores(contestant, "verdict"), confirmation.until
    if not scores or asked is None:
        return None
    low = high = None
    if asked.bounds is not None and within(asked.bounds, scores):
        low, high = betting_interval(scores, asked.bounds, asked.level)
    return {"value": sum(scores) / len(scores), "low": low, "high": high, "level": asked.level}


def unfixed(estimate: Mapping[str, Any]) -> dict[str, Any]:
    """Return an estimate without the interval that would hold, had its number of runs been fixed."""
    if estimate["kind"] != "interval":
        return dict(estimate)
    return {**estimate, "low": None, "high": None, "kind": "sequential"}
