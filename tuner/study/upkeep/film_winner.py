"""The exported setting's agent, filmed at play (``--record``): the one that was kept, else one trained once more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tuner.contract.outcome import EvalPoint
from tuner.contract.spec import RunId, RunSpec
from tuner.errors import InputError, StudyFailedError
from tuner.hyperparameters import from_mapping
from tuner.plan.resolve import StudyPlan
from tuner.result.agents import KeptAgent, Place
from tuner.result.study import StudyData
from tuner.seeding import evaluation_seed
from tuner.study.upkeep.artifacts import attach
from tuner.training.saved.film import GIF, MP4, Story
from tuner.training.saved.model_files import load_model, save_model
from tuner.training.saved.play import record_median
from tuner.training.single import train_once

#: Where it lies, inside the study's report.
FOLDER = "agent"


def film_agent(
    plan: StudyPlan, data: StudyData, kept: Mapping[Place, KeptAgent], report: Path, note: Callable[[str], None]
) -> Story | None:
    """Film the chosen trial's agent in the median of several episodes, and attach the film to the study.

    Without a kept one the trial's first run trains again, which gives the same agent, unless that is there already.

    Args:
        plan: The study.
        data: What it has found.
        kept: The agents that are there of its verdict.
        report: The study's report folder; the film goes into its ``agent``, and the agent where none was kept.
        note: Called with what is being done.

    Returns:
        The film; None where no trial has completed.

    Raises:
        InputError: The environment does not draw itself, or a file cannot be written.
        MissingExtraError: The extra ``video`` is not installed.
        StudyFailedError: The run did not complete this time.
        StorageLostError: The database stops answering.
    """
    trial = data.chosen
    if trial is None or not trial.hyperparameters:
        return None
    folder = report / FOLDER
    if "best" in kept:
        source = kept["best"].folder
    else:
        hyperparameters = from_mapping(plan.algorithm, trial.hyperparameters)
        spec = plan.run_spec(RunId(trial.number), hyperparameters, trial.seeds[min(trial.seeds)])
        source = folder
        if not _is_there(folder, spec):
            note(f"Training trial {trial.number} once more to film its agent.")
            _train(folder, spec)
    module = plan.env.module or plan.env.id.rpartition(":")[0] or None
    seed = evaluation_seed(plan.seed, "select", plan.rules.evaluation_seeds)
    film = record_median(source, seed, module, folder, plan.env.wrapper)
    attach(plan.storage, plan.name, [folder / MP4, folder / GIF])
    return film


def _is_there(folder: Path, spec: RunSpec) -> bool:
    try:
        saved = load_model(folder).spec
    except InputError:
        return False
    return (saved.env, saved.backend, saved.hyperparameters, saved.seed, saved.grid) == (
        spec.env, spec.backend, spec.hyperparameters, spec.seed, spec.grid,
    )  # fmt: skip


def _train(folder: Path, spec: RunSpec) -> None:
    keeper = _Keeper()
    points: list[EvalPoint] = []
    outcome = train_once(spec, observer=keeper, on_point=points.append)
    if outcome.kind != "completed":
        raise StudyFailedError(f"The agent to be filmed {outcome.kind}: {outcome.reason}")
    save_model(folder, spec, keeper.weights, points)


class _Keeper:
    """Keeps a run's final weights."""

    weights: Mapping[str, np.ndarray]

    def on_evaluated(self, point: EvalPoint, weights: Callable[[], Mapping[str, Any]]) -> None:
        """Nothing to keep."""

    def on_end(self, run_id: RunId, weights: Mapping[str, Any]) -> None:
        self.weights = weights
