"""Training calls as one function of tensors: on a CUDA device captured once as a graph, then replayed as one launch.

A gradient step is some fifty small kernels, whose launches take longer than they do whatever the number of lanes. A
graph holds those of all gradient steps of a call; what differs from call to call lies in tensors that stay in place.
"""

from __future__ import annotations

import functools
import sys
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from tuner.replay.ring import Batch

Array = NDArray[Any]

#: One gradient step: (lanes, minibatch of each ``[n, B, ...]``, numbers of each ``[m, n]``) to results ``[n, B]``.
Step = Callable[[slice, Batch, torch.Tensor], tuple[torch.Tensor, ...]]

#: Graphs kept; the one least recently used goes. Lanes that train at different times form many groups of neighbours.
MOST_GRAPHS = 8

#: A group's calls, and gradient steps, before it is captured: libraries set themselves up in them, and a group that
#: never comes again is not worth a graph.
CALLS_BEFORE, STEPS_BEFORE = 2, 3


class Group(NamedTuple):
    """What a graph is good for: calls of the same lanes with as many gradient steps."""

    first: int
    last: int
    steps: int


class TrainingCalls:
    """Training calls of neighbouring lanes that take the same number of gradient steps.

    Args:
        step: A gradient step; it reads nothing from the host but its arguments.
        like: A tensor of the device and type of all numbers.
        results: How many results a step has.
    """

    def __init__(self, step: Step, like: torch.Tensor, results: int) -> None:
        self._step, self._like, self._n_results = step, like, results
        #: Whether calls are captured; off, each kernel is launched by itself.
        self.captures = like.device.type == "cuda"
        self._calls: OrderedDict[Group, int] = OrderedDict()
        self._graphs: OrderedDict[Group, Captured] = OrderedDict()

    def __call__(self, lanes: slice, batches: Batch, numbers: Array) -> Array:
        """Take the gradient steps of a call and return their results ``[results, n, G, B]``, good until the next call.

        Args:
            lanes: n lanes.
            batches: Minibatches of all steps, on the host, ``[n, G, B, ...]``.
            numbers: ``[G, m, n]`` what each step needs one number of for each lane.
        """
        group = Group(lanes.start, lanes.stop, len(numbers))
        graph = self._graph(group, lanes, batches, numbers) if self.captures else None
        if graph is not None:
            return graph.replay(batches, numbers)
        there = Batch(*(torch.as_tensor(part, device=self._like.device) for part in batches))
        results = self._room(group, batches)
        each = torch.from_numpy(numbers).to(self._like)
        if self.captures:
            on_side_stream(lambda: self._run(lanes, there, each, results))
        else:
            self._run(lanes, there, each, results)
        return np.asarray(results.cpu())

    def _graph(self, group: Group, lanes: slice, batches: Batch, numbers: Array) -> Captured | None:
        """Return a group's graph, captured now if it is time; None before."""
        if group in self._graphs:
            self._graphs.move_to_end(group)
            return self._graphs[group]
        calls = self._calls.pop(group, 0)
        if calls < CALLS_BEFORE or calls * group.steps < STEPS_BEFORE:
            self._calls[group] = calls + 1
            if len(self._calls) > 8 * MOST_GRAPHS:
                self._calls.popitem(last=False)
            return None
        if len(self._graphs) == MOST_GRAPHS:
            self._graphs.popitem(last=False)
        graph = Captured(batches, numbers, self._room(group, batches), self._like)
        try:
            graph.capture(lambda: self._run(lanes, graph.batches, graph.numbers, graph.results))
        except RuntimeError as error:  # nothing has been computed yet
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            print(f"No CUDA graph can be captured here ({reason}): kernels are launched one by one.", file=sys.stderr)
            self.captures = False
            return None
        self._graphs[group] = graph
        return graph

    def _room(self, group: Group, batches: Batch) -> torch.Tensor:
        shape = (self._n_results, group.last - group.first, group.steps, batches.actions.shape[2])
        return torch.zeros(shape, dtype=self._like.dtype, device=self._like.device)

    def _run(self, lanes: slice, batches: Batch, numbers: torch.Tensor, results: torch.Tensor) -> None:
        """Take the gradient steps: what is captured."""
        for step, each in enumerate(numbers.unbind()):
            found = self._step(lanes, Batch(*(part[:, step] for part in batches)), each)
            for place, part in zip(results, found, strict=True):
                place[:, step] = part


class Captured:
    """A captured call, and the tensors that it reads and writes: the same ones each time.

    Args:
        batches: Of a call that it is good for.
        numbers: Likewise.
        results: On the device.
        like: A tensor of the device and type of all numbers.
    """

    def __init__(self, batches: Batch, numbers: Array, results: torch.Tensor, like: torch.Tensor) -> None:
        pinned = like.device.type == "cuda"
        types = [torch.from_numpy(part[:0]).dtype for part in batches]
        shapes = [part.shape for part in (*batches, numbers)]
        #: On the host, where a device can read them by itself.
        self._staged = [
            torch.empty(shape, dtype=dtype, pin_memory=pinned)
            for shape, dtype in zip(shapes, [*types, like.dtype], strict=True)
        ]
        self._inputs = [torch.zeros_like(part, device=like.device) for part in self._staged]
        self._found = torch.empty(results.shape, dtype=results.dtype, pin_memory=pinned)
        self.results = results
        self._replay: Callable[[], None] | None = None

    @property
    def batches(self) -> Batch:
        """Minibatches of all steps ``[n, G, B, ...]``, on the device."""
        return Batch(*self._inputs[:-1])

    @property
    def numbers(self) -> torch.Tensor:
        """What each step needs one number of for each lane, ``[G, m, n]``, on the device."""
        return self._inputs[-1]

    def capture(self, run: Callable[[], None]) -> None:
        """Capture what ``run`` launches on these tensors."""
        self._replay = capture(run)

    def replay(self, batches: Batch, numbers: Array) -> Array:
        """Do the call with other numbers; the results ``[results, n, G, B]`` are good until the next."""
        assert self._replay is not None
        for staged, there, part in zip(self._staged, self._inputs, (*batches, numbers), strict=True):
            staged.copy_(torch.from_numpy(part))
            there.copy_(staged, non_blocking=True)
        self._replay()
        return np.asarray(self._found.copy_(self.results))  # waits for the device, so that the next call may stage


def capture(run: Callable[[], None]) -> Callable[[], None]:
    """Capture the kernels that ``run`` launches, without doing anything yet; return what launches them all at once."""
    graph = torch.cuda.CUDAGraph()
    # The outer context puts the stream back where the capture fails, which torch's own does not.
    with torch.cuda.stream(torch.cuda.current_stream()), torch.cuda.graph(graph, stream=side_stream()):
        run()
    return graph.replay


def on_side_stream(run: Callable[[], None]) -> None:
    """Do it where captures happen, since libraries set themselves up for each stream."""
    here, side = torch.cuda.current_stream(), side_stream()
    side.wait_stream(here)
    with torch.cuda.stream(side):
        run()
    here.wait_stream(side)


@functools.cache
def _side_stream_of(device: int) -> torch.cuda.Stream:
    stream: torch.cuda.Stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    return stream


def side_stream() -> torch.cuda.Stream:
    """Return this process's stream for captures on the current device."""
    return _side_stream_of(torch.cuda.current_device())
