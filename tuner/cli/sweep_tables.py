"""The Q-tables of a sweep: those of each setting's first seed, kept by the workers and read beside the truth."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuner.errors import InputError, TunerError

if TYPE_CHECKING:
    from tuner.contract.spec import RunSpec
    from tuner.plan.resolve import StudyPlan

#: Folder of the models, in the page's.
TABLES = "tables"


def keep_first(plan: StudyPlan, every: Sequence[Sequence[RunSpec]]) -> list[list[RunSpec]]:
    """Return the runs of each setting, the first of each to be kept where they learn a table."""
    tabular = plan.algorithm == "q_learning"
    return [[dataclasses.replace(spec, keep=tabular and i == 0) for i, spec in enumerate(members)] for members in every]


def first_tables(plan: StudyPlan, every: Sequence[Sequence[RunSpec]], folder: Path) -> list[dict[str, Any] | None]:
    """Return what the page shows of each setting's first table, None where there is none, or no truth.

    Args:
        plan: Of all.
        every: For each setting its runs.
        folder: Of the page.
    """
    read = [_table(members[0], folder / TABLES) for members in every]
    if not any(read):
        return [None] * len(read)
    from tuner.envs.child import call_in_child
    from tuner.training.lone.table_log import tables_beside_truth

    try:
        if plan.recipe.executor == "inline":
            return tables_beside_truth(plan.env, read, lambda word: None)
        return call_in_child(tables_beside_truth, plan.env, read, subject=plan.env.id, first="its transition table")
    except TunerError:  # its runs are there: without a truth the page is what it is elsewhere
        return [None] * len(read)


def _table(spec: RunSpec, folder: Path) -> tuple[int, Any, float] | None:
    """Return (environment steps, table ``[S, A]``, gamma) of a kept run; None of one that was not kept, or has bins."""
    from tuner.training.run_checkpoint import fingerprint
    from tuner.training.saved.model_files import load_model
    from tuner.training.saved.table_policy import TablePolicy

    if not spec.keep:
        return None
    try:
        policy = load_model(folder / fingerprint(spec)).policy
    except InputError:
        return None
    if not isinstance(policy, TablePolicy) or policy.discretiser is not None:
        return None
    return spec.n_timesteps, policy.table, float(getattr(spec.hyperparameters, "gamma", 1.0))
