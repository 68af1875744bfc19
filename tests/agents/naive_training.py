"""The naive twin of a lane at its training: what it remembers, draws and learns in each call."""

from __future__ import annotations

import numpy as np
from agents.naive_dqn import NaiveDQN

from tuner.hyperparameters import DQNHyperparameters


class NaivePriorities:
    """One number per transition, in the ring's places; cumulative sums."""

    def __init__(self, h: DQNHyperparameters, n_timesteps: int) -> None:
        self.h, self.n_timesteps = h, n_timesteps
        self.values: list[float] = []
        self.position, self.largest = 0, 1.0

    def add(self) -> None:
        if len(self.values) < self.h.buffer_size:
            self.values.append(self.largest)
        else:
            self.values[self.position] = self.largest
        self.position = (self.position + 1) % self.h.buffer_size

    def draw(self, uniforms: np.ndarray, clock: int) -> tuple[np.ndarray, np.ndarray]:
        cumulated = np.cumsum(self.values)
        index = np.searchsorted(cumulated, uniforms * cumulated[-1], side="right")
        probability = np.array(self.values)[index] / cumulated[-1]
        beta = self.h.priority_beta + (1 - self.h.priority_beta) * clock / self.n_timesteps
        weights = (len(self.values) * probability) ** -beta
        return index, weights / weights.max()

    def update(self, index: np.ndarray, td_errors: np.ndarray) -> None:
        for i, error in zip(index, td_errors, strict=True):
            self.values[i] = (abs(error) + 1e-6) ** self.h.priority_alpha
            self.largest = max(self.largest, self.values[i])


#: What the naive twin made of its variant, its first weights and its draws: those are the same on every path.
_TWINS: dict[tuple, tuple[list[float], dict]] = {}


def naive_twin(
    h: DQNHyperparameters, weights: dict, drawn: list[np.ndarray], rows: np.ndarray, ends: np.ndarray
) -> tuple[list[float], dict]:
    """Return the mean loss of each training call of the twin, and its last weights.

    Args:
        h: The hyperparameters; a call comes every eight steps of 400.
        weights: The first weights.
        drawn: Uniform numbers of each call's minibatches.
        rows: Transitions, [T, 2 D + 5].
        ends: Where episodes end, [T].
    """
    key = (h, *(np.asarray(array).tobytes() for array in (*weights.values(), *drawn, rows, ends)))
    if key not in _TWINS:
        _TWINS[key] = _train(h, weights, drawn, rows, ends)
    return _TWINS[key]


def _train(h, weights, drawn, rows, ends):
    first, *_, last = weights.values()
    sizes = (first.shape[1], *h.net_arch, len(last))
    twin, priorities = NaiveDQN(sizes, h, weights), NaivePriorities(h, 400)
    losses, size_s = [], first.shape[1]
    for begin, uniforms in zip(range(0, len(rows), 8), drawn, strict=True):
        for t, row in enumerate(rows[begin : begin + 8], start=begin + 1):
            twin.remember((row[:size_s], row[size_s + 1 : 2 * size_s + 1], row[-3], row[-2], row[-1], ends[t - 1]))
            priorities.add()
            if t % h.target_update_interval == 0:
                twin.update_target()
        twin.set_learning_rate((begin + 8) / 400)
        size = len(twin.memory)
        oldest = (begin + 8) % h.buffer_size if size == h.buffer_size else 0
        call = []
        for minibatch in uniforms.reshape(-1, h.batch_size):
            index, weights = (minibatch * size).astype(int), None
            if h.prioritized:
                index, weights = priorities.draw(minibatch, clock=begin + 8)
            call.append(twin.gradient_step((index - oldest) % size, weights))
            priorities.update(index, twin.td_errors)
        assert len(call) == h.updates_per_call()
        losses.append(np.mean(call))
    return losses, twin.weights()
