"""The Python API: ``tuner.run(StudyRecipe(...)) -> StudyResult``. The command line is a thin caller of it."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from tuner.errors import InputError, StudyFailedError
from tuner.hyperparameters import Hyperparameters, from_mapping
from tuner.study.commands import study_commands
from tuner.study.export import export_trial, write_export
from tuner.study.forecast import refuse_what_cannot_fit
from tuner.study.lock import study_lock
from tuner.study.loop import Ending, StudySupervisor
from tuner.study.plan import StudyPlan, plan_study
from tuner.study.progress import NoProgress, ProgressListener
from tuner.study.provenance import provenance
from tuner.study.recipe import StudyRecipe
from tuner.study.recipe import from_mapping as recipe_from_mapping
from tuner.study.results import StudyData, load
from tuner.study.storage import sqlite_path
from tuner.study.studies import open_study
from tuner.training.types import Executor

if TYPE_CHECKING:
    from tuner.execution.ray_cluster import Place


@dataclass(frozen=True)
class StudyResult:
    """What a study has found.

    Attributes:
        name: Study name.
        data: Everything in it.
        best: The best trial's hyperparameters; None when no trial has completed.
        report: Path of the report's ``index.html``.
        export: Path of ``best.yaml``; None when no trial has completed.
        ending: ``done``; or ``timeout`` or ``interrupted``, and the same recipe carries on.
    """

    name: str
    data: StudyData
    best: Hyperparameters | None
    report: Path
    export: Path | None
    ending: Ending


@dataclass(frozen=True)
class ReportPaths:
    """What was written about a study: the page, and ``best.yaml`` unless no trial has completed."""

    page: Path
    best_yaml: Path | None


def run(
    recipe: StudyRecipe, *, progress: ProgressListener | None = None, executor: Executor | None = None
) -> StudyResult:
    """Run a study to its end, or carry on with it, and write its report.

    Args:
        recipe: What to search.
        progress: Watches; nothing is shown without.
        executor: Hosts the trainers; None takes what ``recipe.executor`` names.

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
    progress = progress or NoProgress()
    plan = plan_study(with_workers(recipe.validated()))
    refuse_what_cannot_fit(plan)
    _check_report_dir(plan)
    with study_lock(_lock_database(plan), plan.name):
        supervisor = _supervise(plan, progress)
        ending, failure = _search(plan, supervisor, progress, executor)
    data = load(plan.name, plan.storage)
    paths = write_study_report(data, plan.storage, Path(plan.recipe.report_dir))
    failure = failure or _nothing_learned(data)
    if failure is not None:
        raise StudyFailedError(f"{failure} Report: {paths.page}")
    best = from_mapping(plan.recipe.algo, data.best.hyperparameters) if data.best is not None else None
    return StudyResult(plan.name, data, best, paths.page, paths.best_yaml, ending)


def write_study_report(data: StudyData, storage: str, report_dir: Path) -> ReportPaths:
    """Write ``index.html``, ``report.json``, ``trials.csv`` and ``best.yaml`` into ``report_dir/<study>``.

    Args:
        data: The study.
        storage: Its storage URL, shown in commands with the password masked.
        report_dir: Folder of all reports.

    Raises:
        InputError: The folder cannot be written.
    """
    from tuner.report.page import write_report

    folder = report_dir / data.name
    best_path: Path | None = None
    text: str | None = None
    if data.best is not None and data.best.hyperparameters and data.recipe:
        export = export_trial(data)
        best_path, text = folder / "best.yaml", export.text
        write_export(export, best_path)
    commands = {}
    if data.recipe:
        recipe = recipe_from_mapping({**data.recipe, "storage": None})
        commands = study_commands(recipe, data.name, storage, str(best_path) if best_path else None)
    return ReportPaths(write_report(data, folder, best_yaml=text, commands=commands), best_path)


def with_workers(recipe: StudyRecipe) -> StudyRecipe:
    """Return a validated recipe with as many workers as its Ray cluster has room for, where it does not say how many.

    Raises:
        MissingExtraError: It asks for Ray, which is not installed.
        InputError: No cluster answers.
    """
    if recipe.executor != "ray":
        return recipe
    from tuner.execution.ray_cluster import load_ray, room

    load_ray()
    if recipe.workers is not None or recipe.ray_address == "local":
        return recipe
    return dataclasses.replace(recipe, workers=room(_place(recipe)))


def _lock_database(plan: StudyPlan) -> Path | None:
    """Return the SQLite file to lock beside, its folder made: the lock comes before the database."""
    path = sqlite_path(plan.storage)
    if path is not None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"--storage: the folder {path.parent} cannot be made ({error.strerror}). Choose another --storage."
            ) from None
    return path


def _supervise(plan: StudyPlan, progress: ProgressListener) -> StudySupervisor:
    for line in plan.notes:
        progress.note(line)
    record, resumed = open_study(plan, provenance(numeric_path=plan.numeric_path))
    settled = record.settle()
    there = sum(settled.counts.values())
    if resumed and there:
        progress.note(f"Going on with the study '{plan.name}': {there} of {plan.recipe.trials} trials are there.")
    if settled.lost:
        progress.note(f"{len(settled.lost)} trials were cut short when their process ended; they go again.")
    return StudySupervisor(plan, record, settled, progress=progress)


def _search(
    plan: StudyPlan, supervisor: StudySupervisor, progress: ProgressListener, executor: Executor | None
) -> tuple[Ending, StudyFailedError | None]:
    if supervisor.finished >= plan.recipe.trials:
        return "done", None
    if executor is None:
        executor = _make_executor(plan)
    failure: StudyFailedError | None = None
    progress.start(supervisor.snapshot())
    try:
        with _interruptible(supervisor):
            executor.run(supervisor)
    except StudyFailedError as error:  # workers cannot live; what has been found is reported first
        failure = error
    finally:
        ending = supervisor.close()
        progress.finish(supervisor.snapshot())
    return ending, failure or supervisor.failure


def _make_executor(plan: StudyPlan) -> Executor:
    from tuner.training.registry import make_trainer

    trainer = functools.partial(make_trainer, plan.recipe.backend, plan.recipe.algo, plan.lanes)
    if plan.recipe.executor == "inline":
        from tuner.execution.inline import InlineExecutor

        return InlineExecutor(trainer)
    if plan.recipe.executor == "ray":
        from tuner.execution.ray import RayExecutor

        place = _place(plan.recipe)
        return RayExecutor(trainer, plan.workers, place, env_id=plan.env.id, env_module=plan.env.module)
    from tuner.execution.processes import ProcessExecutor

    return ProcessExecutor(trainer, plan.workers)


def _place(recipe: StudyRecipe) -> Place:
    from tuner.execution.ray_cluster import Place

    return Place(recipe.ray_address, recipe.cpus_per_worker, recipe.gpus_per_worker)


@contextlib.contextmanager
def _interruptible(supervisor: StudySupervisor) -> Iterator[None]:
    """Let the first Ctrl-C or SIGTERM end the search gently and the second at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    asked = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        supervisor.interrupt()

    for number in before:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _nothing_learned(data: StudyData) -> StudyFailedError | None:
    """Return why no trial was of any use, or None."""
    ended = [t for t in data.trials if t.outcome in ("completed", "pruned", "diverged", "timed_out", "failed")]
    if not ended or any(t.outcome in ("completed", "pruned") for t in ended):
        return None
    reasons = Counter(f"{t.outcome}: {t.reason}" for t in ended).most_common(3)
    listed = "; ".join(f"{count} x {reason}" for reason, count in reasons)
    return StudyFailedError(f"None of the {len(ended)} trials completed ({listed}).")


def _check_report_dir(plan: StudyPlan) -> None:
    """Find out before the search that its report could not be written."""
    folder = Path(plan.recipe.report_dir) / plan.name
    there = next(p for p in (folder, *folder.parents) if p.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise InputError(f"--report-dir {plan.recipe.report_dir} cannot be used: {there} may not be written.")
