"""The hyperparameters of proximal policy optimisation with a memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tuner.fields import declare, redeclare
from tuner.hyperparameters.ppo import PPOHyperparameters


@dataclass(frozen=True)
class RecurrentPPOHyperparameters(PPOHyperparameters):
    """Proximal policy optimisation of a policy that remembers: long short-term memory before the hidden layers."""

    algorithm: ClassVar[str] = "recurrent_ppo"
    title: ClassVar[str] = "Recurrent PPO"
    sb3_class: ClassVar[str] = "sb3_contrib.RecurrentPPO"
    zoo: ClassVar[str] = "ppo_lstm"
    policy_suffix: ClassVar[str] = "LstmPolicy"
    remembers: ClassVar[bool] = True
    needs: ClassVar[tuple[str, str] | None] = ("sb3_contrib", "contrib")
    costly: ClassVar[tuple[str, ...]] = (*PPOHyperparameters.costly, "lstm_hidden_size", "n_lstm_layers")

    n_steps: int = redeclare(PPOHyperparameters, "n_steps", 128)
    batch_size: int = redeclare(PPOHyperparameters, "batch_size", 128)
    lstm_hidden_size: int = declare(
        256, "Numbers that each layer remembers.", low=1, high=4096, unit="units", place="policy"
    )
    n_lstm_layers: int = declare(1, "Layers that remember.", low=1, high=8, place="policy")
    enable_critic_lstm: bool = declare(
        True, "Give the critic a memory of its own; false gives it none.", place="policy"
    )

    def costly_values(self) -> tuple[object, ...]:
        """Return what decides a run's time."""
        return (*super().costly_values(), self.lstm_hidden_size, self.n_lstm_layers, self.enable_critic_lstm)

    def work(self, network_bytes: int, n_timesteps: int) -> float:
        """Return a number that grows with the computing of a run; what remembers is not in ``network_bytes``."""
        memory = 4 * 4 * 4 * self.lstm_hidden_size * self.lstm_hidden_size
        return super().work(network_bytes + 2 * self.n_lstm_layers * memory, n_timesteps)
