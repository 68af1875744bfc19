"""What the algorithms that only Stable-Baselines3 has share, declared once. Defaults are Stable-Baselines3's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from tuner.fields import declare, redeclare
from tuner.hyperparameters.base import CAPS, Clash, Hyperparameters
from tuner.hyperparameters.dqn import DQNHyperparameters

#: What an update costs whatever its size, in the unit of minibatch times bytes of the networks; and what a step does.
FIXED_WORK, STEP_WORK = 2e7, 4e6


@dataclass(frozen=True)
class SB3Hyperparameters(Hyperparameters):
    """What all of them have."""

    native: ClassVar[bool] = False
    wrapped: ClassVar[tuple[str, ...]] = ("normalize_observations", "normalize_rewards")

    learning_rate: float = redeclare(DQNHyperparameters, "learning_rate", 3e-4)
    learning_rate_schedule: str = declare(
        "constant",
        "How the step size goes over the run; linear falls to 0 (RL Zoo's lin_3e-4).",
        choices=("constant", "linear"),
        place="schedule",
    )
    gamma: float = redeclare(DQNHyperparameters, "gamma", 0.99)
    n_envs: int = declare(
        1, "Environments that take their steps side by side.", low=1, high=256, unit="environments", place="environment"
    )
    normalize_observations: bool = redeclare(DQNHyperparameters, "normalize_observations", False)
    normalize_rewards: bool = redeclare(DQNHyperparameters, "normalize_rewards", False)
    net_arch: tuple[int, ...] = declare(
        (64, 64), "Widths of the hidden layers of each network.", kind="layers", low=1, high=4096, unit="units",
        place="policy",
    )  # fmt: skip
    activation_fn: str = declare(
        "relu", "Activation of the hidden layers.", choices=("relu", "tanh", "elu", "leaky_relu"), place="policy"
    )


@dataclass(frozen=True)
class OnPolicy(SB3Hyperparameters):
    """Learns from what its present policy has just done, and forgets it."""

    image_defaults: ClassVar[Mapping[str, Any]] = {"net_arch": ()}
    actions: ClassVar[tuple[str, ...]] = ("Discrete", "Box")
    #: With fewer than ten rollouts there are fewer than ten policies to learn from.
    caps: ClassVar[Mapping[str, int]] = {**CAPS, "n_steps": 10, "rollout_steps": 10}
    costly: ClassVar[tuple[str, ...]] = ("net_arch", "n_steps", "n_envs")

    activation_fn: str = redeclare(SB3Hyperparameters, "activation_fn", "tanh")
    n_steps: int = declare(
        2048, "Steps of each environment between two training calls.", low=1, high=100_000, unit="environment steps"
    )
    gae_lambda: float = declare(
        0.95,
        "Generalised advantage estimation: 0 bootstraps after a step, 1 sums all rewards (Schulman et al. 2016).",
        low=0.0,
        high=1.0,
    )
    normalize_advantage: bool = declare(False, "Shift and scale advantages before each update.")
    ent_coef: float = declare(0.0, "Weight of the policy's entropy in the loss.", low=0.0, high=10.0)
    vf_coef: float = declare(0.5, "Weight of the value function in the loss.", low=0.0, high=100.0)
    max_grad_norm: float = redeclare(DQNHyperparameters, "max_grad_norm", 0.5)
    use_sde: bool = declare(
        False, "Explore by noise that depends on the state (Raffin et al. 2021); continuous actions only."
    )
    sde_sample_freq: int = declare(
        -1, "Steps after which that noise is drawn anew; -1: once a rollout.", low=-1, high=100_000
    )
    log_std_init: float = declare(
        0.0,
        "Logarithm of the policy's deviation at the start; continuous actions only.",
        low=-20.0,
        high=2.0,
        place="policy",
    )
    use_expln: bool = declare(False, "Keep the deviation of use_sde from growing exponentially.", place="policy")
    ortho_init: bool = declare(True, "Begin with orthogonal weights.", place="policy")

    @classmethod
    def clash(cls, values: Mapping[str, Any]) -> Clash | None:
        """Return that one advantage alone would be normalised, which is none or an error, where it would."""
        n_steps, n_envs = values["n_steps"], values["n_envs"]
        if not values["normalize_advantage"] or n_steps * n_envs > 1:
            return None
        problem = (
            f"n_steps times n_envs must be at least 2 where advantages are normalised, got {n_steps} times {n_envs}. "
            "Use more of either, or normalize_advantage=false."
        )
        return Clash(problem, {"n_steps": 2, "n_envs": 2, "normalize_advantage": False})

    def stored_transitions(self, n_timesteps: int) -> int:
        """Return how many transitions a rollout has."""
        return self.n_steps * self.n_envs

    def steady(self, *, learns: bool) -> Self:
        """Return settings with rollouts so short that little is measured before the first is learned from."""
        shortest = math.ceil(self.shortest_rollout() / self.n_envs)
        return replace(self, n_steps=min(self.n_steps, max(shortest, 2))) if learns else self

    def shortest_rollout(self) -> int:
        """Return the transitions below which a rollout costs more for each of them."""
        return 32

    def passes(self) -> float:
        """Return how often each transition is learned from."""
        return 1.0

    def updates_per_rollout(self) -> float:
        """Return the gradient steps of a training call."""
        return 1.0

    def work(self, network_bytes: int, n_timesteps: int) -> float:
        """Return a number that grows with the computing of a run."""
        rollouts = n_timesteps / self.stored_transitions(n_timesteps)
        learned = n_timesteps * self.passes() * network_bytes
        return learned + rollouts * self.updates_per_rollout() * FIXED_WORK + n_timesteps * STEP_WORK / self.n_envs

    def costly_values(self) -> tuple[object, ...]:
        """Return what decides a run's time."""
        return self.net_arch, self.n_steps, self.n_envs, self.passes(), self.updates_per_rollout()


@dataclass(frozen=True)
class OffPolicy(SB3Hyperparameters):
    """Learns from a replay memory."""

    costly: ClassVar[tuple[str, ...]] = (
        "batch_size",
        "net_arch",
        "train_freq",
        "gradient_steps",
        "buffer_size",
        "learning_starts",
        "n_envs",
    )

    buffer_size: int = redeclare(DQNHyperparameters, "buffer_size", 1_000_000)
    learning_starts: int = redeclare(DQNHyperparameters, "learning_starts", 100)
    batch_size: int = declare(256, "Transitions per gradient step.", low=1, high=8192, unit="transitions")
    tau: float = declare(
        0.005, "Share of the online networks that each target update takes over.", low=0.0, low_open=True, high=1.0
    )
    train_freq: int = declare(
        1, "Steps of each environment between two training calls.", low=1, high=100_000, unit="environment steps"
    )
    gradient_steps: int = redeclare(DQNHyperparameters, "gradient_steps", 1)
    n_steps: int = declare(
        1,
        "Rewards summed before bootstrapping: n-step returns.",
        low=1,
        high=1000,
        unit="environment steps",
        idea="n-step returns [@sutton1988]",
    )

    def random_steps(self, n_timesteps: int) -> int:
        """Return how many steps of a run are uniformly random play."""
        return min(self.learning_starts, n_timesteps)

    def steady(self, *, learns: bool) -> Self:
        """Return settings that learn from the first step on, or never."""
        return replace(self, learning_starts=0 if learns else 10_000_000)

    def work(self, network_bytes: int, n_timesteps: int) -> float:
        """Return a number that grows with the computing of a run."""
        learning = max(n_timesteps - self.learning_starts, 0)
        calls = learning / (self.train_freq * self.n_envs)
        updates = learning if self.gradient_steps < 0 else calls * self.gradient_steps
        each = self.batch_size * network_bytes + FIXED_WORK
        return updates * each + n_timesteps * STEP_WORK / self.n_envs

    def costly_values(self) -> tuple[object, ...]:
        """Return what decides a run's time."""
        rhythm = self.train_freq, self.gradient_steps, self.learning_starts, self.n_envs
        return (*rhythm, self.batch_size, self.net_arch)


@dataclass(frozen=True)
class DeterministicActor(OffPolicy):
    """An actor that explores by noise upon its actions."""

    image_defaults: ClassVar[Mapping[str, Any]] = {"net_arch": (256, 256)}
    actions: ClassVar[tuple[str, ...]] = ("Box",)

    learning_rate: float = redeclare(OffPolicy, "learning_rate", 1e-3)
    net_arch: tuple[int, ...] = redeclare(OffPolicy, "net_arch", (400, 300))
    noise_type: str = declare(
        "none",
        "Noise upon actions while training.",
        choices=("none", "normal", "ornstein-uhlenbeck"),
        place="noise",
    )
    noise_std: float = declare(
        0.1, "Deviation of that noise, as a share of half the range of actions.", low=0.0, high=10.0, place="noise"
    )
    n_critics: int = declare(2, "Critics; the least of their values counts.", low=1, high=10, place="policy")


@dataclass(frozen=True)
class EntropyActor(OffPolicy):
    """A random actor that is paid for its entropy."""

    actions: ClassVar[tuple[str, ...]] = ("Box",)

    net_arch: tuple[int, ...] = redeclare(OffPolicy, "net_arch", (256, 256))
    ent_coef: float | None = declare(
        None,
        "Weight of the policy's entropy; null learns it (SB3's auto).",
        kind="float",
        low=0.0,
        high=100.0,
        unset="auto",
    )
    target_update_interval: int = declare(
        1, "Gradient steps between two updates of the target network.", low=1, high=1e7, unit="updates"
    )
    use_sde: bool = declare(False, "Explore by noise that depends on the state (Raffin et al. 2021).")
    sde_sample_freq: int = declare(
        -1, "Steps after which that noise is drawn anew; -1: once a training call.", low=-1, high=100_000
    )
    use_sde_at_warmup: bool = declare(False, "Use that noise instead of uniform play before learning starts.")
    log_std_init: float = declare(
        -3.0, "Logarithm of the deviation of use_sde at the start.", low=-20.0, high=2.0, place="policy"
    )
    use_expln: bool = redeclare(OnPolicy, "use_expln", False)
    n_critics: int = redeclare(DeterministicActor, "n_critics", 2)
