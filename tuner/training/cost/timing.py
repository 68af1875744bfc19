"""Stopwatches for forecasts: a dispatcher that wants nothing, the seconds of a step, those of an evaluation."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from tuner.contract.outcome import EvalPoint, Outcome
from tuner.contract.roles import DONE, Signal
from tuner.contract.spec import EvaluationSpec, RunId, RunSpec
from tuner.envs.make import inspect
from tuner.training.evaluation import Act, Evaluator
from tuner.training.registry import make_trainer

Array = NDArray[Any]

#: Steps after which a timed evaluation episode is cut.
EVALUATION_STEPS = 50

#: Steps of the shortest run that is timed.
FIRST_STEPS = 64


def make_space(spec: RunSpec) -> Any:
    """Return the environment's action space."""
    return inspect(spec.env, spec.algorithm).action_space


def seconds_per_step(spec: RunSpec, piece_s: float) -> float:
    """Return the seconds of a step in the second half of one run, long enough to be timed."""
    half = FIRST_STEPS
    while True:
        evaluation = EvaluationSpec(episodes=1, seed=spec.evaluation.seed, max_steps=1)
        nobody = Nobody([dataclasses.replace(spec, grid=(half, 2 * half), evaluation=evaluation)])
        make_trainer(spec.backend, spec.algorithm, 1).train(nobody)
        first, second = nobody.points
        seconds = second.elapsed_s - first.elapsed_s
        if seconds >= piece_s:
            return seconds / half
        half *= min(max(round(1.5 * piece_s / max(seconds, 1e-6)), 2), 16)


class Nobody:
    """A dispatcher that wants to know nothing but whether runs fail."""

    def __init__(self, specs: Sequence[RunSpec] = ()) -> None:
        self._specs = list(specs)
        self.points: list[EvalPoint] = []

    def take(self, open_shapes: Mapping[tuple[object, ...], int], *, block: bool) -> RunSpec | Signal:
        """Hand out the runs, the last first."""
        return self._specs.pop() if self._specs else DONE

    def report(self, points: Sequence[EvalPoint]) -> frozenset[RunId]:
        """Keep the points, and stop nothing."""
        self.points += points
        return frozenset()

    def finish(self, outcome: Outcome) -> None:
        """Raise RuntimeError where a run failed."""
        if outcome.kind == "failed":
            raise RuntimeError(outcome.reason)


def time_evaluation(spec: RunSpec, n_policies: int, act: Act, piece_s: float) -> tuple[float, float, float]:
    """Return (seconds of a reset, of all episodes' actions at a step, of one episode's step)."""
    evaluation = dataclasses.replace(spec.evaluation, max_steps=min(spec.evaluation.max_steps, EVALUATION_STEPS))
    evaluator, seeds = Evaluator(spec.env, evaluation), [spec.evaluation.seed] * n_policies
    try:
        evaluator.evaluate(seeds, act)  # makes the environments
        watched = _WatchedPolicy(act)
        reset_s, total_s, steps, evaluations, end = 0.0, 0.0, 0, 0, time.perf_counter() + piece_s
        while evaluations == 0 or time.perf_counter() < end:
            started = time.perf_counter()
            watched.asked.clear()
            played = evaluator.evaluate(seeds, watched)
            total_s += time.perf_counter() - started
            reset_s += watched.asked[0] - started
            steps += sum(length for _, lengths in played for length in lengths)
            evaluations += 1
    finally:
        evaluator.close()
    episodes = evaluations * n_policies * evaluation.episodes
    return reset_s / episodes, watched.seconds / watched.calls, (total_s - reset_s - watched.seconds) / steps


class _WatchedPolicy:
    """A policy with a stopwatch."""

    def __init__(self, act: Act) -> None:
        self._act = act
        self.seconds, self.calls = 0.0, 0
        self.asked: list[float] = []

    def __call__(self, inputs: Array) -> Array:
        self.asked.append(time.perf_counter())
        actions = self._act(inputs)
        self.seconds += time.perf_counter() - self.asked[-1]
        self.calls += 1
        return actions
