"""``tune compare``: the same hyperparameters trained by both backends, with intervals on what differs."""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuner.cli.console import say
from tuner.cli.parser import add_command, whole_number
from tuner.cli.recipe_flags import add_field, settings
from tuner.cli.train_commands import plan_training
from tuner.durable import append_line, check_writable
from tuner.errors import InputError, StudyFailedError
from tuner.plan.naming import safe_name

if TYPE_CHECKING:
    from tuner.contract.outcome import EvalPoint, Outcome
    from tuner.contract.spec import RunSpec
    from tuner.hyperparameters import Backend, Hyperparameters
    from tuner.plan.resolve import StudyPlan
    from tuner.result.confirmation import ConfirmRun

_COMPARE = "compare"

#: Settings of a search that a comparison has too, with their own words where the search's do not fit.
COMPARE_SETTINGS = {
    "env": "Gymnasium environment id, or module:Id (default: the file's)",
    "set": "Set a hyperparameter, over the file (may be repeated)",
    "steps": "Environment steps of each run (default: the file's)",
    "evaluations": None,
    "eval_episodes": None,
    "seed": "Source of all randomness (default: 0)",
    "env_arg": None,
    "env_module": None,
    "device": None,
    "workers": None,
    "lanes": "Native runs trained together in each worker",
    "executor": None,
    "quiet": None,
}

#: Runs of finished trainings, one JSON line each: the same command carries on.
RUNS = "runs.jsonl"

#: Most lanes of a native worker unless --lanes says more.
LANES = 16


def add_to(commands: Any) -> None:
    """Add the command."""
    compare = add_command(commands, "compare", command, "train the same values with both backends and compare them")
    compare.add_argument("config", metavar="FILE", help="Values from a YAML: an export of tune, or RL Zoo's own file")
    for name, help in COMPARE_SETTINGS.items():
        add_field(compare, name, _COMPARE, help)
    compare.add_argument("--seeds", metavar="N", default="10", help="Runs of each backend (default: 10)")
    compare.add_argument(
        "-o", "--output", metavar="DIR", help="Folder of the page (default: reports/compare-<algo>-<env>)"
    )


def command(parsed: argparse.Namespace) -> int:
    """Train what is missing, compare, write the page."""
    from tuner.report.pages.comparison import comparison_document, write_comparison
    from tuner.study.search.provenance import provenance

    seeds = whole_number(parsed.seeds, "--seeds", 1, 10_000)
    plan, hyperparameters = plan_training(settings(parsed, _COMPARE), parsed.config)
    specs = comparison_specs(plan, hyperparameters, seeds)
    name = safe_name(f"compare-{plan.algorithm}-{plan.env.id}")
    folder = Path(parsed.output) if parsed.output is not None else Path("reports") / name
    check_writable(folder, f"-o {folder}")
    folder.mkdir(parents=True, exist_ok=True)
    runs: dict[str, list[ConfirmRun]] = {}
    for backend, members in specs.items():
        done = _train(dataclasses.replace(plan, backend=backend), members, folder)
        if done is None:
            say("Interrupted; the same command carries on.", stderr=True)
            return 130
        runs[backend] = done
    first = specs["native"][0]
    asked = {key: value for key, value in first.describe().items() if key not in ("backend", "seed")}
    facts = {
        **asked,
        "seeds": seeds,
        "evaluation": {"grid": list(first.grid), **dataclasses.asdict(first.evaluation)},
    }
    where = provenance(numeric_path=plan.numeric_path)
    document = comparison_document(facts, runs, provenance=where)
    page = write_comparison(document, folder)
    say("\n".join(document["words"]))
    say(f"Page: {page}")
    if not document["differences"]:
        raise StudyFailedError(f"There is nothing to compare. Page: {page}")
    return 0


def comparison_specs(plan: StudyPlan, hyperparameters: Hyperparameters, seeds: int) -> dict[Backend, list[RunSpec]]:
    """Return the runs of each backend: the same seeds, the same evaluation episodes, those of a verdict.

    Raises:
        InputError: Stable-Baselines3 cannot train these hyperparameters.
    """
    from tuner.contract.spec import RunId
    from tuner.hyperparameters import BACKENDS, algorithm_class
    from tuner.seeding import evaluation_seed, run_seed
    from tuner.training.registry import check_trainable

    for backend, name in BACKENDS.items():
        if backend not in algorithm_class(plan.algorithm).backends():
            who = name[0].upper() + name[1:]
            raise InputError(f"{who} does not train {plan.algorithm}, so there is nothing to compare with.")
        check_trainable(backend, hyperparameters)
    study_seed, version = plan.seed, plan.rules.evaluation_seeds
    evaluations = [
        dataclasses.replace(plan.evaluation, seed=evaluation_seed(study_seed, "verdict", version, i))
        for i in range(seeds)
    ]
    specs = {}
    for backend in BACKENDS:
        specs[backend] = [
            dataclasses.replace(
                plan.run_spec(RunId(0, i), hyperparameters, run_seed(study_seed, "verdict", 0, i)),
                backend=backend,
                evaluation=evaluations[i],
            )
            for i in range(seeds)
        ]
    return specs


def _train(plan: StudyPlan, specs: Sequence[RunSpec], folder: Path) -> list[ConfirmRun] | None:
    """Return all runs in order of seeds, training those that the folder does not hold; None when interrupted."""
    from tuner.cli.batch_progress import BatchProgress
    from tuner.cli.progress import progress_view
    from tuner.execution.choose import interruptible, make_executor
    from tuner.training.batch import RunBatch

    stored = read_runs(folder / RUNS)
    there = {spec.run_id: stored[name]["outcome"] for spec in specs if (name := signature(spec)) in stored}
    missing = [spec for spec in specs if spec.run_id not in there]
    backend, recipe = plan.backend, plan.recipe
    if missing:
        lanes = recipe.lanes or min(LANES, -(-len(missing) // plan.workers))
        plan = dataclasses.replace(plan, lanes=lanes)
        plan = dataclasses.replace(plan, lanes=plan.side_by_side)
        view = progress_view(quiet=recipe.quiet)
        progress = BatchProgress(f"compare, {backend}", view, specs, tuple(there.values()))

        def on_end(spec: RunSpec, points: Sequence[EvalPoint], outcome: Outcome) -> None:
            row = _row(points, outcome)
            stored[signature(spec)] = row
            append_line(folder / RUNS, json.dumps({"signature": signature(spec), **row}).encode(), 0o644)
            progress.ended(outcome)

        batch = RunBatch(missing, on_end, lambda: progress.draw(batch.training))
        progress.start()
        try:
            with interruptible(batch):
                make_executor(plan).run(batch)
        finally:
            progress.finish()
        if batch.interrupted:
            return None
    return [_confirm_run(spec, i, stored[signature(spec)]) for i, spec in enumerate(specs)]


def signature(spec: RunSpec) -> str:
    """Return what names a run across commands: everything that its result depends on, but for versions."""
    values = dataclasses.asdict(spec) | {"run_id": None, "hyperparameters": spec.hyperparameters.to_mapping()}
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()[:24]


def read_runs(path: Path) -> dict[str, dict[str, Any]]:
    """Return stored runs by signature; a line cut short by a kill, no JSON any more, is passed over.

    Raises:
        InputError: The file is not one of ours.
    """
    if not path.exists():
        return {}
    runs = {}
    for i, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines()):
        try:
            row = json.loads(line)
        except ValueError:
            continue
        try:
            runs[row["signature"]] = {key: row[key] for key in ("outcome", "steps", "duration_s", "reason", "curve")}
        except (KeyError, TypeError):
            raise InputError(f"{path}:{i + 1} is not a run of tune compare. Choose another folder with -o.") from None
    return runs


def _row(points: Sequence[EvalPoint], outcome: Outcome) -> dict[str, Any]:
    return {
        "outcome": outcome.kind,
        "steps": outcome.steps,
        "duration_s": round(outcome.elapsed_s, 3),
        "reason": outcome.reason,
        "curve": [[p.step, list(p.returns)] for p in points],
    }


def _confirm_run(spec: RunSpec, replicate: int, row: Mapping[str, Any]) -> ConfirmRun:
    from tuner.result.confirmation import ConfirmRun
    from tuner.result.curve import CurvePoint

    curve = tuple(CurvePoint(int(step), tuple(returns)) for step, returns in row["curve"])
    return ConfirmRun(
        "verdict", replicate, spec.seed, row["outcome"], curve, row["steps"], row["duration_s"], row["reason"]
    )
