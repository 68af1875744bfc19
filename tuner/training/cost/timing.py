"""How long runs will take: a few real steps and evaluations of their own trainer, timed, and carried on to a budget."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from tuner.contract.outcome import EvalPoint, Outcome
from tuner.contract.spec import EvaluationSpec, RunId, RunSpec
from tuner.envs.actions import Actions
from tuner.envs.bare import BareEnv
from tuner.errors import UnusableEnvironmentError
from tuner.seeding import stream
from tuner.training.batch import RunBatch
from tuner.training.registry import make_trainer

#: Seconds that timing one part takes, at least.
PIECE_S = 0.2

#: Seconds of timing after which no further setting is timed.
PATIENCE_S = 20.0

#: Steps after which a timed evaluation episode is cut, and seconds of stepping that evaluations get at most.
EVALUATION_STEPS, EVALUATING_S = 50, 5.0

#: Steps, and evaluations, of the shortest run that is timed.
FIRST_STEPS, FIRST_EVALUATIONS = 64, 3


@dataclass(frozen=True)
class RunCosts:
    """Seconds of a worker that the parts of one run take: its share, where others train beside it.

    Attributes:
        random_step_s: An environment step before learning starts.
        step_s: A step after it, training calls included.
        reset_s: Beginning one evaluation episode.
        eval_step_s: One step of one evaluation episode.
        environment_s: A step of the environment alone, resets included, on the same machine at the same time.
    """

    random_step_s: float
    step_s: float
    reset_s: float
    eval_step_s: float
    environment_s: float = 0.0

    def training_s(self, spec: RunSpec) -> float:
        """Return the seconds that a run like ``spec`` trains."""
        warm_up = spec.hyperparameters.random_steps(spec.n_timesteps)
        return warm_up * self.random_step_s + (spec.n_timesteps - warm_up) * self.step_s

    def evaluation_s(self, spec: RunSpec, share: float) -> float:
        """Return the seconds that it evaluates; an episode lasts ``share`` of its cap, in (0, 1], on average."""
        episodes = sum(spec.episodes_at(step) for step in spec.grid)
        return episodes * (self.reset_s + share * spec.evaluation.max_steps * self.eval_step_s)

    def seconds(self, spec: RunSpec, share: float) -> float:
        """Return the seconds of both."""
        return self.training_s(spec) + self.evaluation_s(spec, share)


def measure_all(runs: Sequence[tuple[RunSpec, int]], tell: Callable[[str], None]) -> list[RunCosts]:
    """Measure each of some (run, lanes), saying so before each.

    Once :data:`PATIENCE_S` is spent, the rest are taken for the last one measured with as many lanes, if any: there the
    environment's own steps decide, which are the same for all settings. What has to be compiled first is not counted.
    """
    costs: list[RunCosts] = []
    by_lanes: dict[int, RunCosts] = {}
    if runs:
        warm_up(runs[0][0])
    started = time.perf_counter()
    for number, (spec, lanes) in enumerate(runs):
        if not costs or time.perf_counter() - started < PATIENCE_S:
            tell(f"timing setting {number + 1} of {len(runs)}")
            by_lanes[lanes] = measure(spec, lanes)
            costs.append(by_lanes[lanes])
        else:
            costs.append(by_lanes.get(lanes, costs[-1]))
    return costs


def warm_up(spec: RunSpec) -> None:
    """Train a few steps, so that what is imported and compiled at first use is there."""
    _train(spec, 1, (1, 2, 3), EvaluationSpec(episodes=1, seed=spec.evaluation.seed, max_steps=1))


def measure(spec: RunSpec, lanes: int, piece_s: float = PIECE_S) -> RunCosts:
    """Time the parts of runs like ``spec`` in this process.

    Args:
        spec: The run.
        lanes: How many train side by side.
        piece_s: Seconds for each part, at least.

    Raises:
        UnusableEnvironmentError: A run did not reach its end, with the reason.
    """
    learning, before = (
        dataclasses.replace(spec, hyperparameters=spec.hyperparameters.steady(learns=learns))
        for learns in (True, False)
    )
    cap = spec.evaluation.max_steps
    with threadpool_limits(limits=1, user_api="blas"), np.errstate(all="ignore"):
        step_s = _step_s(learning, lanes, piece_s)
        environment_s = _environment_s(spec, piece_s / 4)
        random_step_s = _step_s(before, lanes, piece_s / 2) if before != learning else step_s
        first_s, first = _evaluation(before, lanes, 1, random_step_s, piece_s / 4)
        # Where the environment is slow, steps of the five evaluations that are made at least are few.
        bearable = int(EVALUATING_S / max(random_step_s * lanes * spec.evaluation.episodes * 5, 1e-9))
        longer = min(cap, EVALUATION_STEPS, max(bearable, 2))
        all_s, steps = _evaluation(before, lanes, longer, random_step_s, piece_s / 4)
    eval_step_s = all_s / steps
    if steps > first and all_s > first_s:
        eval_step_s = (all_s - first_s) / (steps - first)
    reset_s = max(first_s - first * eval_step_s, 0.0) / spec.evaluation.episodes
    return RunCosts(random_step_s, step_s, reset_s, eval_step_s, environment_s)


def _step_s(spec: RunSpec, lanes: int, piece_s: float) -> float:
    """Return the seconds of a step in the second half of runs that are long enough to be timed."""
    evaluation = EvaluationSpec(episodes=1, seed=spec.evaluation.seed, max_steps=1)
    half = max(min(FIRST_STEPS, spec.n_timesteps // 2), 2)
    while True:
        seconds, _ = _train(spec, lanes, (1, half, 2 * half), evaluation)
        if seconds * lanes >= piece_s:
            return seconds / half
        half *= _longer(seconds * lanes, piece_s)


def _environment_s(spec: RunSpec, piece_s: float) -> float:
    """Return the seconds of a step of a run's environment without anybody who learns, resets included.

    0 where the environment raises: its runs say more of that.
    """
    try:
        env = BareEnv.make(spec.env, training=True)
        try:
            return _random_step_s(env, spec.seed, piece_s)
        finally:
            env.close()
    except Exception:  # the environment's own code may raise anything
        return 0.0


def _random_step_s(env: BareEnv, seed: int, piece_s: float) -> float:
    actions, draws, steps = Actions(env.env.action_space), stream(seed, "timing"), 0  # type: ignore[arg-type]
    env.reset(seed=seed)
    started = time.perf_counter()
    while True:
        _, _, terminated, truncated = env.step(actions.draw(draws))
        if terminated or truncated:
            env.reset()
        steps += 1
        if (spent := time.perf_counter() - started) >= piece_s:
            return spent / steps


def _evaluation(spec: RunSpec, lanes: int, cap: int, step_s: float, piece_s: float) -> tuple[float, float]:
    """Return the seconds of an evaluation of episodes cut at ``cap`` steps, and the steps of all its episodes.

    It is made after every step of a run, once environments exist.
    """
    evaluation = dataclasses.replace(spec.evaluation, max_steps=cap, late_episodes=None)
    count = FIRST_EVALUATIONS
    while True:
        seconds, steps = _train(spec, lanes, tuple(range(1, count + 3)), evaluation)
        if seconds * lanes >= piece_s:
            return max(seconds / count - step_s, seconds / count / 100), steps
        count *= _longer(seconds * lanes, piece_s)


def _longer(seconds: float, piece_s: float) -> int:
    return min(max(round(1.5 * piece_s / max(seconds, 1e-6)), 2), 16)


def _train(spec: RunSpec, lanes: int, grid: tuple[int, ...], evaluation: EvaluationSpec) -> tuple[float, float]:
    """Train side by side; return the seconds of a run from its second evaluation on, and the steps of an evaluation."""
    specs = [
        dataclasses.replace(spec, run_id=RunId(i), seed=spec.seed + i, grid=grid, evaluation=evaluation)
        for i in range(lanes)
    ]
    points: list[EvalPoint] = []

    def on_end(_: RunSpec, found: Sequence[EvalPoint], outcome: Outcome) -> None:
        if outcome.kind != "completed":
            raise UnusableEnvironmentError(f"{spec.env.id}: a run {outcome.kind}: {outcome.reason}")
        points.extend(found)

    make_trainer(spec.backend, spec.algorithm, lanes).train(RunBatch(specs, on_end))
    seconds = sum(p.elapsed_s * ((p.step == grid[-1]) - (p.step == grid[1])) for p in points)
    return seconds / lanes, sum(sum(p.lengths) for p in points) / len(points)
