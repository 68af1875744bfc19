"""Trials in flight: their runs, and the queue of runs that wait for a lane.

Bookkeeping only. What an evaluation or an outcome means for a trial is the supervisor's business (``supervisor.py``).
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tuner.contract.objective import value_at
from tuner.contract.outcome import EvalPoint
from tuner.contract.spec import RunId, RunSpec
from tuner.study.search.progress import RunningTrial
from tuner.study.search.trial import AskedTrial


@dataclass
class Run:
    """One seed of a trial.

    Attributes:
        spec: What is trained.
        state: Where it is.
        points: Evaluations of this attempt.
        steps: Environment steps it took, once it has ended.
        elapsed_s: Training seconds it took, once it has ended.
        deaths: Workers that died while it was among others there.
        charges: Workers that died while it was alone there, by the last evaluation it had reached.
        grace_s: Seconds of this attempt in which it may have waited for its supervisor.
    """

    spec: RunSpec
    state: Literal["queued", "running", "ended"] = "queued"
    points: list[EvalPoint] = field(default_factory=list)
    steps: int = 0
    elapsed_s: float = 0.0
    deaths: int = 0
    charges: Counter[int] = field(default_factory=Counter)
    grace_s: float = 0.0

    @property
    def last_step(self) -> int:
        """Environment step of the last evaluation; 0 before the first."""
        return self.points[-1].step if self.points else 0


@dataclass
class OpenTrial:
    """A trial that is not settled yet.

    Attributes:
        asked: What the sampler proposed.
        runs: Its seeds, by replicate.
        decided: (outcome, reason) once it is certain that it will not complete.
        reported_step: Last grid step reported to the pruner.
    """

    asked: AskedTrial
    runs: dict[int, Run]
    decided: tuple[str, str] | None = None
    reported_step: int = 0

    @property
    def curves(self) -> dict[int, list[EvalPoint]]:
        """Evaluations by replicate, of seeds that have any."""
        return {replicate: run.points for replicate, run in self.runs.items() if run.points}

    @property
    def training(self) -> bool:
        """Whether a worker trains one of its seeds."""
        return any(run.state == "running" for run in self.runs.values())

    @property
    def ended(self) -> bool:
        """Whether none of its seeds trains or waits."""
        return all(run.state == "ended" for run in self.runs.values())

    @property
    def elapsed_s(self) -> list[float]:
        """Training seconds of its first seed in training, or of its last, at each evaluation so far."""
        runs = list(self.runs.values())
        return [point.elapsed_s for point in next((r for r in runs if r.state == "running"), runs[-1]).points]

    def show(self) -> RunningTrial:
        """Return what the progress view draws."""
        n_timesteps = max(run.spec.n_timesteps for run in self.runs.values())
        step = max((run.last_step for run in self.runs.values()), default=0)
        value = value_at(step, self.curves) if step else None
        return RunningTrial(self.asked.number, step, n_timesteps, value, self.asked.params)


class OpenTrials:
    """All open trials of a supervisor, and the queue of their runs."""

    def __init__(self) -> None:
        self._trials: dict[int, OpenTrial] = {}
        self._queue: deque[RunId] = deque()

    def __len__(self) -> int:
        return len(self._trials)

    def __iter__(self) -> Iterator[OpenTrial]:
        return iter(list(self._trials.values()))

    def by_number(self) -> list[OpenTrial]:
        """Return the open trials in order of their numbers."""
        return sorted(self._trials.values(), key=lambda trial: trial.asked.number)

    def trial(self, run_id: RunId) -> OpenTrial:
        """Return the trial that a run belongs to."""
        return self._trials[run_id.trial]

    def add(self, trial: OpenTrial) -> None:
        """Take in a trial and queue its runs in order of replicates."""
        self._trials[trial.asked.number] = trial
        self._queue.extend(run.spec.run_id for run in trial.runs.values())

    def remove(self, trial: OpenTrial) -> None:
        """Let go of a trial whose runs have all ended."""
        del self._trials[trial.asked.number]

    @property
    def runs(self) -> int:
        """Runs that train or wait."""
        return sum(run.state != "ended" for trial in self._trials.values() for run in trial.runs.values())

    @property
    def queued(self) -> int:
        """Runs that wait."""
        return len(self._queue)

    def dispatch(self, open_shapes: Mapping[tuple[object, ...], int], *, by_shape: bool = True) -> RunSpec | None:
        """Hand out the first queued run of an open shape where shapes count, else the first of all.

        A run that goes alone is for a worker that trains nothing, and that worker gets no other: None.
        """
        if any(self._is_alone(shape) for shape in open_shapes):
            return None
        fitting = [i for i in self._queue if not (open_shapes and self._run(i).spec.alone)]
        if not fitting:
            return None
        open_now = open_shapes if by_shape else {}
        chosen = next((i for i in fitting if open_now.get(self._run(i).spec.shape, 0) > 0), fitting[0])
        self._queue.remove(chosen)
        run = self._run(chosen)
        run.state = "running"
        return run.spec

    def _is_alone(self, shape: tuple[object, ...]) -> bool:
        return any(
            run.spec.alone and run.state == "running" and run.spec.shape == shape
            for trial in self._trials.values()
            for run in trial.runs.values()
        )

    def running(self, run_id: RunId) -> Run | None:
        """Return a run that a worker trains; None when it is not, or no longer, one of ours."""
        trial = self._trials.get(run_id.trial)
        run = trial.runs.get(run_id.replicate) if trial is not None else None
        return run if run is not None and run.state == "running" else None

    def time_left(self, run_ids: Sequence[RunId], limit: float) -> float:
        """Return the seconds that runs of one worker may still train, all together, when each has ``limit``."""
        left = 0.0
        for run_id in run_ids:
            run = self.running(run_id)
            doomed = run is None or self.trial(run_id).decided is not None  # it only has to reach its next evaluation
            spent = 0.0 if run is None or doomed or not run.points else run.points[-1].elapsed_s
            left += max(limit + (run.grace_s if run is not None else 0.0) - spent, 0.0)
        return left

    def again(self, run_id: RunId) -> None:
        """Put a run that lost its worker at the head of the queue, as if it had never begun."""
        run = self._run(run_id)
        run.state, run.points, run.grace_s = "queued", [], 0.0
        self._queue.appendleft(run_id)

    def cancel(self, trial: OpenTrial) -> None:
        """Take a trial's waiting runs out of the queue."""
        for run in trial.runs.values():
            if run.state == "queued":
                run.state = "ended"
                self._queue.remove(run.spec.run_id)

    def clear_queue(self) -> None:
        """Forget all waiting runs: the search is over."""
        self._queue.clear()

    def _run(self, run_id: RunId) -> Run:
        return self._trials[run_id.trial].runs[run_id.replicate]
