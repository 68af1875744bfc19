"""Cutting ranges to what a budget makes meaningful."""

from __future__ import annotations

import dataclasses

from tuner.space.ranges import Bound, Choice, FloatRange, IntRange, Range


def clipped(item: Range, cap: int | None) -> Range:
    """Return the range without values beyond the largest meaningful one; without a cap (None) it stays as it is.

    Where all of a range lies beyond, its lower end moves too: a range never becomes empty. Choices keep their smallest.
    """
    if cap is None or isinstance(item, FloatRange):
        return item
    if isinstance(item, Choice):
        kept = tuple(c for c in item.choices if c <= cap) or (min(item.choices),)
        return dataclasses.replace(item, choices=kept)
    return _clipped_ints(item, cap)


def _clipped_ints(item: IntRange, cap: int) -> IntRange:
    if item.largest <= cap:
        return item
    if item.scale == "power_of_two":
        cap = 1 << (cap.bit_length() - 1)
    low = min(item.low, cap)
    high = cap - (cap - low) % item.step
    bound = dataclasses.replace(item.high, max=high) if isinstance(item.high, Bound) else high
    return dataclasses.replace(item, low=low, high=bound)
