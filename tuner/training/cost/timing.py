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
from tuner.training.cost.look import Look, look_at
from tuner.training.registry import make_trainer

#: Seconds that timing one part takes, at least.
PIECE_S = 0.2

#: Seconds of timing after which no further setting is timed.
PATIENCE_S = 20.0

#: Steps after which a timed evaluation episode is cut, and seconds of stepping that evaluations get at most.
EVALUATION_STEPS, EVALUATING_S = 50, 5.0

#: Steps, and evaluations, of the shortest run that is timed.
FIRST_STEPS, FIRST_EVALUATIONS = 64, 3

#: Seconds of an environment's own that timing a setting may take. The parts of a slower one are looked at alone, and
#: what learning adds is timed in :data:`SLOW_STEPS` at most of one run: lanes share nothing else, and that is little.
SLOW_S, SLOW_STEPS = 20.0, 512

#: Steps that an episode is taken to have at least before a slow environment is trained in.
SHORT_EPISODE = 8


@dataclass(frozen=True)
class RunCosts:
    """Seconds of a worker that the parts of one run take: its share, where others train beside it.

    Attributes:
        random_step_s: An environment step before learning starts.
        step_s: A step after it, training calls included.
        reset_s: Beginning one evaluation episode.
        eval_step_s: One step of one evaluation episode, its environment's own part.
        environment_s: A step of the environment alone, resets included, on the same machine at the same time.
        place_s: An episode's place in the batch for one step of the batch, which goes on until the longest has ended.
        make_s: Making one environment: a run has one to train in, one to look at, and one for each evaluation episode.
    """

    random_step_s: float
    step_s: float
    reset_s: float
    eval_step_s: float
    environment_s: float = 0.0
    place_s: float = 0.0
    make_s: float = 0.0

    def training_s(self, spec: RunSpec) -> float:
        """Return the seconds that a run like ``spec`` trains."""
        warm_up = spec.hyperparameters.random_steps(spec.n_timesteps)
        return warm_up * self.random_step_s + (spec.n_timesteps - warm_up) * self.step_s

    def evaluation_s(self, spec: RunSpec, share: float) -> float:
        """Return the seconds that it evaluates; an episode lasts ``share`` of its cap, in (0, 1], on average.

        Making its environments is among them: nearly all of these play evaluation episodes.
        """
        counts, cap = [spec.episodes_at(step) for step in spec.grid], spec.evaluation.max_steps
        resets_and_steps = sum(counts) * (self.reset_s + share * cap * self.eval_step_s)
        making = (2 + max(counts)) * self.make_s
        return making + resets_and_steps + sum(n * longest_share(share, n) for n in counts) * cap * self.place_s

    def seconds(self, spec: RunSpec, share: float) -> float:
        """Return the seconds of both."""
        return self.training_s(spec) + self.evaluation_s(spec, share)


def longest_share(share: float, episodes: int) -> float:
    """Return how long the longest of some evaluation episodes is expected to last, as a share of their cap.

    Lengths are taken for exponential, as where an episode is as likely to end at one step as at another: the longest of
    n lasts 1 + 1/2 + ... + 1/n times the mean.

    Args:
        share: Their mean, in (0, 1].
        episodes: Their number, >= 1.
    """
    return min(share * sum(1 / n for n in range(1, episodes + 1)), 1.0)


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
        look = look_at(spec, piece_s / 4)
        if _own_s(look, lanes, spec.evaluation.episodes) > SLOW_S:
            return _of_slow(learning, look)
        step_s = _step_s(learning, lanes, piece_s)
        environment_s, bare_s = _environment_s(spec, piece_s / 4)
        random_step_s = _step_s(before, lanes, piece_s / 2) if before != learning else step_s
        first_s, _ = _evaluation(before, lanes, 1, random_step_s, piece_s / 4)
        # Where the environment is slow, steps of the five evaluations that are made at least are few.
        bearable = int(EVALUATING_S / max(random_step_s * lanes * spec.evaluation.episodes * 5, 1e-9))
        longer = min(cap, EVALUATION_STEPS, max(bearable, 2))
        all_s, lengths = _evaluation(before, lanes, longer, random_step_s, piece_s / 4)
    reset_s, eval_step_s, place_s = evaluation_parts(first_s, all_s, lengths, bare_s)
    return RunCosts(random_step_s, step_s, reset_s, eval_step_s, environment_s, place_s, look.make_s)


def _own_s(look: Look, lanes: int, episodes: int) -> float:
    """Return the seconds that an environment's own parts take at least while a setting is timed as fast ones are."""
    evaluated = (FIRST_EVALUATIONS + 2) * episodes
    made = 2 * 2 + 2 * (1 + episodes)
    training_s = 2 * 2 * FIRST_STEPS * look.training_step_s
    return lanes * (made * look.make_s + training_s + 2 * evaluated * (look.reset_s + look.step_s))


def _of_slow(spec: RunSpec, look: Look) -> RunCosts:
    """Return the costs of a run in a slow environment: its own parts as they were seen, and learning on top.

    Who learns may end episodes sooner than random play does: steps are few at first, and more where these took little.
    """
    own_s = look.training_step_s
    most = min(SLOW_STEPS, max(spec.n_timesteps // 2, 2))
    half = min(max(int(SLOW_S / 4 / max(own_s, look.step_s + look.reset_s / SHORT_EPISODE, 1e-9)), 2), most)
    while True:
        began = time.perf_counter()
        seconds, _ = _train(spec, 1, (1, half, 2 * half), EvaluationSpec(episodes=1, seed=spec.seed, max_steps=1))
        if half == most or seconds >= SLOW_S / 8 or time.perf_counter() - began >= SLOW_S:
            break
        half = min(4 * half, most)
    evaluating_s = look.reset_s + look.step_s
    learning_s = max(seconds - evaluating_s - half * own_s, 0.0) / half
    return RunCosts(own_s, own_s + learning_s, look.reset_s, look.step_s, own_s, 0.0, look.make_s)


def evaluation_parts(first_s: float, all_s: float, lengths: Sequence[int], bare_s: float) -> tuple[float, float, float]:
    """Return the seconds of (beginning an episode, its environment's step, its place in a step of the batch).

    Args:
        first_s: Seconds of an evaluation whose episodes are cut at their first step.
        all_s: ... of one whose episodes are longer.
        lengths: Steps of these.
        bare_s: A step of the environment alone; taken for less where the two evaluations leave less.
    """
    episodes, steps, longest = len(lengths), sum(lengths), max(lengths)
    further = steps - episodes
    if not further or all_s <= first_s:
        eval_step_s, place_s = all_s / steps, 0.0
    else:
        eval_step_s = min(bare_s, (all_s - first_s) / further)
        left_s = max(all_s - first_s - further * eval_step_s, 0.0)  # rounding may leave less than nothing
        place_s = left_s / (episodes * (longest - 1))
    return max(first_s / episodes - eval_step_s - place_s, 0.0), eval_step_s, place_s


def _step_s(spec: RunSpec, lanes: int, piece_s: float) -> float:
    """Return the seconds of a step in the second half of runs that are long enough to be timed."""
    evaluation = EvaluationSpec(episodes=1, seed=spec.evaluation.seed, max_steps=1)
    half = max(min(FIRST_STEPS, spec.n_timesteps // 2), 2)
    while True:
        seconds, _ = _train(spec, lanes, (1, half, 2 * half), evaluation)
        if seconds * lanes >= piece_s:
            return seconds / half
        half *= _longer(seconds * lanes, piece_s)


def _environment_s(spec: RunSpec, piece_s: float) -> tuple[float, float]:
    """Return the seconds of a step of a run's environment without anybody who learns, resets included and not.

    0 where the environment raises: its runs say more of that.
    """
    try:
        env = BareEnv.make(spec.env, training=True)
        try:
            return _random_steps(env, spec.seed, piece_s)
        finally:
            env.close()
    except Exception:  # the environment's own code may raise anything
        return 0.0, 0.0


def _random_steps(env: BareEnv, seed: int, piece_s: float) -> tuple[float, float]:
    actions, draws, steps = Actions(env.env.action_space), stream(seed, "timing"), 0  # type: ignore[arg-type]
    env.reset(seed=seed)
    resetting, started = 0.0, time.perf_counter()
    while True:
        _, _, terminated, truncated = env.step(actions.draw(draws))
        steps += 1
        now = time.perf_counter()
        if now - started >= piece_s:
            return (now - started) / steps, (now - started - resetting) / steps
        if terminated or truncated:
            env.reset()
            resetting += time.perf_counter() - now


def _evaluation(spec: RunSpec, lanes: int, cap: int, step_s: float, piece_s: float) -> tuple[float, Sequence[int]]:
    """Return the seconds of an evaluation of episodes cut at ``cap`` steps, and the steps of each of its episodes.

    It is made after every step of a run, once environments exist.
    """
    evaluation = dataclasses.replace(spec.evaluation, max_steps=cap, late_episodes=None)
    count = FIRST_EVALUATIONS
    while True:
        seconds, lengths = _train(spec, lanes, tuple(range(1, count + 3)), evaluation)
        if seconds * lanes >= piece_s:
            return max(seconds / count - step_s, seconds / count / 100), lengths
        count *= _longer(seconds * lanes, piece_s)


def _longer(seconds: float, piece_s: float) -> int:
    return min(max(round(1.5 * piece_s / max(seconds, 1e-6)), 2), 16)


def _train(spec: RunSpec, lanes: int, grid: tuple[int, ...], evaluation: EvaluationSpec) -> tuple[float, Sequence[int]]:
    """Train side by side; return the seconds of a run from its second evaluation on, and its last episodes' steps."""
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
    return seconds / lanes, points[-1].lengths
