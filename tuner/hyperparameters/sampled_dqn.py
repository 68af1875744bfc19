"""The hyperparameters of deep Q-learning over sampled actions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tuner.fields import declare, redeclare
from tuner.hyperparameters.base import Hyperparameters
from tuner.hyperparameters.dqn import DQNHyperparameters

#: What an update costs whatever its size, in the unit of batch size times samples times bytes of a network; and what an
#: environment step does, which looks for the best action of one state.
FIXED_WORK, STEP_WORK = 1e7, 4e6


@dataclass(frozen=True)
class SampledDQNHyperparameters(Hyperparameters):
    """Deep Q-learning for continuous actions, whose network reads state and action and whose best action is the best
    of samples (Quillen et al. 2018; Kalashnikov et al. 2018). Names are those of DQN and mean the same.
    """

    algorithm: ClassVar[str] = "sampled_dqn"
    title: ClassVar[str] = "DQN over sampled actions"
    actions: ClassVar[tuple[str, ...]] = ("Box",)
    images: ClassVar[bool] = False
    costly: ClassVar[tuple[str, ...]] = (
        "batch_size", "net_arch", "train_freq", "gradient_steps", "sampled_actions", "action_search", "search_rounds",
        "buffer_size", "learning_starts", "double_q",
    )  # fmt: skip

    learning_rate: float = declare(1e-3, "Step size of Adam.", low=0.0, low_open=True, high=1.0)
    buffer_size: int = redeclare(DQNHyperparameters, "buffer_size", 1_000_000)
    learning_starts: int = redeclare(DQNHyperparameters, "learning_starts", 100)
    batch_size: int = declare(64, "Transitions per gradient step.", low=1, high=8192, unit="transitions")
    tau: float = redeclare(DQNHyperparameters, "tau", 0.005)
    gamma: float = redeclare(DQNHyperparameters, "gamma", 0.99)
    train_freq: int = redeclare(DQNHyperparameters, "train_freq", 1)
    gradient_steps: int = redeclare(DQNHyperparameters, "gradient_steps", 1)
    target_update_interval: int = redeclare(DQNHyperparameters, "target_update_interval", 1)
    exploration_fraction: float = redeclare(DQNHyperparameters, "exploration_fraction", 0.3)
    exploration_initial_eps: float = redeclare(DQNHyperparameters, "exploration_initial_eps", 1.0)
    exploration_final_eps: float = redeclare(DQNHyperparameters, "exploration_final_eps", 0.05)
    max_grad_norm: float = redeclare(DQNHyperparameters, "max_grad_norm", 10.0)
    net_arch: tuple[int, ...] = declare(
        (64, 64), "Widths of the hidden layers.", kind="layers", low=1, high=4096, unit="units"
    )
    loss: str = declare("huber", "Loss on the temporal-difference error.", choices=("huber", "mse"))
    double_q: bool = declare(
        False,
        "Look for the next action with the online network, value it with the target (van Hasselt et al. 2016).",
        idea="double Q-learning [@vanhasselt2016]",
    )
    action_search: str = declare(
        "cross_entropy",
        "Where actions are sampled: in the whole space, or in rounds ever closer to the best of them.",
        choices=("uniform", "cross_entropy"),
    )
    sampled_actions: int = declare(
        32, "Actions that are drawn at a time, to take the best of.", low=1, high=4096, unit="actions"
    )
    search_rounds: int = declare(
        2, "Rounds of cross_entropy, each with as many actions.", low=2, high=20, unit="rounds"
    )
    elite_fraction: float = declare(
        0.2,
        "Share of a round's actions that the next round is shaped by.",
        low=0.0,
        low_open=True,
        high=1.0,
        unit="share of the actions",
    )

    def rounds(self) -> int:
        """Return how many times actions are drawn: once for ``uniform``."""
        return self.search_rounds if self.action_search == "cross_entropy" else 1

    def elites(self) -> int:
        """Return how many actions shape the next round."""
        return max(round(self.elite_fraction * self.sampled_actions), 1)

    def updates_per_call(self) -> int:
        """Return gradient steps per training call with ``-1`` resolved."""
        return self.train_freq if self.gradient_steps < 0 else self.gradient_steps

    def random_steps(self, n_timesteps: int) -> int:
        """Return how many steps of a run are uniformly random play."""
        return min(self.learning_starts, n_timesteps)

    def work(self, network_bytes: int, n_timesteps: int) -> float:
        """Return a number that grows with the computing of a run: about proportional to its seconds on a CPU."""
        drawn = self.sampled_actions * self.rounds()
        update = self.batch_size * network_bytes * (2 + drawn / 2)
        calls = max(n_timesteps - self.learning_starts, 0) / self.train_freq
        return calls * self.updates_per_call() * (update + FIXED_WORK) + n_timesteps * STEP_WORK

    def costly_values(self) -> tuple[object, ...]:
        """Return what decides a run's time."""
        drawn = (self.sampled_actions, self.rounds(), self.double_q)
        return (*drawn, self.net_arch, self.batch_size, self.train_freq, self.updates_per_call(), self.learning_starts)
