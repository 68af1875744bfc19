"""``tune compare`` over several settings and ``tune sweep``: trained side by side on the same seeds, one page."""

from __future__ import annotations

import argparse
import dataclasses
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuner.cli.console import INTERRUPTED, say
from tuner.cli.paired_runs import paired_specs, train_missing
from tuner.cli.parser import add_command, whole_number
from tuner.cli.recipe_flags import add_field, settings
from tuner.cli.sweep_tables import TABLES, first_tables, keep_first
from tuner.cli.train_commands import plan_runs, read_values
from tuner.cli.vary import check_count, read_vary, varied
from tuner.durable import check_writable, make_folder, said_of
from tuner.errors import InputError, StudyFailedError
from tuner.plan.naming import safe_name
from tuner.zoo.environments import FLATTEN_WRAPPER

if TYPE_CHECKING:
    from tuner.hyperparameters import Hyperparameters
    from tuner.plan.resolve import StudyPlan
    from tuner.report.pages.settings import Page

_SWEEP = "sweep"

#: Settings of a search that a sweep has too, with their own words where the search's do not fit.
SWEEP_SETTINGS = {
    "env": "Gymnasium environment id, or module:Id (default: --config's)",
    "algo": None,
    "backend": None,
    "set": "Set another hyperparameter, over --config (may be repeated)",
    "steps": "Environment steps of each run (default: --config's, else the default search space's budget)",
    "evaluations": None,
    "eval_episodes": None,
    "seed": "Source of all randomness (default: 0)",
    "env_arg": None,
    "env_module": None,
    "pixels": None,
    "frame_stack": None,
    "discretize": None,
    "wrapper": None,
    "device": None,
    "workers": None,
    "lanes": "Native runs trained together in each worker",
    "executor": None,
    "quiet": None,
}

VARY_HELP = "Values of a hyperparameter; given twice: every combination (at most 64)"


def add_to(commands: Any) -> None:
    """Add ``tune sweep``."""
    sweep = add_command(commands, _SWEEP, sweep_command, "show what one hyperparameter does, or two, on one page")
    for name, help in SWEEP_SETTINGS.items():
        add_field(sweep, name, _SWEEP, help)
        if name == "env":
            sweep.add_argument("--vary", metavar="FIELD=V1,V2,...", action="append", help=VARY_HELP)
            sweep.add_argument("--config", metavar="FILE", help="Values around which to vary (default: the defaults)")
    sweep.add_argument("--seeds", metavar="N", default="5", help="Runs of each value (default: 5)")
    sweep.add_argument(
        "-o", "--output", metavar="DIR", help="Folder of the page (default: reports/sweep-<algo>-<env>-<field>)"
    )


def sweep_command(parsed: argparse.Namespace) -> int:
    """Train what is missing and write the page."""
    seeds = whole_number(parsed.seeds, "--seeds", 1, 10_000)
    if not parsed.vary:
        raise InputError("--vary is missing: which hyperparameter, such as --vary learning_rate=1e-4,1e-3.")
    files = [] if parsed.config is None else [parsed.config]
    return compare_settings("sweep", settings(parsed, _SWEEP), files, parsed.vary, seeds, parsed.output)


def compare_settings(
    page: Page, asked: dict[str, Any], files: Sequence[str], vary: Sequence[str], seeds: int, output: str | None
) -> int:
    """Train what is missing of all settings, write the page, say what it found.

    Args:
        page: Which page.
        asked: Settings of the command line, by name.
        files: Files of settings; the defaults where there is none.
        vary: ``--vary`` as written; empty where there are several files.
        seeds: Runs of each setting.
        output: ``-o``, or None.

    Raises:
        InputError: A value, a file or the environment cannot be used.
        StudyFailedError: No run completed.
    """
    from tuner.report.pages.settings import OBJECTIVE, settings_document, write_settings
    from tuner.study.search.provenance import provenance

    plan, every, values = plan_settings(asked, files, vary)
    name = "compare" if page == "comparison" else page
    folder = Path(output) if output is not None else Path("reports") / _folder(name, plan, values or every)
    check_writable(folder, f"-o {folder}")
    make_folder(folder)
    specs = keep_first(plan, paired_specs(plan, list(every.values()), seeds))
    done = train_missing(name, plan, specs, folder, folder.absolute() / TABLES)
    if done is None:
        say("Interrupted; the same command carries on.", stderr=True)
        return INTERRUPTED
    first = specs[0][0]
    run = {
        "env": first.env.id,
        **first.env.changes(),
        "algorithm": plan.algorithm,
        "backend": plan.backend,
        "clock": plan.clock,
        "n_timesteps": first.n_timesteps,
        "seeds": seeds,
        "evaluation": {"grid": list(first.grid), **dataclasses.asdict(first.evaluation)},
        "reward_threshold": plan.facts.reward_threshold,
    }
    document = settings_document(
        run,
        {label: hyperparameters.to_mapping() for label, hyperparameters in every.items()},
        dict(zip(every, done, strict=True)),
        vary=values,
        tables=first_tables(plan, specs, folder),
        provenance=provenance(numeric_path=plan.numeric_path),
    )
    with said_of(folder, "Its runs are kept: the same command writes the page."):
        written = write_settings(document, folder, page)
    say("\n".join(document["words"]))
    say(f"Page: {written}\nTable to paste: {written.with_suffix('.md')}")
    say(f"Figures and tables for print: {shlex.join(['tune', 'paper', str(folder)])}")
    if not any(OBJECTIVE in setting["estimates"] for setting in document["settings"]):
        raise StudyFailedError(f"No run has completed. Page: {written}")
    return 0


def plan_settings(
    asked: dict[str, Any], files: Sequence[str], vary: Sequence[str]
) -> tuple[StudyPlan, dict[str, Hyperparameters], dict[str, list[Any]]]:
    """Return the surroundings of all runs, label to hyperparameters, and the values of varied fields.

    Raises:
        InputError: Something cannot be used, or is not the same for all.
    """
    from tuner.training.registry import check_trainable

    if again := next((file for i, file in enumerate(files) if file in files[:i]), None):
        raise InputError(f"{again} is there twice. Leave one out.")
    read = [read_values(asked, file) for file in files] or [read_values(asked, None)]
    surroundings, base, _ = read[0]
    check_count(len(read))
    values = read_vary(surroundings["algo"], vary)
    if fixed := next((name for name in values if name in asked.get("set", {})), None):
        raise InputError(f"{fixed} is both in --set and in --vary. Leave one out.")
    if values:
        every = varied(base, values)
    else:
        _check_same(files, [given.surroundings for given in read])
        every = dict(zip(_labels(files), (given.values for given in read), strict=True))
    policies = {file: policy for given in read for file, policy in given.policies.items()}
    plan, hyperparameters = plan_runs(surroundings, list(every.values()), policies)
    named = dict(zip(every, hyperparameters, strict=True))
    for label, found in named.items():
        check_trainable(plan.backend, found)
        twin = next(other for other in named if named[other] == found)
        if twin != label:
            raise InputError(f"{twin} and {label} are the same setting. Leave one out.")
    return plan, named, values


#: What must be the same for all settings, and how to make it so.
_SAME = {
    "algo": "Compare files of one algorithm.",
    "env": "Say --env ID for all.",
    "steps": "Say --steps N for all.",
    "env_arg": "Say --env-arg KEY=VALUE for all.",
    "pixels": "Compare files that agree.",
    "frame_stack": "Say --frame-stack N for all.",
    "discretize": "Say --discretize N for all.",
    "wrapper": "Say --wrapper NAME for all.",
}


def _check_same(files: Sequence[str], surroundings: Sequence[Mapping[str, Any]]) -> None:
    for file, other in zip(files, surroundings, strict=True):
        for name, remedy in _SAME.items():
            # Observations are flattened here anyway: exports name that wrapper alone where RL Zoo would not.
            first, own = (() if each[name] == (FLATTEN_WRAPPER,) else each[name] for each in (surroundings[0], other))
            if own != first:
                raise InputError(
                    f"{files[0]} and {file} differ in {name.replace('_', '-')}: {surroundings[0][name]} and "
                    f"{other[name]}. {remedy}"
                )


def _labels(files: Sequence[str]) -> list[str]:
    """Return what files are called: their names where these differ, else their paths."""
    stems = [Path(file).stem for file in files]
    return stems if len(set(stems)) == len(stems) else [str(file) for file in files]


def _folder(name: str, plan: StudyPlan, what: Mapping[str, Any]) -> str:
    """Return the folder's name: the same for other values of the same fields, which share their runs."""
    backend = "" if plan.backend == "native" else f"-{plan.backend}"
    return safe_name(f"{name}-{plan.algorithm}{backend}-{plan.env.id}-{'-'.join(what)}")[:128]
