"""The hyperparameters of proximal policy optimisation with a memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from tuner.fields import declare, redeclare
from tuner.hyperparameters.base import Clash
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

    @classmethod
    def clash(cls, values: Mapping[str, Any]) -> Clash | None:
        """Return that one advantage alone would be normalised: of a rollout, or of its last minibatch."""
        if found := super().clash(values):
            return found
        n_steps, n_envs, batch = values["n_steps"], values["n_envs"], values["batch_size"]
        rollout = n_steps * n_envs
        if not values["normalize_advantage"] or batch >= rollout or rollout % batch != 1:
            return None
        problem = (
            f"batch_size={batch} leaves a last minibatch of 1 of the {rollout} transitions of n_steps times n_envs, "
            "and advantages are normalised. Use one that divides them, or normalize_advantage=false."
        )
        moves = {"n_steps": n_steps + 1, "batch_size": rollout, "n_envs": n_envs + 1, "normalize_advantage": False}
        return Clash(problem, moves)

    def costly_values(self) -> tuple[object, ...]:
        """Return what decides a run's time."""
        return (*super().costly_values(), self.lstm_hidden_size, self.n_lstm_layers, self.enable_critic_lstm)

    def work(self, network_bytes: int, n_timesteps: int) -> float:
        """Return a number that grows with the computing of a run; what remembers is not in ``network_bytes``."""
        memory = 4 * 4 * 4 * self.lstm_hidden_size * self.lstm_hidden_size
        return super().work(network_bytes + 2 * self.n_lstm_layers * memory, n_timesteps)
