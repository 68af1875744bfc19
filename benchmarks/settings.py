"""One fixed list of settings, trained to the end: the native backend against Stable-Baselines3, two cores each.

    python benchmarks/settings.py --space default|classic|zoo [--pairs 5] [--settings 20] [--steps 50000]
    python benchmarks/settings.py --space tuned --env LunarLander-v3 --settings 4 --steps 20000

The settings are drawn once from the space, for CartPole-v1, and trained with the space's budget and evaluations by
two workers with one thread each; ``--steps`` shortens the runs, evaluated as often, and leaves the settings as they
are. Nothing is pruned. The sides take turns; the figure is the median over pairs of the ratio of wall times, the start
and end of the workers included. What Stable-Baselines3 has not (double Q-learning, averaged weights) is off on both
sides, the loss is Huber's. ``tuned`` trains RL Zoo's tuned values of ``--env``, each time with another seed.

A stack shares batch size and network, so ``classic`` fills lanes, while of the wide spaces hardly two settings share
one and the matrix products decide. There each setting has a line of its own: its ratio (from the runs' own accounted
seconds per environment step, medians over pairs) beside the highest ratio that a core allows, which is the time of
Stable-Baselines3 over the run's flop bound: flops of its matrix products, evaluations left out, at the peak that a
loop of large matrix products reached on one core in the same session. Longest bounds are handed out first, to both.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import itertools
import os
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from landscape import Draw

from tuner import seeding
from tuner.contract.grid import evaluation_grid
from tuner.contract.outcome import Outcome
from tuner.contract.roles import DONE, WAIT
from tuner.contract.spec import EvaluationSpec, RunId, RunSpec
from tuner.envs.make import inspect
from tuner.envs.spec import EnvSpec
from tuner.execution.processes import ProcessExecutor
from tuner.execution.worker_process import ONE_THREAD
from tuner.hyperparameters import DQNHyperparameters
from tuner.space.catalog import load_by_name
from tuner.training.registry import make_trainer
from tuner.zoo.tuned import zoo_values

ENV = "CartPole-v1"
#: Environment -> (length of an observation, number of actions).
SIZES = {"CartPole-v1": (4, 2), "LunarLander-v3": (8, 4)}

#: Worker processes of each side, one core each.
WORKERS = 2


class Desk:
    """A supervisor that hands out a list of runs, judges nothing and keeps how they ended."""

    def __init__(self, specs: Sequence[RunSpec]) -> None:
        self._queue = list(specs)
        self._held: dict[RunId, RunSpec] = {}
        self.outcomes: dict[RunId, Outcome] = {}

    def take(self, open_shapes, *, block):
        """Return the next run, preferably of an open shape."""
        if not self._queue:
            return WAIT if self._held and not block else DONE
        chosen = next((spec for spec in self._queue if open_shapes.get(spec.shape, 0) > 0), self._queue[0])
        self._queue.remove(chosen)
        self._held[chosen.run_id] = chosen
        return chosen

    def report(self, points):
        """Stop nothing."""
        return frozenset()

    def finish(self, outcome):
        """Keep the outcome."""
        del self._held[outcome.run_id]
        self.outcomes[outcome.run_id] = outcome

    def lost(self, run_ids, reason):
        """Give up: a time with a repeated run in it is no measurement."""
        raise RuntimeError(f"a worker died: {reason}")

    def overdue(self, run_ids, silent_s):
        """Wait for ever."""
        return False

    def tick(self):
        """Go on."""
        return True


def draw(space_name: str, count: int, env: str = ENV) -> tuple[list[DQNHyperparameters], tuple[int, int, int]]:
    """Return the settings, the same in every run, and the space's (steps, evaluations, episodes)."""
    space, _ = load_by_name("default" if space_name == "tuned" else space_name, "dqn").for_environment(env)
    space, rng = space.clip_to_budget(), seeding.stream(0, f"settings {space_name}")
    budget = space.budget
    if space_name == "tuned":
        values = zoo_values(env)
        assert values is not None, f"RL Zoo has no tuned values for {env}"
        drawn = [DQNHyperparameters(**values)] * count
    else:
        drawn = [space.resolve(space.sample(Draw(rng))) for _ in range(count)]
    drawn = [dataclasses.replace(setting, double_q=False, loss="huber", weight_averaging=0.0) for setting in drawn]
    return drawn, (budget.n_timesteps, budget.evaluations, budget.eval_episodes)


def flops(setting: DQNHyperparameters, n_timesteps: int, env: str = ENV) -> float:
    """Return the floating-point operations of a run's matrix products: gradient steps, and acting.

    A product of [m, k] and [k, n] costs 2 m k n. A gradient step takes the target's forward pass, the online forward
    pass and the weights' gradients through every layer, and the deltas through every layer but the first.
    """
    observation_size, n_actions = SIZES[env]
    sizes = (observation_size, *setting.net_arch, n_actions)
    products = [2 * fan_in * fan_out for fan_in, fan_out in itertools.pairwise(sizes)]
    step = setting.batch_size * (3 * sum(products) + sum(products[1:]))
    # A training call comes with every train_freq steps, strictly after learning_starts, not after the last evaluation.
    calls = max((n_timesteps - 1) // setting.train_freq - setting.learning_starts // setting.train_freq, 0)
    gradient_steps = setting.train_freq if setting.gradient_steps < 0 else setting.gradient_steps
    return float(calls * gradient_steps * step + n_timesteps * sum(products))


def peak(seconds: float = 2.0, size: int = 1024) -> float:
    """Return this thread's single-precision GFLOP/s in a loop of [size, size] matrix products, the best round's."""
    a, b = np.random.default_rng(0).random((2, size, size), np.float32)
    out, best, until = np.empty_like(a), 0.0, time.perf_counter() + seconds
    while (started := time.perf_counter()) < until:
        np.matmul(a, b, out=out)
        best = max(best, 2 * size**3 / (time.perf_counter() - started) / 1e9)
    return best


def measured_peak() -> float:
    """Return the peak of one core, from a fresh process with one thread."""
    command = [sys.executable, __file__, "--peak"]
    return float(subprocess.run(command, env={**os.environ, **ONE_THREAD}, stdout=subprocess.PIPE, check=True).stdout)


def train(backend: str, specs: Sequence[RunSpec], lanes: int) -> tuple[float, Desk]:
    """Train all runs and return the wall seconds, and how the runs ended."""
    desk = Desk(specs)
    maker: Callable = functools.partial(make_trainer, backend, "dqn", lanes)
    started = time.perf_counter()
    ProcessExecutor(maker, WORKERS).run(desk)
    seconds = time.perf_counter() - started
    failed = [outcome for outcome in desk.outcomes.values() if outcome.kind not in ("completed", "diverged")]
    assert not failed and len(desk.outcomes) == len(specs), failed
    return seconds, desk


def run_specs(
    backend: str, drawn: Sequence[DQNHyperparameters], budget: tuple[int, int, int], env_id: str
) -> list[RunSpec]:
    """Return one run of each setting, longest flop bound first."""
    n_timesteps, evaluations, episodes = budget
    env = EnvSpec(env_id)
    evaluation = EvaluationSpec(episodes, seeding.evaluation_seed(0, "search", 1), inspect(env, "dqn").eval_max_steps)
    grid = evaluation_grid(n_timesteps, evaluations)
    order = sorted(range(len(drawn)), key=lambda i: -flops(drawn[i], n_timesteps, env_id))
    return [
        RunSpec(RunId(i), env, backend, drawn[i], seeding.run_seed(0, "search", i, 0), grid, evaluation) for i in order
    ]


def print_settings(
    drawn: Sequence[DQNHyperparameters], pairs: Sequence[dict[str, Desk]], gflops: float, env: str
) -> None:
    """Print each setting's ratio beside its flop bound."""
    print(
        "\n| batch | network | train_freq / gradient_steps | sb3 | native | ratio | ratio at the bound | of the peak |"
    )
    print("|---:|---|---|---:|---:|---:|---:|---:|")
    for i, setting in enumerate(drawn):
        # Microseconds per environment step: a run that diverged early has taken fewer steps.
        sb3, native = (
            statistics.median(1e6 * d.elapsed_s / d.steps for d in (pair[side].outcomes[RunId(i)] for pair in pairs))
            for side in ("sb3", "native")
        )
        steps = max(pair["native"].outcomes[RunId(i)].steps for pair in pairs)
        bound = flops(setting, steps, env) / steps / (gflops * 1e3)
        network = "x".join(map(str, setting.net_arch))
        print(
            f"| {setting.batch_size} | {network} | {setting.train_freq} / {setting.gradient_steps} | {sb3:,.0f} us "
            f"| {native:,.0f} us | {sb3 / native:.2f} | {sb3 / bound:.1f} | {bound / native:.0%} |"
        )
    print("\nTimes are per environment step of the run, its share of the evaluations included.")


def main() -> None:
    """Train the list on both sides in turns and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", choices=("default", "classic", "zoo", "tuned"), default="default")
    parser.add_argument("--env", choices=SIZES, default=ENV)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--settings", type=int, default=20)
    parser.add_argument("--steps", type=int, help="environment steps of each run (default: the space's)")
    parser.add_argument(
        "--lanes", type=int, help="native lanes of each worker (default: 1; classic: all settings at once)"
    )
    parser.add_argument("--peak", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak:
        print(peak())
        return
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:WORKERS])
    lanes = options.lanes or (-(-options.settings // WORKERS) if options.space == "classic" else 1)
    drawn, (n_timesteps, evaluations, episodes) = draw(options.space, options.settings, options.env)
    steps = options.steps or n_timesteps
    budget = (steps, max(1, round(evaluations * steps / n_timesteps)), episodes)
    print(
        f"{options.env}, {len(drawn)} settings of '{options.space}', {steps:,} steps and {budget[1]} evaluations "
        f"of {episodes} episodes each; {WORKERS} workers, native with {lanes} lanes each"
    )
    print("\n| pair | sb3 | native | ratio | diverged (sb3, native) |\n|---:|---:|---:|---:|---|")
    ratios, pairs, gflops = [], [], 0.0
    for pair in range(1, options.pairs + 1):
        gflops = max(gflops, measured_peak())
        sb3, sb3_desk = train("sb3", run_specs("sb3", drawn, budget, options.env), 1)
        native, native_desk = train("native", run_specs("native", drawn, budget, options.env), lanes)
        ratios.append(sb3 / native)
        pairs.append({"sb3": sb3_desk, "native": native_desk})
        diverged = [Counter(o.kind for o in d.outcomes.values())["diverged"] for d in (sb3_desk, native_desk)]
        print(
            f"| {pair} | {sb3:.1f} s | {native:.1f} s | {ratios[-1]:.2f} | {diverged[0]}, {diverged[1]} |", flush=True
        )
    print(f"\nmedian ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    work = sum(flops(setting, steps, options.env) for setting in drawn)
    print(
        f"matrix products: {work / 1e12:.2f} TFLOP; peak {gflops:.0f} GFLOP/s a core, so at least "
        f"{work / gflops / 1e9 / WORKERS:.1f} s on {WORKERS} cores"
    )
    if options.space != "classic":
        print_settings(drawn, pairs, gflops, options.env)


if __name__ == "__main__":
    main()
