"""Verdict runs of baselines that an earlier study in the same database has trained: taken over, not trained again.

Equal fingerprints mean equal bits, so a verdict with runs that were taken over is the verdict that training them again
would give: the same seeds, the same allocation, the same words; it only costs less. Each becomes a trial of this
stage in one transaction, with a note of where it comes from: an interrupted stage goes on, and the earlier study may be
deleted.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, create_trial

from tuner.contract.rules import CURRENT
from tuner.errors import InputError
from tuner.plan.naming import CONFIRM_SUFFIX
from tuner.plan.resolve import StudyPlan
from tuner.result.confirmation import ConfirmRun, Contestant
from tuner.result.reused import reused_text
from tuner.study.confirm.contestants import fixed_baselines, grid_of
from tuner.study.confirm.fingerprint import fingerprint
from tuner.study.confirm.ledger import about, run_of, spec_of
from tuner.study.confirm.schedule import Job
from tuner.study.store import keys as attr
from tuner.study.store.catalog import look, trials_with
from tuner.study.store.checked import check_attributes
from tuner.study.store.connect import NoTablesError
from tuner.study.store.database import sqlite_path

if TYPE_CHECKING:
    from tuner.study.store.database import Readable

#: How a run that is taken over may have ended: as it would again.
_ENDINGS = ("completed", "diverged")


class Source(NamedTuple):
    """Where a run is: the study that holds it, and the trial's number there."""

    study: str
    number: int


def wanted_of(contestants: Iterable[Contestant], seeds: int) -> dict[Job, Contestant]:
    """Return the verdict's runs of every baseline that is no finalist, too."""
    everyone = list(contestants)
    found = {c.key for c in everyone if c.role == "finalist"}
    against = [c for c in everyone if c.key not in found]
    return {Job(c.key, "verdict", r): c for c in against for r in range(seeds)}


def sources(plan: StudyPlan, wanted: Mapping[Job, Contestant], database: Readable) -> dict[Job, Source]:
    """Return which of the wanted runs a database holds, the oldest of equal ones.

    Args:
        plan: The stage's plan, with its rules.
        wanted: Runs and whose they are.
        database: Where to look.
    """
    marks = {fingerprint(plan, spec_of(plan, c, job)): job for job, c in wanted.items()}
    found: dict[Job, Source] = {}
    for study, number, mark in trials_with(database, attr.FINGERPRINT):
        job = marks.get(mark) if isinstance(mark, str) else None
        if job is not None and study.endswith(CONFIRM_SUFFIX):
            found.setdefault(job, Source(study, number))
    return found


def take_over(
    plan: StudyPlan, wanted: Mapping[Job, Contestant], study: optuna.Study, storage: BaseStorage
) -> list[tuple[str, str]]:
    """Copy the wanted runs that the database holds into the stage's study.

    Args:
        plan: The stage's plan, with its rules.
        wanted: Runs that the stage does not have yet, and whose they are.
        study: The stage's study, as its supervisor uses it.
        storage: Its storage, unbuffered: where runs are.

    Returns:
        (the setting's title, the study that trained it) of each run taken over.
    """
    trials: dict[str, Sequence[FrozenTrial]] = {}
    taken = []
    for job, source in sources(plan, wanted, storage).items():
        if source.study not in trials:
            trials[source.study] = _trials_of(source.study, storage)
        trial = next((t for t in trials[source.study] if t.number == source.number), None)
        run = None if trial is None else _whole_run(grid_of(plan, wanted[job]), source, trial)
        if trial is None or run is None:
            continue
        origin = run.reused or (source.study.removesuffix(CONFIRM_SUFFIX), source.number)
        study.add_trial(_copy(plan, job, wanted[job], trial, run, origin))
        taken.append((wanted[job].title, origin[0]))
    return taken


def _trials_of(name: str, storage: BaseStorage) -> Sequence[FrozenTrial]:
    """Return a study's trials; none where it has been deleted meanwhile."""
    try:
        return optuna.load_study(study_name=name, storage=storage).get_trials(deepcopy=False)
    except KeyError:
        return ()


def _whole_run(grid: tuple[int, ...], source: Source, trial: FrozenTrial) -> ConfirmRun | None:
    """Return what a trial holds; None where it is damaged or ended as it might not again."""
    try:
        check_attributes(source.study, {}, {trial.number: trial.user_attrs})
    except InputError:
        return None
    found = run_of(trial.state.name, trial.user_attrs)
    if found is None or found[1].outcome not in _ENDINGS:
        return None
    whole = tuple(p.step for p in found[1].curve) == grid
    return found[1] if whole or found[1].outcome == "diverged" else None


def _copy(
    plan: StudyPlan, job: Job, contestant: Contestant, trial: FrozenTrial, run: ConfirmRun, origin: tuple[str, int]
) -> FrozenTrial:
    spec = spec_of(plan, contestant, job)
    values: dict[str, Any] = about(job, contestant, spec, fingerprint(plan, spec))
    kept = (attr.STEPS, attr.DURATION, attr.REASON, attr.OUTCOME, attr.curve_key(0))
    values |= {key: trial.user_attrs[key] for key in kept if key in trial.user_attrs}
    values[attr.REUSED] = list(origin)
    score = run.score(plan.recipe.objective)  # the earlier study may have gone by another one
    if score is not None:
        values[attr.SCORE] = score
    return create_trial(
        state=trial.state, value=score, user_attrs=values, intermediate_values=trial.intermediate_values
    )


def taken_over_text(taken: Iterable[tuple[str, str]]) -> str:
    """Return what was taken over in a sentence; empty for nothing."""
    counts: dict[str, Counter[str]] = {}
    for title, study in taken:
        counts.setdefault(title, Counter())[study] += 1
    return reused_text(counts)


def known_beforehand(plan: StudyPlan) -> str:
    """Return which verdict runs of defaults and RL Zoo's values a planned study would take over at most, in a sentence.

    Raises:
        InputError: The storage cannot be used.
    """
    recipe, path = plan.recipe, sqlite_path(plan.storage)
    if recipe.confirm == 0 or (path is not None and not path.exists()):
        return ""
    backend = plan.backend if recipe.confirm_backend in (None, "both") else str(recipe.confirm_backend)
    beside = plan.grid[-1] if recipe.zoo_full_budget else None
    env, images = plan.env, plan.sees_images
    fixed = fixed_baselines(plan.algorithm, env.id, backend, wrapper=env.wrapper, zoo_beside=beside, images=images)
    return known_runs(plan, wanted_of(fixed, recipe.confirm_seeds))


def known_runs(plan: StudyPlan, wanted: Mapping[Job, Contestant]) -> str:
    """Return which of the runs that a new stage of a plan wants the database holds, in a sentence; empty for none."""
    seeds = CURRENT.evaluation_seeds  # as every new stage follows
    plan = dataclasses.replace(plan, rules=dataclasses.replace(plan.rules, evaluation_seeds=seeds))
    try:
        found = look(plan.storage, lambda database: sources(plan, wanted, database))
    except NoTablesError:  # no study has been there yet
        return ""
    return taken_over_text(
        (wanted[job].title, source.study.removesuffix(CONFIRM_SUFFIX)) for job, source in found.items()
    )
