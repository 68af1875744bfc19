"""K lanes of DQN trained as one batched network.

Each lane is an independent learner with its own hyperparameters, clock, memory and random streams; what they share is
the shape of their networks, and so the matrix products. ``K = 1`` is the ordinary DQN (Mnih et al. 2015).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from tuner import seeding
from tuner.agents.dqn.acting import acting_for
from tuner.agents.dqn.exploration import LaneExploration
from tuner.agents.dqn.layout import network_layout
from tuner.agents.dqn.minibatches import (
    GatheredMinibatches,
    Minibatches,
    PrioritizedMinibatches,
    UniformMinibatches,
)
from tuner.agents.dqn.state import LearnerState
from tuner.agents.dqn.update_numpy import NumpyUpdate
from tuner.core.losses import LOSSES
from tuner.core.named_arrays import joined, part_of
from tuner.envs.encoders import Encoder
from tuner.hyperparameters import DQNHyperparameters
from tuner.networks.heads import QHead
from tuner.replay.frames import FrameMemory
from tuner.replay.n_step import NStepLanes
from tuner.replay.normalizer import LaneNormalizer
from tuner.replay.prioritized import LanePriorities
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
        numeric_path: ``numpy`` (fast, CPU) or ``torch`` (the reference, any device).
        device: Where networks are kept and computed; on any but ``cpu`` by torch. Replay memory stays here.
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
        device: str = "cpu",
        dtype: DTypeLike = np.float32,
    ) -> None:
        self._encoder = encoder
        self._n_actions = n_actions
        self._batch_size = hyperparameters.batch_size
        self._head = QHead(n_actions, hyperparameters.dueling)
        layout = network_layout(encoder, hyperparameters, n_actions)
        on_cpu = device == "cpu"
        if on_cpu:
            self.state = LearnerState(layout, lanes, dtype)
        else:
            from tuner.agents.dqn.state_device import DeviceLearnerState

            self.state = DeviceLearnerState(layout, lanes, device, dtype)
        self.normalizer = LaneNormalizer(lanes, int(np.prod(encoder.storage_shape)))
        self.memory: Any
        if encoder.image is None:
            self.memory = LaneRing(lanes, capacity, int(np.prod(encoder.storage_shape)), dtype, self.normalizer)
        else:
            self.memory = FrameMemory(lanes, capacity, encoder.image, encoder.frames, dtype, self.normalizer)
        self._n_step = NStepLanes(lanes, self.memory.unpack)
        self._priorities = LanePriorities(lanes, capacity) if hyperparameters.prioritized else None
        self.exploration = LaneExploration(lanes, n_actions)
        #: Environment steps each lane has taken.
        self.clock = np.zeros(lanes, dtype=np.int64)
        self._runs: list[DQNHyperparameters] = [hyperparameters] * lanes
        self._loss = LOSSES[hyperparameters.loss][0]
        self._acting = acting_for(self.state)
        probe = np.zeros((1, *encoder.storage_shape), np.float32)
        self._stored_is_input = encoder.to_input(probe) is probe
        self._block = max(1, min(8, BLOCK_PARAMETERS // layout.n_parameters)) if on_cpu else lanes
        self._update: Any
        if numeric_path == "torch" or encoder.image is not None or not on_cpu:
            from tuner.agents.dqn.update_torch import TorchUpdate

            self._update = TorchUpdate(self.state, self._head, hyperparameters)
        else:
            self._update = NumpyUpdate(self.state, self._head, hyperparameters)

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
        observations = hyperparameters.normalize_observations and self._encoder.normalizable
        self.normalizer.start(lane, observations, hyperparameters.normalize_rewards, hyperparameters.gamma)
        self._n_step.start(lane, hyperparameters.n_steps)
        if self._priorities is not None:
            alpha, beta = hyperparameters.priority_alpha, hyperparameters.priority_beta
            self._priorities.start(lane, alpha, beta, n_timesteps)

    def snapshot(self, lane: int) -> dict[str, Array]:
        """Return all that a lane has become since its start, as plain arrays."""
        parts = {name: part.snapshot(lane) for name, part in self._parts().items()}
        return {**joined(parts), "clock": np.array(self.clock[lane])}

    def restore(self, lane: int, saved: Mapping[str, Array]) -> None:
        """Go on from a snapshot; the lane was started for the same run."""
        for name, part in self._parts().items():
            part.restore(lane, part_of(name, saved))
        self.clock[lane] = int(saved["clock"])

    def _parts(self) -> dict[str, Any]:
        """Return what keeps something of each lane, by name."""
        parts = {
            "learner": self.state,
            "memory": self.memory,
            "exploration": self.exploration,
            "n_step": self._n_step,
            "normalizer": self.normalizer,
            "priorities": self._priorities,
        }
        return {name: part for name, part in parts.items() if part is not None}

    def explore(self, lane: int, steps: int) -> tuple[Array, Array]:
        """Return (whether to explore, the random action), both ``[steps]``, for a lane's next stretch."""
        return self.exploration.decide(lane, int(self.clock[lane]), steps)

    def act(self, lanes: slice, observations: Array, explores: Array, random_actions: Array) -> Array:
        """Return each lane's epsilon-greedy action index ``[n]``.

        Args:
            lanes: Neighbouring lanes.
            observations: ``[n, observation_size + 1]`` stored observations as in packed rows.
            explores: ``[n]`` from :meth:`explore`, for this step.
            random_actions: ``[n]`` likewise.
        """
        if explores.all():
            return random_actions
        inputs = self._inputs(self.normalizer.inputs(lanes, observations))
        outputs = self._head.preferences(self._acting.outputs(lanes, inputs))
        return np.where(explores, random_actions, outputs.argmax(axis=-1))

    def observe(self, lane: int, rows: Array, ends: Array | None = None) -> None:
        """Store a stretch of a lane's experience, advance its clock, and update its target network when due.

        The online network does not change within a stretch, so updating the target once per interval passed is exact.

        Args:
            lane: Lane number.
            rows: ``[T, width]`` packed one-step transitions in order (see :class:`~tuner.replay.ring.LaneRing`).
            ends: ``[T]`` whether the episode ended with the step; None where only termination ends one.
        """
        before = int(self.clock[lane])
        self.remember(lane, rows, ends)
        self.clock[lane] = before + len(rows)
        interval = self._runs[lane].target_update_interval
        times = (before + len(rows)) // interval - before // interval
        if times:
            self.state.update_target(lane, times)

    def remember(self, lane: int, rows: Array, ends: Array | None = None) -> None:
        """Store a stretch of a lane's experience and nothing else; arguments as for :meth:`observe`."""
        position = int(self.memory.positions[lane])
        self.memory.extend(lane, *self._n_step.extend(lane, rows, ends))
        if self._priorities is not None:
            self._priorities.added(lane, position, len(rows), int(self.memory.capacities[lane]))

    def learn(self, lanes: Sequence[int]) -> dict[int, tuple[float, float]]:
        """Do one training call on each of some lanes: ``gradient_steps`` updates on fresh minibatches.

        Args:
            lanes: Increasing lane numbers.

        Returns:
            By lane: (mean loss, mean Q-value) over the call's gradient steps.
        """
        means = {}
        for block in neighbours(lanes, self._block):
            steps = [self._runs[lane].updates_per_call() for lane in range(block.start, block.stop)]
            losses, q_values = self._learn_block(block, steps)
            for i, lane in enumerate(range(block.start, block.stop)):
                if steps[i]:
                    means[lane] = (float(losses[i]) / steps[i], float(q_values[i]) / steps[i])
        return means

    def _learn_block(self, block: slice, steps: Sequence[int]) -> tuple[Array, Array]:
        """Update neighbouring lanes; block by block, so that a block's parameters stay in the cache.

        Returns:
            (sum of losses ``[n]``, sum of mean Q-values ``[n]``) over the gradient steps.
        """
        shape = (len(steps), max(steps), self._batch_size)
        minibatches = self._minibatches(block, steps)
        td_errors, q_values = self._update.zeros(shape), self._update.zeros(shape)
        for step in range(max(steps)):
            # Lanes with fewer gradient steps drop out; the rest go on in groups of neighbours.
            for part in neighbours([i for i, count in enumerate(steps) if count > step]):
                lanes = slice(block.start + part.start, block.start + part.stop)
                td_errors[part, step], q_values[part, step] = self._update(lanes, *minibatches.draw(part, step))
                minibatches.learned(part, step, td_errors[part, step])
        losses = self._loss(self._update.to_host(td_errors))
        if minibatches.weights is not None:
            losses *= minibatches.weights
        totals = losses.sum(axis=(1, 2)) / self._batch_size
        return totals, self._update.to_host(q_values).sum(axis=(1, 2)) / self._batch_size

    def _minibatches(self, block: slice, steps: Sequence[int]) -> Minibatches:
        memory, update = self.memory, self._update
        if self._priorities is None and self._encoder.image is not None:
            return GatheredMinibatches(memory, block, steps, self._batch_size)
        if self._priorities is None:
            prepare = update.prepare if self._stored_is_input else None
            return UniformMinibatches(memory, block, steps, self._batch_size, self._inputs, prepare, update.next_values)
        return PrioritizedMinibatches(
            memory, self._priorities, block, steps, self._batch_size, self._inputs, self.clock[block], update.to_host
        )

    def _inputs(self, stored: Array) -> Array:
        """Return network input ``[..., input_size + 1]`` for stored observations ``[..., observation_size + 1]``.

        Images that come as bytes from memory stay so: the network scales them where it needs them.
        """
        if self._stored_is_input or stored.dtype == np.uint8:
            return stored
        inputs = np.ones((*stored.shape[:-1], self._encoder.input_size + 1), self.state.dtype)
        shaped = stored[..., :-1].reshape(*stored.shape[:-1], *self._encoder.storage_shape)
        self._encoder.to_input(shaped, inputs[..., :-1])
        return inputs

    def greedy_policy(self, lanes: Sequence[int]) -> Callable[[Array], Array]:
        """Return a function from inputs ``[len(lanes), N, input_size]`` to greedy action indices ``[len(lanes), N]``.

        The parameters are copied: later updates do not change the policy.
        """
        outputs, shown = self._acting.frozen(lanes), self.normalizer.frozen(lanes)

        def act(inputs: Array) -> Array:
            actions: Array = self._head.preferences(outputs(shown(inputs))).argmax(axis=-1)
            return actions

        return act

    def weights(self, lane: int) -> Mapping[str, Array]:
        """Return a copy of a lane's network and of its statistics, named as in Stable-Baselines3."""
        named: dict[str, Array] = self.state.layout.to_state_dict(self.state.row("online", lane))
        return named | self.normalizer.statistics(lane)


def neighbours(lanes: Sequence[int], most: int | None = None) -> list[slice]:
    """Split increasing lane numbers into slices of neighbours, each of at most ``most`` lanes."""
    slices, begin = [], 0
    for end in range(1, len(lanes) + 1):
        if end == len(lanes) or lanes[end] != lanes[end - 1] + 1 or end - begin == most:
            slices.append(slice(lanes[begin], lanes[end - 1] + 1))
            begin = end
    return slices
