"""The hyperparameters of tabular Q-learning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tuner.fields import declare, redeclare
from tuner.hyperparameters.base import Hyperparameters
from tuner.hyperparameters.dqn import DQNHyperparameters


@dataclass(frozen=True)
class QLearningHyperparameters(Hyperparameters):
    """Tabular Q-learning (Watkins 1989). Names that deep Q-learning has too mean the same as there."""

    algorithm: ClassVar[str] = "q_learning"
    title: ClassVar[str] = "Q-learning"
    tabular: ClassVar[bool] = True

    learning_rate: float = declare(
        0.1, "Share of the error that an update takes over, at the start.", low=0.0, low_open=True, high=1
    )
    final_learning_rate: float = declare(0.01, "The same at the end of the run.", low=0.0, low_open=True, high=1.0)
    learning_rate_schedule: str = declare(
        "linear",
        "How it changes from one to the other: not at all, on a line, or by an equal factor per step.",
        choices=("constant", "linear", "geometric"),
    )
    gamma: float = redeclare(DQNHyperparameters, "gamma", 0.99)
    exploration_fraction: float = redeclare(DQNHyperparameters, "exploration_fraction", 0.5)
    exploration_initial_eps: float = redeclare(DQNHyperparameters, "exploration_initial_eps", 1.0)
    exploration_final_eps: float = redeclare(DQNHyperparameters, "exploration_final_eps", 0.05)
    exploration_schedule: str = declare("linear", "How epsilon falls.", choices=("linear", "exponential"))
    initial_value: float = declare(
        0.0,
        "Value of every action before anything is learned; above what can be had, it makes the agent try everything.",
        low=-1e6,
        high=1e6,
    )
    bins: int = declare(8, "Bins of each dimension of a Box observation.", low=1, high=1000, unit="bins")
    bin_limit: float = declare(
        3.0,
        "Where the bins of a dimension without bounds end, on both sides; what lies beyond falls into the last bin.",
        low=0.0,
        low_open=True,
        high=1e6,
    )
