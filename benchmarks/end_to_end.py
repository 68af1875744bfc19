"""A whole search, everything included: `tune` against RL Zoo's own optimisation, on two cores.

    python benchmarks/end_to_end.py [--trials 100] [--steps N] [--evaluations N] [--episodes N] [--pairs 1]
                                    [--spaces default zoo]

Both tools get the same environment (CartPole-v1), number of trials, steps of a trial, evaluations and episodes of an
evaluation (by default what `tune --env CartPole-v1` takes), sampler, pruner and number of random startup trials (TPE,
median, 10: the default of both). `tune` searches each of ``--spaces`` in turn: its own default space, which compares
what a user waits for, and ``zoo``, the space that RL Zoo searches (batches to 2,048, networks to [400, 300]). `tune`'s
time holds its confirm stage: finalists and baselines trained again on further seeds, which RL Zoo has not.
Wall time runs from the command to its end, with imports, storage, pruning and reports; only RL Zoo's plots, which
open a browser, are off.

Both may use the same two cores. `tune` takes them with two workers of one thread. RL Zoo trains one trial after the
other with one thread (``--n-jobs 1 --num-threads 1``, its default of jobs); ``--zoo-jobs 2`` lets it train two trials
in two threads of one process. The cores each side kept busy are measured (processor time over wall time) and printed.
"""

from __future__ import annotations

import argparse
import csv
import functools
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tuner.space.catalog import load_by_name

ENV = "CartPole-v1"
CORES = 2
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class Search(NamedTuple):
    """What one search took.

    Attributes:
        seconds: Wall time.
        cores: Cores kept busy, on average.
        trials: Number of trials by outcome.
    """

    seconds: float
    cores: float
    trials: Counter[str]


def measure(command: list[str], folder: Path, trials_file: str, outcome_column: str) -> Search:
    """Run a search in a folder of its own, and read how its trials ended from the table it leaves there."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **ONE_THREAD}, capture_output=True, text=True, check=False
    )
    seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\nended with exit code {done.returncode}:\n{done.stdout}{done.stderr}")
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    (table,) = folder.rglob(trials_file)
    with table.open(newline="") as file:
        trials = Counter(row[outcome_column].lower() for row in csv.DictReader(file))
    return Search(seconds, busy / seconds, trials)


def tune(options: argparse.Namespace, space: str) -> Search:
    """Search a space with `tune`."""
    command = [sys.executable, "-m", "tuner", "--env", ENV, "--trials", str(options.trials), "--quiet"]
    command += ["--space", space, "--steps", str(options.steps), "--evaluations", str(options.evaluations)]
    command += ["--eval-episodes", str(options.episodes), "--workers", str(CORES)]
    with tempfile.TemporaryDirectory() as folder:
        return measure([*command, "--storage", "sqlite:///tuner.db"], Path(folder), "trials.csv", "outcome")


def rl_zoo(options: argparse.Namespace) -> Search:
    """Search with RL Zoo, its study in memory."""
    command = [sys.executable, "-m", "rl_zoo3.train", "--algo", "dqn", "--env", ENV, "-optimize"]
    command += ["--n-trials", str(options.trials), "--n-timesteps", str(options.steps)]
    command += ["--n-evaluations", str(options.evaluations), "--eval-episodes", str(options.episodes)]
    command += ["--sampler", "tpe", "--pruner", "median", "--n-startup-trials", "10", "--seed", "0"]
    command += ["--n-jobs", str(options.zoo_jobs), "--num-threads", "1", "--device", "cpu"]
    with tempfile.TemporaryDirectory() as folder:
        return measure(
            [*command, "-f", "logs", "--no-optim-plots", "--verbose", "0"], Path(folder), "report_*.csv", "state"
        )


def describe(trials: Counter[str]) -> str:
    """Return how the trials ended."""
    return ", ".join(f"{count} {outcome}" for outcome, count in trials.most_common())


def main() -> None:
    """Search with both in turns and print the ratio of wall times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=100)
    budget = load_by_name("default", "dqn").for_environment(ENV)[0].budget
    parser.add_argument("--steps", type=int, default=budget.n_timesteps)
    parser.add_argument("--evaluations", type=int, default=budget.evaluations)
    parser.add_argument("--episodes", type=int, default=budget.eval_episodes)
    parser.add_argument("--pairs", type=int, default=1)
    parser.add_argument("--zoo-jobs", type=int, default=1)
    parser.add_argument("--spaces", nargs="+", default=["default", "zoo"], help="what `tune` searches, each in turn")
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    print(
        f"{ENV}, {options.trials} trials of {options.steps:,} steps, {options.evaluations} evaluations of "
        f"{options.episodes} episodes; {CORES} cores for each.\n"
    )
    print("| pair | tool | wall time | cores busy | trials |\n|---:|---|---:|---:|---|")
    searches: dict[str, Callable[[], Search]] = {
        f"tune, {space} space": functools.partial(tune, options, space) for space in options.spaces
    }
    rival = f"RL Zoo, {options.zoo_jobs} job(s)"
    ratios: dict[str, list[float]] = {name: [] for name in searches}
    for pair in range(1, options.pairs + 1):
        seconds = {}
        for name, search in [*searches.items(), (rival, functools.partial(rl_zoo, options))]:
            found = search()
            seconds[name] = found.seconds
            print(
                f"| {pair} | {name} | {found.seconds:.0f} s | {found.cores:.2f} | {describe(found.trials)} |",
                flush=True,
            )
            assert found.trials.total() == options.trials, f"{name}: {describe(found.trials)}"
        for name in searches:
            ratios[name].append(seconds[rival] / seconds[name])
    print("\nratio of wall times, median (lowest to highest):")
    for name, found_ratios in ratios.items():
        median = statistics.median(found_ratios)
        print(f"- {name}: {median:.1f} ({min(found_ratios):.1f} to {max(found_ratios):.1f})")


if __name__ == "__main__":
    main()
