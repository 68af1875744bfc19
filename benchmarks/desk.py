"""Runs that a script knows beforehand: handed out to a trainer in order, what comes back kept; and on fresh seeds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from tuner.contract.outcome import EvalPoint
from tuner.contract.roles import DONE
from tuner.contract.rules import CURRENT
from tuner.contract.spec import EvaluationSpec, RunId, RunSpec
from tuner.envs.spec import EnvSpec
from tuner.hyperparameters import Hyperparameters
from tuner.seeding import evaluation_seed, run_seed

#: Source of the seeds that judge; the studies' own are small numbers.
JUDGE = 987_654


class Desk:
    """Hands out runs and keeps their evaluations; as an observer their weights, too.

    Args:
        specs: The runs.
        ends: How a run may end; another end is printed.

    Attributes:
        points: The evaluations of each run.
        failed: How each run ended that should not have ended so.
        weights: What each run has learned.
    """

    def __init__(self, specs: Sequence[RunSpec], ends: Sequence[str] = ("completed",)) -> None:
        self.specs, self.ends = list(specs), ends
        self.points: dict[RunId, list[EvalPoint]] = {spec.run_id: [] for spec in specs}
        self.failed: dict[RunId, str] = {}
        self.weights: dict[RunId, dict] = {}

    def take(self, open_shapes, *, block):
        """Return the next run."""
        return self.specs.pop(0) if self.specs else DONE

    def report(self, points):
        """Keep the points; nothing is stopped."""
        for point in points:
            self.points[point.run_id].append(point)
        return frozenset()

    def finish(self, outcome):
        """Complain about an end that should not be."""
        if outcome.kind not in self.ends:
            self.failed[outcome.run_id] = f"{outcome.kind}: {outcome.reason}"
            print(f"run {outcome.run_id}: {self.failed[outcome.run_id]}")

    def on_episode(self, *_):
        """Watch nothing."""

    on_update = on_evaluated = on_episode

    def on_end(self, run_id, weights):
        """Keep the weights."""
        self.weights[run_id] = weights


def judging(
    seeds: Iterable[int],
    env: EnvSpec,
    hyperparameters: Hyperparameters,
    grid: tuple[int, ...],
    evaluation: EvaluationSpec,
) -> list[RunSpec]:
    """Return native runs on seeds and episodes that no study uses: ``evaluation`` with seeds of its own for each."""
    return [
        RunSpec(
            RunId(i),
            env,
            "native",
            hyperparameters,
            run_seed(JUDGE, "verdict", i, 0),
            grid,
            replace(evaluation, seed=evaluation_seed(JUDGE, "verdict", CURRENT.evaluation_seeds, i)),
            rules=CURRENT,
        )
        for i in seeds
    ]
