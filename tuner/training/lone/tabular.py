"""One run of tabular Q-learning: environment steps, updates, evaluations."""

from __future__ import annotations

import bisect
import functools
import math
import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner import seeding
from tuner.agents.q_learning import QLearner
from tuner.contract.outcome import EvalPoint
from tuner.contract.roles import RunObserver
from tuner.contract.spec import RunSpec
from tuner.core.named_arrays import joined, part_of
from tuner.envs.bare import BareEnv
from tuner.envs.discretiser import discretiser_for
from tuner.envs.encoders import DiscreteEncoder
from tuner.envs.journal import Journal
from tuner.errors import DivergedError
from tuner.hyperparameters import QLearningHyperparameters
from tuner.training.evaluation import Evaluator
from tuner.training.saved.table_policy import TablePolicy

#: Steps after which what happened is written to the journal.
LOG_STEPS = 10_000

#: Steps between two calls of an observer's ``on_update``.
UPDATE_INTERVAL = 500


class TabularRun:
    """One run in progress."""

    def __init__(self, spec: RunSpec, observer: RunObserver | None) -> None:
        hyperparameters = spec.hyperparameters
        assert isinstance(hyperparameters, QLearningHyperparameters)
        self.spec, self._observer = spec, observer
        self.clock = 0
        #: What happened since the journal was written: (action, whether the episode ended, next row, reward).
        self._log: list[tuple[int, bool, int, float]] = []
        self._journal: Journal | None = None
        #: (row, return so far, length so far) of the episode that is on.
        self._episode = (0, 0.0, 0)
        #: The learner's totals when the observer was last told of updates.
        self._told = (0, 0.0, 0.0)
        self._env = BareEnv.make(spec.env, training=True)
        try:
            space: Any = self._env.env.observation_space
            n_actions = int(self._env.env.action_space.n)  # type: ignore[attr-defined]
            self._discretiser = discretiser_for(space, hyperparameters.bins, hyperparameters.bin_limit)
            rows = int(space.n) if self._discretiser is None else self._discretiser.rows
            self._numbered = None if self._discretiser is not None else DiscreteEncoder(rows, int(space.start))
            rng = seeding.stream(spec.seed, "exploration")
            self._learner = QLearner(rows, n_actions, hyperparameters, spec.schedules_over, rng)
            self._evaluator = Evaluator(spec.env, spec.evaluation, tabular=True)
        except BaseException:
            self._env.close()
            raise

    def points(self, started: float) -> Iterator[EvalPoint]:
        """Train from grid step to grid step and yield each evaluation."""
        learner, env, spec = self._learner, self._env, self.spec
        if self._journal is None:
            self._episode = (self._first_row(), 0.0, 0)
        row, episode_return, length = self._episode
        log, journal = self._log, self._journal
        returns: list[float] = []
        at_point = learner.totals
        for step in spec.grid[bisect.bisect_right(spec.grid, self.clock) :]:
            while self.clock < step:
                action = learner.act(row)
                observation, reward, terminated, truncated = env.step(action)
                self.clock += 1
                if not math.isfinite(reward):
                    raise DivergedError(f"reward is not finite at step {self.clock}")
                next_row = self._row(observation, self.clock)
                learner.learn(row, action, reward, next_row, terminated)
                if not math.isfinite(learner.table[row][action]):
                    raise DivergedError(f"Q-value is {learner.table[row][action]} at step {self.clock}")
                episode_return += reward
                length += 1
                row = next_row
                if journal is not None:
                    log.append((action, terminated or truncated, row, reward))
                if terminated or truncated:
                    if journal is not None:
                        journal.before_reset()
                    returns.append(episode_return)
                    if self._observer is not None:
                        self._observer.on_episode(spec.run_id, self.clock, episode_return, length)
                    episode_return, length = 0.0, 0
                    row = self._row(env.reset(), self.clock)
                    if len(log) > LOG_STEPS:
                        self._write_journal()
                if self._observer is not None and self.clock % UPDATE_INTERVAL == 0:
                    loss, q_value = _means(self._told, learner.totals)
                    self._told = learner.totals
                    self._observer.on_update(spec.run_id, self.clock, loss, q_value, learner.epsilon())
            self._episode = (row, episode_return, length)
            yield self._evaluate(step, started, returns, at_point)
            at_point, returns = learner.totals, []

    def _evaluate(
        self, step: int, started: float, returns: list[float], at_point: tuple[int, float, float]
    ) -> EvalPoint:
        """Return the evaluation at a grid step; returns and updates are those since the one before."""
        loss, q_value = _means(at_point, self._learner.totals)
        metrics = {
            "loss": loss,
            "q_value": q_value,
            "epsilon": self._learner.epsilon(),
            "train_episodes": float(len(returns)),
        }
        if returns:
            metrics["train_return"] = sum(returns) / len(returns)
        played, lengths, took = self._evaluator.of_run(self.spec, step, self.policy().act)
        return EvalPoint(self.spec.run_id, step, played, lengths, time.perf_counter() - started, metrics, took)

    def keep_journal(self) -> None:
        """Be ready for :meth:`snapshot`; called before training begins."""
        self._episode = (self._first_row(), 0.0, 0)
        self._journal = Journal(self._env)

    def snapshot(self) -> Mapping[str, NDArray[Any]]:
        """Return all that the run has become, at an evaluation."""
        assert self._journal is not None
        self._write_journal()
        parts = {"agent": self._learner.snapshot(), "env": self._journal.snapshot()}
        own = {"episode": self._episode, "told": self._told, "clock": self.clock}
        return joined(parts) | {name: np.array(value) for name, value in own.items()}

    def restore(self, saved: Mapping[str, NDArray[Any]]) -> None:
        """Go on from the snapshot of the same run; it keeps a journal and has not begun.

        Raises:
            ValueError: The environment does not come to the same place again.
        """
        assert self._journal is not None
        row, episode_return, length = saved["episode"].tolist()
        first = np.array([self._episode[0]])
        there = self._journal.repeat(part_of("env", saved), first, lambda observation: self._row(observation, 0))
        if there is None or int(there[0]) != int(row):
            raise ValueError("its environment does not come to the same place again")
        self._learner.restore(part_of("agent", saved))
        self._episode = (int(row), episode_return, int(length))
        self.clock = int(saved["clock"])
        updates, errors, values = saved["told"].tolist() if "told" in saved else self._learner.totals
        self._told = (int(updates), errors, values)

    def _first_row(self) -> int:
        seed = int(seeding.stream(self.spec.seed, "environment").integers(2**31))
        return int(self._row(self._env.reset(seed=seed), 0))

    def _write_journal(self) -> None:
        if self._journal is not None and self._log:
            actions, ends, rows, rewards = (np.array(column) for column in zip(*self._log, strict=True))
            self._journal.add(actions, ends, rows[:, None], rewards)
        self._log.clear()

    def policy(self) -> TablePolicy:
        """Return what has been learned so far."""
        return TablePolicy(self._learner.q_values(), self._discretiser)

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        """Return the table, and its bins where it has any."""
        return self.policy().arrays()

    def close(self) -> None:
        """Release the environments."""
        self._env.close()
        self._evaluator.close()

    @functools.cached_property
    def _row(self) -> Any:
        discretiser, numbered = self._discretiser, self._numbered
        if numbered is not None:
            return lambda observation, step: numbered.store(observation)
        assert discretiser is not None

        def row(observation: Any, step: int) -> int:
            if not np.isfinite(observation).all():
                raise DivergedError(f"observation is not finite at step {step}")
            return discretiser.row(observation)

        return row


def _means(before: tuple[int, float, float], now: tuple[int, float, float]) -> tuple[float, float]:
    """Return (mean absolute error, mean value) of the updates in between."""
    n = max(now[0] - before[0], 1)
    return (now[1] - before[1]) / n, (now[2] - before[2]) / n
