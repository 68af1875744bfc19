"""Runs of several settings on the same seeds and episodes: trained side by side, once, and kept in a file.

A stored run counts where it was trained alike: by the same arithmetic, versions of packages, files of the environment
and processor. Else it is trained again, so that no comparison mixes two of them; its line stays.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuner.durable import append_line, said_of
from tuner.errors import InputError
from tuner.named_pipes import refuse_named_pipe
from tuner.text import counted

if TYPE_CHECKING:
    from tuner.contract.outcome import EvalPoint, Outcome
    from tuner.contract.spec import RunSpec
    from tuner.hyperparameters import Hyperparameters
    from tuner.plan.resolve import StudyPlan
    from tuner.result.confirmation import ConfirmRun

#: Runs of finished trainings, one JSON line each: the same command carries on.
RUNS = "runs.jsonl"

#: How a stored run may have ended.
_OUTCOMES = ("completed", "stopped", "diverged", "timed_out", "failed")

#: Most lanes of a native worker unless --lanes says more.
LANES = 16


def paired_specs(plan: StudyPlan, settings: Sequence[Hyperparameters], seeds: int) -> list[list[RunSpec]]:
    """Return the runs of each setting: the same seeds, the same evaluation episodes, those of a verdict."""
    from tuner.contract.spec import RunId
    from tuner.seeding import evaluation_seed, run_seed

    version = plan.rules.evaluation_seeds
    evaluations = [
        dataclasses.replace(plan.evaluation, seed=evaluation_seed(plan.seed, "verdict", version, i))
        for i in range(seeds)
    ]
    return [
        [
            dataclasses.replace(
                plan.run_spec(RunId(place, i), hyperparameters, run_seed(plan.seed, "verdict", 0, i)),
                evaluation=evaluations[i],
            )
            for i in range(seeds)
        ]
        for place, hyperparameters in enumerate(settings)
    ]


def train_missing(
    name: str, plan: StudyPlan, every: Sequence[Sequence[RunSpec]], folder: Path, models: Path | None = None
) -> list[list[ConfirmRun]] | None:
    """Return the runs of each setting in order of seeds, training those that the folder does not hold in one batch.

    Seed by seed, so that an interrupt leaves all settings with about as many.

    Args:
        name: What the progress calls it.
        plan: Who trains, and with how many workers.
        every: For each setting its runs, with distinct ids.
        folder: Where :data:`RUNS` is.
        models: Folder for the models of runs that say ``keep``; None where none does.

    Returns:
        None when interrupted.
    """
    from tuner.cli.batch_progress import BatchProgress
    from tuner.cli.progress import progress_view
    from tuner.execution.choose import make_executor
    from tuner.execution.interrupts import interruptible
    from tuner.study.confirm.fingerprint import circumstances
    from tuner.training.batch import RunBatch

    stored = read_runs(folder / RUNS)
    specs = [spec for replicate in zip(*every, strict=True) for spec in replicate]
    keys = {spec.run_id: circumstances(plan, spec) for spec in specs}
    there = {run_id: stored[key]["outcome"] for run_id, key in keys.items() if key in stored}
    missing = [spec for spec in specs if spec.run_id not in there]
    recipe = plan.recipe
    if missing:
        lanes = recipe.lanes or min(LANES, -(-len(missing) // plan.workers))
        plan = dataclasses.replace(plan, lanes=lanes)
        plan = dataclasses.replace(plan, lanes=plan.side_by_side)
        view = progress_view(quiet=recipe.quiet)
        if otherwise := _trained_otherwise(missing, stored):
            view.note(f"{folder / RUNS}: {otherwise}")
        progress = BatchProgress(f"{name}, {plan.backend}", view, specs, tuple(there.values()))

        def on_end(spec: RunSpec, points: Sequence[EvalPoint], outcome: Outcome) -> None:
            key = keys[spec.run_id]
            stored[key] = row = {"signature": spec.signature(), **_row(points, outcome)}
            with said_of(folder / RUNS, "The same command carries on."):
                append_line(folder / RUNS, json.dumps({"circumstances": key, **row}).encode(), 0o644)
            progress.ended(outcome)

        batch = RunBatch(missing, on_end, lambda: progress.draw(batch.training))
        progress.start()
        try:
            with interruptible(batch):
                make_executor(plan, models=models if any(s.keep for s in missing) else None).run(batch)
        finally:
            progress.finish()
        if batch.interrupted:
            return None
    return [[_confirm_run(spec, stored[keys[spec.run_id]]) for spec in members] for members in every]


def read_runs(path: Path) -> dict[str, dict[str, Any]]:
    """Return stored runs by the circumstances of their training; a line that a kill cut short, no JSON, is passed over.

    One of an earlier version, which did not note them, stands by its signature alone.

    Raises:
        InputError: The file is not one of ours, or cannot be read.
    """
    if not path.exists():
        return {}
    try:
        refuse_named_pipe(path)
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}. Name another folder with -o.") from error
    runs = {}
    for i, line in enumerate(lines):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        try:
            _check_row(row)
            kept = ("signature", "outcome", "steps", "duration_s", "reason", "curve")
            runs[row.get("circumstances", row["signature"])] = {key: row[key] for key in kept} | {
                "metrics": _metrics(row)
            }
        except (KeyError, TypeError, ValueError):
            raise InputError(
                f"{path}:{i + 1} is damaged, or no run of tune. Take that line out, and its run is trained again."
            ) from None
    return runs


def _trained_otherwise(missing: Sequence[RunSpec], stored: Mapping[str, Mapping[str, Any]]) -> str:
    """Return that some of the missing runs were trained before, but not alike; empty where none was."""
    known = {row["signature"] for row in stored.values()}
    count = sum(spec.signature() in known for spec in missing)
    if not count:
        return ""
    return (
        f"{counted(count, 'run')} of other versions, files or another processor; training again, as numbers of two "
        "would be mixed."
    )


def _check_row(row: Mapping[str, Any]) -> None:
    """Find out that a stored run can be read.

    Raises:
        TypeError, ValueError: It has been changed.
    """
    numbers = [row["steps"], row["duration_s"]]
    for step, returns in row["curve"]:
        numbers += [step, *returns]
        if not returns:
            raise ValueError("an evaluation has no episode")
    if any(isinstance(n, bool) or not isinstance(n, int | float) for n in numbers):
        raise ValueError("a number is none")
    if any(isinstance(n, int) and abs(n) > sys.float_info.max for n in numbers):
        raise ValueError("a number is no float")
    if not all(isinstance(key, str) for key in (row["signature"], row.get("circumstances", ""))):
        raise TypeError("its name is none")
    if row["outcome"] not in _OUTCOMES or not isinstance(row["reason"], str | None):
        raise ValueError("its end is none")


def _metrics(row: Mapping[str, Any]) -> list[Mapping[str, float]]:
    """Return the metrics of each evaluation; rows of earlier versions have none."""
    found, points = row.get("metrics"), len(row["curve"])
    if isinstance(found, list) and len(found) == points and all(isinstance(m, dict) for m in found):
        return found
    return [{}] * points


def _row(points: Sequence[EvalPoint], outcome: Outcome) -> dict[str, Any]:
    return {
        "outcome": outcome.kind,
        "steps": outcome.steps,
        "duration_s": round(outcome.elapsed_s, 3),
        "reason": outcome.reason,
        "curve": [[p.step, list(p.returns)] for p in points],
        "metrics": [{name: float(value) for name, value in p.metrics.items()} for p in points],
    }


def _confirm_run(spec: RunSpec, row: Mapping[str, Any]) -> ConfirmRun:
    from tuner.result.confirmation import ConfirmRun
    from tuner.result.curve import CurvePoint

    curve = tuple(
        CurvePoint(int(step), tuple(returns), metrics)
        for (step, returns), metrics in zip(row["curve"], row["metrics"], strict=True)
    )
    outcome, reason = row["outcome"], row["reason"]
    return ConfirmRun(
        "verdict", spec.run_id.replicate, spec.seed, outcome, curve, row["steps"], row["duration_s"], reason
    )
