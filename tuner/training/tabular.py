"""One run of tabular Q-learning: environment steps, updates, evaluations."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner import seeding
from tuner.agents.q_learning import QLearner
from tuner.envs.bare import BareEnv
from tuner.envs.discretiser import discretiser_for
from tuner.errors import DivergedError
from tuner.hyperparameters import QLearningHyperparameters
from tuner.training.evaluation import Evaluator
from tuner.training.table_policy import TablePolicy
from tuner.training.types import EvalPoint, RunObserver, RunSpec

#: Steps between two calls of an observer's ``on_update``.
UPDATE_INTERVAL = 500


class TabularRun:
    """One run in progress."""

    def __init__(self, spec: RunSpec, observer: RunObserver | None) -> None:
        hyperparameters = spec.hyperparameters
        assert isinstance(hyperparameters, QLearningHyperparameters)
        self.spec, self._observer = spec, observer
        self.clock = 0
        self._env = BareEnv.make(spec.env, training=True)
        try:
            space: Any = self._env.env.observation_space
            n_actions = int(self._env.env.action_space.n)  # type: ignore[attr-defined]
            self._discretiser = discretiser_for(space, hyperparameters.bins, hyperparameters.bin_limit)
            rows = int(space.n) if self._discretiser is None else self._discretiser.rows
            self._start = int(getattr(space, "start", 0))
            rng = seeding.stream(spec.seed, "exploration")
            self._learner = QLearner(rows, n_actions, hyperparameters, spec.n_timesteps, rng)
            self._evaluator = Evaluator(spec.env, spec.evaluation)
        except BaseException:
            self._env.close()
            raise

    def points(self, started: float) -> Iterator[EvalPoint]:
        """Train from grid step to grid step and yield each evaluation."""
        learner, env, spec = self._learner, self._env, self.spec
        row = self._row(env.reset(seed=int(seeding.stream(spec.seed, "environment").integers(2**31))), 0)
        episode_return, length, returns = 0.0, 0, []
        at_point = at_update = learner.totals
        for step in spec.grid:
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
                if terminated or truncated:
                    returns.append(episode_return)
                    if self._observer is not None:
                        self._observer.on_episode(spec.run_id, self.clock, episode_return, length)
                    episode_return, length = 0.0, 0
                    row = self._row(env.reset(), self.clock)
                if self._observer is not None and self.clock % UPDATE_INTERVAL == 0:
                    loss, q_value = _means(at_update, learner.totals)
                    at_update = learner.totals
                    self._observer.on_update(spec.run_id, self.clock, loss, q_value, learner.epsilon())
            loss, q_value = _means(at_point, learner.totals)
            at_point = learner.totals
            metrics = {
                "loss": loss,
                "q_value": q_value,
                "epsilon": learner.epsilon(),
                "train_episodes": float(len(returns)),
            }
            if returns:
                metrics["train_return"] = sum(returns) / len(returns)
            returns = []
            ((played, lengths),) = self._evaluator.evaluate(1, self.policy().act, spec.episodes_at(step))
            if not np.isfinite(played).all():
                raise DivergedError(f"evaluation return is not finite at step {step}")
            yield EvalPoint(spec.run_id, step, played, lengths, time.perf_counter() - started, metrics)

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
        discretiser, start = self._discretiser, self._start
        if discretiser is None:
            return lambda observation, step: int(observation) - start

        def row(observation: Any, step: int) -> int:
            if not np.isfinite(observation).all():
                raise DivergedError(f"observation is not finite at step {step}")
            return discretiser.row(observation)

        return row


def _means(before: tuple[int, float, float], now: tuple[int, float, float]) -> tuple[float, float]:
    """Return (mean absolute error, mean value) of the updates in between."""
    n = max(now[0] - before[0], 1)
    return (now[1] - before[1]) / n, (now[2] - before[2]) / n
