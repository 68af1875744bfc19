"""One run of deep Q-learning over sampled actions: environment steps, updates, evaluations."""

from __future__ import annotations

import bisect
import functools
import math
import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from tuner import seeding
from tuner.agents.sampled_dqn import SampledDQN, layout_of, search_of
from tuner.contract.outcome import EvalPoint
from tuner.contract.roles import RunObserver
from tuner.contract.spec import RunSpec
from tuner.core.generators import set_state, state_of
from tuner.core.named_arrays import joined, part_of
from tuner.core.schedules import linear
from tuner.envs.bare import BareEnv
from tuner.envs.encoders import encoder_for
from tuner.envs.journal import Journal
from tuner.errors import DivergedError
from tuner.hyperparameters.sampled_dqn import SampledDQNHyperparameters
from tuner.training.evaluation import Evaluator
from tuner.training.saved.sampled_policy import HIGH, LOW, SampledPolicy, bounds_of, draws_of, scaled

Array = NDArray[Any]

#: Steps after which what happened is written to the journal.
LOG_STEPS = 1_000


class SampledRun:
    """One run in progress.

    Args:
        spec: What is trained.
        observer: Watches episodes, training calls and the end, or None.
    """

    def __init__(self, spec: RunSpec, observer: RunObserver | None) -> None:
        assert isinstance(spec.hyperparameters, SampledDQNHyperparameters)
        self._spec, self._observer, self._hyperparameters = spec, observer, spec.hyperparameters
        self.clock = 0
        self._journal: Journal | None = None
        #: What happened since the journal was written: (action, whether the episode ended, next observation, reward).
        self._log: list[tuple[Array, bool, Array, float]] = []
        self._episode = (0.0, 0)
        #: (training calls, sums of their mean losses and mean values) since the last evaluation.
        self._trained = (0, 0.0, 0.0)
        self._current: Array = np.empty(0)
        self._env = BareEnv.make(spec.env, training=True)
        try:
            space = self._env.env.action_space
            assert isinstance(space, spaces.Box)
            self._encoder = encoder_for(self._env.env.observation_space, spec.rules.picture_scale)
            self._low, self._high = bounds_of(space)
            self._explore = seeding.stream(spec.seed, "exploration")
            streams = {name: seeding.stream(spec.seed, name) for name in ("network", "replay", "actions")}
            size, n = self._encoder.input_size, math.prod(space.shape)
            capacity = self._hyperparameters.stored_transitions(spec.n_timesteps)
            self._search = search_of(self._hyperparameters, n)
            self._learner = SampledDQN(size, n, self._hyperparameters, capacity, streams)
            self._evaluator = Evaluator(spec.env, spec.evaluation, spec.rules.picture_scale)
        except BaseException:
            self._env.close()
            raise

    def points(self, started: float) -> Iterator[EvalPoint]:
        """Train from grid step to grid step and yield each evaluation."""
        spec, returns = self._spec, []
        if self._journal is None:
            self._current = self._first()
        for step in spec.grid[bisect.bisect_right(spec.grid, self.clock) :]:
            with threadpool_limits(limits=1, user_api="blas"), np.errstate(all="ignore"):
                while self.clock < step:
                    ended = self._step()
                    if ended is not None:
                        returns.append(ended)
                    self._learn()
            yield self._evaluate(step, started, returns)
            returns = []

    def _step(self) -> float | None:
        """Take a step; return the return of the episode that it ended, else None."""
        action = self._choose()
        own = scaled(action[None], self._low, self._high)[0]
        observation, reward, terminated, truncated = self._env.step(own)
        self.clock += 1
        if not math.isfinite(reward):
            raise DivergedError(f"reward is not finite at step {self.clock}")
        following = self._input(observation)
        if not np.isfinite(following).all():
            raise DivergedError(f"observation is not finite at step {self.clock}")
        self._learner.store(self._current, action, reward, following, terminated)
        over = terminated or truncated
        total, length = self._episode[0] + reward, self._episode[1] + 1
        self._episode, self._current = (total, length), following
        if self._journal is not None:
            self._log.append((own, over, following, reward))
        if not over:
            return None
        if self._journal is not None:
            self._journal.before_reset()
        if self._observer is not None:
            self._observer.on_episode(self._spec.run_id, self.clock, total, length)
        self._episode, self._current = (0.0, 0), self._input(self._env.reset())
        if len(self._log) > LOG_STEPS:
            self._write_journal()
        return total

    def _choose(self) -> Array:
        """Return an action on a scale from -1 to 1: random with probability epsilon, else the best that is found."""
        drawn = self._explore.random(1 + self._search.dimensions)
        if self.clock < self._hyperparameters.learning_starts or drawn[0] < self._epsilon():
            return (drawn[1:] * 2 - 1).astype(np.float32)
        values, state = self._learner.online, self._current[None]
        best, _ = self._search.best(lambda tried: values.of(state, tried), self._greedy_draws, 1)
        return np.asarray(best[0])

    def _learn(self) -> None:
        """Train where a training call is due, and move the target network where that is."""
        h = self._hyperparameters
        if self.clock % h.train_freq == 0 and self.clock > h.learning_starts:
            made = [self._learner.update() for _ in range(h.updates_per_call())]
            if made:
                loss, value = (float(np.mean(column)) for column in zip(*made, strict=True))
                for name, number in (("loss", loss), ("Q-value", value)):
                    if not math.isfinite(number):
                        raise DivergedError(f"{name} is {number} at step {self.clock}")
                calls, losses, values = self._trained
                self._trained = (calls + 1, losses + loss, values + value)
                if self._observer is not None:
                    self._observer.on_update(self._spec.run_id, self.clock, loss, value, self._epsilon())
        # After the gradient steps of the same step: DQN, as Stable-Baselines3's, moves its target before them.
        if self.clock % h.target_update_interval == 0:
            self._learner.update_target()

    def _evaluate(self, step: int, started: float, returns: list[float]) -> EvalPoint:
        if not self._learner.finite():  # the last loss is of the weights before it
            raise DivergedError(f"weights are not finite at step {step}")
        metrics = {"epsilon": self._epsilon(), "train_episodes": float(len(returns))}
        calls, losses, values = self._trained
        if calls:
            metrics |= {"loss": losses / calls, "q_value": values / calls}
        if returns:
            metrics["train_return"] = sum(returns) / len(returns)
        self._trained = (0, 0.0, 0.0)
        with threadpool_limits(limits=1, user_api="blas"), np.errstate(all="ignore"):
            played, lengths, took = self._evaluator.of_run(self._spec, step, self._policy().act)
        return EvalPoint(self._spec.run_id, step, played, lengths, time.perf_counter() - started, metrics, took)

    def keep_journal(self) -> None:
        """Be ready for :meth:`snapshot`; called before training begins."""
        self._current = self._first()
        self._journal = Journal(self._env)

    def snapshot(self) -> Mapping[str, Array]:
        """Return all that the run has become, at an evaluation."""
        assert self._journal is not None
        self._write_journal()
        parts = {
            "agent": self._learner.snapshot(), "env": self._journal.snapshot(),
            "run": {
                "stream": np.array(state_of(self._explore)), "current": self._current,
                "episode": np.array(self._episode), "clock": np.array(self.clock),
            },
        }  # fmt: skip
        return joined(parts)

    def restore(self, saved: Mapping[str, Array]) -> None:
        """Go on from the snapshot of the same run; it keeps a journal and has not begun.

        Raises:
            ValueError: The environment does not come to the same place again.
        """
        assert self._journal is not None
        run = part_of("run", saved)
        there = self._journal.repeat(part_of("env", saved), self._current, self._input)
        if there is None or not np.array_equal(there, run["current"]):
            raise ValueError("its environment does not come to the same place again")
        self._learner.restore(part_of("agent", saved))
        set_state(self._explore, str(run["stream"]))
        total, length = run["episode"].tolist()
        self._current, self._episode, self.clock = run["current"], (total, int(length)), int(run["clock"])

    def arrays(self) -> Mapping[str, Array]:
        """Return the network and the bounds of actions."""
        size, n = self._encoder.input_size, self._search.dimensions
        row = self._learner.online.row[0]
        named = layout_of(self._hyperparameters, size, n).to_state_dict(row)
        return {**named, LOW: self._low, HIGH: self._high}

    def close(self) -> None:
        """Release the environments."""
        self._env.close()
        self._evaluator.close()

    def _policy(self) -> SampledPolicy:
        values, size = self._learner.online, self._encoder.input_size
        return SampledPolicy(values, self._search, self._greedy_draws, self._low, self._high, size)

    @functools.cached_property
    def _greedy_draws(self) -> Array:
        return draws_of(self._search, self._spec.seed)

    def _epsilon(self) -> float:
        h = self._hyperparameters
        ends = (h.exploration_initial_eps, h.exploration_final_eps, h.exploration_fraction)
        return float(linear(self.clock, self._spec.schedules_over, *ends))

    def _first(self) -> Array:
        seed = int(seeding.stream(self._spec.seed, "environment").integers(2**31))
        return self._input(self._env.reset(seed=seed))

    def _input(self, observation: Any) -> Array:
        found: Array = self._encoder.to_input(np.asarray(self._encoder.store(observation))[None])[0]
        return found.copy()

    def _write_journal(self) -> None:
        if self._journal is not None and self._log:
            actions, ends, following, rewards = (np.array(column) for column in zip(*self._log, strict=True))
            self._journal.add(actions, ends, following, rewards)
        self._log.clear()
