"""What happened inside one training: its episodes and gradient steps, in bounded memory."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.contract.outcome import EvalPoint
from tuner.contract.spec import RunId
from tuner.core.named_arrays import joined, part_of

#: Most points a thinned series keeps; it never has fewer than half of it once it has been full.
CAPACITY = 4096


class ThinnedSeries:
    """Rows of numbers, each the mean over ``stride`` consecutive ones; the stride doubles when the series is full.

    Every row weighs the same, so the mean over all rows stays the mean over all that was added (but for the last
    ``stride - 1``, which :meth:`columns` adds as a row of their own).

    Args:
        names: Columns.
        capacity: Most rows, even.
    """

    def __init__(self, names: tuple[str, ...], capacity: int = CAPACITY) -> None:
        self.names = names
        self.stride = 1
        self._capacity = capacity
        self._rows = array("d")
        self._sum = [0.0] * len(names)
        self._count = 0

    def add(self, *values: float) -> None:
        """Add one row, in the order of the names."""
        for i, value in enumerate(values):
            self._sum[i] += value
        self._count += 1
        if self._count == self.stride:
            self._rows.extend(total / self.stride for total in self._sum)
            self._sum = [0.0] * len(self.names)
            self._count = 0
            if len(self._rows) >= self._capacity * len(self.names):
                self._halve()

    def _halve(self) -> None:
        rows = np.frombuffer(self._rows, dtype=np.float64).reshape(-1, 2, len(self.names))
        self._rows = array("d", rows.mean(axis=1).ravel().tolist())
        self.stride *= 2

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """Return all that it has become, as plain arrays."""
        counts = np.array([self.stride, self._count])
        return {"rows": np.array(self._rows, np.float64), "sum": np.array(self._sum, np.float64), "counts": counts}

    def restore(self, saved: Mapping[str, NDArray[Any]]) -> None:
        """Go on from the snapshot of a series with the same names and capacity."""
        self._rows, self._sum = array("d", saved["rows"].tolist()), saved["sum"].tolist()
        self.stride, self._count = saved["counts"].tolist()

    def columns(self) -> dict[str, list[float]]:
        """Return the columns by name."""
        rows = np.array(self._rows, dtype=np.float64).reshape(-1, len(self.names))
        if self._count:
            rows = np.vstack([rows, np.array(self._sum) / self._count])
        return {name: rows[:, i].tolist() for i, name in enumerate(self.names)}


@dataclass
class TrainingLog:
    """A :class:`~tuner.contract.roles.RunObserver` that remembers one run.

    Attributes:
        episode_steps: Environment step at which each training episode ended.
        episode_returns: Its return.
        episode_lengths: Its steps.
        updates: Training calls, thinned: ``step``, ``loss``, ``q_value``, ``epsilon``.
    """

    episode_steps: list[int] = field(default_factory=list)
    episode_returns: list[float] = field(default_factory=list)
    episode_lengths: list[int] = field(default_factory=list)
    updates: ThinnedSeries = field(default_factory=lambda: ThinnedSeries(("step", "loss", "q_value", "epsilon")))

    def on_episode(self, run_id: RunId, step: int, episode_return: float, length: int) -> None:
        """Remember an episode."""
        self.episode_steps.append(int(step))
        self.episode_returns.append(float(episode_return))
        self.episode_lengths.append(int(length))

    def on_update(self, run_id: RunId, step: int, loss: float, q_value: float, epsilon: float) -> None:
        """Remember a training call."""
        self.updates.add(step, loss, q_value, epsilon)

    def on_evaluated(self, point: EvalPoint, weights: Callable[[], Mapping[str, np.ndarray]]) -> None:
        """Nothing to log: evaluations are kept beside it."""

    def on_end(self, run_id: RunId, weights: Mapping[str, np.ndarray]) -> None:
        """The weights are kept elsewhere."""

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """Return all that it has become, as plain arrays."""
        episodes = {
            "steps": np.array(self.episode_steps, np.int64),
            "returns": np.array(self.episode_returns, np.float64),
            "lengths": np.array(self.episode_lengths, np.int64),
        }
        return joined({"episodes": episodes, "updates": self.updates.snapshot()})

    def restore(self, saved: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a snapshot."""
        episodes = part_of("episodes", saved)
        self.episode_steps = episodes["steps"].tolist()
        self.episode_returns = episodes["returns"].tolist()
        self.episode_lengths = episodes["lengths"].tolist()
        self.updates.restore(part_of("updates", saved))

    def to_mapping(self) -> dict[str, Any]:
        """Return plain data: ``episodes`` (``step``, ``return``, ``length``), ``updates`` (thinned) and ``stride``.

        ``stride`` is how many training calls each entry of ``updates`` is the mean of; the last may hold fewer.
        """
        return {
            "episodes": {"step": self.episode_steps, "return": self.episode_returns, "length": self.episode_lengths},
            "updates": self.updates.columns(),
            "stride": self.updates.stride,
        }
