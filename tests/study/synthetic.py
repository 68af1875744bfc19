"""Synthetic learning curves. Imported by spawned workers, so nothing heavy is here."""

import math
import random

from tuner.contract.spec import RunSpec


def quality(spec: RunSpec) -> float:
    """Best return of a setting: highest at learning rate 1e-3; a little luck by seed."""
    distance = abs(math.log10(spec.hyperparameters.learning_rate) + 3)
    return 100 - 30 * distance + random.Random(spec.seed).uniform(-2, 2)


def value(spec: RunSpec, step: int) -> float:
    return quality(spec) * step / spec.n_timesteps
