"""The confirm stage's runs in the database: the study ``<study>.confirm``, one trial for each run.

The search's ledger keeps them; what it asks for is not what a sampler proposes, but what the schedule wants next.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from optuna.trial import FrozenTrial, Trial

from tuner.contract.spec import EvaluationSpec, RunId, RunSpec
from tuner.hyperparameters import from_mapping
from tuner.result.confirmation import ConfirmRun, Contestant
from tuner.result.curve import CurvePoint
from tuner.seeding import evaluation_seed, run_seed
from tuner.study.confirm.choice import WORST
from tuner.study.confirm.contestants import grid_of
from tuner.study.confirm.fingerprint import fingerprint
from tuner.study.confirm.schedule import Job
from tuner.study.search.progress import SecondsLeft
from tuner.study.search.run_events import confirm_folder
from tuner.study.search.trial import AskedTrial, TrialEnd
from tuner.study.store import keys as attr
from tuner.study.store.keys import outcome_of

if TYPE_CHECKING:
    from tuner.plan.resolve import StudyPlan

#: Episodes of each evaluation over the last third of a run, which the score looks at.
LATE_EPISODES = 50

#: From results so far to the runs that may be trained now.
Wanted = Callable[[Mapping[Job, float | None]], Sequence[Job]]

#: From results so far to where the settings stand, in a line.
Standing = Callable[[Mapping[Job, float | None]], str]

#: From results so far, the seconds that each run took, and those that each run in training has taken at each of its
#: evaluations, to the seconds that are left.
TimeLeft = Callable[[Mapping[Job, float | None], Mapping[Job, float], Mapping[Job, Sequence[float]]], SecondsLeft]


class ScheduleAsker:
    """Asks for the runs that the schedule wants next.

    Args:
        plan: The stage's plan.
        contestants: By key.
        wanted: Which runs may be trained now, by results so far.
        results: Result of each run so far; grows as runs end.
        standing: Where the settings stand, by results so far.
        time_left: How long the schedule still takes.
        took: Seconds of the runs that have completed; grows as runs end.
        kept: Keys of the settings whose verdict's models are kept.
    """

    def __init__(
        self,
        plan: StudyPlan,
        contestants: Mapping[str, Contestant],
        wanted: Wanted,
        results: dict[Job, float | None],
        standing: Standing,
        time_left: TimeLeft,
        took: dict[Job, float],
        kept: Collection[str] = (),
    ) -> None:
        self._plan = plan
        self._contestants = contestants
        self._wanted = wanted
        self._results = results
        self._standing = standing
        self._time_left, self._took = time_left, took
        self._kept = kept
        self._jobs: dict[int, Job] = {}
        self._found: list[Job] = []

    def left(self) -> int:
        """Return how many runs the schedule wants that are not training."""
        open_jobs = set(self._jobs.values())
        self._found = [job for job in self._wanted(self._results) if job not in open_jobs]
        return len(self._found)

    def waits(self) -> bool:
        """Return False: :meth:`left` says how much there is."""
        return False

    def fill(self, trial: Trial) -> AskedTrial:
        """Give a trial the first run that :meth:`left` has just found."""
        if not self._found:  # a trial that somebody else has queued
            self.left()
        job, self._found = self._found[0], []
        contestant = self._contestants[job.key]
        spec = dataclasses.replace(
            spec_of(self._plan, contestant, job),
            run_id=RunId(trial.number),
            keep=job.phase == "verdict" and job.key in self._kept,
        )
        for key, value in about(job, contestant, spec, fingerprint(self._plan, spec)).items():
            trial.set_user_attr(key, value)
        self._jobs[trial.number] = job
        shown = {"setting": contestant.name, "phase": job.phase, "seed": job.replicate}
        folder = confirm_folder(contestant.name, job.phase, job.replicate)
        return AskedTrial(trial.number, shown, spec.hyperparameters, (spec.seed,), specs=(spec,), folder=folder)

    def ended(self, number: int, end: TrialEnd | None) -> None:
        """Note a run's result, which may decide what comes next; a run that was given up is wanted again."""
        job = self._jobs.pop(number, None)
        if job is not None and end is not None:
            self._results[job] = _result(end.outcome, end.score)
            if end.outcome == "completed":
                self._took[job] = end.duration_s

    def standing(self) -> str:
        """Return where the settings stand, in a line."""
        return self._standing(self._results)

    def seconds_left(self, elapsed: Mapping[int, Sequence[float]]) -> SecondsLeft | None:
        """Return how long the schedule still takes.

        Args:
            elapsed: Training seconds of each open trial at each of its evaluations so far, by its number.
        """
        training = {job: elapsed.get(number, ()) for number, job in self._jobs.items()}
        return self._time_left(self._results, self._took, training)


def spec_of(plan: StudyPlan, contestant: Contestant, job: Job) -> RunSpec:
    """Return one run of the stage: all but its number."""
    base, seed = plan.evaluation, run_seed(plan.seed, job.phase, 0, job.replicate)
    episodes = evaluation_seed(plan.seed, job.phase, plan.rules.evaluation_seeds, job.replicate)
    return dataclasses.replace(
        plan.run_spec(RunId(0), from_mapping(plan.algorithm, contestant.hyperparameters), seed),
        backend=cast("Any", contestant.backend),
        grid=grid_of(plan, contestant),
        evaluation=dataclasses.replace(base, late_episodes=late_episodes(base), seed=episodes),
    )


def late_episodes(searched: EvaluationSpec) -> int:
    """Return the episodes of a late evaluation in the confirm stage.

    Args:
        searched: How the search evaluates.
    """
    return max(LATE_EPISODES, searched.episodes)


def about(job: Job, contestant: Contestant, spec: RunSpec, mark: str | None) -> dict[str, Any]:
    """Return what a trial stores of its run: which it is, and the fingerprint of one of the verdict."""
    values: dict[str, Any] = {
        attr.JOB: list(job),
        attr.CONTESTANT: contestant.name,
        attr.SEEDS: [spec.seed],
        attr.HYPERPARAMETERS: dict(contestant.hyperparameters),
    }
    return values | ({attr.FINGERPRINT: mark} if mark is not None and job.phase == "verdict" else {})


def results_of(trials: Iterable[FrozenTrial]) -> dict[Job, float | None]:
    """Return the result of each run that has ended."""
    jobs = ((job_of(t.user_attrs), t) for t in trials if outcome_of(t) in attr.COUNTED)
    return {job: _result(outcome_of(t), t.user_attrs.get(attr.SCORE)) for job, t in jobs if job is not None}


def took_of(trials: Iterable[FrozenTrial]) -> dict[Job, float]:
    """Return the seconds of each run that has completed."""
    jobs = ((job_of(t.user_attrs), t) for t in trials if outcome_of(t) == "completed")
    return {job: float(t.user_attrs.get(attr.DURATION, 0.0)) for job, t in jobs if job is not None}


def job_of(stored: Mapping[str, Any]) -> Job | None:
    """Return what a trial of a confirm study trains, by what it stores; None for one that another program made."""
    job = stored.get(attr.JOB)
    if not isinstance(job, list | tuple) or len(job) != 3 or job[1] not in ("select", "verdict"):
        return None
    return Job(str(job[0]), job[1], int(job[2]))


def run_of(state: str, stored: Mapping[str, Any]) -> tuple[str, ConfirmRun] | None:
    """Return (the setting's key, the run) of a finished trial of a confirm study; None for any other.

    Args:
        state: Optuna's, such as ``COMPLETE``.
        stored: The trial's attributes.
    """
    job, outcome = job_of(stored), attr.outcome_in(state, stored.get(attr.OUTCOME))
    if job is None or outcome not in attr.COUNTED or state in ("RUNNING", "WAITING"):
        return None
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
        reused=(str(reused[0]), int(reused[1])) if (reused := stored.get(attr.REUSED)) else None,
    )


def score_of(run: ConfirmRun, objective: str) -> float | None:
    """Return a run's result as the schedule takes it."""
    return _result(run.outcome, run.score(objective))


def _result(outcome: str, score: float | None) -> float | None:
    if outcome in ("diverged", "timed_out"):
        return WORST
    return None if score is None else float(score)
