"""The hyperparameters of fitted Q-iteration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tuner.fields import declare
from tuner.hyperparameters.base import Hyperparameters

#: What ``regressor`` may be.
REGRESSORS = ("knn", "linear", "tree", "forest", "boosting", "neural")


@dataclass(frozen=True)
class FQIHyperparameters(Hyperparameters):
    """Fitted Q-iteration (Ernst, Geurts and Wehenkel 2005); with ``neural``, neural fitted Q (Riedmiller 2005).

    Its clock counts iterations, not environment steps: all experience is collected before the first.
    """

    algorithm: ClassVar[str] = "fqi"
    title: ClassVar[str] = "Fitted Q-iteration"
    costly: ClassVar[tuple[str, ...]] = ("net_arch",)
    images: ClassVar[bool] = False
    needs: ClassVar[tuple[str, str] | None] = ("sklearn", "fqi")
    clock: ClassVar[str] = "iterations"

    gamma: float = declare(0.99, "Discount factor per environment step.", low=0.0, high=1.0)
    n_transitions: int = declare(
        50_000, "Transitions collected before the first iteration.", low=10, high=5e6, unit="transitions"
    )
    behavior_eps: float = declare(
        1.0,
        "Probability of a random action while the second half of the data is collected; the rest plays what five "
        "iterations on the first half have found.",
        low=0.0,
        high=1.0,
        unit="probability",
    )
    regressor: str = declare("forest", "What learns the action values.", choices=REGRESSORS, scope="shape")
    n_neighbors: int = declare(30, "Neighbours of knn.", low=1, high=10_000, unit="transitions")
    degree: int = declare(3, "Highest power of the polynomial features of linear.", low=1, high=6)
    ridge: float = declare(1e-3, "Weight decay of linear.", low=0.0, high=1e6)
    min_samples_leaf: int = declare(
        10, "Fewest transitions in a leaf of tree, forest and boosting.", low=1, high=100_000
    )
    n_estimators: int = declare(30, "Trees of forest, rounds of boosting.", low=1, high=5000)
    net_arch: tuple[int, ...] = declare(
        (64, 64), "Widths of the hidden layers of neural.", kind="layers", low=1, high=4096, unit="units"
    )
    learning_rate: float = declare(1e-3, "Step size of neural.", low=0.0, low_open=True, high=1.0)
    epochs: int = declare(10, "Passes over the data of each fit of neural.", low=1, high=10_000)
