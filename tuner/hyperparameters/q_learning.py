"""The hyperparameters of tabular Q-learning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tuner.fields import declare
from tuner.hyperparameters.base import Hyperparameters


@dataclass(frozen=True)
class QLearningHyperparameters(Hyperparameters):
    """Tabular Q-learning (Watkins 1989). Names that deep Q-learning has too mean the same as there."""

    algorithm: ClassVar[str] = "q_learning"
    title: ClassVar[str] = "Q-learning"
    tabular: ClassVar[bool] = True

    learning_rate: float = declare(
        0.1, "Share of the error that an update takes over, at the start.", kind="float", low=0.0, low_open=True, high=1
    )
    final_learning_rate: float = declare(
        0.01, "The same at the end of the run.", kind="float", low=0.0, low_open=True, high=1.0
    )
    learning_rate_schedule: str = declare(
        "linear",
        "How it changes from one to the other: not at all, on a line, or by an equal factor per step.",
        kind="choice",
        choices=("constant", "linear", "geometric"),
    )
    gamma: float = declare(0.99, "Discount factor per environment step.", kind="float", low=0.0, high=1.0)
    exploration_fraction: float = declare(
        0.5,
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
        0.05,
        "Probability of a random action once epsilon has fallen.",
        kind="float",
        low=0.0,
        high=1.0,
        unit="probability",
    )
    exploration_schedule: str = declare(
        "linear", "How epsilon falls.", kind="choice", choices=("linear", "exponential")
    )
    initial_value: float = declare(
        0.0,
        "Value of every action before anything is learned; above what can be had, it makes the agent try everything.",
        kind="float",
        low=-1e6,
        high=1e6,
    )
    bins: int = declare(8, "Bins of each dimension of a Box observation.", kind="int", low=1, high=1000, unit="bins")
    bin_limit: float = declare(
        3.0,
        "Where the bins of a dimension without bounds end, on both sides; what lies beyond falls into the last bin.",
        kind="float",
        low=0.0,
        low_open=True,
        high=1e6,
    )
