"""Where a training call's minibatches come from: drawn ahead uniformly, or one by one in proportion to priority."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from tuner.replay.frames import FrameMemory
from tuner.replay.prioritized import LanePriorities
from tuner.replay.ring import Batch, LaneRing

Array = NDArray[Any]


class Drawn(NamedTuple):
    """A minibatch for each of n lanes.

    Attributes:
        batch: As network input, leading axes ``[n, B]``.
        weights: ``[n, B]`` importance weights; None where all are 1.
        next_values: ``[n, B]`` the target network's values of the next observations; None where they are still to be
            computed.
    """

    batch: Batch
    weights: Array | None = None
    next_values: Array | None = None


class Distinct(NamedTuple):
    """Which of N draws with replacement stand for all of them.

    Attributes:
        taken: ``[U]`` one draw of each place that was drawn.
        which: ``[N]`` index in ``taken`` of the draw that stands for each.
    """

    taken: Array
    which: Array


def distinct(places: Array, size: int) -> Distinct:
    """Return the distinct ones of ``places`` ``[N]``, each below ``size``: a few passes, without sorting."""
    order = np.arange(len(places))
    last = np.empty(size, np.int64)  # read where it was written only
    last[places] = order
    standing = last[places]
    taken = np.flatnonzero(standing == order)
    rank = np.empty(len(places), np.int64)
    rank[taken] = np.arange(len(taken))
    return Distinct(taken, rank[standing])


class Minibatches(Protocol):
    """The minibatches of one training call of some neighbouring lanes."""

    @property
    def weights(self) -> Array | None:
        """Importance weights ``[n, G, B]`` of all that was drawn; None where all are 1."""
        ...

    def draw(self, part: slice, step: int) -> Drawn:
        """Return a minibatch for each lane of ``part``."""
        ...

    def learned(self, part: slice, step: int, td_errors: Any) -> None:
        """Take note of the temporal-difference errors ``[n, B]`` that the minibatch had."""
        ...


class UniformMinibatches:
    """All minibatches of a call, gathered before its first gradient step.

    Args:
        memory: The lanes' memory.
        block: Which lanes.
        steps: Gradient steps of each.
        batch_size: B.
        inputs: From stored observations to network input.
        prepare: From all minibatches to what the update reads; None where observations are not network input yet.
        value: From (lane, next observations ``[N, in + 1]`` as network input) to the target network's values ``[N]``;
            with it each transition drawn is valued once and ahead of the gradient steps, None leaves that to them.
    """

    weights = None

    def __init__(
        self,
        memory: LaneRing,
        block: slice,
        steps: Sequence[int],
        batch_size: int,
        inputs: Callable[[Any], Any],
        prepare: Callable[[Batch], Batch] | None,
        value: Callable[[int, Array], Array] | None = None,
    ) -> None:
        self._inputs = inputs
        rows = np.zeros((len(steps), max(steps), batch_size, memory.width), memory.dtype)
        self._next_values = None if value is None else np.zeros(rows.shape[:-1], memory.dtype)
        for i, count in enumerate(steps):
            if not count:
                continue
            lane, own = block.start + i, rows[i, :count]
            places = memory.sample(lane, count, batch_size, own)
            if value is not None and self._next_values is not None:
                taken, which = distinct(places, int(memory.sizes[lane]))
                flat = memory.unpack(own.reshape(-1, memory.width)).next_observations
                self._next_values[i, :count] = value(lane, inputs(flat[taken]))[which].reshape(count, batch_size)
        batches = memory.unpack(rows)
        batches = batches._replace(actions=batches.actions.astype(np.int64))
        #: All of them, ``[n, G, B, ...]``.
        self.batches = prepare(batches) if prepare is not None else batches

    def draw(self, part: slice, step: int) -> Drawn:
        """Return the minibatches of a gradient step."""
        batches = self.batches
        batch = Batch(
            self._inputs(batches.observations[part, step]),
            self._inputs(batches.next_observations[part, step]),
            batches.rewards[part, step],
            batches.discounts[part, step],
            batches.actions[part, step],
        )
        return Drawn(batch, next_values=None if self._next_values is None else self._next_values[part, step])

    def learned(self, part: slice, step: int, td_errors: Any) -> None:
        """Forget it."""


class GatheredMinibatches:
    """Minibatches drawn uniformly and put together one gradient step at a time: of images, a call's would fill memory.

    Args:
        memory: The lanes' memory.
        block: Which lanes.
        steps: Gradient steps of each.
        batch_size: B.
    """

    weights = None

    def __init__(self, memory: FrameMemory, block: slice, steps: Sequence[int], batch_size: int) -> None:
        self._memory, self._first = memory, block.start
        self._index = np.zeros((len(steps), max(steps), batch_size), np.int64)
        for i, count in enumerate(steps):
            if count:
                uniforms = memory.uniforms(block.start + i, count * batch_size)
                places = (uniforms * memory.sizes[block.start + i]).astype(np.int64)
                self._index[i, :count] = places.reshape(count, batch_size)

    def draw(self, part: slice, step: int) -> Drawn:
        """Return the minibatches of a gradient step."""
        lanes = slice(self._first + part.start, self._first + part.stop)
        batch = self._memory.gather(lanes, self._index[part, step])
        return Drawn(batch._replace(actions=batch.actions.astype(np.int64)))

    def learned(self, part: slice, step: int, td_errors: Any) -> None:
        """Forget it."""


class PrioritizedMinibatches:
    """Minibatches that follow the priorities as they change from one gradient step to the next.

    Args:
        memory: The lanes' memory.
        priorities: Their priorities.
        block: Which lanes.
        steps: Gradient steps of each.
        batch_size: B.
        inputs: From stored observations to network input.
        clock: ``[n]`` environment steps each lane has taken.
        to_host: From what the update returns to a NumPy array.
    """

    def __init__(
        self,
        memory: LaneRing | FrameMemory,
        priorities: LanePriorities,
        block: slice,
        steps: Sequence[int],
        batch_size: int,
        inputs: Callable[[Any], Any],
        clock: Array,
        to_host: Callable[[Any], Array],
    ) -> None:
        self._memory, self._priorities, self._first = memory, priorities, block.start
        self._inputs, self._clock, self._to_host = inputs, clock, to_host
        self._sizes = memory.sizes[block]
        shape = (len(steps), max(steps), batch_size)
        self._uniforms = np.zeros(shape)
        for i, count in enumerate(steps):
            if count:
                drawn = memory.uniforms(block.start + i, count * batch_size)
                self._uniforms[i, :count] = drawn.reshape(count, batch_size)
        self.weights: Array = np.zeros(shape, memory.dtype)
        self._index = np.zeros(shape[::2], np.int64)

    def draw(self, part: slice, step: int) -> Drawn:
        """Draw the minibatches of a gradient step, and their importance weights."""
        lanes = self._lanes(part)
        index, weights = self._priorities.draw(lanes, self._uniforms[part, step], self._sizes[part], self._clock[part])
        self._index[part] = index
        self.weights[part, step] = weights
        batch = self._memory.unpack(self._memory.gather(lanes, index))  # type: ignore[arg-type]
        batch = batch._replace(
            observations=self._inputs(batch.observations),
            next_observations=self._inputs(batch.next_observations),
            actions=batch.actions.astype(np.int64),
        )
        return Drawn(batch, self.weights[part, step])

    def learned(self, part: slice, step: int, td_errors: Any) -> None:
        """Make the errors the priorities of what was drawn."""
        self._priorities.update(self._lanes(part), self._index[part], self._to_host(td_errors))

    def _lanes(self, part: slice) -> slice:
        return slice(self._first + part.start, self._first + part.stop)
