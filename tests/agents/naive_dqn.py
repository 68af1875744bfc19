"""A short, obvious DQN for one run: what a lane must equal. Slow on purpose."""

from __future__ import annotations

import itertools
import math

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
        self.optimizer = optimizer(self.q_net.parameters(), lr=self.h.learning_rate, eps=self.h.optimizer_eps)
        self.memory: list[tuple] = []

    def _network(self, sizes: tuple[int, ...]) -> nn.Sequential:
        layers: list[nn.Module] = []
        for fan_in, fan_out in itertools.pairwise(sizes[:-1]):
            norm = [nn.LayerNorm(fan_out)] if self.h.layer_norm else []
            layers += [nn.Linear(fan_in, fan_out), *norm, nn.ReLU()]
        return nn.Sequential(*layers, nn.Linear(*sizes[-2:])).double()

    def quantiles(self, network: nn.Sequential, s: torch.Tensor) -> torch.Tensor:
        """Return [B, quantiles, actions]."""
        outputs = network(s).unflatten(1, (self.h.quantiles, -1))
        if not self.h.dueling:
            return outputs
        value, advantages = outputs.split([1, outputs.shape[2] - 1], dim=2)
        return value + advantages - advantages.mean(dim=2, keepdim=True)

    def q_values(self, network: nn.Sequential, s: torch.Tensor) -> torch.Tensor:
        return self.quantiles(network, s).mean(dim=1)

    def set_learning_rate(self, progress: float) -> None:
        """Take the step size for a share of the run that is over."""
        schedule, rate = self.h.learning_rate_schedule, self.h.learning_rate
        rate *= {"constant": 1, "linear": 1 - progress, "cosine": (1 + math.cos(math.pi * progress)) / 2}[schedule]
        self.optimizer.param_groups[0]["lr"] = rate

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
            next_q = self.quantiles(self.target, s2)
            if self.h.munchausen:
                tau, chooser = self.h.munchausen_tau, self.q_net if self.h.double_q else self.target
                log_pi, before = (torch.log_softmax(self.q_values(chooser, seen) / tau, dim=1) for seen in (s2, s))
                value = torch.stack(
                    [(log_pi.exp() * (next_q[:, i] - tau * log_pi)).sum(dim=1) for i in range(self.h.quantiles)], dim=1
                )
                scaled = tau * before.gather(1, a.long().unsqueeze(1)).squeeze(1)
                r = r + self.h.munchausen_alpha * scaled.clamp(self.h.munchausen_clip, 0)
            elif self.h.double_q:
                best = self.q_values(self.q_net, s2).argmax(1)
                value = torch.stack([next_q[i, :, best[i]] for i in range(len(best))])
            else:
                best = next_q.mean(dim=1).argmax(1)
                value = torch.stack([next_q[i, :, best[i]] for i in range(len(best))])
            y = r.unsqueeze(1) + discount.unsqueeze(1) * value
        quantiles = self.quantiles(self.q_net, s)
        q = torch.stack([quantiles[i, :, action] for i, action in enumerate(a.long())])
        self.td_errors = (q.mean(dim=1) - y.mean(dim=1)).detach().numpy()
        criterion = nn.functional.smooth_l1_loss if self.h.loss == "huber" else nn.functional.mse_loss
        if self.h.quantiles == 1:
            losses = criterion(q, y, reduction="none").squeeze(1)
        else:
            losses = 0
            for i in range(self.h.quantiles):
                level = (i + 0.5) / self.h.quantiles
                mine = q[:, [i]].expand_as(y)  # beside each quantile of the target
                weight = (level - (y < mine).double()).abs()
                losses = losses + (weight * criterion(mine, y, reduction="none")).sum(dim=1) / self.h.quantiles
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
