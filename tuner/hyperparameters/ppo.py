"""The hyperparameters of proximal policy optimisation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from tuner.fields import declare, redeclare
from tuner.hyperparameters.sb3 import OnPolicy


@dataclass(frozen=True)
class PPOHyperparameters(OnPolicy):
    """Proximal policy optimisation (Schulman et al. 2017)."""

    algorithm: ClassVar[str] = "ppo"
    title: ClassVar[str] = "PPO"
    sb3_class: ClassVar[str] = "stable_baselines3.PPO"
    costly: ClassVar[tuple[str, ...]] = (*OnPolicy.costly, "batch_size", "n_epochs")

    batch_size: int = declare(64, "Transitions per gradient step.", low=2, high=65_536, unit="transitions")
    n_epochs: int = declare(10, "Passes over each rollout.", low=1, high=1000, unit="passes")
    clip_range: float = declare(
        0.2,
        "How far the probability of an action may move from the rollout's, as a share of it.",
        low=0.0,
        low_open=True,
        high=10.0,
    )
    clip_range_schedule: str = declare(
        "constant",
        "How clip_range goes over the run; linear falls to 0 (RL Zoo's lin_0.2).",
        choices=("constant", "linear"),
        place="schedule",
    )
    normalize_advantage: bool = redeclare(OnPolicy, "normalize_advantage", True)
    target_kl: float | None = declare(
        None,
        "Kullback-Leibler divergence from the rollout's policy that ends its passes early; null never does.",
        kind="float",
        low=0.0,
        low_open=True,
        high=100.0,
    )

    def shortest_rollout(self) -> int:
        """Return the transitions below which a rollout costs more for each of them: a minibatch."""
        return self.batch_size

    def passes(self) -> float:
        """Return how often each transition is learned from."""
        return float(self.n_epochs)

    def updates_per_rollout(self) -> float:
        """Return the gradient steps of a training call."""
        return self.n_epochs * math.ceil(self.n_steps * self.n_envs / self.batch_size)
