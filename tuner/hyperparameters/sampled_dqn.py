"""The hyperparameters of deep Q-learning over sampled actions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tuner.fields import declare
from tuner.hyperparameters.base import Hyperparameters

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

    learning_rate: float = declare(1e-3, "Step size of Adam.", kind="float", low=0.0, low_open=True, high=1.0)
    buffer_size: int = declare(
        1_000_000, "Transitions the replay memory holds; the oldest go first.", kind="int", low=1, high=1e7,
        unit="transitions",
    )  # fmt: skip
    learning_starts: int = declare(
        100, "Steps of uniformly random play before the first gradient step.", kind="int", low=0, high=1e7,
        unit="environment steps",
    )  # fmt: skip
    batch_size: int = declare(64, "Transitions per gradient step.", kind="int", low=1, high=8192, unit="transitions")
    tau: float = declare(
        0.005, "Share of the online network that each target update takes over; 1 copies it.", kind="float", low=0.0,
        low_open=True, high=1.0,
    )  # fmt: skip
    gamma: float = declare(0.99, "Discount factor per environment step.", kind="float", low=0.0, high=1.0)
    train_freq: int = declare(
        1, "Steps collected between two training calls.", kind="int", low=1, high=100_000, unit="environment steps"
    )
    gradient_steps: int = declare(
        1, "Gradient steps per training call; -1 does as many as steps were collected.", kind="int", low=-1,
        high=100_000, unit="updates",
    )  # fmt: skip
    target_update_interval: int = declare(
        1, "Steps between two updates of the target network.", kind="int", low=1, high=1e7, unit="environment steps"
    )
    exploration_fraction: float = declare(
        0.3, "Share of the run over which epsilon falls from its initial to its final value.", kind="float", low=0.0,
        high=1.0, unit="share of the run",
    )  # fmt: skip
    exploration_initial_eps: float = declare(
        1.0, "Probability of a random action at the start.", kind="float", low=0.0, high=1.0, unit="probability"
    )
    exploration_final_eps: float = declare(
        0.05, "Probability of a random action once epsilon has fallen.", kind="float", low=0.0, high=1.0,
        unit="probability",
    )  # fmt: skip
    max_grad_norm: float = declare(
        10.0, "Bound on the Euclidean norm of the gradient.", kind="float", low=0.0, low_open=True, high=1e9
    )
    net_arch: tuple[int, ...] = declare(
        (64, 64), "Widths of the hidden layers.", kind="layers", low=1, high=4096, unit="units"
    )
    loss: str = declare("huber", "Loss on the temporal-difference error.", kind="choice", choices=("huber", "mse"))
    double_q: bool = declare(
        False, "Look for the next action with the online network, value it with the target (van Hasselt et al. 2016).",
        kind="bool",
        idea="double Q-learning [@vanhasselt2016]",
    )  # fmt: skip
    action_search: str = declare(
        "cross_entropy", "Where actions are sampled: in the whole space, or in rounds ever closer to the best of them.",
        kind="choice", choices=("uniform", "cross_entropy"),
    )  # fmt: skip
    sampled_actions: int = declare(
        32, "Actions that are drawn at a time, to take the best of.", kind="int", low=1, high=4096, unit="actions"
    )
    search_rounds: int = declare(
        2, "Rounds of cross_entropy, each with as many actions.", kind="int", low=2, high=20, unit="rounds"
    )
    elite_fraction: float = declare(
        0.2, "Share of a round's actions that the next round is shaped by.", kind="float", low=0.0, low_open=True,
        high=1.0, unit="share of the actions",
    )  # fmt: skip

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
