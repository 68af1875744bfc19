"""The hyperparameters of quantile-regression deep Q-learning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from tuner.fields import declare, redeclare
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
    target_update_interval: int = declare(
        10_000,
        "Steps between two updates of the target network.",
        kind="int",
        low=1,
        high=1e7,
        unit="environment steps",
    )
    exploration_fraction: float = declare(
        0.005,
        "Share of the run over which epsilon falls from its initial to its final value.",
        kind="float",
        low=0.0,
        high=1.0,
        unit="share of the run",
    )
    exploration_initial_eps: float = declare(
        1.0, "Probability of a random action at the start.", kind="float", low=0.0, high=1.0, unit="probability"
    )
    exploration_final_eps: float = declare(
        0.01,
        "Probability of a random action once epsilon has fallen.",
        kind="float",
        low=0.0,
        high=1.0,
        unit="probability",
    )
    max_grad_norm: float | None = declare(
        None,
        "Bound on the Euclidean norm of the gradient; null sets none.",
        kind="float",
        low=0.0,
        low_open=True,
        high=1e9,
    )
    n_quantiles: int = declare(200, "Quantiles of each action's return.", kind="int", low=1, high=1000, place="policy")
