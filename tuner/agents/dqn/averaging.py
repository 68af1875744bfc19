r"""Averages of the online network over a run: what is evaluated and saved instead of its last state.

Learning is untouched: behaviour, targets and gradients belong to the online network. The :math:`n`-th of the samples
:math:`\theta_n` that are taken of it enters the average as

.. math:: \bar\theta \leftarrow \bar\theta + \max(1/n, 1/w) \, (\theta_n - \bar\theta),

the plain mean of the first :math:`w` samples, an exponential moving average of about the last :math:`w` from then on.
Weights that chatter around an optimum average to it (Polyak and Juditsky 1992); in deep reinforcement learning it
steadies what a policy is worth from one evaluation to the next (Nikishin et al. 2018).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.agents.dqn.state import LearnerState

Array = NDArray[Any]

#: Samples in a window, where it has so many training calls: more cost time, and tell hardly more.
SAMPLES = 64


class WeightAveraging:
    """The averages of K lanes.

    Args:
        state: Whose online networks are averaged.
    """

    def __init__(self, state: LearnerState) -> None:
        self._state = state
        lanes = len(state.learning_rate)
        #: [K, P], from the first lane on that asks for an average.
        self._average: Any = None
        # Plain lists: each training call looks at them.
        self._windows = [0.0] * lanes
        self._periods = [1] * lanes
        self._calls = [0] * lanes

    def start(self, lane: int, window: float) -> None:
        """Begin a new run.

        Args:
            lane: Lane number.
            window: Training calls that the average looks back on; 0 for none.
        """
        self._windows[lane] = window
        self._periods[lane] = max(round(window / SAMPLES), 1)  # training calls from one sample to the next
        self._calls[lane] = 0
        if window and self._average is None:
            self._average = self._state.zeros()
        if window:
            self._average[lane] = 0

    def after_training_calls(self, lanes: Sequence[int]) -> None:
        """Take a sample of each lane whose turn it is."""
        for lane in lanes:
            if window := self._windows[lane]:
                self._calls[lane] += 1
                samples, rest = divmod(self._calls[lane], self._periods[lane])
                if not rest:
                    share = max(1.0 / samples, min(self._periods[lane] / window, 1.0))
                    change = self._state.online[lane] - self._average[lane]
                    change *= share
                    self._average[lane] += change

    def networks(self, lanes: Sequence[int]) -> Any:
        """Return what is evaluated of each lane, ``[len(lanes), P]``: a copy, an array or a tensor like the state's."""
        rows = self._state.online[list(lanes)]
        for row, lane in enumerate(lanes):
            if self._sampled(lane):
                rows[row] = self._average[lane]
        return rows

    def network(self, lane: int) -> Array:
        """Return what is saved of a lane, ``[P]``."""
        if not self._sampled(lane):
            return self._state.row("online", lane)
        average = self._average[lane]
        return np.asarray(average if isinstance(average, np.ndarray) else average.cpu().numpy())

    def snapshot(self, lane: int) -> dict[str, Array]:
        """Return a lane's average; empty without one."""
        if not self._windows[lane]:
            return {}
        average = self.network(lane) if self._sampled(lane) else np.zeros(0, self._state.dtype)
        return {"average": average, "calls": np.array(self._calls[lane])}

    def restore(self, lane: int, saved: Mapping[str, Array]) -> None:
        """Go on from a snapshot; the lane was started for the same run, perhaps with another window."""
        if not saved or not self._windows[lane]:
            return
        self._calls[lane] = int(saved["calls"])
        if len(saved["average"]):
            self._calls[lane] = max(self._calls[lane], self._periods[lane])
            self._average[lane] = self._state.like(saved["average"])
        else:  # no sample yet, nor here
            self._calls[lane] = min(self._calls[lane], self._periods[lane] - 1)

    def _sampled(self, lane: int) -> bool:
        return self._windows[lane] > 0 and self._calls[lane] >= self._periods[lane]
