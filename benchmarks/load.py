"""How many workers one supervisor serves: its share of a core under simulated workers, events in real time.

    python benchmarks/load.py [--workers 16 100 1000] [--storages sqlite postgres] [--samplers random tpe]
                              [--seconds 30] [--trial-seconds 60] [--history 0] [--profile]

Workers are simulated: nothing trains. Each takes a run, reports ten evaluations spread evenly over a trial's time,
finishes it and takes the next one, through the real supervisor into a real database; a tick comes ten times a second,
as executors send it. Workers begin at random places of their first trials; their first runs are asked for before the
clock starts. No trial is pruned, but the pruner decides at every report that it may.

What is measured over the window: the process's own processor time (all of it, the simulation's included) as a share of
one core, and beside it the database server's; trials finished per minute; how late events came to be served. A
supervisor that cannot keep up shows in all three. Further columns: processor time of the first asks (all workers at
once), each with a few reports; processor time to open the study again; memory. `--history N` begins with N finished
trials in the study.
"""

from __future__ import annotations

import argparse
import contextlib
import cProfile
import dataclasses
import heapq
import pstats
import random
import tempfile
import time
from collections.abc import Iterator

import optuna
import psutil
from postgres import Server, server
from supervisor_cost import GRID, fill, history, make_plan

from tuner.contract.outcome import EvalPoint, Outcome
from tuner.contract.roles import WAIT
from tuner.contract.spec import RunSpec
from tuner.study.search.open_study import open_study
from tuner.study.search.supervisor import StudySupervisor

TICK_S = 0.1


@dataclasses.dataclass
class Worker:
    """A simulated worker: what it trains and how far it is."""

    spec: RunSpec
    reported: int = 0


def open_supervisor(url: str, sampler: str, workers: int, size: int) -> tuple[StudySupervisor, float]:
    """Return the supervisor of a study of ``size`` finished trials with one trial in flight for each worker.

    The second value is the processor time that it took to open the study again, in seconds.
    """
    plan = make_plan(url, 10_000_000)
    recipe = dataclasses.replace(plan.recipe, sampler=sampler)
    plan = dataclasses.replace(plan, recipe=recipe, trials_in_flight=workers, runs_in_flight=workers, workers=workers)
    open_study(plan, {"numeric_path": plan.numeric_path})
    if size:
        fill(plan.name, url, history(size))
    began = time.process_time()
    ledger, *_ = open_study(plan, {"numeric_path": plan.numeric_path})
    return StudySupervisor(plan, ledger, ledger.settle()), time.process_time() - began


class Simulation:
    """All workers and the clock.

    Args:
        supervisor: Serves them.
        workers: How many.
        trial_s: Seconds that a trial takes.
    """

    def __init__(self, supervisor: StudySupervisor, workers: int, trial_s: float) -> None:
        self._supervisor = supervisor
        self._pause = trial_s / len(GRID)
        self._value = 600.0
        self._events: list[tuple[float, int]] = []
        self._workers = [Worker(self._take()) for _ in range(workers)]
        self.finished = 0
        self.late: list[float] = []
        luck = random.Random(0)
        for worker in self._workers:
            # Each stands somewhere in its first trial; what it would have reported before, it reports at once.
            worker.reported = luck.randrange(len(GRID))
            for step in GRID[: worker.reported]:
                self._report(worker, step)
        begin = time.monotonic()
        for number in range(workers):
            heapq.heappush(self._events, (begin + luck.uniform(0, self._pause), number))

    def run(self, seconds: float) -> None:
        """Serve events as they come due."""
        end = time.monotonic() + seconds
        next_tick = 0.0
        while (now := time.monotonic()) < end:
            while self._events and self._events[0][0] <= now:
                due, number = heapq.heappop(self._events)
                self.late.append(now - due)
                self._act(self._workers[number])
                heapq.heappush(self._events, (due + self._pause, number))
                now = time.monotonic()
                if now >= next_tick:
                    self._supervisor.tick()
                    next_tick = now + TICK_S
                if now >= end:
                    return
            if now >= next_tick:
                self._supervisor.tick()
                next_tick = now + TICK_S
            time.sleep(max(min(self._events[0][0], next_tick, end) - time.monotonic(), 0.0))

    def _act(self, worker: Worker) -> None:
        self._report(worker, GRID[worker.reported])
        worker.reported += 1
        if worker.reported == len(GRID):
            self._supervisor.finish(Outcome(worker.spec.run_id, "completed", GRID[-1], self._pause * len(GRID)))
            self.finished += 1
            worker.spec, worker.reported = self._take(), 0

    def _take(self) -> RunSpec:
        while not isinstance(spec := self._supervisor.take({}, block=False), RunSpec):
            assert spec is WAIT
            self._supervisor.tick()
            time.sleep(TICK_S)
        return spec

    def _report(self, worker: Worker, step: int) -> None:
        # Whatever is reported later is better, so that nothing is below the median of what has ended.
        self._value += 1e-3
        value = self._value
        metrics = {"loss": 0.1, "q_value": value, "epsilon": 0.05, "train_return": value, "train_episodes": 9.0}
        stop = self._supervisor.report([EvalPoint(worker.spec.run_id, step, (value,) * 10, (9,) * 10, 1.0, metrics)])
        assert not stop


@contextlib.contextmanager
def database(kind: str) -> Iterator[tuple[str, Server | None]]:
    """Yield the URL of an empty database, and its server if it has one."""
    if kind == "postgres":
        with server() as running:
            yield running.url, running
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield f"sqlite:///{folder}/load.db", None


def measure(kind: str, sampler: str, workers: int, args: argparse.Namespace) -> str:
    """Return one row of the table."""
    with database(kind) as (url, running):
        supervisor, open_s = open_supervisor(url, sampler, workers, args.history)
        began = time.process_time()
        simulation = Simulation(supervisor, workers, args.trial_seconds)
        ask_ms = 1000 * (time.process_time() - began) / workers
        profile = cProfile.Profile()
        if args.profile:
            profile.enable()
        simulation.finished, simulation.late = 0, []
        server_cpu, cpu, wall = running.cpu_s() if running else 0.0, time.process_time(), time.monotonic()
        simulation.run(args.seconds)
        wall = time.monotonic() - wall
        cpu = time.process_time() - cpu
        server_cpu = (running.cpu_s() if running else 0.0) - server_cpu
        if args.profile:
            profile.disable()
            pstats.Stats(profile).sort_stats("cumulative").print_stats(45)
        late = sorted(simulation.late)
        asked = workers * 60 / args.trial_seconds
        return (
            f"| {kind} | {sampler} | {workers:,} | {args.history:,} | {100 * cpu / wall:.1f} % "
            f"| {f'{100 * server_cpu / wall:.1f} %' if running else ''} "
            f"| {simulation.finished * 60 / wall:.0f} of {asked:.0f} "
            f"| {1000 * cpu / max(simulation.finished, 1):.1f} "
            f"| {1000 * late[len(late) * 99 // 100]:.0f} | {ask_ms:.0f} | {open_s:.1f} "
            f"| {psutil.Process().memory_info().rss / 2**20:.0f} |"
        )


def main() -> None:
    """Measure, and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="+", default=[16, 100, 1000])
    parser.add_argument("--storages", nargs="+", choices=("sqlite", "postgres"), default=["sqlite", "postgres"])
    parser.add_argument("--samplers", nargs="+", choices=("random", "tpe"), default=["random", "tpe"])
    parser.add_argument("--seconds", type=float, default=30.0, help="length of the window")
    parser.add_argument("--trial-seconds", type=float, default=60.0, help="what a trial takes")
    parser.add_argument("--history", type=int, default=0, help="finished trials at the start")
    parser.add_argument("--profile", action="store_true", help="print where the time goes; slows everything down")
    args = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    print(
        "| storage | sampler | workers | finished before | supervisor, of a core | server, of a core | trials a minute "
        "| ms of processor a trial | 99 % served within, ms | first ask, ms | resuming, s | resident MiB |"
    )
    print("|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    for kind in args.storages:
        for sampler in args.samplers:
            for workers in args.workers:
                print(measure(kind, sampler, workers, args), flush=True)


if __name__ == "__main__":
    main()
