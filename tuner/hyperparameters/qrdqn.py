"""The hyperparameters of quantile-regression deep Q-learning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from tuner.fields import declare, redeclare
from tuner.hyperparameters.dqn import DQNHyperparameters
from tuner.hyperparameters.sb3 import OffPolicy


@dataclass(frozen=True)
class QRDQNHyperparameters(OffPolicy):
    """Deep Q-learning of the return's distribution by quantile regression (Dabney et al. 2018)."""

    algorithm: ClassVar[str] = "qrdqn"
    title: ClassVar[str] = "QR-DQN"
    sb3_class: ClassVar[str] = "sb3_contrib.QRDQN"
    image_defaults: ClassVar[Mapping[str, Any]] = {"net_arch": ()}
    needs: ClassVar[tuple[str, str] | None] = ("sb3_contrib", "contrib")

    learning_rate: float = redeclare(OffPolicy, "learning_rate", 5e-5)
    batch_size: int = redeclare(OffPolicy, "batch_size", 32)
    tau: float = redeclare(OffPolicy, "tau", 1.0)
    train_freq: int = redeclare(OffPolicy, "train_freq", 4)
    target_update_interval: int = redeclare(DQNHyperparameters, "target_update_interval", 10_000)
    exploration_fraction: float = redeclare(DQNHyperparameters, "exploration_fraction", 0.005)
    exploration_initial_eps: float = redeclare(DQNHyperparameters, "exploration_initial_eps", 1.0)
    exploration_final_eps: float = redeclare(DQNHyperparameters, "exploration_final_eps", 0.01)
    max_grad_norm: float | None = redeclare(
        DQNHyperparameters, "max_grad_norm", None, help="Bound on the Euclidean norm of the gradient; null sets none."
    )
    n_quantiles: int = declare(200, "Quantiles of each action's return.", low=1, high=1000, place="policy")
