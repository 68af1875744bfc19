"""K lanes of DQN trained as one batched network.

Each lane is an independent learner with its own hyperparameters, clock, memory and random streams; what they share is
the shape of their networks, and so the matrix products. ``K = 1`` is the ordinary DQN (Mnih et al. 2015).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from tuner import seeding
from tuner.agents.dqn.averaging import WeightAveraging
from tuner.agents.dqn.exploration import LaneExploration
from tuner.agents.dqn.layout import network_layout, perturbation_of, q_head
from tuner.agents.dqn.seams import Memory, NumericPath, Parts, TrainingCall
from tuner.agents.dqn.state import LearnerState
from tuner.agents.dqn.update import choose_update
from tuner.core.named_arrays import joined, part_of
from tuner.core.schedules import step_size
from tuner.envs.encoders import Encoder
from tuner.hyperparameters import DQNHyperparameters
from tuner.replay.frames import FrameMemory
from tuner.replay.n_step import NStepLanes
from tuner.replay.normalizer import LaneNormalizer
from tuner.replay.prioritized import LanePriorities
from tuner.replay.ring import LaneRing

Array = NDArray[Any]


class DQNStack:
    """K lanes that act, observe and learn.

    Args:
        encoder: From stored observations to network input.
        n_actions: Number of actions.
        hyperparameters: Any lane's; only fields that a stack shares are read.
        lanes: K.
        capacity: Largest replay memory any lane may ask for, in transitions.
        numeric_path: What trains, see :func:`~tuner.agents.dqn.update.choose_update`.
        device: Where networks are kept and computed; on any but ``cpu`` by torch. Replay memory stays here.
        dtype: Floating-point type of all numbers.
        reward_clip: How normalised rewards of n-step returns are clipped, see :class:`~tuner.contract.rules.Rules`.
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
        reward_clip: int = 2,
    ) -> None:
        self._encoder = encoder
        self._reward_clip = reward_clip
        self._n_actions = n_actions
        self._head = q_head(hyperparameters, n_actions)
        layout = network_layout(encoder, hyperparameters, n_actions)
        on_cpu = device == "cpu"
        if on_cpu:
            self.state = LearnerState(layout, lanes, dtype)
        else:
            from tuner.agents.dqn.state_device import DeviceLearnerState

            self.state = DeviceLearnerState(layout, lanes, device, dtype)
        self._perturbation = self.state.perturbation = perturbation_of(self.state)
        self.averaging = WeightAveraging(self.state)
        self.normalizer = LaneNormalizer(lanes, int(np.prod(encoder.storage_shape)))
        self.memory: Memory
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
        #: Environment steps that each lane's schedules are a share of.
        self._over = [1] * lanes
        probe = np.zeros((1, *encoder.storage_shape), np.float32)
        self._stored_is_input = encoder.to_input(probe) is probe
        parts = Parts(self.state, self.memory, self._priorities, self.normalizer, encoder, self._head, self._inputs)
        self._acting, self._exploring, self._update = choose_update(numeric_path, parts, hyperparameters)

    def start(
        self,
        lane: int,
        hyperparameters: DQNHyperparameters,
        seed: int,
        n_timesteps: int,
        schedule_steps: int | None = None,
    ) -> None:
        """Begin a new run on a lane; nothing of the one before remains.

        Args:
            lane: Lane number.
            hyperparameters: The run's.
            seed: The run's seed.
            n_timesteps: The run's budget in environment steps; the replay memory is never larger.
            schedule_steps: Environment steps that schedules are a share of; None takes the budget.
        """
        over = n_timesteps if schedule_steps is None else schedule_steps
        self._runs[lane], self._over[lane] = hyperparameters, over
        self.clock[lane] = 0
        self.state.start(lane, hyperparameters, seeding.stream(seed, "network"))
        self.averaging.start(lane, hyperparameters.weight_averaging * over / hyperparameters.train_freq)
        capacity = min(hyperparameters.buffer_size, n_timesteps)
        self.memory.start(lane, capacity, seeding.stream(seed, "replay"))
        self.exploration.start(lane, hyperparameters, over, seeding.stream(seed, "exploration"))
        observations = hyperparameters.normalize_observations and self._encoder.normalizable
        steps = None
        if hyperparameters.sums_normalized_rewards() and self._reward_clip > 1:
            from tuner.replay.step_rewards import StepRewards  # brings Numba

            steps = StepRewards(capacity, hyperparameters.n_steps, hyperparameters.gamma)
        self.normalizer.start(lane, observations, hyperparameters.normalize_rewards, hyperparameters.gamma, steps)
        self._n_step.start(lane, hyperparameters.n_steps)
        if self._perturbation is not None:
            self._perturbation.start(lane, seed)
        if self._priorities is not None:
            alpha, beta = hyperparameters.priority_alpha, hyperparameters.priority_beta
            self._priorities.start(lane, alpha, beta, over)

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
            "averaging": self.averaging,
            "memory": self.memory,
            "exploration": self.exploration,
            "n_step": self._n_step,
            "normalizer": self.normalizer,
            "priorities": self._priorities,
        }
        if self._perturbation is not None:
            parts[self._perturbation.name] = self._perturbation
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
        if self._perturbation is not None:
            self._perturbation.act(lanes)  # at each step, whatever the neighbours do
        exploring = explores.tolist()  # a reduction of an array takes ten times as long
        if False not in exploring:
            return random_actions
        best = self._exploring.best(lanes, observations)
        return np.where(explores, random_actions, best) if True in exploring else best

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
        steps = self.normalizer.steps[lane]
        if steps is not None:
            single = self.memory.unpack(rows)
            steps.add(position, single.rewards, single.discounts == 0 if ends is None else ends)
        if self._priorities is not None:
            self._priorities.added(lane, position, len(rows), int(self.memory.capacities[lane]))

    def learn(self, lanes: Sequence[int]) -> dict[int, TrainingCall]:
        """Do one training call on each of some lanes: ``gradient_steps`` updates on fresh minibatches.

        Args:
            lanes: Increasing lane numbers.
        """
        for lane in lanes:
            run = self._runs[lane]
            if run.learning_rate_schedule != "constant":
                self.state.learning_rate[lane] = step_size(
                    run.learning_rate_schedule, int(self.clock[lane]), self._over[lane], run.learning_rate
                )
        found = self._update.learn(lanes, self._runs, self.clock)
        self.averaging.after_training_calls(lanes)
        return found

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

        The parameters are copied: later updates do not change the policy. Where weights are averaged, the average acts.
        """
        outputs, shown = self._acting.frozen(self.averaging.networks(lanes)), self.normalizer.frozen(lanes)

        def act(inputs: Array) -> Array:
            actions: Array = self._head.preferences(outputs(shown(inputs))).argmax(axis=-1)
            return actions

        return act

    def finite(self, lane: int) -> bool:
        """Return whether a lane's network, and the average of it where there is one, are all numbers."""
        networks = (self.state.row("online", lane), self.averaging.network(lane))
        return all(bool(np.isfinite(network).all()) for network in networks)

    def weights(self, lane: int) -> Mapping[str, Array]:
        """Return a copy of a lane's network, of its average where there is one, and of its statistics.

        They are named as in Stable-Baselines3.
        """
        named: dict[str, Array] = self.state.layout.to_state_dict(self.averaging.network(lane))
        return named | self.normalizer.statistics(lane)
