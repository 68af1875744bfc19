"""The bookkeeping of one run on a lane: its environment, its clock against the grid, its running means."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner import seeding
from tuner.agents.dqn.exploration import epsilon
from tuner.contract.outcome import EvalPoint, Outcome, OutcomeKind, described, points_from_plain, points_to_plain
from tuner.contract.roles import RunObserver
from tuner.contract.spec import RunSpec
from tuner.envs.bare import BareEnv
from tuner.envs.journal import Journal
from tuner.hyperparameters import DQNHyperparameters

Array = NDArray[Any]


@dataclass
class _Means:
    """Sums since the last evaluation."""

    loss: float = 0.0
    q_value: float = 0.0
    training_calls: int = 0
    train_return: float = 0.0
    train_episodes: int = 0


@dataclass
class LaneRun:
    """One run in progress.

    Attributes:
        spec: What is trained.
        index: Lane number in the stack.
        env: The run's own training environment.
        clock: Environment steps taken.
        elapsed_s: The run's share of the time the stack took: its part of the steps, evaluation steps and updates.
        ended: How the run ended, once it has.
        points: Its evaluations.
        journal: What its environment went through; None where nobody will ask.
        saved_at: When it began, or was last saved (monotonic seconds).
    """

    spec: RunSpec
    index: int
    env: BareEnv
    observer: RunObserver | None = None
    clock: int = 0
    elapsed_s: float = 0.0
    ended: Outcome | None = None
    points: list[EvalPoint] = field(default_factory=list)
    journal: Journal | None = None
    saved_at: float = field(default_factory=time.monotonic)
    episode_return: float = 0.0
    episode_length: int = 0
    _means: _Means = field(default_factory=_Means)

    @classmethod
    def begin(cls, spec: RunSpec, index: int, observer: RunObserver | None) -> LaneRun:
        """Make the run's environment."""
        started = time.perf_counter()
        run = cls(spec, index, BareEnv.make(spec.env, training=True), observer)
        run.elapsed_s = time.perf_counter() - started
        return run

    @functools.cached_property
    def gamma(self) -> float:
        """Discount factor."""
        return self.hyperparameters.gamma

    @functools.cached_property
    def hyperparameters(self) -> DQNHyperparameters:
        """The run's hyperparameters."""
        assert isinstance(self.spec.hyperparameters, DQNHyperparameters)
        return self.spec.hyperparameters

    def environment_seed(self) -> int:
        """Seed of the first reset; later episodes go on with the environment's own generator."""
        return int(seeding.stream(self.spec.seed, "environment").integers(2**31))

    def stretch(self) -> int:
        """Environment steps until something happens: a training call is due, or an evaluation."""
        train_freq = self.hyperparameters.train_freq
        return min(train_freq - self.clock % train_freq, self.spec.grid[len(self.points)] - self.clock)

    @functools.cached_property
    def updates_per_call(self) -> int:
        """Gradient steps of a training call."""
        return self.hyperparameters.updates_per_call()

    @property
    def at_grid(self) -> bool:
        """Whether an evaluation is due."""
        return self.ended is None and self.clock == self.spec.grid[len(self.points)]

    @property
    def learns_now(self) -> bool:
        """Whether a training call is due (Stable-Baselines3: strictly after ``learning_starts``)."""
        return self.ended is None and self.training_call_due

    @property
    def training_call_due(self) -> bool:
        """Whether a training call belongs to the clock, be the run at its end or not."""
        hyperparameters = self.hyperparameters
        return self.clock % hyperparameters.train_freq == 0 and self.clock > hyperparameters.learning_starts

    def episode_ended(self, step: int) -> None:
        """Note a finished training episode."""
        self._means.train_return += self.episode_return
        self._means.train_episodes += 1
        if self.observer is not None:
            self.observer.on_episode(self.spec.run_id, step, self.episode_return, self.episode_length)
        self.episode_return, self.episode_length = 0.0, 0

    def trained(self, loss: float, q_value: float) -> None:
        """Note a training call's mean loss and Q-value."""
        self._means.loss += loss
        self._means.q_value += q_value
        self._means.training_calls += 1
        if self.observer is not None:
            self.observer.on_update(self.spec.run_id, self.clock, loss, q_value, self._epsilon())

    def evaluated(self, returns: tuple[float, ...], lengths: tuple[int, ...], seconds: float) -> EvalPoint:
        """Return the evaluation point at the clock, and begin a new interval."""
        point = EvalPoint(self.spec.run_id, self.clock, returns, lengths, self.elapsed_s, self._metrics(), seconds)
        self.points.append(point)
        self._means = _Means()
        if len(self.points) == len(self.spec.grid):
            self.end("completed")
        return point

    def snapshot(self) -> Array:
        """Return the bookkeeping as text in an array."""
        state = {
            "clock": self.clock,
            "elapsed_s": self.elapsed_s,
            "episode": (self.episode_return, self.episode_length),
            "means": asdict(self._means),
            "points": points_to_plain(self.points),
        }
        return np.array(json.dumps(state))

    def restore(self, saved: Array) -> None:
        """Go on from a snapshot."""
        state = json.loads(str(saved))
        self.clock, self.elapsed_s = state["clock"], self.elapsed_s + state["elapsed_s"]
        self.episode_return, self.episode_length = state["episode"]
        self._means = _Means(**state["means"])
        self.points = points_from_plain(self.spec.run_id, state["points"])

    def end(self, kind: OutcomeKind, reason: str = "", detail: str = "") -> None:
        """Settle how the run ended; the first word counts."""
        if self.ended is None:
            self.ended = Outcome(self.spec.run_id, kind, self.clock, self.elapsed_s, reason, detail)

    def fail(self, error: Exception) -> None:
        """End the run with an exception."""
        self.end("failed", *described(error))

    def close(self) -> None:
        """Release the environment of a run that has ended; one that cannot be closed fails it, as in every trainer."""
        try:
            self.env.close()
        except Exception as error:  # the environment's own code may raise anything
            if self.ended is None or self.ended.kind != "failed":  # for a reason of its own, which comes first
                self.ended = None
                self.fail(error)

    def _metrics(self) -> Mapping[str, float]:
        means = self._means
        metrics = {"epsilon": self._epsilon(), "train_episodes": float(means.train_episodes)}
        if means.training_calls:
            metrics["loss"] = means.loss / means.training_calls
            metrics["q_value"] = means.q_value / means.training_calls
        if means.train_episodes:
            metrics["train_return"] = means.train_return / means.train_episodes
        return metrics

    def _epsilon(self) -> float:
        return float(epsilon(self.hyperparameters, self.clock, self.spec.schedules_over))


def charge(parts: Sequence[tuple[LaneRun, float]], started: float) -> list[float]:
    """Share the time since ``started`` among runs, each by its part of the work: steps, or updates, of one shape.

    Returns:
        The seconds that were charged to each.
    """
    seconds = time.perf_counter() - started
    if len(parts) == 1:
        parts[0][0].elapsed_s += seconds
        return [seconds]
    work = sum(part for _, part in parts)
    shares = [seconds * part / work if work else seconds / len(parts) for _, part in parts]
    for (run, _), share in zip(parts, shares, strict=True):
        run.elapsed_s += share
    return shares
