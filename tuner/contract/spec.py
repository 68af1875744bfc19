"""What a run is: a pure function of its spec."""

from __future__ import annotations

import bisect
import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any, NamedTuple

from tuner.contract.grid import late_points
from tuner.contract.rules import CURRENT, Rules
from tuner.envs.spec import EnvSpec
from tuner.hyperparameters import Backend, Hyperparameters
from tuner.seeding import late_evaluation_seed


class RunId(NamedTuple):
    """Names one run inside a study: which trial, which of its seeds."""

    trial: int
    replicate: int = 0


@dataclass(frozen=True)
class EvaluationSpec:
    """How a run is evaluated: the same for every run of a study, but for the seed.

    Attributes:
        episodes: Episodes per evaluation, >= 1.
        seed: Episode i resets with ``seed + i``; see :meth:`RunSpec.evaluation_seed_at`.
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
        keep: Whether its model is to be kept, where its trainer can. Not part of the run's value.
        schedule_steps: Environment steps that its schedules are a share of, where that is not its budget: a run that
            was given more steps keeps the schedules it began with.
    """

    run_id: RunId
    env: EnvSpec
    backend: Backend
    hyperparameters: Hyperparameters
    seed: int
    grid: tuple[int, ...]
    evaluation: EvaluationSpec
    device: str = "cpu"
    rules: Rules = CURRENT
    alone: bool = field(default=False, compare=False)
    keep: bool = field(default=False, compare=False)
    schedule_steps: int | None = None

    @property
    def algorithm(self) -> str:
        """Name of the algorithm, as ``--algo`` takes it."""
        return self.hyperparameters.algorithm

    @property
    def n_timesteps(self) -> int:
        """The run's budget in environment steps."""
        return self.grid[-1]

    @property
    def schedules_over(self) -> int:
        """Environment steps that schedules (epsilon, learning rate, importance weights) are a share of."""
        return self.n_timesteps if self.schedule_steps is None else self.schedule_steps

    def describe(self) -> dict[str, Any]:
        """Return what was trained, as plain data for a reader."""
        return {
            "env": self.env.id,
            **self.env.changes(),
            "algorithm": self.algorithm,
            "backend": self.backend,
            "seed": self.seed,
            "n_timesteps": self.n_timesteps,
            "hyperparameters": self.hyperparameters.to_mapping(),
        }

    def signature(self) -> str:
        """Return what names a run across studies and commands: 24 hexadecimal digits of all that its value depends on.

        Its number is left out. Packages, arithmetic and processor are not part of a spec.
        """
        plain = asdict(replace(self, alone=False, keep=False))
        env, hyperparameters = self.env.to_mapping(), self.hyperparameters.named_mapping()
        rules = self.rules_of_run()
        values = plain | {"run_id": None, "env": env, "hyperparameters": hyperparameters, "rules": rules}
        return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()[:24]

    def rules_of_run(self) -> dict[str, int]:
        """Return the versions that its numbers depend on."""
        return self.rules.of_runs(self.backend == "native" and self.hyperparameters.sums_normalized_rewards())

    def episodes_at(self, step: int) -> int:
        """Return the episodes of the evaluation at a grid step."""
        late = self.evaluation.late_episodes
        if late is None or step < self.grid[-late_points(len(self.grid))]:
            return self.evaluation.episodes
        return late

    def evaluation_seed_at(self, step: int) -> int:
        """Return the seed of the first evaluation episode at a grid step; the others follow one by one."""
        first_late = len(self.grid) - late_points(len(self.grid))
        late_point = bisect.bisect_left(self.grid, step) - first_late
        if self.rules.evaluation_seeds == 1 or late_point < 0:
            return self.evaluation.seed
        return late_evaluation_seed(self.evaluation.seed, late_point)

    @property
    def shape(self) -> tuple[object, ...]:
        """What runs must agree on to share a stack; a run that goes alone agrees with none."""
        evaluation = replace(self.evaluation, seed=0)  # episodes are a run's own
        place = (self.env, self.backend, self.algorithm, self.n_timesteps, evaluation, self.device, self.rules)
        alone = ("alone", self.run_id) if self.alone else ()
        return (*place, *self.hyperparameters.shape(), *alone)
