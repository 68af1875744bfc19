"""What a study will cost, before it starts: seconds, bytes, environment steps; and the refusal of what cannot fit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean
from typing import TYPE_CHECKING

from tuner.contract.grid import first_pruned
from tuner.contract.spec import RunId, RunSpec
from tuner.envs.child import call_in_child
from tuner.errors import InputError
from tuner.hyperparameters import Hyperparameters
from tuner.plan.extremes import drawn, extremes
from tuner.plan.resolve import StudyPlan
from tuner.text import counted
from tuner.training.cost import footprint as memory
from tuner.training.cost.cores import available_cores
from tuner.training.registry import footprint

if TYPE_CHECKING:
    from tuner.training.cost import timing

#: Mean length of an evaluation episode as a share of its cap, which nobody knows before training. What random play
#: tells of it replaces the first two: :func:`episode_shares`.
SHORT, EXPECTED, LONG = 0.1, 0.5, 1.0

#: Share of the cap from which on random play tells nothing of how short episodes can be.
LASTING = 0.9

#: Random settings that are timed where settings differ in their cost, beside the cheapest and the dearest.
TIMED_DRAWS = 6

#: How much cost weighs in proposals: what is twice as dear must promise 2 ** WEIGHT times as much.
#: ``benchmarks/lab/replay.py``.
WEIGHT = 0.5

#: The same where seconds are what a study may spend (``--within``): promise per second (Snoek, Larochelle and Adams
#: 2012, section 3.2).
WEIGHT_OF_SECONDS = 1.0

#: What runs were timed at in this process: what they take does not depend on their budgets.
_TIMED: dict[tuple[object, ...], timing.RunCosts] = {}


@dataclass(frozen=True)
class Pace:
    """How fast a study's workers get through runs.

    Attributes:
        workers: Worker processes.
        lanes: Runs that each trains side by side.
        one_s: Seconds of a worker for one run on its own.
        full_s: Seconds of a worker for a run on each of its lanes.
    """

    workers: int
    lanes: int
    one_s: float
    full_s: float

    def wave_s(self, runs: int) -> float:
        """Return the seconds of a worker for ``runs`` side by side, at most ``lanes``."""
        if runs == 0:
            return 0.0
        return self.full_s - (self.lanes - runs) * self._further_s

    def wall_s(self, runs: int) -> float:
        """Return the seconds that all workers together take for so many runs, none of them pruned."""
        waves, rest = divmod(runs, self.workers * self.lanes)
        return waves * self.full_s + self.wave_s(math.ceil(rest / self.workers))

    def runs_within(self, seconds: float) -> int:
        """Return the most runs with ``wall_s(runs) <= seconds``."""
        waves = int(seconds / self.full_s)
        runs = waves * self.workers * self.lanes
        lanes = max(k for k in range(self.lanes + 1) if waves * self.full_s + self.wave_s(k) <= seconds or k == 0)
        return runs + min(lanes, self.lanes - 1) * self.workers

    @property
    def _further_s(self) -> float:
        return max(self.full_s - self.one_s, 0.0) / (self.lanes - 1) if self.lanes > 1 else 0.0


@dataclass(frozen=True)
class Forecast:
    """Expected time of a study.

    Attributes:
        short: Pace where evaluation episodes last the first of ``lengths``.
        expected: Pace where they last the second.
        long: Pace where all reach their cap.
        run_s: (mean, least, most) seconds of a run, at the expected length, over the settings timed.
        settings: How many settings were timed.
        lengths: Steps of an evaluation episode that the three paces are for.
        environment: Share of the training of the middling setting, in [0, 1], that its environment's own steps take.
    """

    short: Pace
    expected: Pace
    long: Pace
    run_s: tuple[float, float, float]
    settings: int
    lengths: tuple[float, float, float]
    environment: float


@dataclass(frozen=True)
class MemoryNeed:
    """What the runs in progress hold at most, once all replay memories are full.

    Attributes:
        runs: Runs in progress at a time, in all workers.
        largest: The dearest run.
    """

    runs: int
    largest: memory.Footprint

    @property
    def total_bytes(self) -> int:
        """Bytes in all, without what the processes themselves take."""
        return self.runs * self.largest.total_bytes


def memory_need(plan: StudyPlan) -> MemoryNeed:
    """Return what a study holds at most."""
    each = [_footprint(plan, setting) for setting in extremes(plan.space)]
    return MemoryNeed(_runs_in_progress(plan), max(each, key=lambda f: f.total_bytes))


def refuse_what_cannot_fit(plan: StudyPlan) -> MemoryNeed:
    """Return what a study holds at most.

    Raises:
        InputError: That is more than is available now. What other machines have is not known.
    """
    need, available = memory_need(plan), memory.available_bytes()
    if not plan.trains_here:
        return need
    largest = need.largest
    if need.total_bytes > available:
        fits = (available // need.runs - (largest.total_bytes - largest.replay_bytes)) // largest.transition_bytes
        smaller = f"--set buffer_size={_rounded_down(fits)}, " if fits >= 100 else ""
        beside = ""
        if largest.stretch_bytes > largest.replay_bytes:
            smaller = "--set train_freq=N with a smaller number, "
            beside = f", and {show_bytes(largest.stretch_bytes)} of steps between two training calls"
        raise InputError(
            f"Replay memory cannot fit: {counted(need.runs, 'run')} at a time, {show_bytes(need.total_bytes)} in all "
            f"({largest.transitions:,} transitions of {largest.transition_bytes:,} bytes each{beside}), and "
            f"{show_bytes(available)} are available. Use {smaller}fewer --lanes or fewer --workers."
        )
    reserved = largest.reserved_bytes * plan.side_by_side
    if not memory.can_reserve(reserved):
        raise InputError(
            f"Replay memory cannot fit: each worker reserves {show_bytes(reserved)} of addresses ({plan.lanes} lanes x "
            f"{largest.reserved_transitions:,} steps), and the system gives out less. Use fewer --lanes or --steps."
        )
    return need


def forecast(plan: StudyPlan) -> Forecast:
    """Time short pieces of training with a few settings of the space, and carry them on to the whole study.

    Settings that differ in what a stack must share train in stacks of their own; where the space searches such a
    field, a worker's lanes spread over as many stacks.

    Raises:
        UnusableEnvironmentError: A run failed, with its reason.
    """
    lanes = plan.side_by_side
    ends = sorted(extremes(plan.space), key=lambda setting: work(plan, setting))
    sample = typical(plan)
    together = max(lanes // len({setting.shape() for setting in (*ends, *sample)}), 1)
    specs: dict[tuple[object, ...], RunSpec] = {}
    for setting in (*sample, ends[0], ends[-1]):
        if setting.costly_values() not in specs:
            specs[setting.costly_values()] = plan.run_spec(RunId(len(specs)), setting, seed=len(specs))
    timed = time_runs(plan, [(spec, k) for spec in specs.values() for k in sorted({1, together})])
    alone, beside = timed[:: 1 + (together > 1)], timed[together > 1 :: 1 + (together > 1)]
    costs = dict(zip(specs, zip(specs.values(), alone, beside, strict=True), strict=True))
    slower = max(1.0, plan.workers / available_cores())
    weights = [costs[setting.costly_values()] for setting in sample]

    def pace(share: float) -> Pace:
        one_s = mean([one.seconds(spec, share) for spec, one, _ in weights])
        run_s = mean([side.seconds(spec, share) for spec, _, side in weights])
        return Pace(plan.workers, lanes, slower * one_s, slower * max(run_s * lanes, one_s))

    shares = episode_shares(plan)
    runs_s = [slower * side.seconds(spec, shares[1]) for spec, _, side in costs.values()]
    short, expected, long = map(pace, shares)
    spread = (expected.full_s / lanes, min(runs_s), max(runs_s))
    low, middle, high = (share * plan.evaluation.max_steps for share in shares)
    _, _, middling = weights[len(weights) // 2]
    share = min(middling.environment_s / middling.step_s, 1.0) if plan.clock == Hyperparameters.clock else 0.0
    return Forecast(short, expected, long, spread, len(costs), (low, middle, high), share)


def episode_shares(plan: StudyPlan) -> tuple[float, float, float]:
    """Return how long evaluation episodes last, (short, expected, long), as shares of their cap.

    Where random play ends by itself, an agent's episodes last from there, where learning begins, to the cap: the
    geometric mean is what is expected. Where it lasts to the cap, as where only a goal ends an episode, learning makes
    them shorter.
    """
    played = plan.facts.random_play
    if played is None or not played.length:
        return SHORT, EXPECTED, LONG
    random = min(max(played.length / plan.evaluation.max_steps, 1e-3), 1.0)
    if random >= LASTING:
        return SHORT, EXPECTED, LONG
    return random, math.sqrt(random), LONG


def time_runs(plan: StudyPlan, runs: Sequence[tuple[RunSpec, int]]) -> list[timing.RunCosts]:
    """Time short pieces of (run, lanes) where runs will train: in another process, unless trainers live in this one.

    Raises:
        UnusableEnvironmentError: A run failed, with its reason.
    """
    from tuner.training.cost.timing import measure_all

    def key(spec: RunSpec, lanes: int) -> tuple[object, ...]:
        return spec.env, spec.backend, spec.device, spec.hyperparameters.costly_values(), lanes

    new = {key(*run): run for run in runs if key(*run) not in _TIMED}
    if new and plan.recipe.executor == "inline":
        _TIMED.update(zip(new, measure_all(list(new.values()), lambda word: None), strict=True))
    elif new:
        found = call_in_child(measure_all, list(new.values()), subject=plan.env.id, first="timing")
        _TIMED.update(zip(new, found, strict=True))
    return [_TIMED[key(*run)] for run in runs]


def evaluation_steps(plan: StudyPlan) -> int:
    """Return the environment steps of all evaluations, at most."""
    evaluation = plan.evaluation
    runs = plan.runs
    return runs * len(plan.grid) * evaluation.episodes * evaluation.max_steps


def largest_saving(plan: StudyPlan) -> float:
    """Return the share of all training steps that pruning can save at most: all that can be stopped, at once.

    The median pruner lets the startup trials end; the others compare with one trial at least.
    """
    recipe, grid = plan.recipe, plan.grid
    if recipe.pruner == "none":
        return 0.0
    first = first_pruned(recipe.pruner, grid, plan.rules.pruning)
    safe = recipe.startup_trials if recipe.pruner == "median" else 1
    return max(recipe.trials - safe, 0) / recipe.trials * (1 - first / grid[-1])


def show_bytes(count: float) -> str:
    """Return a size in its largest unit of 1024: ``512 bytes``, ``3.4 MiB``, ``21 GiB``."""
    units = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB")
    power = min(int(math.log(max(count, 1), 1024)), len(units) - 1)
    value = count / 1024**power
    return f"{value:.1f} {units[power]}" if power and value < 10 else f"{value:.0f} {units[power]}"


def _footprint(plan: StudyPlan, setting: Hyperparameters) -> memory.Footprint:
    return footprint(setting, plan.facts, plan.grid[-1], plan.backend)


def _runs_in_progress(plan: StudyPlan) -> int:
    places = plan.workers * plan.side_by_side
    return min(places, plan.runs_in_flight, plan.runs)


def typical(plan: StudyPlan) -> list[Hyperparameters]:
    """Return settings that stand for a study's proposals where time is concerned, cheapest first."""
    thrifty = plan.rules.proposals > 1 and plan.recipe.sampler == "tpe"
    return drawn(plan.space, lambda setting: work(plan, setting), TIMED_DRAWS, WEIGHT if thrifty else 0.0)


def work(plan: StudyPlan, setting: Hyperparameters, steps: int | None = None) -> float:
    """Return a number that grows with a run's computing: what settings are ordered by, not a time.

    Args:
        plan: The study.
        setting: What is trained.
        steps: Environment steps of the run; None takes the study's.
    """
    return setting.work(_footprint(plan, setting).network_bytes, steps or plan.grid[-1])


def _rounded_down(count: int) -> int:
    """Return a number with two digits that matter."""
    unit = int(10 ** max(len(str(count)) - 2, 0))
    return count // unit * unit
