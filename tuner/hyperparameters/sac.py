"""The hyperparameters of soft actor-critic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tuner.hyperparameters.sb3 import EntropyActor


@dataclass(frozen=True)
class SACHyperparameters(EntropyActor):
    """Soft actor-critic (Haarnoja et al. 2018)."""

    algorithm: ClassVar[str] = "sac"
    title: ClassVar[str] = "SAC"
    sb3_class: ClassVar[str] = "stable_baselines3.SAC"
