"""The hyperparameters of twin delayed deterministic policy gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tuner.fields import declare
from tuner.hyperparameters.sb3 import DeterministicActor


@dataclass(frozen=True)
class TD3Hyperparameters(DeterministicActor):
    """Twin delayed deterministic policy gradients (Fujimoto et al. 2018)."""

    algorithm: ClassVar[str] = "td3"
    title: ClassVar[str] = "TD3"
    sb3_class: ClassVar[str] = "stable_baselines3.TD3"

    policy_delay: int = declare(2, "Updates of the critics for each of the actor.", low=1, high=1000, unit="updates")
    target_policy_noise: float = declare(
        0.2, "Deviation of the noise on the target's actions, half their range being 1.", low=0.0, high=10.0
    )
    target_noise_clip: float = declare(0.5, "Bound on that noise.", low=0.0, high=10.0)
