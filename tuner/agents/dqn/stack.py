"""K lanes of DQN trained as one batched network.

Each lane is an independent learner with its own hyperparameters, clock, memory and random streams; what they share is
the shape of their networks, and so the matrix products. ``K = 1`` is the ordinary DQN (Mnih et al. 2015).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from tuner import seeding
from tuner.agents.dqn.exploration import LaneExploration
from tuner.agents.dqn.state import LearnerState
from tuner.agents.dqn.update_numpy import NumpyUpdate
from tuner.envs.encoders import Encoder
from tuner.hyperparameters import DQNHyperparameters
from tuner.networks.mlp import Activations, MLPLayout, append_one, forward
from tuner.replay.ring import LaneRing

Array = NDArray[Any]
NumericPath = Literal["numpy", "torch"]

#: Parameters that updates of one block of lanes may touch together before they fall out of a core's cache.
BLOCK_PARAMETERS = 40_000


class DQNStack:
    """K lanes that act, observe and learn.

    Args:
        encoder: From stored observations to network input.
        n_actions: Number of actions.
        hyperparameters: Any lane's; only fields that a stack shares are read.
        lanes: K.
        capacity: Largest replay memory any lane may ask for, in transitions.
        numeric_path: ``numpy`` (fast, CPU) or ``torch`` (the reference).
        dtype: Floating-point type of all numbers.
    """

    def __init__(
        self,
        encoder: Encoder,
        n_actions: int,
        hyperparameters: DQNHyperparameters,
        *,
        lanes: int,
        capacity: int,
        numeric_path: NumericPath = "numpy",
        dtype: DTypeLike = np.float32,
    ) -> None:
        self._encoder = encoder
        self._n_actions = n_actions
        self._batch_size = hyperparameters.batch_size
        layout = MLPLayout((encoder.input_size, *hyperparameters.net_arch, n_actions))
        self.state = LearnerState(layout, lanes, dtype)
        self.memory = LaneRing(lanes, capacity, int(np.prod(encoder.storage_shape)), dtype)
        self.exploration = LaneExploration(lanes, n_actions)
        #: Environment steps each lane has taken.
        self.clock = np.zeros(lanes, dtype=np.int64)
        self._runs: list[DQNHyperparameters] = [hyperparameters] * lanes
        self._acting: dict[int, Activations] = {}
        probe = np.zeros((1, *encoder.storage_shape), np.float32)
        self._stored_is_input = encoder.to_input(probe) is probe
        self._block = max(1, min(8, BLOCK_PARAMETERS // layout.n_parameters))
        self._update: Any
        if numeric_path == "torch":
            from tuner.agents.dqn.update_torch import TorchUpdate

            self._update = TorchUpdate(self.state, hyperparameters)
        else:
            self._update = NumpyUpdate(self.state, hyperparameters)

    def start(self, lane: int, hyperparameters: DQNHyperparameters, seed: int, n_timesteps: int) -> None:
        """Begin a new run on a lane; nothing of the one before remains.

        Args:
            lane: Lane number.
            hyperparameters: The run's.
            seed: The run's seed.
            n_timesteps: The run's budget in environment steps; the replay memory is never larger.
        """
        self._runs[lane] = hyperparameters
        self.clock[lane] = 0
        self.state.start(lane, hyperparameters, seeding.stream(seed, "network"))
        self.memory.start(lane, min(hyperparameters.buffer_size, n_timesteps), seeding.stream(seed, "replay"))
        self.exploration.start(lane, hyperparameters, n_timesteps, seeding.stream(seed, "exploration"))

    def act(self, lanes: Array, clock: Array, observations: Array) -> Array:
        """Return each lane's epsilon-greedy action index ``[n]``.

        Args:
            lanes: ``[n]`` increasing lane numbers.
            clock: ``[n]`` environment steps each has taken.
            observations: ``[n, observation_size + 1]`` stored observations as in packed rows.
        """
        explores, actions = self.exploration.decide(lanes, clock)
        if explores.all():
            return actions
        inputs = self._inputs(observations)[:, None, :]
        for begin, block in _neighbours(lanes):
            end = begin + block.stop - block.start
            matrices = self.state.layout.matrices(self.state.online[block])
            q_values = forward(matrices, inputs[begin:end], self._buffers(end - begin))
            greedy = q_values[:, 0, :].argmax(axis=-1)
            np.copyto(actions[begin:end], greedy, where=~explores[begin:end])
        return actions

    def observe(self, lane: int, rows: Array) -> None:
        """Store a stretch of a lane's experience, advance its clock, and update its target network when due.

        The online network does not change within a stretch, so updating the target once per interval passed is exact.

        Args:
            lane: Lane number.
            rows: ``[T, width]`` packed transitions in order (see :class:`~tuner.replay.ring.LaneRing`).
        """
        before = int(self.clock[lane])
        self.memory.extend(lane, rows)
        self.clock[lane] = before + len(rows)
        interval = self._runs[lane].target_update_interval
        times = (before + len(rows)) // interval - before // interval
        if times:
            self.state.update_target(lane, times)

    def learn(self, lanes: Sequence[int]) -> dict[int, tuple[float, float]]:
        """Do one training call on each of some lanes: ``gradient_steps`` updates on fresh minibatches.

        Args:
            lanes: Increasing lane numbers.

        Returns:
            By lane: (mean loss, mean Q-value) over the call's gradient steps.
        """
        means = {}
        for _, block in _neighbours(np.asarray(lanes), self._block):
            steps = [self._runs[lane].updates_per_call() for lane in range(block.start, block.stop)]
            losses, q_values = self._learn_block(block, steps)
            for i, lane in enumerate(range(block.start, block.stop)):
                if steps[i]:
                    means[lane] = (float(losses[i]) / steps[i], float(q_values[i]) / steps[i])
        return means

    def _learn_block(self, block: slice, steps: Sequence[int]) -> tuple[Array, Array]:
        """Update neighbouring lanes; block by block, so that a block's parameters stay in the cache."""
        n = len(steps)
        rows = np.zeros((n, max(steps), self._batch_size, self.memory.width), self.state.online.dtype)
        for i, count in enumerate(steps):
            if count:
                self.memory.sample(block.start + i, count, self._batch_size, rows[i, :count])
        losses, q_values = np.zeros(n), np.zeros(n)
        for step in range(max(steps)):
            # Lanes with fewer gradient steps drop out; the rest go on in groups of neighbours.
            going = np.flatnonzero(np.asarray(steps) > step)
            for _, part in _neighbours(going):
                batch = self.memory.unpack(rows[part, step])
                batch = batch._replace(
                    observations=self._inputs(batch.observations),
                    next_observations=self._inputs(batch.next_observations),
                )
                loss, q_value = self._update(slice(block.start + part.start, block.start + part.stop), batch)
                losses[part] += loss
                q_values[part] += q_value
        return losses, q_values

    def _inputs(self, stored: Array) -> Array:
        """Return network input ``[..., input_size + 1]`` for stored observations ``[..., observation_size + 1]``."""
        if self._stored_is_input:
            return stored
        inputs = np.ones((*stored.shape[:-1], self._encoder.input_size + 1), self.state.online.dtype)
        shaped = stored[..., :-1].reshape(*stored.shape[:-1], *self._encoder.storage_shape)
        self._encoder.to_input(shaped, inputs[..., :-1])
        return inputs

    def _buffers(self, lanes: int) -> Activations:
        if lanes not in self._acting:
            self._acting[lanes] = Activations(self.state.layout, lanes, 1, self.state.online.dtype)
        return self._acting[lanes]

    def greedy_policy(self, lanes: Sequence[int]) -> Callable[[Array], Array]:
        """Return a function from inputs ``[len(lanes), N, input_size]`` to greedy action indices ``[len(lanes), N]``.

        The parameters are copied: later updates do not change the policy.
        """
        state = self.state
        matrices = state.layout.matrices(state.online[list(lanes)])
        buffers: dict[int, Activations] = {}

        def act(inputs: Array) -> Array:
            rows = inputs.shape[1]
            if rows not in buffers:
                buffers[rows] = Activations(state.layout, len(lanes), rows, state.online.dtype)
            with_one = append_one(inputs.astype(state.online.dtype, copy=False))
            actions: Array = forward(matrices, with_one, buffers[rows]).argmax(axis=-1)
            return actions

        return act

    def weights(self, lane: int) -> Mapping[str, Array]:
        """Return a copy of a lane's network, named as in Stable-Baselines3."""
        return self.state.layout.to_state_dict(self.state.online[lane])


def _neighbours(lanes: Array, most: int | None = None) -> Iterator[tuple[int, slice]]:
    """Split increasing lane numbers into runs of neighbours: (index of the first in ``lanes``, slice of lanes)."""
    begin = 0
    while begin < len(lanes):
        end = begin + 1
        while end < len(lanes) and lanes[end] == lanes[end - 1] + 1 and (most is None or end - begin < most):
            end += 1
        yield begin, slice(int(lanes[begin]), int(lanes[end - 1]) + 1)
        begin = end
