"""How long runs will take: short pieces of real training, timed, and carried on to a run's whole budget.

A run's cost is a sum of few parts: random steps before learning starts, steps that ask the network, training calls,
and evaluations. Each part is timed on a warm stack with as many lanes as the study will train side by side.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from tuner.agents.dqn.exploration import epsilon
from tuner.contract.spec import EvaluationSpec, RunSpec
from tuner.hyperparameters import DQNHyperparameters
from tuner.training.cost.timing import Nobody, make_space, seconds_per_step, time_evaluation
from tuner.training.evaluation import Act
from tuner.training.stack.runner import StackRunner

Array = NDArray[Any]

#: Seconds that timing one part takes, at least.
PIECE_S = 0.4

#: Transitions put into each lane's memory before training calls are timed: beyond a core's cache, as in a real run.
PREFILL = 20_000

#: Numbers that those transitions have at most; images are few then.
PREFILL_NUMBERS = 10_000_000


@dataclass(frozen=True)
class StackCosts:
    """Seconds that the parts of a run take in a stack.

    Attributes:
        lanes: K, runs that train side by side.
        random_step_s: An environment step of one lane before learning starts.
        step_s: An environment step of one lane after it.
        call_s: A training call of one lane.
        reset_s: Beginning one evaluation episode.
        forward_s: One step's actions for all evaluation episodes of all lanes.
        eval_step_s: One step of one evaluation episode.
    """

    lanes: int
    random_step_s: float
    step_s: float
    call_s: float
    reset_s: float
    forward_s: float
    eval_step_s: float

    def training_s(self, spec: RunSpec) -> float:
        """Return the seconds that the stack trains until a run like ``spec`` has ended on each lane."""
        warm_up, calls = random_steps(spec), training_calls(spec)
        steps = warm_up * self.random_step_s + (spec.n_timesteps - warm_up) * self.step_s
        return self.lanes * (steps + calls * self.call_s)

    def evaluation_s(self, spec: RunSpec, share: float) -> float:
        """Return the seconds that the stack evaluates until then.

        Args:
            spec: The run.
            share: Mean length of an evaluation episode as a share of its cap, in (0, 1]. Episodes play side by side
                until the longest has ended; lengths are taken to spread evenly around the mean, as far as the cap.
        """
        episodes, cap = self.lanes * spec.evaluation.episodes, spec.evaluation.max_steps
        longest = min(1.0, 2 * share) * cap
        one = episodes * self.reset_s + longest * self.forward_s + episodes * share * cap * self.eval_step_s
        return len(spec.grid) * one

    def seconds(self, spec: RunSpec, share: float) -> float:
        """Return the seconds of both."""
        return self.training_s(spec) + self.evaluation_s(spec, share)


def random_steps(spec: RunSpec) -> int:
    """Return how many of a run's steps come before learning starts."""
    if not isinstance(spec.hyperparameters, DQNHyperparameters):
        return 0
    return min(_dqn(spec).learning_starts, spec.n_timesteps)


def training_calls(spec: RunSpec) -> int:
    """Return how many training calls a run makes: none at its last step, where it ends."""
    if not isinstance(spec.hyperparameters, DQNHyperparameters):
        return 0  # learning is part of a step
    train_freq = _dqn(spec).train_freq
    return max((spec.n_timesteps - 1) // train_freq - random_steps(spec) // train_freq, 0)


def measure(spec: RunSpec, lanes: int, piece_s: float = PIECE_S) -> StackCosts:
    """Time the parts of runs like ``spec`` in this process.

    Args:
        spec: The run.
        lanes: K, how many train side by side (Stable-Baselines3 trains one whatever this says).
        piece_s: Seconds for each part, at least.

    Raises:
        RuntimeError: A run failed, with its reason.
    """
    with threadpool_limits(limits=1, user_api="blas"), np.errstate(all="ignore"):
        if not isinstance(spec.hyperparameters, DQNHyperparameters):
            return _measure_alone(spec, piece_s)
        return _measure_sb3(spec, piece_s) if spec.backend == "sb3" else _measure_native(spec, lanes, piece_s)


def _measure_native(spec: RunSpec, lanes: int, piece_s: float) -> StackCosts:
    runner = _TimedRunner(_piece(spec, learns=False), lanes)
    try:
        runner.go_on(piece_s / 2)
        random_step_s = runner.seconds["_collect"] / runner.steps
    finally:
        runner.close()
    runner = _TimedRunner(_piece(spec, learns=True), lanes)
    try:
        runner.prefill()
        runner.go_on(piece_s)
        step_s = runner.seconds["_collect"] / runner.steps
        call_s = runner.seconds["_learn"] / max(runner.calls, 1)
        evaluation = time_evaluation(spec, lanes, runner.greedy_policy(), piece_s / 2)
    finally:
        runner.close()
    return StackCosts(lanes, random_step_s, step_s, call_s, *evaluation)


def _measure_alone(spec: RunSpec, piece_s: float) -> StackCosts:
    """Time algorithms that train one run at a time, learning as they go."""
    step_s = seconds_per_step(spec, piece_s)
    n_actions = int(make_space(spec).n)
    evaluation = time_evaluation(spec, 1, lambda inputs: np.arange(inputs.shape[-2])[None] % n_actions, piece_s / 2)
    return StackCosts(1, step_s, step_s, 0.0, *evaluation)


class _TimedRunner(StackRunner):
    """A stack that keeps its lanes busy with runs of one kind, and a stopwatch for each phase."""

    def __init__(self, spec: RunSpec, lanes: int) -> None:
        super().__init__(spec, lanes)
        self._spec, self._started = spec, 0
        self._reset_stopwatch()
        self._refill()
        self.round(Nobody())  # buffers are made in the first round

    def go_on(self, seconds: float) -> None:
        """Train for so long, two rounds at least, and note what it took."""
        self._reset_stopwatch()
        rounds, end = 0, time.perf_counter() + seconds
        while rounds < 2 or time.perf_counter() < end:
            self._refill()
            self.round(Nobody())
            rounds += 1

    def prefill(self) -> None:
        """Repeat what each lane has seen until its memory is filled as far as in the middle of a run."""
        memory = self._stack.memory
        for run in self.active:
            seen = memory.contents(run.index)
            wanted = min(int(memory.capacities[run.index]) // 2, PREFILL, PREFILL_NUMBERS // memory.width)
            index = np.arange(wanted) % len(seen.rewards)
            rows = memory.blank(wanted)
            for there, part in zip(memory.unpack(rows), seen, strict=True):
                there[...] = part[index]
            self._stack.remember(run.index, rows)

    def greedy_policy(self) -> Act:
        """Return the policy of all lanes."""
        return self._stack.greedy_policy(range(len(self._runs)))

    def _reset_stopwatch(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.steps = self.calls = 0

    def _refill(self) -> None:
        while self.free:
            self.start(dataclasses.replace(self._spec, seed=self._spec.seed + self._started))
            self._started += 1

    def _charge(self, phase: Callable[[], Any]) -> Any:
        started = time.perf_counter()
        result = phase()
        self.seconds[phase.__name__] += time.perf_counter() - started
        return result

    def _collect(self) -> None:
        runs = self.active
        before = sum(run.clock for run in runs)
        super()._collect()
        self.steps += sum(run.clock for run in runs) - before

    def _learn(self) -> None:
        self.calls += sum(run.learns_now for run in self.active)
        super()._learn()


def _measure_sb3(spec: RunSpec, piece_s: float) -> StackCosts:
    """Time short ``learn()`` calls; ``step_s`` holds the training calls as well."""
    from tuner.training.sb3.trainer import build_model

    random_step_s = _sb3_step_s(_piece(spec, learns=False), piece_s / 2)
    step_s = _sb3_step_s(_piece(spec, learns=True), piece_s)
    with contextlib.ExitStack() as resources:
        model = build_model(spec, resources)
        evaluation = time_evaluation(spec, 1, model.greedy_actions, piece_s / 2)
    return StackCosts(1, random_step_s, step_s, 0.0, *evaluation)


def _sb3_step_s(spec: RunSpec, piece_s: float) -> float:
    """Return the seconds of a step in the second half of one ``learn()``, long enough to be timed."""
    from tuner.training.sb3.trainer import SB3Trainer

    train_freq = _dqn(spec).train_freq
    half = -(-64 // train_freq) * train_freq
    while True:
        nobody = Nobody([dataclasses.replace(spec, grid=(half, 2 * half))])
        SB3Trainer().train(nobody)
        first, second = nobody.points
        seconds = second.elapsed_s - first.elapsed_s
        if seconds >= piece_s:
            return seconds / half
        half *= min(max(round(1.5 * piece_s / max(seconds, 1e-6)), 2), 16)


def _piece(spec: RunSpec, *, learns: bool) -> RunSpec:
    """Return a run without evaluations that is always in the phase to be timed.

    Exploration stays at its mean over the rest of the run: lanes that explore ask no network.
    """
    hyperparameters, n_timesteps = _dqn(spec), spec.n_timesteps
    clock = np.linspace(min(random_steps(spec) + 1, n_timesteps), n_timesteps, 1000)
    mean = min(float(np.mean(epsilon(hyperparameters, clock, n_timesteps))), 1.0)
    hyperparameters = dataclasses.replace(
        hyperparameters,
        learning_starts=0 if learns else 10_000_000,
        exploration_initial_eps=mean,
        exploration_final_eps=mean,
    )
    evaluation = EvaluationSpec(episodes=1, seed=spec.evaluation.seed, max_steps=1)
    return dataclasses.replace(spec, hyperparameters=hyperparameters, grid=(n_timesteps,), evaluation=evaluation)


def _dqn(spec: RunSpec) -> DQNHyperparameters:
    assert isinstance(spec.hyperparameters, DQNHyperparameters)
    return spec.hyperparameters
