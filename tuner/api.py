"""The Python API: ``tuner.run(StudyRecipe(...)) -> StudyResult``. The command line is a thin caller of it."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuner.contract.roles import Executor
from tuner.durable import check_writable
from tuner.envs.registration import refuse_while_importing
from tuner.errors import InputError, StudyFailedError, TunerError, wrong
from tuner.execution.choose import make_executor, with_workers
from tuner.execution.interrupts import interruptible
from tuner.hyperparameters import from_mapping
from tuner.plan.advice import long_evaluations
from tuner.plan.cost import refuse_what_cannot_fit
from tuner.plan.known import library_note
from tuner.plan.naming import confirm_name, file_name, study_name
from tuner.plan.recipe import StudyRecipe, several_environments
from tuner.plan.resolve import StudyPlan, plan_study
from tuner.plan.stored import plan_confirm
from tuner.plan.within import Deadlines, plan_within
from tuner.result.agents import KeptAgent, Place
from tuner.result.study import StudyData
from tuner.storage_url import default_storage
from tuner.study.reading.foreign import best_trials
from tuner.study.reading.study import load
from tuner.study.search.open_study import called_as_before, found_study, open_study, stored_progress
from tuner.study.search.outage import Patience
from tuner.study.search.outcomes import nothing_learned
from tuner.study.search.progress import NoProgress, ProgressListener, going_on, warn
from tuner.study.search.provenance import of_study, provenance
from tuner.study.search.run_events import RunEvents
from tuner.study.search.supervisor import Ending, StudySupervisor
from tuner.study.store.catalog import stores
from tuner.study.store.database import sqlite_path
from tuner.study.store.identity import Watched
from tuner.study.store.keys import RANDOM_PLAY
from tuner.study.store.locks import Claim, advisory_lock, study_lock
from tuner.study.upkeep.agent_zips import zips_written
from tuner.study.upkeep.keep_agents import keep_agents, models_folder, report_folders
from tuner.study_report import ReportPaths, write_study_report
from tuner.study_result import StudyResult
from tuner.text import counted
from tuner.training.run_checkpoint import RunCheckpoints
from tuner.training.saved.film import check_can_be_filmed
from tuner.training.tensorboard import check_events

if TYPE_CHECKING:
    from tuner.study.confirm.stage import ConfirmStage
    from tuner.study.search.several import SeveralSupervisor


def run(
    recipe: StudyRecipe,
    *,
    progress: ProgressListener | None = None,
    executor: Executor | None = None,
    began: float | None = None,
) -> StudyResult:
    """Run a study to its end, or carry on with it, and write its report.

    Args:
        recipe: What to search.
        progress: Watches; nothing is shown without.
        executor: Hosts the trainers; None takes what ``recipe.executor`` names.
        began: Monotonic second that ``recipe.within`` counts from; None: now.

    Returns:
        The study. Ctrl-C and SIGTERM also end here, with ``ending == "interrupted"``; a second one raises
        ``KeyboardInterrupt``.

    Raises:
        InputError: The recipe breaks a rule, or the stored study differs from it; nothing has been trained.
        MissingExtraError: An optional package is needed.
        StudyLockedError: Another process runs this study.
        StudyFailedError: Every trial failed, or ten in a row in the same way. The report is written all the same.
        StorageLostError: The database does not answer any more.
    """
    _check_arguments(recipe, progress, executor)
    progress = progress or NoProgress()
    began = time.monotonic() if began is None else began
    recipe = called_as_before(recipe)
    there = recipe.storage or default_storage(), study_name(recipe.validated())
    plan = plan_study(recipe, with_workers, best_trials, play=not stores(*there, RANDOM_PLAY))
    recipe, deadlines = plan.recipe, None
    if recipe.within is not None:
        deadlines = Deadlines(began, recipe.within)
        plan = plan_within(plan, deadlines, *stored_progress(plan, found_study(plan)), best_trials)
        recipe = plan.recipe
    refuse_what_cannot_fit(plan)
    check_folders(plan)
    events = run_events(plan, progress)
    if recipe.record:
        check_can_be_filmed(plan.env)
    patience = Patience(progress)
    with study_lock(lock_database(plan), plan.name):
        folders = report_folders(plan.name, plan.storage)
        plan, supervisor, watched = _supervise(plan, progress, events, patience)
        ending, failure = _search(plan, supervisor, progress, executor)
        if ending == "done" and failure is None:
            with contextlib.ExitStack() as held:
                mine = patience(lambda: held.enter_context(advisory_lock(plan.storage, confirm_name(plan.name))))
                if mine and recipe.confirm:
                    from tuner.study.confirm.stage import ConfirmStage  # brings SciPy

                    ends = deadlines.report if deadlines is not None else None
                    stage = ConfirmStage(plan, patience(load, plan.name, plan.storage, importances=False), ends)
                    ending, failure = _confirm(plan, stage, progress, executor, mine, events)
                elif recipe.confirm:
                    progress.note(f"Another supervisor trains the finalists; see: tune report {plan.name}")
        data, agents = patience(_found, plan, watched, events, folders)
        if recipe.record and ending == "done" and failure is None:
            failure = patience(_film, plan, data, agents, progress)
        paths = _reported(plan, data, agents, progress, patience)
    failure = failure or nothing_learned(data)
    if failure is not None:
        raise StudyFailedError(f"{failure} Report: {paths.page}")
    return _result(plan, data, paths, agents, ending)


def _check_arguments(recipe: object, progress: object, executor: object) -> None:
    refuse_while_importing("tuner.run")
    if not isinstance(recipe, StudyRecipe):
        raise wrong("recipe", 'a tuner.StudyRecipe, such as StudyRecipe(env="CartPole-v1")', recipe)
    if progress is not None and not callable(getattr(progress, "start", None)):
        raise wrong("progress", "a listener, such as tuner.progress(), or None", progress)
    if executor is not None and not callable(getattr(executor, "run", None)):
        raise wrong("executor", "an object that hosts trainers, or None for what recipe.executor names", executor)
    if recipe.validated().envs:
        raise several_environments()


def confirm(
    name: str,
    *,
    storage: str | None = None,
    settings: Mapping[str, Any] | None = None,
    progress: ProgressListener | None = None,
    executor: Executor | None = None,
) -> StudyResult:
    """Train a study's finalists again on fresh seeds, or carry on with that, and write the report again.

    Args:
        name: Study name.
        storage: Storage URL; None takes ``$TUNE_STORAGE``, else the default.
        settings: Recipe settings over the stored ones, such as ``confirm_seeds``; pinned ones cannot change.
        progress: Watches; nothing is shown without.
        executor: Hosts the trainers; None takes what the recipe names.

    Raises:
        InputError: There is no such study, a setting breaks a rule, or there is nothing to confirm.
        StudyLockedError: Another process runs this study.
        StudyFailedError: Ten runs in a row failed in the same way.
        StorageLostError: The database does not answer any more.
    """
    from tuner.study.confirm.stage import ConfirmStage

    progress = progress or NoProgress()
    stored = load(name, storage, importances=False)
    plan = plan_confirm(stored, storage or default_storage(), settings or {})
    refuse_what_cannot_fit(plan)
    check_folders(plan)
    events, patience = run_events(plan, progress), Patience(progress)
    with study_lock(lock_database(plan), plan.name):
        folders = report_folders(plan.name, plan.storage)
        watched = patience(Watched, plan.storage, plan.name)
        plan = dataclasses.replace(plan, id=watched.id)
        stage = ConfirmStage(plan, patience(load, plan.name, plan.storage, importances=False))
        if stage.problem:
            raise InputError(stage.problem)
        with contextlib.ExitStack() as held:
            mine = patience(lambda: held.enter_context(advisory_lock(plan.storage, confirm_name(plan.name))))
            if not mine:
                raise InputError(f"Another supervisor trains the finalists of '{plan.name}'. See: tune list.")
            if events is not None:
                events.fill(patience(load, plan.name, plan.storage, importances=False))
            ending, failure = _confirm(plan, stage, progress, executor, mine, events)
        data, agents = patience(_found, plan, watched, events, folders)
        paths = _reported(plan, data, agents, progress, patience)
    if failure is not None:
        raise StudyFailedError(f"{failure} Report: {paths.page}")
    return _result(plan, data, paths, agents, ending)


def _found(
    plan: StudyPlan, watched: Watched, events: RunEvents | None, folders: Sequence[Path]
) -> tuple[StudyData, Mapping[Place, KeptAgent]]:
    """Return what the database has of a study, and the agents of its verdict that are kept."""
    watched.check()
    data = load(plan.name, plan.storage)
    if events is not None:  # runs of others, too: what the verdict has not trained itself
        events.fill(data)
    return data, keep_agents(data.confirmation, plan.report, folders)


def _reported(
    plan: StudyPlan,
    data: StudyData,
    agents: Mapping[Place, KeptAgent],
    progress: ProgressListener,
    patience: Patience,
) -> ReportPaths:
    """Write the report, the agents' zips and what the dashboard shows."""
    with zips_written(plan, agents, progress):
        paths = write_study_report(data, plan.storage, plan.reports, agents)
        _tell_dashboard(data, plan.storage, progress, patience)
    return paths


def _tell_dashboard(data: StudyData, storage: str, progress: ProgressListener, patience: Patience) -> None:
    """Save the verdict and a few figures for those who browse the database; not worth failing for."""
    from tuner.report.pages.dashboard import dashboard_figures, dashboard_note
    from tuner.study.upkeep.dashboard_note import save_to_dashboard

    try:
        note, figures = dashboard_note(data), dashboard_figures(data)
        patience(save_to_dashboard, data.name, storage, note, figures)
    except TunerError as error:
        warn(progress, f"The note for optuna-dashboard could not be saved: {error}")


def lock_database(plan: StudyPlan) -> Path | None:
    """Return the SQLite file to lock beside, its folder made: the lock comes before the database.

    Raises:
        InputError: The folder cannot be made.
    """
    path = sqlite_path(plan.storage)
    if path is not None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"--storage: the folder {path.parent} cannot be made ({error.strerror}). Choose another --storage."
            ) from None
    return path


def check_folders(plan: StudyPlan) -> None:
    """Find out before any work that its report, and event files where they are asked for, can be written.

    Raises:
        InputError: A folder cannot be made or written.
        MissingExtraError: Event files need a package.
    """
    check_writable(plan.report, f"--report-dir {plan.reports}")
    if plan.recipe.tensorboard is not None:
        folder = Path(plan.recipe.tensorboard)
        check_events(folder / file_name(plan.name), folder)


def run_events(plan: StudyPlan, progress: ProgressListener) -> RunEvents | None:
    """Return what writes event files, where they are asked for (see :func:`check_folders`)."""
    if plan.recipe.tensorboard is None:
        return None
    return RunEvents(Path(plan.recipe.tensorboard), plan.name, functools.partial(warn, progress))


def _supervise(
    plan: StudyPlan, progress: ProgressListener, events: RunEvents | None, patience: Patience
) -> tuple[StudyPlan, StudySupervisor, Watched]:
    for line in filter(None, [*plan.notes, library_note(plan.recipe, plan.grid[-1])]):
        progress.note(line)
    ledger, plan, resumed = open_study(plan, of_study(plan))
    with contextlib.ExitStack() as on_error:
        on_error.callback(ledger.close)
        settled = patience(ledger.settle)
        there = sum(settled.counts.values())
        if not resumed and (long := long_evaluations(plan)):
            progress.note(long)
        if resumed and there:
            progress.note(going_on(plan.name, there, plan.trials))
        saved = RunCheckpoints(plan.checkpoints).steps() if resumed else ()
        if there < plan.trials and (taken_up := _taken_up(len(settled.lost), saved)):
            progress.note(taken_up)
        if events is not None and resumed:
            events.fill(patience(load, plan.name, plan.storage, importances=False))
        watched = patience(Watched, plan.storage, plan.name)
        on_error.pop_all()
    return plan, StudySupervisor(plan, ledger, settled, progress=progress, events=events), watched


def _taken_up(lost: int, steps: Sequence[int]) -> str:
    """Return how a study goes on with what was in training when its process ended; empty where nothing was.

    Args:
        lost: Trials that a dead process left open.
        steps: At which runs were saved, in rising order.
    """
    if not steps:
        return f"{counted(lost, 'trial')} cut short before anything was saved: training again." if lost else ""
    where = f"{steps[0]:,}" if steps[0] == steps[-1] else f"{steps[0]:,} to {steps[-1]:,}"
    rest = max(lost - len(steps), 0)
    others = f"; {counted(rest, 'trial')} training again from the start" if rest else ""
    return f"Going on from step {where} with {counted(len(steps), 'run')} cut short{others}."


def _search(
    plan: StudyPlan,
    supervisor: StudySupervisor,
    progress: ProgressListener,
    executor: Executor | None,
    models: Path | None = None,
) -> tuple[Ending, StudyFailedError | None]:
    if supervisor.finished >= plan.trials:
        return supervisor.close(), None
    if executor is None:
        executor = make_executor(plan, plan.checkpoints, models)
    ending, failure = drive(supervisor, executor, progress)
    if ending == "done":
        RunCheckpoints(plan.checkpoints).clear()
    return ending, failure


def drive(
    supervisor: StudySupervisor | SeveralSupervisor, executor: Executor, progress: ProgressListener
) -> tuple[Ending, StudyFailedError | None]:
    """Let an executor train what a supervisor hands out; return how that ended, and why every trial failed or None."""
    failure: StudyFailedError | None = None
    progress.start(supervisor.snapshot())
    try:
        with interruptible(supervisor):
            executor.run(supervisor)
    except StudyFailedError as error:  # workers cannot live; what has been found is reported first
        failure = error
    finally:
        try:
            ending = supervisor.close()
        finally:
            progress.finish(supervisor.snapshot())
    return ending, failure or supervisor.failure


def _confirm(
    plan: StudyPlan,
    stage: ConfirmStage,
    progress: ProgressListener,
    executor: Executor | None,
    claim: Claim,
    events: RunEvents | None,
) -> tuple[Ending, StudyFailedError | None]:
    """Train the finalists again, as far as the budget goes; a stage that was interrupted goes on."""
    if stage.problem:
        progress.note(stage.problem)
        return "done", None
    progress.note(stage.summary())
    for part, supervisor in stage.passes(provenance(numeric_path=plan.numeric_path), progress, events):
        claim.on_lost = supervisor.interrupt
        host = executor if part.backend == plan.backend else None
        ending, failure = _search(part, supervisor, progress, host, models_folder(plan.report))
        if ending != "done" or failure is not None:
            return ending, failure
    return "done", None


def _film(
    plan: StudyPlan, data: StudyData, agents: Mapping[Place, KeptAgent], progress: ProgressListener
) -> StudyFailedError | None:
    from tuner.study.upkeep.film_winner import film_agent

    try:
        film_agent(plan, data, agents, plan.report, progress.note)
    except StudyFailedError as error:  # what the study has found is reported all the same
        return error
    return None


def _result(
    plan: StudyPlan, data: StudyData, paths: ReportPaths, agents: Mapping[Place, KeptAgent], ending: Ending
) -> StudyResult:
    chosen = data.chosen
    best = from_mapping(plan.algorithm, chosen.hyperparameters) if chosen is not None else None
    return StudyResult(plan.name, data, best, paths.page, paths.best_yaml, agents, ending)
