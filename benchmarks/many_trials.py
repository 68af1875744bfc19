"""What a study of many trials costs beside its training, from its first trial to its written report.

    python benchmarks/many_trials.py [--trials 3000] [--sampler tpe] [--in-flight 4]

Nothing trains: an executor in the study's own process answers each run's ten evaluations at once, through the real
supervisor into a SQLite file. Prints processor seconds (user and system) of the search and of the report, and the
largest resident memory. No confirm stage: what that costs follows its own few runs, not the number of trials.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from collections import Counter

import tuner.api
from tuner.contract.outcome import EvalPoint, Outcome
from tuner.contract.roles import DONE, Supervisor
from tuner.contract.spec import RunSpec
from tuner.plan.recipe import StudyRecipe


class Instant:
    """Answers runs at once: a score that a run's seed and learning rate decide.

    Args:
        in_flight: Runs side by side.
    """

    def __init__(self, in_flight: int) -> None:
        self._in_flight = in_flight
        self.ended_s = 0.0

    def run(self, supervisor: Supervisor) -> None:
        """Serve the study to its end."""
        held: list[tuple[RunSpec, int]] = []
        while True:
            while len(held) < self._in_flight:
                spec = supervisor.take({run.shape: 1 for run, _ in held}, block=not held)
                if not isinstance(spec, RunSpec):
                    break
                held.append((spec, 0))
            if not held:
                if spec is DONE or not supervisor.tick():
                    break
                time.sleep(0.01)
                continue
            spec, done = held.pop(0)
            step = spec.grid[done]
            score = (
                500 * step / spec.grid[-1] - spec.seed % 97 - 1e4 * spec.hyperparameters.to_mapping()["learning_rate"]
            )
            stopped = supervisor.report(
                [EvalPoint(spec.run_id, step, (score,) * 10, (9,) * 10, 0.1 * done, {"loss": 0.1})]
            )
            if stopped:
                supervisor.finish(Outcome(spec.run_id, "stopped", step, 0.1 * done))
            elif done + 1 == len(spec.grid):
                supervisor.finish(Outcome(spec.run_id, "completed", step, 0.1 * done))
            else:
                held.append((spec, done + 1))
            supervisor.tick()
        self.ended_s = time.process_time()


def main() -> None:
    """Measure, and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=3_000)
    parser.add_argument("--sampler", default="tpe")
    parser.add_argument("--in-flight", type=int, default=4)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        recipe = StudyRecipe(
            env="CartPole-v1", trials=args.trials, sampler=args.sampler, workers=1, lanes=args.in_flight, confirm=0,
            study="many", executor="inline",
        )  # fmt: skip
        executor, began = Instant(args.in_flight), time.process_time()
        data = tuner.api.run(recipe, executor=executor).data
        ended = time.process_time()
    ended_as = Counter(t.outcome for t in data.trials)
    print(", ".join(f"{count} {outcome}" for outcome, count in ended_as.most_common()), end="\n\n")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        "| trials | sampler | search, s of processor | ms a trial | report, s | MiB |\n|---:|---|---:|---:|---:|---:|"
    )
    search, report = executor.ended_s - began, ended - executor.ended_s
    each = 1000 * search / args.trials
    print(f"| {args.trials:,} | {args.sampler} | {search:.0f} | {each:.1f} | {report:.0f} | {memory:.0f} |")


if __name__ == "__main__":
    main()
