r"""Deep Q-learning over sampled actions: a network of state and action, and a search for its best action.

.. math:: y = r + \gamma \, Q^-(s', \hat a), \qquad \hat a \approx \arg\max_{a'} Q^-(s', a')

with the target network's values :math:`Q^-`, zero after termination, and the argmax over samples
(:mod:`tuner.agents.action_search`). With ``double_q`` the online network chooses the action.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.agents.action_search import ActionSearch
from tuner.agents.action_values import ActionValues
from tuner.agents.dqn.optimizers import adam
from tuner.core.generators import set_state, state_of
from tuner.core.losses import LOSSES
from tuner.core.named_arrays import joined, part_of
from tuner.core.targets import td_target
from tuner.hyperparameters.sampled_dqn import SampledDQNHyperparameters
from tuner.networks.mlp import MLPLayout
from tuner.replay.ring import LaneRing

Array = NDArray[Any]


def layout_of(hyperparameters: SampledDQNHyperparameters, observation_size: int, dimensions: int) -> MLPLayout:
    """Return the network from an observation and an action to a value."""
    return MLPLayout((observation_size + dimensions, *hyperparameters.net_arch, 1))


def search_of(hyperparameters: SampledDQNHyperparameters, dimensions: int) -> ActionSearch:
    """Return how the best action is looked for."""
    h = hyperparameters
    return ActionSearch(h.sampled_actions, h.rounds(), h.elites(), dimensions)


class SampledDQN:
    """The learner of one run.

    Args:
        observation_size: Numbers of a network input.
        dimensions: Numbers of an action, on a scale from -1 to 1.
        hyperparameters: Its settings.
        capacity: Transitions that its memory holds.
        streams: Its own generators by name: ``network``, ``replay``, ``actions``.
    """

    def __init__(
        self,
        observation_size: int,
        dimensions: int,
        hyperparameters: SampledDQNHyperparameters,
        capacity: int,
        streams: Mapping[str, np.random.Generator],
    ) -> None:
        self._hyperparameters, self._size = hyperparameters, observation_size
        self._search = search_of(hyperparameters, dimensions)
        layout = layout_of(hyperparameters, observation_size, dimensions)
        row = layout.initial(streams["network"]).astype(np.float32)[None]
        self.online = ActionValues(layout, row, observation_size)
        self.target = ActionValues(layout, row.copy(), observation_size)
        self._first, self._second, self._gradient, self._scratch = (np.zeros_like(row) for _ in range(4))
        self._beta_powers = np.ones((2, 1))
        self._rate = np.array([hyperparameters.learning_rate])
        self._draws_stream = streams["actions"]
        # A pair of state and action is what the ring calls an observation; nothing follows the next state there.
        self._ring = LaneRing(1, capacity, observation_size + dimensions)
        self._ring.start(0, capacity, streams["replay"])
        self._stretch = self._ring.blank(1)
        self._batch = self._ring.blank(1, hyperparameters.batch_size)

    def store(self, observation: Array, action: Array, reward: float, following: Array, terminated: bool) -> None:
        """Keep a transition; ``action`` is on a scale from -1 to 1."""
        parts, size = self._ring.unpack(self._stretch), self._size
        parts.observations[0, :size], parts.observations[0, size:-1] = observation, action
        parts.next_observations[0, :size], parts.next_observations[0, size:-1] = following, 0
        parts.rewards[0], parts.discounts[0] = reward, 0.0 if terminated else self._hyperparameters.gamma
        self._ring.extend(0, self._stretch)

    def update(self) -> tuple[float, float]:
        """Take a gradient step; return (mean loss, mean value) of its minibatch."""
        h, size = self._hyperparameters, self._size
        self._ring.sample(0, 1, h.batch_size, self._batch)
        batch = self._ring.unpack(self._batch[0])
        draws = self._search.draws(self._draws_stream, h.batch_size)
        targets = self.targets(batch.next_observations[:, :size], batch.rewards, batch.discounts, draws)
        values, kept = self.online.with_slopes(batch.observations[:, :-1])
        errors = values - targets
        loss, slope = LOSSES[h.loss]
        self.online.gradient(slope(errors) / np.float32(len(errors)), kept, self._gradient)
        norm = float(np.sqrt(np.vdot(self._gradient, self._gradient)))
        if norm > h.max_grad_norm:
            self._gradient *= np.float32(h.max_grad_norm / (norm + 1e-6))  # as torch's clip_grad_norm_
        adam(
            self.online.row, self._gradient, self._first, self._second, self._beta_powers, self._rate, self._scratch
        )  # fmt: skip
        return float(loss(errors).mean()), float(values.mean())

    def targets(self, following: Array, rewards: Array, discounts: Array, draws: Array) -> Array:
        """Return what values should be, ``[B]``: no gradient flows through it."""
        chooser = self.online if self._hyperparameters.double_q else self.target
        actions, values = self._search.best(lambda tried: chooser.of(following, tried), draws, len(following))
        if chooser is not self.target:
            values = self.target.of(following, actions[:, None])[:, 0]
        found: Array = td_target(rewards, discounts, values)
        return found

    def finite(self) -> bool:
        """Return whether the network's weights are all numbers."""
        return bool(np.isfinite(self.online.row).all())

    def update_target(self) -> None:
        """Move the target network towards the online one."""
        tau = np.float32(self._hyperparameters.tau)
        self.target.row *= 1 - tau
        self.target.row += tau * self.online.row

    def snapshot(self) -> dict[str, Array]:
        """Return all that it has become, as plain arrays."""
        learner = {
            "online": self.online.row, "target": self.target.row, "first": self._first, "second": self._second,
            "beta_powers": self._beta_powers, "stream": np.array(state_of(self._draws_stream)),
        }  # fmt: skip
        return joined({"learner": learner, "ring": self._ring.snapshot(0)})

    def restore(self, saved: Mapping[str, Array]) -> None:
        """Go on from the snapshot of a learner of the same run."""
        learner = part_of("learner", saved)
        for name, own in (
            ("online", self.online.row), ("target", self.target.row), ("first", self._first),
            ("second", self._second), ("beta_powers", self._beta_powers),
        ):  # fmt: skip
            own[...] = learner[name]
        set_state(self._draws_stream, str(learner["stream"]))
        self._ring.restore(0, part_of("ring", saved))
