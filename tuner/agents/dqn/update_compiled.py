"""Training calls of one lane after the other in compiled code, its parameters in the cache all the while."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.agents.dqn import acting_kernels, kernels, noise_kernels, pictures, quantile_kernels, training_call
from tuner.agents.dqn.acting_compiled import CompiledActing, CompiledExploring
from tuner.agents.dqn.compiling import compiling
from tuner.agents.dqn.products import PANEL
from tuner.agents.dqn.seams import Parts, TrainingCall
from tuner.core.munchausen import MUNCHAUSEN
from tuner.core.normalization import CLIP
from tuner.hyperparameters import DQNHyperparameters
from tuner.networks.mlp import MLPLayout
from tuner.replay.frames import FrameMemory
from tuner.replay.ring import LaneRing

Array = NDArray[Any]

#: Rows of a product when a call's target values are computed ahead: enough to be efficient, few enough for the cache.
AHEAD_ROWS = 64

#: Numbers that are computed or drawn ahead at a time: 4 MB.
AHEAD_NUMBERS = 2**20

#: The frames of a lane whose observations are no images.
NO_FRAMES = np.zeros((0, 0), np.uint8)

#: Where rewards are read from memory.
NO_RETURNS = np.zeros(0, np.float32)


def compiled(
    parts: Parts, hyperparameters: DQNHyperparameters
) -> tuple[CompiledActing, CompiledExploring, CompiledUpdate]:
    """Return what evaluates, what explores and what trains, ready to run."""
    acting, exploring, update = (
        CompiledActing(parts.state),
        CompiledExploring(parts),
        CompiledUpdate(parts, hyperparameters),
    )
    parts.normalizer.compiled = acting_kernels
    kinds = ["vectors" if isinstance(parts.state.layout, MLPLayout) else "images", str(np.dtype(parts.state.dtype))]
    kinds += ["quantiles"] * (parts.head.quantiles > 1) + ["noise"] * (parts.state.perturbation is not None)
    with compiling("_".join(kinds)):
        acting.compile()
        exploring.compile()
        parts.normalizer.compile(parts.state.dtype)
        update.compile()  # last: it is what the cache is asked for
    return acting, exploring, update


class CompiledUpdate:
    """See :class:`~tuner.agents.dqn.seams.Update`: perceptrons, on one convolution where inputs are images.

    A lane's call is one compiled function, so its bits and its time are the same whatever trains beside it.

    Args:
        parts: What is trained; replay is uniform.
        hyperparameters: Any lane's; only fields that a stack shares are read.
    """

    def __init__(self, parts: Parts, hyperparameters: DQNHyperparameters) -> None:
        assert isinstance(parts.memory, LaneRing | FrameMemory)
        self._memory: LaneRing | FrameMemory = parts.memory
        self._parts, self._batch = parts, hyperparameters.batch_size
        layout, dtype = parts.state.layout, parts.state.dtype
        rows, numbers = max(self._batch, AHEAD_ROWS), (self._memory.region(0).shape[1] - 5) // 2
        network, n_convolved = kernels.layers_of(layout, rows, dtype)
        sizes = network.sizes.tolist()
        room = pictures.pictures_of(layout, parts.encoder.image[0] // numbers if parts.encoder.image else 0,
                                    self._batch, dtype)  # fmt: skip
        noise: Any = parts.state.perturbation
        self._drawn_by = noise
        self._network = (room, n_convolved, network, numbers)
        self._quantiles = quantile_kernels.quantiles_of(parts.head, network, rows, dtype)
        self._noise = noise_kernels.room_for(noise, n_convolved, dtype)
        #: Numbers of a gradient step that are computed or drawn ahead.
        self._step_room = max(self._batch * parts.head.quantiles if self._quantiles else 0,
                              2 * noise.n_factors if noise else 0)  # fmt: skip
        self._choices = (
            hyperparameters.double_q,
            hyperparameters.dueling and self._quantiles is None,
            hyperparameters.loss == "huber",
            hyperparameters.optimizer == "adam",
            hyperparameters.optimizer_eps,
            not parts.encoder.storage_shape,
            hyperparameters.munchausen,
        )
        self._space = (
            np.zeros(self._batch * (sizes[0] + 1), dtype),  # inputs
            np.zeros((self._batch if hyperparameters.double_q else rows) * (sizes[0] + 1), dtype),  # following
            np.zeros(rows * sizes[-1], dtype),  # outputs
            np.zeros(self._batch * sizes[-1], dtype),  # delta_out
            np.zeros((2, self._batch * max(sizes[-2] + 1, *sizes[1:])), dtype),  # deltas
            np.zeros(layout.n_parameters, dtype),  # gradient
            np.zeros(PANEL, dtype),  # panel
            np.zeros(self._batch, np.int64),  # chosen
            np.full(rows, -1, np.int64),  # none chosen
            np.zeros(rows, dtype),  # next_values
            np.zeros(self._batch, dtype),  # taken_values
        )
        self._last = np.empty(int(parts.memory.capacities.max()), np.int64)  # read where it was written only
        #: Values of next states, and what is added to rewards, by order of drawing.
        self._ahead = np.empty((2, 0), dtype)
        self._policy = np.zeros(self._batch * sizes[-1], dtype)

    def learn(self, lanes: Sequence[int], runs: Sequence[DQNHyperparameters], clock: Array) -> dict[int, TrainingCall]:
        """See :class:`~tuner.agents.dqn.seams.Update`."""
        found = {}
        for lane in lanes:
            if steps := runs[lane].updates_per_call():
                uniforms = self._memory.uniforms(lane, steps * self._batch)
                loss, q_value = self._call(lane, (uniforms * self._memory.sizes[lane]).astype(np.int64), steps)
                found[lane] = TrainingCall(loss / steps, q_value / steps)
        return found

    def compile(self) -> None:
        """Compile the call, or read it from the cache, by one without steps."""
        self._call(0, np.zeros(0, np.int64), 0)

    def _call(self, lane: int, places: Array, steps: int) -> tuple[float, float]:
        """Do a lane's gradient steps on the transitions at ``places`` ``[steps * batch]``."""
        loss = q_value = 0.0
        most = AHEAD_NUMBERS // self._step_room if self._step_room else steps
        for begin in range(0, max(steps, 1), max(most, 1)):
            part = places[begin * self._batch : (begin + max(most, 1)) * self._batch]
            own_loss, own_value = self._part(lane, part, len(part) // self._batch)
            loss, q_value = loss + own_loss, q_value + own_value
        return loss, q_value

    def _part(self, lane: int, places: Array, steps: int) -> tuple[float, float]:
        """Do some of them, so few that what is known ahead of them has room."""
        state, memory, normalizer = self._parts.state, self._memory, self._parts.normalizer
        if self._ahead.shape[1] < len(places):
            self._ahead = np.empty((2, len(places)), state.dtype)
        if self._quantiles is not None and len(self._quantiles.ahead) < len(places) * self._quantiles.quantiles:
            room = np.empty(len(places) * self._quantiles.quantiles, state.dtype)
            self._quantiles = self._quantiles._replace(ahead=room)
        noise = self._noise
        if noise is not None and steps:
            noise = noise._replace(normal=self._drawn_by.draw_ahead(lane, steps))
        rewards = normalizer.rewards[lane]
        deviation = normalizer.deviation(lane) if rewards else 0.0
        single, clip, returns = normalizer.steps[lane], CLIP, NO_RETURNS
        if single is not None and single.largest <= CLIP * deviation:
            clip = np.inf  # nothing to clip: the sums in memory will do, which are there without a walk
        elif single is not None:
            returns = single.returns(places, deviation)
        powers = state.beta_powers[:, lane].copy()
        soft: Any = [state.dtype.type(state.numbers[name][lane]) for name in MUNCHAUSEN]
        loss, q_value = training_call.training_call(
            state.online[lane], state.target[lane], state.first_moment[lane], state.second_moment[lane], powers,
            float(state.learning_rate[lane]), float(state.max_grad_norm[lane]),
            memory.frames(lane) if isinstance(memory, FrameMemory) else NO_FRAMES,
            memory.region(lane), places, steps, self._batch,
            normalizer.mean[lane], normalizer.variance[lane], bool(normalizer.observations[lane]),
            deviation, clip, returns,
            *self._network, self._quantiles, noise, *self._choices, soft[0], soft[1], soft[2],
            *self._space, self._last, self._ahead[0], self._ahead[1], self._policy,
        )  # fmt: skip
        state.beta_powers[:, lane] = powers
        return loss, q_value
