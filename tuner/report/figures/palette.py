"""Colours: the Okabe-Ito palette, safe for colour-blind readers, with a twin of every colour for dark pages.

Figures are built in the light colours. The page replaces each by its twin when the reader prefers a dark page, so
every light colour is distinct and has exactly one twin.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

#: Role to (light, dark). Okabe and Ito (2008), darkened on white where the original's contrast is below 3:1.
COLOURS: dict[str, tuple[str, str]] = {
    "ink": ("#1f2933", "#e4e7eb"),
    "muted": ("#616e7c", "#9aa5b1"),
    "rule": ("#e1e6eb", "#323f4b"),
    "completed": ("#0072b2", "#56b4e9"),
    "best": ("#d55e00", "#ff8c3a"),
    "pruned": ("#7b8794", "#8894a2"),
    "diverged": ("#b0508a", "#e29ac2"),
    "timed_out": ("#a67a00", "#e6b84d"),
    "failed": ("#00795a", "#2fc99d"),
    "saved": ("#cbd2d9", "#46535f"),
    "running": ("#3e6f8e", "#7fb2d1"),
}

#: Background of the figures' cards: (light, dark).
SURFACE = ("#ffffff", "#171c22")

#: Low to high score, light page then dark page: from near the background to the strongest blue.
RAMP: tuple[tuple[str, ...], tuple[str, ...]] = (
    ("#bcccdc", "#94b4d2", "#6c9cc8", "#4585bd", "#1f6daa", "#0d5288", "#063763"),
    ("#34495e", "#3b6184", "#4578a5", "#5590c3", "#70aadd", "#9ac8f0", "#d0e8fb"),
)


class Mark(NamedTuple):
    """How an outcome looks: never by colour alone."""

    colour: str
    symbol: str
    word: str


#: Outcome to its mark. An outcome that is not listed looks like a failed one.
MARKS: dict[str, Mark] = {
    "completed": Mark(COLOURS["completed"][0], "circle", "completed"),
    "pruned": Mark(COLOURS["pruned"][0], "x-thin-open", "pruned"),
    "diverged": Mark(COLOURS["diverged"][0], "triangle-down", "diverged"),
    "timed_out": Mark(COLOURS["timed_out"][0], "diamond", "timed out"),
    "failed": Mark(COLOURS["failed"][0], "square-open", "failed"),
    "lost": Mark(COLOURS["failed"][0], "square-open", "lost"),
    "running": Mark(COLOURS["running"][0], "circle-open", "running"),
}


def light(role: str) -> str:
    """Return the light colour of a role."""
    return COLOURS[role][0]


def mark(outcome: str) -> Mark:
    """Return how an outcome is drawn."""
    return MARKS.get(outcome) or Mark(COLOURS["failed"][0], "square-open", outcome)


def colorscale() -> list[tuple[float, str]]:
    """Return the score ramp as a plotly colour scale."""
    steps = len(RAMP[0]) - 1
    return [(i / steps, colour) for i, colour in enumerate(RAMP[0])]


def ramp_steps(scores: Sequence[float]) -> list[int]:
    """Return which step of the ramp each score falls on, from 0 to 6; the last when all scores are equal."""
    low, high = min(scores, default=0.0), max(scores, default=0.0)
    last = len(RAMP[0]) - 1
    return [last if high == low else min(last, int((s - low) / (high - low) * (last + 1))) for s in scores]


def dark_twins() -> dict[str, str]:
    """Return light colour to dark colour for everything a figure may contain."""
    return dict([*COLOURS.values(), SURFACE, *zip(*RAMP, strict=True)])
