"""``tune compare``: one setting by both backends, or several settings by one, with intervals on what differs."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuner.cli.console import INTERRUPTED, say
from tuner.cli.paired_runs import paired_specs, train_missing
from tuner.cli.parser import add_command, whole_number
from tuner.cli.recipe_flags import add_field, settings
from tuner.cli.settings_commands import VARY_HELP, compare_settings
from tuner.cli.train_commands import plan_training
from tuner.durable import check_writable, make_folder, said_of
from tuner.errors import InputError, StudyFailedError
from tuner.hyperparameters import BACKENDS
from tuner.plan.naming import safe_name

if TYPE_CHECKING:
    from tuner.contract.spec import RunSpec
    from tuner.hyperparameters import Backend, Hyperparameters
    from tuner.plan.resolve import StudyPlan
    from tuner.result.confirmation import ConfirmRun

_COMPARE = "compare"

#: Settings of a search that a comparison has too, with their own words where the search's do not fit.
COMPARE_SETTINGS = {
    "env": "Gymnasium environment id, or module:Id (default: the file's)",
    "algo": "Whose values a file in RL Zoo's form holds (default: dqn)",
    "set": "Set a hyperparameter, over the file (may be repeated)",
    "steps": "Environment steps of each run (default: the file's)",
    "evaluations": None,
    "eval_episodes": None,
    "seed": "Source of all randomness (default: 0)",
    "env_arg": None,
    "env_module": None,
    "frame_stack": None,
    "discretize": None,
    "wrapper": None,
    "device": None,
    "workers": None,
    "lanes": "Native runs trained together in each worker",
    "executor": None,
    "quiet": None,
}


def add_to(commands: Any) -> None:
    """Add the command."""
    compare = add_command(
        commands, "compare", command, "compare settings on the same seeds, or one setting on both backends"
    )
    compare.add_argument(
        "config",
        metavar="FILE",
        nargs="+",
        help="Values from a YAML: an export of tune, or RL Zoo's own file; one alone is trained by both backends",
    )
    compare.add_argument("--vary", metavar="FIELD=V1,V2,...", action="append", help=VARY_HELP)
    compare.add_argument(
        "--backend",
        metavar="native|sb3|both",
        help="Who trains (default: both for one file without --vary, else native)",
    )
    for name, help in COMPARE_SETTINGS.items():
        add_field(compare, name, _COMPARE, help)
    compare.add_argument("--seeds", metavar="N", default="10", help="Runs of each setting (default: 10)")
    compare.add_argument(
        "-o",
        "--output",
        metavar="DIR",
        help="Folder of the page (default: reports/compare-<algo>-<env>, then the files' or fields' names)",
    )


def command(parsed: argparse.Namespace) -> int:
    """Train what is missing, compare, write the page."""
    seeds = whole_number(parsed.seeds, "--seeds", 1, 10_000)
    files, vary, backend = parsed.config, parsed.vary or [], parsed.backend
    if backend not in (None, "both", *BACKENDS):
        raise InputError(f"--backend must be native, sb3 or both, got '{backend}'.")
    if len(files) == 1 and not vary:
        if backend in BACKENDS:
            raise InputError(
                f"{files[0]} alone is trained by both backends. Leave --backend out, or add another file or --vary."
            )
        return _compare_backends(settings(parsed, _COMPARE), files[0], seeds, parsed.output)
    if vary and len(files) > 1:
        raise InputError(f"--vary goes around one setting, got {len(files)} files. Leave out all but one, or --vary.")
    if backend == "both":
        raise InputError("--backend both compares the backends, for one file without --vary. Say native or sb3.")
    asked = {**settings(parsed, _COMPARE), "backend": backend or "native"}
    return compare_settings("comparison", asked, files, vary, seeds, parsed.output)


def _compare_backends(asked: dict[str, Any], file: str, seeds: int, output: str | None) -> int:
    from tuner.report.pages.comparison import comparison_document, write_comparison
    from tuner.study.search.provenance import provenance

    plan, hyperparameters = plan_training(asked, file)
    specs = comparison_specs(plan, hyperparameters, seeds)
    name = safe_name(f"compare-{plan.algorithm}-{plan.env.id}")
    folder = Path(output) if output is not None else Path("reports") / name
    check_writable(folder, f"-o {folder}")
    make_folder(folder)
    runs: dict[str, list[ConfirmRun]] = {}
    for backend, members in specs.items():
        done = train_missing("compare", dataclasses.replace(plan, backend=backend), [members], folder)
        if done is None:
            say("Interrupted; the same command carries on.", stderr=True)
            return INTERRUPTED
        (runs[backend],) = done
    first = specs["native"][0]
    asked = {key: value for key, value in first.describe().items() if key not in ("backend", "seed")}
    facts = {
        **asked,
        "seeds": seeds,
        "evaluation": {"grid": list(first.grid), **dataclasses.asdict(first.evaluation)},
    }
    where = provenance(numeric_path=plan.numeric_path)
    document = comparison_document(facts, runs, provenance=where)
    with said_of(folder, "Its runs are kept: the same command writes the page."):
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
    from tuner.hyperparameters import algorithm_class
    from tuner.training.registry import check_trainable

    for backend, name in BACKENDS.items():
        if backend not in algorithm_class(plan.algorithm).backends():
            who = name[0].upper() + name[1:]
            raise InputError(f"{who} does not train {plan.algorithm}, so there is nothing to compare with.")
        check_trainable(backend, hyperparameters)
    return {
        backend: paired_specs(dataclasses.replace(plan, backend=backend), [hyperparameters], seeds)[0]
        for backend in BACKENDS
    }
