"""Runs of stated settings on seeds that no search has, side by side in processes of one thread."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

#: Source of the seeds; the studies' own are small numbers.
SOURCE = 424_242


@dataclass(frozen=True)
class Job:
    """One run.

    Attributes:
        side: What the run stands for, by name.
        env: Gymnasium id.
        values: Hyperparameters, as a mapping.
        steps: Environment steps.
        seed: Number of the run's seed; the same number is the same seed on every side.
        algorithm: Name of the algorithm.
        backend: Who trains.
        evaluations: Checkpoints, evenly spread.
        episodes: Episodes of each.
        module: File that registers the environment.
        discretize: As ``--discretize``.
    """

    side: str
    env: str
    values: Mapping[str, Any] = field(hash=False)
    steps: int
    seed: int
    algorithm: str = "dqn"
    backend: str = "native"
    evaluations: int = 10
    episodes: int = 10
    module: str | None = None
    discretize: int | None = None

    def key(self) -> str:
        """Return what names the run in a file."""
        return json.dumps(asdict(self), sort_keys=True)


@dataclass(frozen=True)
class Curve:
    """What a run came to.

    Attributes:
        returns: Mean return of each checkpoint; fewer where it diverged.
        seconds: Processor seconds of the run, evaluations included.
    """

    returns: list[float]
    seconds: float

    def late(self, least: float = float("-inf")) -> float:
        """Return the mean of the last third of ten checkpoints; ``least`` where the run diverged."""
        return least if len(self.returns) < 10 else sum(self.returns[-3:]) / 3

    def area(self, least: float = float("-inf")) -> float:
        """Return the mean over all checkpoints; ``least`` where the run diverged."""
        return least if len(self.returns) < 10 else sum(self.returns) / len(self.returns)


def train(job: Job) -> Curve:
    """Train one run in this process."""
    import time

    from desk import Desk

    from tuner import seeding
    from tuner.contract.grid import evaluation_grid
    from tuner.contract.rules import CURRENT
    from tuner.contract.spec import EvaluationSpec, RunId, RunSpec
    from tuner.envs.make import inspect
    from tuner.envs.spec import EnvSpec
    from tuner.hyperparameters import from_mapping
    from tuner.training.registry import make_trainer

    env = EnvSpec(job.env, module=job.module, discretize=job.discretize)
    evaluation = EvaluationSpec(
        job.episodes,
        seeding.evaluation_seed(SOURCE, "verdict", CURRENT.evaluation_seeds, job.seed),
        inspect(env, job.algorithm).eval_max_steps,
    )
    spec = RunSpec(
        RunId(0), env, job.backend, from_mapping(job.algorithm, dict(job.values)),
        seeding.run_seed(SOURCE, "verdict", job.seed, 0), evaluation_grid(job.steps, job.evaluations), evaluation,
        rules=CURRENT,
    )  # fmt: skip
    desk = Desk([spec])
    started = time.process_time()
    make_trainer(job.backend, job.algorithm, 1).train(desk)
    return Curve([point.mean_return for point in desk.points[RunId(0)]], time.process_time() - started)


def train_all(jobs: Sequence[Job], processes: int, keep: Path | None = None) -> Iterator[tuple[Job, Curve]]:
    """Train all runs, in the jobs' order; those that the file ``keep`` holds are read from there, new ones added."""
    held: dict[str, Curve] = {}
    if keep is not None and keep.is_file():
        for line in keep.read_text().splitlines():
            entry = json.loads(line)
            held[entry["job"]] = Curve(entry["returns"], entry["seconds"])
    missing = [job for job in jobs if job.key() not in held]
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        fresh = pool.imap(train, missing)
        for job in jobs:
            if (key := job.key()) not in held:
                held[key] = curve = next(fresh)
                if keep is not None:
                    with keep.open("a") as file:
                        file.write(json.dumps({"job": key, "returns": curve.returns, "seconds": curve.seconds}) + "\n")
            yield job, held[key]
