"""Training calls of one lane after the other in compiled code, its parameters in the cache all the while."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.agents.dqn import kernels
from tuner.agents.dqn.acting import VectorActing
from tuner.agents.dqn.seams import Parts, TrainingCall
from tuner.agents.dqn.state import LearnerState
from tuner.core.normalization import VARIANCE_EPS
from tuner.hyperparameters import DQNHyperparameters
from tuner.replay.ring import LaneRing

Array = NDArray[Any]

#: Rows of a product when a call's target values are computed ahead: enough to be efficient, few enough for the cache.
AHEAD_ROWS = 64


class CompiledUpdate:
    """See :class:`~tuner.agents.dqn.seams.Update`: multilayer perceptrons, uniform replay.

    A lane's call is one compiled function, so its bits and its time are the same whatever trains beside it.

    Args:
        parts: What is trained.
        hyperparameters: Any lane's; only fields that a stack shares are read.
    """

    def __init__(self, parts: Parts, hyperparameters: DQNHyperparameters) -> None:
        announce()
        assert isinstance(parts.memory, LaneRing)
        self._memory: LaneRing = parts.memory
        self._parts, self._batch = parts, hyperparameters.batch_size
        dtype, sizes = parts.state.dtype, parts.state.layout.sizes
        rows = max(self._batch, AHEAD_ROWS)
        hidden = [rows * (width + 1) for width in sizes[1:-1]]
        self._layout = (np.array(sizes), np.cumsum([0, *hidden])[:-1] if hidden else np.zeros(0, np.int64))
        self._choices = (
            hyperparameters.double_q,
            hyperparameters.dueling,
            hyperparameters.loss == "huber",
            hyperparameters.optimizer == "adam",
            parts.encoder.input_size != parts.memory.observation_size or not parts.encoder.storage_shape,
        )
        widest = max(sizes) + 1
        self._space = (
            np.zeros(self._batch * (sizes[0] + 1), dtype),  # inputs
            np.zeros((self._batch if hyperparameters.double_q else rows) * (sizes[0] + 1), dtype),  # following
            np.ones(sum(hidden), dtype),  # hidden: the ones stay
            np.zeros(rows * sizes[-1], dtype),  # outputs
            np.zeros(self._batch * sizes[-1], dtype),  # delta_out
            np.zeros((2, self._batch * widest), dtype),  # deltas
            np.zeros(max(a * b for a, b in parts.state.layout.layers), dtype),  # turned
            np.zeros(parts.state.layout.n_parameters, dtype),  # gradient
            np.zeros(max(widest, rows), dtype),  # scratch
            np.zeros(self._batch, np.int64),  # chosen
            np.zeros(rows, dtype),  # next_values
            np.zeros(self._batch, dtype),  # taken_values
        )
        self._last = np.empty(int(parts.memory.capacities.max()), np.int64)  # read where it was written only
        self._ahead = np.empty(0, dtype)

    def learn(self, lanes: Sequence[int], runs: Sequence[DQNHyperparameters], clock: Array) -> dict[int, TrainingCall]:
        """See :class:`~tuner.agents.dqn.seams.Update`."""
        return {lane: self._call(lane, steps) for lane in lanes if (steps := runs[lane].updates_per_call())}

    def _call(self, lane: int, steps: int) -> TrainingCall:
        state, memory, normalizer = self._parts.state, self._memory, self._parts.normalizer
        count = steps * self._batch
        places = (memory.uniforms(lane, count) * memory.sizes[lane]).astype(np.int64)
        if len(self._ahead) < count:
            self._ahead = np.empty(count, state.dtype)
        rewards = normalizer.rewards[lane]
        deviation = float(np.sqrt(normalizer.return_variance[lane, 0] + VARIANCE_EPS)) if rewards else 0.0
        powers = state.beta_powers[:, lane].copy()
        loss, q_value = kernels.training_call(
            state.online[lane], state.target[lane], state.first_moment[lane], state.second_moment[lane], powers,
            float(state.learning_rate[lane]), float(state.max_grad_norm[lane]), *self._layout,
            memory.region(lane), places, steps, self._batch, memory.observation_size,
            normalizer.mean[lane], normalizer.variance[lane], bool(normalizer.observations[lane]), deviation,
            *self._choices, *self._space, self._last, self._ahead,
        )  # fmt: skip
        state.beta_powers[:, lane] = powers
        return TrainingCall(loss / steps, q_value / steps)


class CompiledActing(VectorActing):
    """Greedy choices while training, each lane's network by itself; evaluation is :class:`VectorActing`'s."""

    def __init__(self, state: LearnerState) -> None:
        super().__init__(state)
        sizes = state.layout.sizes
        self._sizes = np.array(sizes)
        self._here, self._there = np.zeros((2, max(sizes) + 1), state.dtype)

    def outputs(self, lanes: slice, inputs: Array) -> Array:
        """See :class:`~tuner.agents.dqn.acting.Acting`."""
        found = np.empty((len(inputs), self._sizes[-1]), inputs.dtype)
        kernels.one_each(self._state.online[lanes], self._sizes, inputs, found, self._here, self._there)
        return found


def announce() -> None:
    """Say on stderr that code is about to be compiled, where none is in Numba's cache yet."""
    cache = Path(str(kernels.training_call.stats.cache_path))
    if not any(cache.glob("kernels.training_call-*.nbi")):
        print("Compiling the native update for this processor: once, in some seconds.", file=sys.stderr)
