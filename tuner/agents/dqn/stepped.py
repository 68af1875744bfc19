"""Training calls of neighbouring lanes together, as batched products: one gradient step at a time, or whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tuner.agents.dqn.minibatches import GatheredMinibatches, Minibatches, PrioritizedMinibatches, UniformMinibatches
from tuner.agents.dqn.seams import Parts, TrainingCall
from tuner.core.losses import LOSSES
from tuner.hyperparameters import DQNHyperparameters
from tuner.replay.frames import FrameMemory
from tuner.replay.ring import Batch, LaneRing

Array = NDArray[Any]

#: Parameters that updates of one block of lanes may touch together before they fall out of a core's cache.
BLOCK_PARAMETERS = 40_000


class GradientStep(Protocol):
    """One gradient step of some neighbouring lanes; results lie where they were computed, on a device perhaps."""

    @property
    def next_values(self) -> Callable[[int, Array], Array] | None:
        """From (lane, next observations) to their values, once for a whole training call; None where it cannot be."""
        ...

    @property
    def whole_call(self) -> Callable[[slice, Batch], Sequence[Any]] | None:
        """From (lanes, minibatches ``[n, G, B, ...]``) to what G gradient steps return, ``[n, G, B]`` on the host.

        None where steps are taken one by one. The results are good until the next call.
        """
        ...

    def prepare(self, batches: Batch) -> Batch:
        """Return all minibatches of a training call as the step reads them."""
        ...

    def zeros(self, shape: tuple[int, ...]) -> Any:
        """Return a buffer for results."""
        ...

    def to_host(self, results: Any) -> Array:
        """Return such a buffer as a NumPy array."""
        ...

    def __call__(
        self, lanes: slice, batch: Batch, weights: Array | None = None, next_values: Array | None = None
    ) -> tuple[Any, Any, Any]:
        """Take the step and return (temporal-difference errors, Q-values of the actions taken, losses).

        All are ``[n, B]``; the losses are without importance weights, and None where they are the loss of the errors.
        """
        ...


class SteppedUpdate:
    """See :class:`~tuner.agents.dqn.seams.Update`.

    Args:
        parts: What is trained.
        hyperparameters: Any lane's; only fields that a stack shares are read.
        step: The arithmetic.
    """

    def __init__(self, parts: Parts, hyperparameters: DQNHyperparameters, step: GradientStep) -> None:
        self._parts, self.step = parts, step
        self._batch_size = hyperparameters.batch_size
        self._loss = LOSSES[hyperparameters.loss][0]
        lanes, n_parameters = parts.state.online.shape
        on_cpu = isinstance(parts.state.online, np.ndarray)
        self._block = max(1, min(8, BLOCK_PARAMETERS // n_parameters)) if on_cpu else lanes
        self._stored_is_input = parts.stored_is_input()
        #: Whether minibatches are known before a call and lie in memory as the network reads them.
        uniform = parts.priorities is None and isinstance(parts.memory, LaneRing)
        self._rows_are_input = uniform and self._stored_is_input

    def learn(self, lanes: Sequence[int], runs: Sequence[DQNHyperparameters], clock: Array) -> dict[int, TrainingCall]:
        """See :class:`~tuner.agents.dqn.seams.Update`."""
        means = {}
        for block in neighbours(lanes, self._block):
            steps = [runs[lane].updates_per_call() for lane in range(block.start, block.stop)]
            losses, q_values = self._learn_block(block, steps, clock[block])
            for i, lane in enumerate(range(block.start, block.stop)):
                if steps[i]:
                    means[lane] = TrainingCall(float(losses[i]) / steps[i], float(q_values[i]) / steps[i])
        self._parts.state.online_changed()
        return means

    def _learn_block(self, block: slice, steps: Sequence[int], clock: Array) -> tuple[Array, Array]:
        """Update neighbouring lanes; block by block, so that a block's parameters stay in the cache.

        Returns:
            (sum of losses ``[n]``, sum of mean Q-values ``[n]``) over the gradient steps.
        """
        whole = self.step.whole_call
        weights: Array | None = None
        if whole is not None and self._rows_are_input and min(steps) == max(steps) > 0:
            found = whole(block, self._uniform(block, steps, None).batches)
        else:
            minibatches = self._minibatches(block, steps, clock)
            there = self._one_by_one(block, steps, minibatches)
            found = [None if part is None else self.step.to_host(part) for part in there]
            weights = minibatches.weights
        td_errors, q_values, own_losses = found
        losses = self._loss(td_errors) if own_losses is None else own_losses
        if weights is not None:
            losses *= weights
        # Of each lane's own steps alone: among the zeros behind them a sum would be rounded in another order.
        totals, means = (
            np.array([part[i, :count].sum() for i, count in enumerate(steps)]) / self._batch_size
            for part in (losses, q_values)
        )
        return totals, means

    def _one_by_one(self, block: slice, steps: Sequence[int], minibatches: Minibatches) -> tuple[Any, Any, Any]:
        """Take the gradient steps and return what they did, ``[n, G, B]``, where it was computed."""
        shape = (len(steps), max(steps), self._batch_size)
        td_errors, q_values = self.step.zeros(shape), self.step.zeros(shape)
        own_losses: Any = None
        for step in range(max(steps)):
            # Lanes with fewer gradient steps drop out; the rest go on in groups of neighbours.
            for part in neighbours([i for i, count in enumerate(steps) if count > step]):
                lanes = slice(block.start + part.start, block.start + part.stop)
                found = self.step(lanes, *minibatches.draw(part, step))
                td_errors[part, step], q_values[part, step] = found[:2]
                if found[2] is not None:
                    own_losses = self.step.zeros(shape) if own_losses is None else own_losses
                    own_losses[part, step] = found[2]
                minibatches.learned(part, step, td_errors[part, step])
        return td_errors, q_values, own_losses

    def _minibatches(self, block: slice, steps: Sequence[int], clock: Array) -> Minibatches:
        parts, step, size = self._parts, self.step, self._batch_size
        memory: Any = parts.memory
        if parts.priorities is not None:
            return PrioritizedMinibatches(
                memory, parts.priorities, block, steps, size, parts.to_input, clock, step.to_host
            )
        if isinstance(memory, FrameMemory):
            return GatheredMinibatches(memory, block, steps, size)
        return self._uniform(block, steps, step.prepare if self._stored_is_input else None)

    def _uniform(
        self, block: slice, steps: Sequence[int], prepare: Callable[[Batch], Batch] | None
    ) -> UniformMinibatches:
        parts, memory = self._parts, self._parts.memory
        assert isinstance(memory, LaneRing)
        return UniformMinibatches(
            memory, block, steps, self._batch_size, parts.to_input, prepare, self.step.next_values
        )


def neighbours(lanes: Sequence[int], most: int | None = None) -> list[slice]:
    """Split increasing lane numbers into slices of neighbours, each of at most ``most`` lanes."""
    slices, begin = [], 0
    for end in range(1, len(lanes) + 1):
        if end == len(lanes) or lanes[end] != lanes[end - 1] + 1 or end - begin == most:
            slices.append(slice(lanes[begin], lanes[end - 1] + 1))
            begin = end
    return slices
