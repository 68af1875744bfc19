"""Cutting ranges to what a budget makes meaningful.

A memory larger than the run is never filled; a target network that is updated fewer than five times hardly moves;
beyond a fifth of the run spent before learning, little is left to learn in; fewer than 50 training calls are not
training.
"""

from __future__ import annotations

import dataclasses

from tuner.space.ranges import Bound, Choice, FloatRange, IntRange, Range

#: Field -> its largest meaningful value is the run's steps divided by this.
CAPS = {"buffer_size": 1, "target_update_interval": 5, "learning_starts": 5, "train_freq": 50}


def clipped(field: str, item: Range, n_timesteps: int) -> Range:
    """Return the range without values beyond ``n_timesteps / CAPS[field]``; fields without a cap stay as they are.

    Where all of a range lies beyond, its lower end moves too: a range never becomes empty. Choices keep their smallest.
    """
    if field not in CAPS or isinstance(item, FloatRange):
        return item
    cap = max(n_timesteps // CAPS[field], 1)
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
