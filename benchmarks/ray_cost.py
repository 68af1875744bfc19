"""What a message of a trainer costs the driver on a Ray cluster, beside what the supervisor does with it.

    python benchmarks/ray_cost.py [--actors 1 8 32] [--seconds 10]

Starts a cluster on this machine. Trainers do nothing but report, as fast as they are answered, to a supervisor that
keeps nothing; printed is the driver's own processor time for each report, and reports per second (both ends share this
machine's cores, so the second figure is no bound of a real cluster).
"""

from __future__ import annotations

import argparse
import functools
import time
from collections.abc import Mapping, Sequence

from tuner.contract.outcome import EvalPoint, LossCause, Outcome
from tuner.contract.roles import DONE, Dispatcher, Signal
from tuner.contract.spec import EvaluationSpec, RunId, RunSpec
from tuner.envs.spec import EnvSpec
from tuner.execution.ray import RayExecutor
from tuner.execution.ray_cluster import Place
from tuner.hyperparameters import DQNHyperparameters


class Reporter:
    """A trainer that reports the same evaluation until it is stopped."""

    def train(self, dispatcher: Dispatcher) -> None:
        """Report until told to stop."""
        while isinstance(spec := dispatcher.take({}, block=True), RunSpec):
            metrics = {"loss": 0.1, "q_value": 1.0, "epsilon": 0.05, "train_return": 9.0, "train_episodes": 9.0}
            step = 0
            while True:
                step += 1
                if dispatcher.report([EvalPoint(spec.run_id, step, (1.0,) * 10, (9,) * 10, 0.1, metrics)]):
                    break
            dispatcher.finish(Outcome(spec.run_id, "stopped", step))


class Counter:
    """A supervisor that hands out one run to each actor and counts reports for some seconds once all have one."""

    def __init__(self, actors: int, seconds: float) -> None:
        self.actors = actors
        self.seconds = seconds
        self.taken = self.reports = 0
        self.cpu = self.wall = 0.0
        self._began: tuple[float, float] | None = None

    def take(self, open_shapes: Mapping[tuple[object, ...], int], *, block: bool) -> RunSpec | Signal:
        """Hand out a run."""
        if self.taken == self.actors:
            return DONE
        self.taken += 1
        spec = EvaluationSpec(10, 0, 10)
        return RunSpec(RunId(self.taken), EnvSpec("None-v0"), "native", DQNHyperparameters(), 0, (10,), spec)

    def report(self, points: Sequence[EvalPoint]) -> frozenset[RunId]:
        """Count it."""
        if self._began is None:
            if self.taken == self.actors:
                self._began = (time.process_time(), time.monotonic())
            return frozenset()
        if self.wall == 0.0:
            self.reports += len(points)
            if time.monotonic() - self._began[1] >= self.seconds:
                self.cpu = time.process_time() - self._began[0]
                self.wall = time.monotonic() - self._began[1]
        return frozenset() if self.wall == 0.0 else frozenset(point.run_id for point in points)

    def finish(self, outcome: Outcome) -> None:
        """Nothing is kept."""

    def lost(self, run_ids: Sequence[RunId], reason: str, cause: LossCause = "died") -> None:
        """Stop: a measurement with dead actors is none."""
        raise RuntimeError(reason)

    def overdue(self, run_ids: Sequence[RunId], silent_s: float) -> bool:
        """Never."""
        return False

    def tick(self) -> bool:
        """Go on."""
        return True


def main() -> None:
    """Measure, and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--actors", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--seconds", type=float, default=10.0)
    args = parser.parse_args()
    print("| actors | driver, ms of processor a report | reports/s |")
    print("|---:|---:|---:|")
    for actors in args.actors:
        counter = Counter(actors, args.seconds)
        RayExecutor(functools.partial(Reporter), actors, Place("local")).run(counter)
        each = 1000 * counter.cpu / counter.reports
        print(f"| {actors} | {each:.2f} | {counter.reports / counter.wall:,.0f} |", flush=True)


if __name__ == "__main__":
    main()
