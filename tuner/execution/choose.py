"""Where a supervisor's trainers live."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tuner.contract.roles import Executor, Trainer
from tuner.plan.recipe import StudyRecipe
from tuner.plan.resolve import StudyPlan

if TYPE_CHECKING:
    from tuner.execution.ray_cluster import Place


def with_workers(recipe: StudyRecipe) -> StudyRecipe:
    """Return a recipe for Ray with as many workers as its cluster has room for, unless it says how many.

    Raises:
        MissingExtraError: It asks for Ray, which is not installed.
        InputError: No cluster answers.
    """
    from tuner.execution.ray_cluster import load_ray, room

    load_ray()
    if recipe.workers is not None or recipe.ray_address == "local":
        return recipe
    return dataclasses.replace(recipe, workers=room(_place(recipe)))


def make_executor(plan: StudyPlan, checkpoints: Path | None = None, models: Path | None = None) -> Executor:
    """Return the executor that ``--executor`` names, with trainers of the plan's backend and algorithm.

    Args:
        plan: The study.
        checkpoints: Folder that long runs are saved in, for trainers that see it; None where they start over.
        models: Folder that models of runs to be kept go into, for trainers that see it; None where none is kept.
    """
    from tuner.training.registry import make_trainer

    recipe, folder = plan.recipe, checkpoints if plan.trains_here else None
    trainer: Callable[[], Trainer]
    trainer = functools.partial(make_trainer, plan.backend, plan.algorithm, plan.lanes, checkpoints=folder)
    if models is not None and plan.trains_here:
        from tuner.training.keeping import KeepingTrainer

        trainer = functools.partial(KeepingTrainer, trainer, models)
    if recipe.executor == "inline":
        from tuner.execution.inline import InlineExecutor

        return InlineExecutor(trainer)
    if recipe.executor == "ray":
        from tuner.execution.ray import RayExecutor

        place = _place(recipe)
        env = plan.env
        return RayExecutor(trainer, plan.workers, place, env_id=env.id, env_module=env.module, wrapper=env.wrapper)
    from tuner.execution.processes import ProcessExecutor

    limit = recipe.worker_memory
    return ProcessExecutor(trainer, plan.workers, memory_limit=None if limit is None else limit * 2**20)


def _place(recipe: StudyRecipe) -> Place:
    from tuner.execution.ray_cluster import Place

    return Place(recipe.ray_address, recipe.cpus_per_worker, recipe.gpus_per_worker)
