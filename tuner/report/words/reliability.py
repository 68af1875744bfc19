"""How reliable the winner is, in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tuner.text import counted, number, score_text


def reliability_sentence(winner: Mapping[str, Any], until: Mapping[str, Any] | None) -> list[str]:
    """Return the worst that its seeds have shown; nothing before there are two.

    Args:
        winner: A contestant of the evidence.
        until: ``evidence.until``.
    """
    found = winner["verdict"]["reliability"]
    if found is None or len(winner["verdict"]["seeds"]) < 2:
        return []
    worst, seeds = found["worst"], counted(len(winner["verdict"]["seeds"]), "seed")
    how = f"scored {score_text(worst['score'])}" if worst["score"] is not None else worst["outcome"].replace("_", " ")
    quarter = f"the worst quarter {score_text(found['worst_quarter'])} on average"
    return [f"Of its {seeds} the worst ({worst['seed']}) {how}, {quarter}{_reached(found['reached'], until)}."]


def _reached(found: Mapping[str, Any] | None, until: Mapping[str, Any] | None) -> str:
    if found is None:
        return ""
    return f"; {found['runs']} of {found['n']} reach {number(found['threshold'])} ({share_text(found, until)})"


def share_text(found: Mapping[str, Any], until: Mapping[str, Any] | None) -> str:
    """Return ``a share of 0.80, 95 % interval 0.44 to 0.97``."""
    sure = "95 % interval" if until is None else f"at {until['level']:g} and every look"
    return f"a share of {found['share']:.2f}, {sure} {found['low']:.2f} to {found['high']:.2f}"
