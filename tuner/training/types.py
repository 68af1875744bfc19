"""The seam between study and training.

A run is a pure function of its :class:`RunSpec`. A trainer *pulls* work from a :class:`Dispatcher`; it knows nothing
of trials, samplers or storage. The same three calls serve a single-run trainer (take, train, finish, again) and a
stack that refills its lanes while others go on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, Literal, NamedTuple, Protocol

import numpy as np

from tuner.envs.spec import EnvSpec
from tuner.hyperparameters import Hyperparameters
from tuner.training.rules import VERSION_0_1_0, Rules

Backend = Literal["native", "sb3"]
OutcomeKind = Literal["completed", "stopped", "diverged", "timed_out", "failed"]

#: What ended a worker: it died, a stranger killed it, it said nothing for too long, it took too much memory, or it was
#: told to stop.
LossCause = Literal["died", "killed", "silent", "memory", "stopped"]


class RunId(NamedTuple):
    """Names one run inside a study: which trial, which of its seeds."""

    trial: int
    replicate: int = 0


@dataclass(frozen=True)
class EvaluationSpec:
    """How a run is evaluated: the same for every run of a study.

    Attributes:
        episodes: Episodes per evaluation, >= 1.
        seed: Episode i resets with ``seed + i`` (common random numbers).
        max_steps: Cap on an episode's steps; an episode at the cap counts with its return so far.
        epsilon: Probability of a random action (0 but for Atari).
        late_episodes: Episodes at the last third of the grid, which a score looks at; None takes ``episodes``.
    """

    episodes: int
    seed: int
    max_steps: int
    epsilon: float = 0.0
    late_episodes: int | None = None


@dataclass(frozen=True)
class RunSpec:
    """One training of one setting with one seed.

    Attributes:
        run_id: Its name inside the study.
        env: The environment.
        backend: Who trains.
        hyperparameters: The algorithm's dataclass.
        seed: Source of all random streams of the run, in ``[0, 2**31)``.
        grid: Increasing environment steps at which the run is evaluated; the last is its budget.
        evaluation: How it is evaluated.
        device: ``cpu`` or ``cuda``.
        rules: What decides its numbers beside its settings.
        alone: It was there when workers died, and is to share its worker with no other run until it has ended. Not
            part of the run's value.
    """

    run_id: RunId
    env: EnvSpec
    backend: Backend
    hyperparameters: Hyperparameters
    seed: int
    grid: tuple[int, ...]
    evaluation: EvaluationSpec
    device: str = "cpu"
    rules: Rules = VERSION_0_1_0
    alone: bool = field(default=False, compare=False)

    @property
    def algorithm(self) -> str:
        """Name of the algorithm, as ``--algo`` takes it."""
        return self.hyperparameters.algorithm

    @property
    def n_timesteps(self) -> int:
        """The run's budget in environment steps."""
        return self.grid[-1]

    def episodes_at(self, step: int) -> int:
        """Return the episodes of the evaluation at a grid step."""
        late = self.evaluation.late_episodes
        if late is None or step < self.grid[-late_points(len(self.grid))]:
            return self.evaluation.episodes
        return late

    @property
    def shape(self) -> tuple[object, ...]:
        """What runs must agree on to share a stack; a run that goes alone agrees with none."""
        place = (self.env, self.backend, self.algorithm, self.n_timesteps, self.evaluation, self.device, self.rules)
        alone = ("alone", self.run_id) if self.alone else ()
        return (*place, *self.hyperparameters.shape(), *alone)


def late_points(n: int) -> int:
    """Return how many of ``n`` grid points are the last third, rounded up."""
    return math.ceil(n / 3)


def evaluation_grid(n_timesteps: int, evaluations: int) -> tuple[int, ...]:
    """Return ``evaluations`` evenly spaced steps that end at ``n_timesteps``."""
    return tuple(round(n_timesteps * (i + 1) / evaluations) for i in range(evaluations))


@dataclass(frozen=True)
class EvalPoint:
    """One evaluation of one run.

    Attributes:
        run_id: Which run.
        step: Environment step of the run, a member of its grid.
        returns: Undiscounted return of each evaluation episode.
        lengths: Steps of each evaluation episode.
        elapsed_s: The run's own accounted training time so far, in seconds (not part of the run's value).
        metrics: Means since the last point: ``loss``, ``q_value``, ``epsilon``, ``train_return``, ``train_episodes``.
    """

    run_id: RunId
    step: int
    returns: tuple[float, ...]
    lengths: tuple[int, ...]
    elapsed_s: float = field(default=0.0, compare=False)
    metrics: Mapping[str, float] = field(default_factory=dict)

    @property
    def mean_return(self) -> float:
        """Mean return over the episodes: what the pruner sees."""
        return sum(self.returns) / len(self.returns)


def points_to_plain(points: Sequence[EvalPoint]) -> list[list[Any]]:
    """Return one run's evaluations as plain data."""
    return [[p.step, list(p.returns), list(p.lengths), p.elapsed_s, dict(p.metrics)] for p in points]


def points_from_plain(run_id: RunId, rows: Sequence[Sequence[Any]]) -> list[EvalPoint]:
    """Return the evaluations that :func:`points_to_plain` was given, now those of ``run_id``."""
    return [EvalPoint(run_id, step, tuple(r), tuple(n), elapsed_s, metrics) for step, r, n, elapsed_s, metrics in rows]


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        run_id: Which run.
        kind: ``stopped`` means that ``report`` asked for it (pruning, or the study is ending).
        steps: Environment steps taken.
        elapsed_s: Its own accounted training time in seconds.
        reason: For ``diverged`` and ``failed``: one line with field and step, or exception class and message.
        detail: Traceback for ``failed``, for the log and the report.
    """

    run_id: RunId
    kind: OutcomeKind
    steps: int
    elapsed_s: float = field(default=0.0, compare=False)
    reason: str = ""
    detail: str = ""


class Signal(Enum):
    """Answers to ``take`` that are not a run."""

    WAIT = "wait"
    DONE = "done"


WAIT: Final = Signal.WAIT
DONE: Final = Signal.DONE


class Dispatcher(Protocol):
    """Where a trainer gets its work and leaves its results."""

    def take(self, open_shapes: Mapping[tuple[object, ...], int], *, block: bool) -> RunSpec | Signal:
        """Return the next run for this worker.

        Args:
            open_shapes: Free lanes by stack shape in stacks that are training now; a run of such a shape is preferred.
                Empty: the caller trains nothing, and may get a run that must go alone.
            block: Wait until there is a run or nothing will ever come (the caller has nothing to train). Then the
                answer is never ``WAIT``.

        Returns:
            A run, ``WAIT`` (nothing now, perhaps after the next report) or ``DONE`` (nothing will ever come).
        """
        ...

    def report(self, points: Sequence[EvalPoint]) -> frozenset[RunId]:
        """Hand over evaluations, and return which of these runs to stop now."""
        ...

    def finish(self, outcome: Outcome) -> None:
        """Say how a run ended. Every run taken is finished exactly once, also when ``report`` stopped it."""
        ...


class RunObserver(Protocol):
    """Watches single runs closely: what ``tune train`` plots and saves. Studies do without."""

    def on_episode(self, run_id: RunId, step: int, episode_return: float, length: int) -> None:
        """A training episode ended at environment step ``step``."""
        ...

    def on_update(self, run_id: RunId, step: int, loss: float, q_value: float, epsilon: float) -> None:
        """A training call ended; means over its gradient steps."""
        ...

    def on_end(self, run_id: RunId, weights: Mapping[str, np.ndarray]) -> None:
        """The run ended; ``weights`` are named and shaped as in Stable-Baselines3's Q-network
        (``q_net.0.weight`` is [out, in]), whichever backend trained it.
        """
        ...


class Trainer(Protocol):
    """Trains whatever a dispatcher hands out until it says DONE."""

    def train(self, dispatcher: Dispatcher) -> None:
        """Loop over take, train, report, finish. An exception inside one run ends that run as ``failed`` only."""
        ...


class Supervisor(Dispatcher, Protocol):
    """What an executor needs beyond a dispatcher: it hosts trainers, and workers can die."""

    def lost(self, run_ids: Sequence[RunId], reason: str, cause: LossCause = "died") -> None:
        """A worker ended while it held these runs, all of its runs: they go again, or are given up."""
        ...

    def overdue(self, run_ids: Sequence[RunId], silent_s: float) -> bool:
        """Whether a worker that holds these runs is to be killed, silent for ``silent_s`` seconds as it is."""
        ...

    def tick(self) -> bool:
        """Called at least four times a second; returns False when workers are to be told to stop now."""
        ...


class Executor(Protocol):
    """Hosts trainers: in this process, in spawned processes, on a cluster."""

    def run(self, supervisor: Supervisor) -> None:
        """Serve workers until all have been told DONE, or until ``tick`` returns False."""
        ...
