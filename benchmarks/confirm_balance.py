"""How evenly the confirm stage's runs fall to its workers, in virtual time.

    python benchmarks/confirm_balance.py [--workers 2] [--studies 20]

Each study searches 60 settings of the default space for CartPole-v1 and confirms the best five. Nothing is trained:
runs have made-up curves, and each takes the seconds that its gradient steps and environment steps would, by the model
of :func:`seconds_of`. A worker trains its runs side by side, each one grid point a round, and asks for more after a
round; the worker whose clock is behind goes first. Printed for each study: the stage's time, how much earlier the first
worker had nothing left to do (must: 10 % of that or the longest run, whichever is larger), the share of the workers'
time that is training (the rest waits for what comes next), the time of the stage against that of the search, and the
verdict's seeds.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import logging
import statistics
import tempfile
import zlib
from pathlib import Path

import numpy as np

import tuner
from tuner.contract.outcome import EvalPoint, Outcome
from tuner.contract.roles import DONE
from tuner.contract.spec import RunSpec
from tuner.plan.recipe import StudyRecipe

#: Seconds of one environment step, of one update, and of one multiplication in it.
STEP_S, UPDATE_S, FLOP_S = 25e-6, 30e-6, 1e-11 * 6


def seconds_of(spec: RunSpec) -> float:
    """Return the seconds of a worker that a run takes."""
    h = spec.hyperparameters
    widths = [4, *h.net_arch, 2]
    weights = sum(a * b for a, b in itertools.pairwise(widths))
    updates = max(spec.n_timesteps - h.learning_starts, 0) / h.train_freq * h.updates_per_call()
    return spec.n_timesteps * STEP_S + updates * (UPDATE_S + h.batch_size * weights * 4 * FLOP_S)


def score_of(spec: RunSpec, step: int) -> float:
    """Return a made-up return: a level of the setting's own, luck of the seed, growing with steps."""
    level = zlib.crc32(repr(spec.hyperparameters).encode()) / 2**32
    luck = np.random.default_rng(spec.seed).normal(0, 30)
    return float(np.clip(500 * level * step / spec.n_timesteps + luck, 0, 500))


@dataclasses.dataclass
class Worker:
    """One worker: its clock, its runs with the grid points they have passed, when it last had one."""

    clock: float = 0.0
    held: dict = dataclasses.field(default_factory=dict)
    worked: float = 0.0
    left: bool = False


class VirtualExecutor:
    """Plays an executor's workers in virtual time; keeps what each stage took."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self.stages: list[tuple[float, float, float, float]] = []

    def run(self, supervisor) -> None:
        """Serve until there is nothing left."""
        lanes = supervisor._plan.lanes
        workers = [Worker() for _ in range(self._workers)]
        longest = total = 0.0
        while True:
            worker = min((w for w in workers if not w.left), key=lambda w: w.clock, default=None)
            if worker is None:
                break
            answer = None
            while len(worker.held) < lanes:
                shapes = {spec.shape: lanes - len(worker.held) for spec, _ in worker.held.values()}
                answer = supervisor.take(shapes, block=False)
                if not isinstance(answer, RunSpec):
                    break
                worker.held[answer.run_id] = (answer, 0)
                longest, total = max(longest, seconds_of(answer)), total + seconds_of(answer)
            if not worker.held:
                others = [w.clock for w in workers if w.held]
                if answer is DONE or not others:
                    worker.left = True
                else:
                    worker.clock = min(others) + 1e-9  # it waits for what decides what comes next
                continue
            for run_id, (spec, passed) in list(worker.held.items()):
                worker.clock += seconds_of(spec) / len(spec.grid)
                step = spec.grid[passed]
                returns = (score_of(spec, step),) * spec.episodes_at(step)
                share = seconds_of(spec) * (passed + 1) / len(spec.grid)
                stop = supervisor.report([EvalPoint(run_id, step, returns, (1,) * len(returns), share)])
                worker.held[run_id] = (spec, passed + 1)
                if run_id in stop or step == spec.grid[-1]:
                    kind = "completed" if step == spec.grid[-1] else "stopped"
                    supervisor.finish(Outcome(run_id, kind, step, share))
                    del worker.held[run_id]
            worker.worked = worker.clock
        ends = [w.worked for w in workers]
        self.stages.append((max(ends), max(ends) - min(ends), longest, total))


def main() -> None:
    """Run the studies and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--studies", type=int, default=20)
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    print("| study | stage, s | first idle earlier, s | longest run, s | within | busy | of search | verdict seeds |")
    print("|---:|---:|---:|---:|---|---:|---:|---:|")
    held, gaps, shares = 0, [], []
    for seed in range(options.studies):
        with tempfile.TemporaryDirectory() as folder:
            executor = VirtualExecutor(options.workers)
            recipe = StudyRecipe(
                env="CartPole-v1", trials=60, pruner="none", sampler="random", seed=seed, study="s",
                workers=options.workers, storage=f"sqlite:///{folder}/s.db", report_dir=str(Path(folder) / "reports"),
                prior="none",
            )  # fmt: skip
            data = tuner.run(recipe, executor=executor).data
        (_, _, _, searched), (time, gap, longest, spent) = executor.stages
        within = gap <= max(0.1 * time, longest)
        busy = spent / time / options.workers
        seeds = len(data.confirmation.winner.phase("verdict"))
        print(
            f"| {seed} | {time:.0f} | {gap:.1f} | {longest:.1f} | {within} | {busy:.0%} "
            f"| {spent / searched:.2f} | {seeds} |"
        )
        held, gaps, shares = held + within, [*gaps, gap / time], [*shares, spent / searched]
    print(
        f"\nwithin in {held} of {options.studies}; the first idle {statistics.median(gaps):.1%} of the stage's time "
        f"earlier (median; most {max(gaps):.1%}); {statistics.median(shares):.2f} of the search's time (median; "
        f"most {max(shares):.2f})"
    )


if __name__ == "__main__":
    main()
