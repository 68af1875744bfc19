"""The hyperparameters of advantage actor-critic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tuner.fields import declare, redeclare
from tuner.hyperparameters.sb3 import OnPolicy


@dataclass(frozen=True)
class A2CHyperparameters(OnPolicy):
    """Advantage actor-critic, the synchronous form of A3C (Mnih et al. 2016)."""

    algorithm: ClassVar[str] = "a2c"
    title: ClassVar[str] = "A2C"
    sb3_class: ClassVar[str] = "stable_baselines3.A2C"

    learning_rate: float = redeclare(OnPolicy, "learning_rate", 7e-4)
    n_steps: int = redeclare(OnPolicy, "n_steps", 5)
    gae_lambda: float = redeclare(OnPolicy, "gae_lambda", 1.0)
    use_rms_prop: bool = declare(True, "Use RMSprop; false uses Adam.")
    rms_prop_eps: float = declare(
        1e-5, "What RMSprop adds to the mean square it divides by.", low=0.0, low_open=True, high=1.0
    )
