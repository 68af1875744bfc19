"""The hyperparameters of deep deterministic policy gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tuner.fields import redeclare
from tuner.hyperparameters.sb3 import DeterministicActor


@dataclass(frozen=True)
class DDPGHyperparameters(DeterministicActor):
    """Deep deterministic policy gradients (Lillicrap et al. 2016)."""

    algorithm: ClassVar[str] = "ddpg"
    title: ClassVar[str] = "DDPG"
    sb3_class: ClassVar[str] = "stable_baselines3.DDPG"

    n_critics: int = redeclare(DeterministicActor, "n_critics", 1)
