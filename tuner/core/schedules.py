"""Schedules of epsilon and of the step size: pure functions of the environment step, vectorised over steps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: The exponential schedule's time constants that fit into the exploration fraction: e^-5 leaves 0.7 % of the way.
TIME_CONSTANTS = 5.0


def linear(step: ArrayLike, n_timesteps: int, initial: float, final: float, fraction: float) -> NDArray[np.float64]:
    """Return epsilon after ``step`` environment steps, falling on a straight line.

    ``initial + p * (final - initial) / fraction`` while ``p = step / n_timesteps <= fraction``, then ``final``:
    Stable-Baselines3's ``LinearSchedule``, in its order of operations.

    Args:
        step: Environment steps taken, any shape.
        n_timesteps: Budget of the run, > 0.
        initial: Value at step 0.
        final: Value from ``fraction`` on.
        fraction: Share of the run over which epsilon falls, in [0, 1].
    """
    progress = _progress(step, n_timesteps)
    if fraction == 0:
        return np.full(progress.shape, final)
    falling = np.minimum(progress, fraction)
    return np.where(progress > fraction, final, initial + falling * (final - initial) / fraction)


def exponential(
    step: ArrayLike, n_timesteps: int, initial: float, final: float, fraction: float
) -> NDArray[np.float64]:
    """Return epsilon after ``step`` environment steps: ``final + (initial - final) * exp(-5 p / fraction)``.

    Arguments and ``p`` as for :func:`linear`. From ``fraction`` on it is ``final`` exactly.
    """
    progress = _progress(step, n_timesteps)
    if fraction == 0:
        return np.full(progress.shape, final)
    decay = np.exp(-TIME_CONSTANTS * np.minimum(progress, fraction) / fraction)
    return np.where(progress > fraction, final, final + (initial - final) * decay)


def cosine(step: ArrayLike, n_timesteps: int, initial: float) -> NDArray[np.float64]:
    """Return a value after ``step`` environment steps that falls to 0 along half a cosine.

    ``initial * (1 + cos(pi * p)) / 2`` with ``p = step / n_timesteps``, at most 1 (Loshchilov and Hutter 2017, without
    restarts).

    Args:
        step: Environment steps taken, any shape.
        n_timesteps: Budget of the run, > 0.
        initial: Value at step 0.
    """
    return np.asarray(initial * (1.0 + np.cos(np.pi * np.minimum(_progress(step, n_timesteps), 1.0))) / 2.0)


def step_size(schedule: str, step: int, n_timesteps: int, initial: float) -> float:
    """Return the learning rate of a training call after ``step`` environment steps.

    Args:
        schedule: ``constant``, ``linear`` (Stable-Baselines3's, to 0 at the end) or ``cosine``.
        step: Environment steps taken.
        n_timesteps: Budget of the run, > 0.
        initial: Learning rate at step 0.
    """
    if schedule == "constant":
        return initial
    if schedule == "linear":
        return float(linear(step, n_timesteps, initial, 0.0, 1.0))
    return float(cosine(step, n_timesteps, initial))


def _progress(step: ArrayLike, n_timesteps: int) -> NDArray[np.float64]:
    # 1 - (1 - x) instead of x: Stable-Baselines3 carries the remaining share, and its rounding with it.
    remaining = 1.0 - np.asarray(step, dtype=np.float64) / float(n_timesteps)
    return np.asarray(1.0 - remaining)


SCHEDULES: dict[str, Callable[..., NDArray[np.float64]]] = {"linear": linear, "exponential": exponential}
