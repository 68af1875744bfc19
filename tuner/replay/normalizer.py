"""Running statistics of what K lanes have seen, and their transitions on that scale.

Memory keeps what the environment said; a minibatch is normalised when it is drawn, with the statistics of that moment,
as Stable-Baselines3's replay buffers do. Of an n-step return, each reward is scaled and clipped by itself where the
rewards of single steps are kept; else the return is, as one reward.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from tuner.core.normalization import FIRST_COUNT, VARIANCE_EPS, normalized, scaled, take_in

if TYPE_CHECKING:
    from tuner.replay.step_rewards import StepRewards  # brings Numba

Array = NDArray[Any]


class LaneNormalizer:
    """Statistics of each lane's observations, and of its discounted return.

    Args:
        lanes: K.
        size: Numbers of an observation.

    Attributes:
        active: Whether any lane normalises anything.
    """

    def __init__(self, lanes: int, size: int) -> None:
        self._size = size
        #: Whether each lane normalises its observations, and its rewards.
        self.observations, self.rewards = np.zeros(lanes, bool), np.zeros(lanes, bool)
        #: ``[K, size]``, of lanes that do not normalise too (which nobody reads).
        self.mean, self.variance = np.zeros((lanes, size)), np.ones((lanes, size))
        #: ``[K, 1]`` values that each lane's statistics have seen: observations, and returns.
        self.seen, self.rewarded = np.full((lanes, 1), FIRST_COUNT), np.full((lanes, 1), FIRST_COUNT)
        self._gamma = np.zeros((lanes, 1))
        #: ``[K, 1]`` the discounted return so far of the episode under way, and its statistics over steps.
        self._return, self._return_mean, self.return_variance = (np.zeros((lanes, 1)) for _ in range(3))
        #: Whether any lane normalises observations, or anything; asked at every step.
        self._any_observations = self.active = False
        #: Rewards of single steps of lanes whose n-step returns are clipped reward by reward; None for the others.
        self.steps: list[StepRewards | None] = [None] * lanes
        #: What takes in as :meth:`arrived` and :meth:`earned` do, in compiled code; None for NumPy.
        self.compiled: Any = None
        self._rewards, self._ends = np.zeros(lanes, np.float32), np.zeros(lanes, bool)

    def compile(self, dtype: DTypeLike) -> None:
        """Compile what takes in numbers of a type, or read it from the cache, by calls for no lane."""
        self._rewards = self._rewards.astype(dtype)
        self.arrived(slice(0, 0), np.zeros((0, self._size), dtype))
        self.earned(slice(0, 0), self._rewards[:0], self._ends[:0])

    def start(
        self, lane: int, observations: bool, rewards: bool, gamma: float, steps: StepRewards | None = None
    ) -> None:
        """Begin a new run on a lane."""
        self.steps[lane] = steps
        self.observations[lane], self.rewards[lane], self._gamma[lane] = observations, rewards, gamma
        self.mean[lane], self.variance[lane], self.seen[lane] = 0, 1, FIRST_COUNT
        self._return[lane], self._return_mean[lane], self.return_variance[lane] = 0, 0, 1
        self.rewarded[lane] = FIRST_COUNT
        self._any_observations = bool(self.observations.any())
        self.active = self._any_observations or bool(self.rewards.any())

    def arrived(self, lanes: slice, observations: Array) -> None:
        """Take in where some neighbouring lanes have come: the observations that they act on next, ``[n, size]``."""
        if self.compiled is not None:
            self.compiled.arrived(lanes.start, lanes.stop, observations, self.mean, self.variance, self.seen)
            return
        take_in(observations, self.mean[lanes], self.variance[lanes], self.seen[lanes])
        self.seen[lanes] += 1

    def earned(self, lanes: slice, rewards: Array, ends: Array) -> None:
        """Take in what a step of some neighbouring lanes has brought.

        Args:
            lanes: Which lanes.
            rewards: ``[n]``.
            ends: ``[n]`` whether the episode ended with the step.
        """
        if self.compiled is not None:
            self._rewards[lanes], self._ends[lanes] = rewards, ends
            self.compiled.earned(lanes.start, lanes.stop, self._rewards, self._ends, self._gamma, self._return,
                                 self._return_mean, self.return_variance, self.rewarded)  # fmt: skip
            return
        so_far = self._return[lanes]
        so_far *= self._gamma[lanes]
        so_far += rewards[:, None]
        take_in(so_far, self._return_mean[lanes], self.return_variance[lanes], self.rewarded[lanes])
        self.rewarded[lanes] += 1
        so_far[ends] = 0

    def inputs(self, lanes: slice, observations: Array) -> Array:
        """Return observations ``[n, size + 1]`` of neighbouring lanes, the last number 1, as networks see them."""
        if not (self._any_observations and self.observations[lanes].any()):
            return observations
        return self._shown(observations, self.observations[lanes], self.mean[lanes], self.variance[lanes])

    def frozen(self, lanes: Sequence[int]) -> Callable[[Array], Array]:
        """Return a function from observations ``[len(lanes), N, size]`` to what networks see; statistics are copied."""
        at = list(lanes)
        on, mean, variance = self.observations[at], self.mean[at][:, None], self.variance[at][:, None]
        return lambda observations: self._shown(observations, on, mean, variance) if on.any() else observations

    def _shown(self, observations: Array, on: Array, mean: Array, variance: Array) -> Array:
        result, size = observations.copy(), self._size
        result[on, ..., :size] = normalized(observations[on, ..., :size], mean[on], variance[on])
        return result

    def deviation(self, lane: int) -> float:
        """Return what a lane's rewards are divided by."""
        return float(np.sqrt(self.return_variance[lane, 0] + VARIANCE_EPS))

    def rows(self, lane: int, rows: Array, places: Array) -> None:
        """Normalise a lane's packed transitions, as :class:`~tuner.replay.ring.LaneRing` has them.

        Args:
            lane: Lane number.
            rows: ``[..., width]``, changed.
            places: ``[...]`` where in the lane's memory they are from.
        """
        size = self._size
        if self.observations[lane]:
            for begin in (0, size + 1):
                part = rows[..., begin : begin + size]
                part[...] = normalized(part, self.mean[lane], self.variance[lane])
        if self.rewards[lane]:
            steps = self.steps[lane]
            if steps is None:
                rows[..., -3] = scaled(rows[..., -3], float(self.return_variance[lane, 0]))
            else:
                rows[..., -3] = steps.returns(places.reshape(-1), self.deviation(lane)).reshape(rows.shape[:-1])

    def statistics(self, lane: int) -> dict[str, Array]:
        """Return what is saved with a lane's network, by Stable-Baselines3's names; nothing where it is off."""
        found: dict[str, Array] = {}
        if self.observations[lane]:
            found |= {"obs_rms.mean": self.mean[lane].copy(), "obs_rms.var": self.variance[lane].copy()}
        if self.rewards[lane]:
            found["ret_rms.var"] = self.return_variance[lane].copy()
        return found

    def snapshot(self, lane: int) -> dict[str, Array]:
        """Return a lane's statistics, if it has any; views, to be used before the lane changes."""
        if not (self.observations[lane] or self.rewards[lane]):
            return {}
        steps = self.steps[lane]
        kept = {} if steps is None else steps.snapshot()
        return {name: values[lane] for name, values in self._parts().items()} | kept

    def restore(self, lane: int, saved: Mapping[str, Array]) -> None:
        """Go on from a snapshot; the lane was started for the same run."""
        if self.observations[lane] or self.rewards[lane]:
            for name, values in self._parts().items():
                values[lane] = saved[name]
        steps = self.steps[lane]
        if steps is not None:
            steps.restore(saved)

    def _parts(self) -> dict[str, Array]:
        return {
            "mean": self.mean,
            "variance": self.variance,
            "seen": self.seen,
            "return": self._return,
            "return_mean": self._return_mean,
            "return_variance": self.return_variance,
            "rewarded": self.rewarded,
        }
