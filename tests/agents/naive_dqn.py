"""A short, obvious DQN for one run: what a lane must equal. Slow on purpose."""

from __future__ import annotations

import itertools

import numpy as np
import torch
from torch import nn

from tuner.hyperparameters import DQNHyperparameters


class NaiveDQN:
    """Plain torch modules, ``torch.optim``, a list as replay memory; minibatches are given by index."""

    def __init__(self, sizes: tuple[int, ...], hyperparameters: DQNHyperparameters, weights: dict) -> None:
        self.h = hyperparameters
        self.q_net, self.target = self._network(sizes), self._network(sizes)
        state = {name.removeprefix("q_net."): torch.as_tensor(value) for name, value in weights.items()}
        self.q_net.load_state_dict(state)
        self.target.load_state_dict(state)
        optimizer = {"adam": torch.optim.Adam, "rmsprop": torch.optim.RMSprop}[self.h.optimizer]
        self.optimizer = optimizer(self.q_net.parameters(), lr=self.h.learning_rate)
        self.memory: list[tuple] = []

    @staticmethod
    def _network(sizes: tuple[int, ...]) -> nn.Sequential:
        layers: list[nn.Module] = []
        for fan_in, fan_out in itertools.pairwise(sizes):
            layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
        return nn.Sequential(*layers[:-1]).double()

    def q_values(self, network: nn.Sequential, s: torch.Tensor) -> torch.Tensor:
        if not self.h.dueling:
            return network(s)
        value, advantages = network(s).split([1, network[-1].out_features - 1], dim=1)
        return value + advantages - advantages.mean(dim=1, keepdim=True)

    def remember(self, transition: tuple) -> None:
        """Keep (s, s2, r, discount, a, whether the episode ended here)."""
        self.memory.append(transition)
        self.memory = self.memory[-self.h.buffer_size :]

    def look_ahead(self, i: int) -> tuple:
        """Return (s, s2, n-step reward, discount, a) of the i-th oldest transition."""
        s, s2, reward, discount, a, end = self.memory[i]
        for later in self.memory[i + 1 : i + self.h.n_steps]:
            if end:
                break
            _, s2, r, d, _, end = later
            reward, discount = reward + discount * r, discount * d
        return s, s2, reward, discount, a

    def gradient_step(self, index: np.ndarray, weights: np.ndarray | None = None) -> float:
        batch = [self.look_ahead(i) for i in index]
        s, s2, r, discount, a = (
            torch.as_tensor(np.array([row[part] for row in batch]), dtype=torch.float64) for part in range(5)
        )
        with torch.no_grad():
            next_q = self.q_values(self.target, s2)
            if self.h.double_q:
                best = self.q_values(self.q_net, s2).argmax(1, keepdim=True)
                value = next_q.gather(1, best).squeeze(1)
            else:
                value = next_q.max(1).values
            y = r + discount * value
        q = self.q_values(self.q_net, s).gather(1, a.long().unsqueeze(1)).squeeze(1)
        self.td_errors = (q - y).detach().numpy()
        criterion = nn.functional.smooth_l1_loss if self.h.loss == "huber" else nn.functional.mse_loss
        losses = criterion(q, y, reduction="none")
        loss = (losses if weights is None else losses * torch.as_tensor(weights)).mean()
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.q_net.parameters(), self.h.max_grad_norm)
        self.optimizer.step()
        return loss.item()

    def update_target(self) -> None:
        with torch.no_grad():
            for mine, theirs in zip(self.target.parameters(), self.q_net.parameters(), strict=True):
                mine.mul_(1 - self.h.tau).add_(theirs, alpha=self.h.tau)

    def weights(self) -> dict:
        return {f"q_net.{name}": value.numpy() for name, value in self.q_net.state_dict().items()}
