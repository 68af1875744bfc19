"""The confirm stage's runs in the database: the study ``<study>.confirm``, one trial for each run.

It is the search's record but for what it asks for: not what a sampler proposes, but what the schedule wants next.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from optuna.trial import FrozenTrial, TrialState

from tuner.contract.spec import EvaluationSpec, RunId
from tuner.hyperparameters import from_mapping
from tuner.plan.resolve import StudyPlan
from tuner.result.confirmation import ConfirmRun, Contestant, Phase
from tuner.result.curve import CurvePoint
from tuner.seeding import run_seed
from tuner.study.confirm.schedule import WORST, Job
from tuner.study.search.ledger import Ledger
from tuner.study.search.trial import AskedTrial, TrialEnd
from tuner.study.store import keys as attr
from tuner.study.store.keys import outcome_of

#: From results so far to the runs that may be trained now.
Wanted = Callable[[Mapping[Job, float | None]], Sequence[Job]]


class ConfirmLedger(Ledger):
    """One confirm stage's runs. Call :meth:`prepare` before the first ask."""

    _successors = False  # as long as a run has no result, the schedule wants it

    def prepare(
        self,
        plan: StudyPlan,
        contestants: Mapping[str, Contestant],
        evaluations: Mapping[Phase, EvaluationSpec],
        wanted: Wanted,
    ) -> None:
        """Say what to train.

        Args:
            plan: The stage's plan.
            contestants: By key.
            evaluations: How each phase is evaluated.
            wanted: Which runs may be trained now, by results so far.
        """
        self._plan = plan
        self._contestants = contestants
        self._evaluations = evaluations
        self._wanted = wanted
        self._jobs: dict[int, Job] = {}
        self.results: dict[Job, float | None] = {}
        for trial in self._study.get_trials(deepcopy=False):
            job = job_of(trial)
            if job is not None and outcome_of(trial) in attr.COUNTED:
                self.results[job] = _result(outcome_of(trial), trial.user_attrs.get(attr.SCORE))

    def _ask(self) -> AskedTrial | None:
        open_jobs = set(self._jobs.values())
        job = next((job for job in self._wanted(self.results) if job not in open_jobs), None)
        if job is None:
            return None
        contestant = self._contestants[job.key]
        seed = run_seed(self._seed, job.phase, 0, job.replicate)
        trial = self._study.ask()
        self._open[trial.number] = trial
        values = {
            attr.OWNER: self._owner,
            attr.JOB: list(job),
            attr.CONTESTANT: contestant.name,
            attr.SEEDS: [seed],
            attr.HYPERPARAMETERS: dict(contestant.hyperparameters),
        }
        for key, value in values.items():
            trial.set_user_attr(key, value)
        hyperparameters = from_mapping(self._plan.recipe.algo, contestant.hyperparameters)
        spec = dataclasses.replace(
            self._plan.run_spec(RunId(trial.number), hyperparameters, seed),
            backend=cast("Any", contestant.backend),
            evaluation=self._evaluations[job.phase],
        )
        self._jobs[trial.number] = job
        shown = {"setting": contestant.name, "phase": job.phase, "seed": job.replicate}
        return AskedTrial(trial.number, shown, hyperparameters, (seed,), specs=(spec,))

    def tell(self, number: int, end: TrialEnd) -> None:
        """Finish a run: its result may decide what comes next."""
        super().tell(number, end)
        job = self._jobs.pop(number, None)
        if job is not None:
            self.results[job] = _result(end.outcome, end.score)

    def give_up(self, number: int, reason: str) -> None:
        """Close a run as lost; the schedule wants it again."""
        super().give_up(number, reason)
        self._jobs.pop(number, None)

    def _enqueue_successor(self, trial: FrozenTrial) -> None:
        """Do nothing: as long as a run has no result, the schedule wants it."""


def job_of(trial: FrozenTrial) -> Job | None:
    """Return what a trial of a confirm study trains; None for one that another program made."""
    stored = trial.user_attrs.get(attr.JOB)
    if not isinstance(stored, list | tuple) or len(stored) != 3 or stored[1] not in ("select", "verdict"):
        return None
    return Job(str(stored[0]), stored[1], int(stored[2]))


def run_of(trial: FrozenTrial) -> tuple[str, ConfirmRun] | None:
    """Return (the setting's key, the run) of a finished trial of a confirm study; None for any other."""
    job, outcome = job_of(trial), outcome_of(trial)
    if job is None or outcome not in attr.COUNTED or trial.state in (TrialState.RUNNING, TrialState.WAITING):
        return None
    stored = trial.user_attrs
    rows = attr.curve_from_json(stored.get(attr.curve_key(0), []))
    return job.key, ConfirmRun(
        phase=job.phase,
        replicate=job.replicate,
        seed=int(next(iter(stored.get(attr.SEEDS, ())), 0)),
        outcome=outcome,
        curve=tuple(CurvePoint(*row) for row in rows),
        steps=int(stored.get(attr.STEPS, 0)),
        duration_s=float(stored.get(attr.DURATION, 0.0)),
        reason=str(stored.get(attr.REASON, "")),
    )


def score_of(run: ConfirmRun, objective: str) -> float | None:
    """Return a run's result as the schedule takes it."""
    return _result(run.outcome, run.score(objective))


def _result(outcome: str, score: float | None) -> float | None:
    if outcome in ("diverged", "timed_out"):
        return WORST
    return None if score is None else float(score)
