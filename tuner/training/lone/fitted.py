"""One run of fitted Q-iteration: collect, then iterate and evaluate. Its clock counts iterations."""

from __future__ import annotations

import bisect
import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from tuner import seeding
from tuner.agents.fqi import FittedQ, load_sklearn
from tuner.agents.offline_data import Behavior, OfflineData, collect
from tuner.contract.outcome import EvalPoint
from tuner.contract.roles import RunObserver
from tuner.contract.spec import RunSpec
from tuner.envs.bare import BareEnv
from tuner.envs.encoders import encoder_for
from tuner.errors import DivergedError
from tuner.hyperparameters import FQIHyperparameters
from tuner.training.evaluation import Evaluator

#: Iterations on the first half of the data, before the second is collected by what they have found.
FIRST_ITERATIONS = 5


class FittedRun:
    """One run in progress.

    Args:
        spec: What is trained; its grid counts iterations.
        observer: Watches episodes, iterations and the end, or None.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """

    def __init__(self, spec: RunSpec, observer: RunObserver | None) -> None:
        load_sklearn()
        assert isinstance(spec.hyperparameters, FQIHyperparameters)
        self._spec, self._observer = spec, observer
        self._hyperparameters = spec.hyperparameters
        self.clock = 0
        self._targets: NDArray[Any] | None = None
        self._seed = int(seeding.stream(spec.seed, "network").integers(2**31))
        self._fitted: FittedQ | None = None
        self._data: OfflineData | None = None
        self._env = BareEnv.make(spec.env, training=True)
        try:
            self._encoder = encoder_for(self._env.env.observation_space, spec.rules.picture_scale)
            self._n_actions = int(self._env.env.action_space.n)  # type: ignore[attr-defined]
            self._evaluator = Evaluator(spec.env, spec.evaluation, spec.rules.picture_scale)
        except BaseException:
            self._env.close()
            raise

    def points(self, started: float) -> Iterator[EvalPoint]:
        """Collect, iterate, and yield each evaluation."""
        spec = self._spec
        with threadpool_limits(limits=1), np.errstate(all="ignore"):
            self._data = self._collect()
            self._fitted = self._begin(self._data)
            if self._targets is not None:
                self._fitted = FittedQ.refitted(
                    self._data, self._targets, self._n_actions, self._hyperparameters, self._seed
                )
        ended = np.flatnonzero(self._data.terminated | self._data.truncated)
        episodes = float(len(ended))
        for step in spec.grid[bisect.bisect_right(spec.grid, self.clock) :]:
            moved = 0.0
            while self.clock < step:
                with threadpool_limits(limits=1), np.errstate(all="ignore"):
                    moved = self._fitted.iterate()
                self.clock += 1
                assert self._fitted.targets is not None
                if self._fitted.diverged:
                    worst = self._fitted.targets[np.abs(self._fitted.targets).argmax()]  # the first that is no number
                    raise DivergedError(f"Q-value is {worst:g} at iteration {self.clock}")
                value = float(self._fitted.targets.mean())
                if self._observer is not None:
                    self._observer.on_update(spec.run_id, self.clock, moved, value, 0.0)
            with threadpool_limits(limits=1), np.errstate(all="ignore"):
                returns, lengths, took = self._evaluator.of_run(spec, step, self._fitted.act, "iteration")
            metrics = {"loss": moved, "q_value": value, "train_episodes": episodes}
            yield EvalPoint(spec.run_id, step, returns, lengths, time.perf_counter() - started, metrics, took)

    def keep_journal(self) -> None:
        """Do nothing: what a run collects depends on its seed alone, and is collected again."""

    def snapshot(self) -> Mapping[str, NDArray[Any]]:
        """Return all that the run has become, at an evaluation: what its last regression was fitted to."""
        assert self._fitted is not None and self._fitted.targets is not None
        return {"targets": self._fitted.targets, "clock": np.array(self.clock)}

    def restore(self, saved: Mapping[str, NDArray[Any]]) -> None:
        """Go on from the snapshot of the same run, which has not begun.

        Raises:
            ValueError: It is not of this run.
        """
        targets, clock = saved["targets"], int(saved["clock"])
        if targets.shape != (self._hyperparameters.n_transitions,) or clock not in self._spec.grid:
            raise ValueError(f"{targets.shape} targets at iteration {clock} are not of this run")
        self._targets, self.clock = targets, clock

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        """Return what the last regression was fitted to: fitting it again gives the same values, and runs no code."""
        if self._data is None or self._fitted is None or self._fitted.targets is None:
            return {}
        return {
            "observations": self._data.observations,
            "actions": self._data.actions,
            "targets": self._fitted.targets,
            "n_actions": np.array(self._n_actions),
        }

    def close(self) -> None:
        """Release the environments."""
        self._env.close()
        self._evaluator.close()

    def _begin(self, data: OfflineData) -> FittedQ:
        return FittedQ(data, self._n_actions, self._hyperparameters, self._seed)

    def _collect(self) -> OfflineData:
        n, eps = self._hyperparameters.n_transitions, self._hyperparameters.behavior_eps
        rng = seeding.stream(self._spec.seed, "exploration")
        environment = seeding.stream(self._spec.seed, "environment")
        seeds = environment.integers(2**31, size=2)
        half = n if eps == 1.0 else n // 2
        data = collect(self._env, self._encoder, half, self._randomly(rng, half), int(seeds[0]))
        if half == n:
            return data
        first = self._begin(data)
        for _ in range(FIRST_ITERATIONS):
            first.iterate()
        rest = n - half
        explores = rng.random(rest) < eps
        randomly = self._randomly(rng, rest)

        def behave(current: NDArray[Any], i: int) -> int:
            return randomly(current, i) if explores[i] else int(first.act(current[None])[0])

        return data.joined(collect(self._env, self._encoder, rest, behave, int(seeds[1])))

    def _randomly(self, rng: np.random.Generator, n: int) -> Behavior:
        actions = rng.integers(self._n_actions, size=n)
        return lambda current, i: int(actions[i])
