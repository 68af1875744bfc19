"""``tune list``, ``show``, ``report`` and ``export``: what is in the database."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuner.cli.confirm_command import verdict_lines
from tuner.cli.console import NARROWEST, aligned, console, decimal, one_line, print_table, say, table
from tuner.cli.parser import add_command, add_storage, add_wrapper, whole_number
from tuner.cli.progress import counts_text
from tuner.cli.trial_table import SHOWN_TRIALS, trial_tables
from tuner.collecting import no_collecting
from tuner.durations import show_duration
from tuner.envs.wrapper_names import canonicals
from tuner.errors import InputError
from tuner.plan.naming import file_name
from tuner.result.agents import AGENTS, KeptAgent, Place, best_and_median
from tuner.result.sampled import field_of
from tuner.storage_url import default_storage, mask
from tuner.text import counted, env_title, number, plain

if TYPE_CHECKING:
    from tuner.result.study import StudyData


def add_to(commands: Any) -> None:
    """Add the commands."""
    lister = add_command(commands, "list", list_command, "list the studies of a database")
    add_storage(lister)
    lister.add_argument("--json", action="store_true", help="as data, a list with an entry for each study")

    show = add_command(commands, "show", show_command, "show what a study has found")
    _add_study(show)
    show.add_argument("--all", action="store_true", help=f"every trial, not the best {SHOWN_TRIALS} only")
    data = show.add_mutually_exclusive_group()
    data.add_argument("--json", action="store_true", help="study, summary and all trials as report.json has them")
    data.add_argument("--csv", action="store_true", help="all trials as trials.csv has them")

    report = add_command(commands, "report", report_command, "write a study's report again")
    _add_study(report)
    report.add_argument("--report-dir", metavar="DIR", default="reports", help="Folder of reports (default: reports)")

    export = add_command(
        commands, "export", export_command, "print or write a trial's values as RL Zoo's YAML, or an agent as SB3's zip"
    )
    export.add_argument("study", metavar="STUDY", nargs="?", help="Name of the study, as tune list shows it")
    add_storage(export)
    export.add_argument("--trial", metavar="N", help="Which trial (default: the best)")
    export.add_argument(
        "--model", metavar="DIR", help="Instead of a study's values: the agent that tune train saved in DIR, as a zip"
    )
    export.add_argument("--best", action="store_true", help="with --model: of the best evaluation, not the last")
    export.add_argument(
        "--env-module", metavar="FILE|NAME", help="with --model: file or module that registers its environment"
    )
    add_wrapper(export, "with --model: its wrappers that you trust, where no known package holds them")
    export.add_argument(
        "-o", "--output", metavar="FILE", help="Write to a file (default: stdout; with --model DIR/model.zip)"
    )


def _add_study(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("study", metavar="STUDY", help="Name of the study, as tune list shows it")
    add_storage(parser)


def list_command(parsed: argparse.Namespace) -> int:
    """Print one line for each study."""
    from tuner.study.reading.summaries import list_studies

    studies = list_studies(parsed.storage)
    if parsed.json:
        say(json.dumps(plain([dataclasses.asdict(study) for study in studies]), ensure_ascii=False))
        return 0
    if not studies:
        say(f"There are no studies in {mask(parsed.storage or default_storage())} yet.", stderr=True)
        return 0
    rows = table(
        "study", "environment", "algorithm", "backend", "trials", "best", "started", "at work", right=("trials", "best")
    )
    for study in studies:
        asked = "" if study.asked is None or study.asked < study.trials else f"/{study.asked}"
        started = study.started.astimezone().strftime("%Y-%m-%d %H:%M") if study.started else "-"
        texts = map(one_line, (study.name, study.env, study.algo, study.backend))
        owners = one_line(", ".join(study.owners)) or "-"
        rows.add_row(*texts, f"{study.trials}{asked}", decimal(study.best), started, owners)
    print_table(rows)
    return 0


def show_command(parsed: argparse.Namespace) -> int:
    """Print a study's state, its best trials and what mattered."""
    from tuner.study.reading.study import load

    data = load(parsed.study, parsed.storage)
    if parsed.json or parsed.csv:
        return _print_data(data, as_json=parsed.json)
    say("\n".join(_summary(data)))
    out = console()
    if data.importance:
        say(f"\nimportance for the score ({data.importance_trials} completed trials)")
        told = {one_line(field_of(name)): found for name, found in data.importances.items()}
        for name, found in told.items():
            if found.share > found.noise:
                share, low, high = (f"{100 * each:.0f}" for each in (found.share, found.low, found.high))
                say(f"  {share:>3} %  {name} (95 % interval {low} to {high} %)")
        if noise := [name for name, found in told.items() if found.share <= found.noise]:
            say(f"  no more than noise: {', '.join(noise)}")
    if data.trials:
        out.width = max(out.width, NARROWEST)
        out.print(*trial_tables(data, everything=parsed.all, width=out.width), sep="\n")
    return 0


def _print_data(data: StudyData, *, as_json: bool) -> int:
    """Print a study for programs."""
    if as_json:
        from tuner.report.tables.plain import study_document

        say(json.dumps(plain(study_document(data)), allow_nan=False, ensure_ascii=False))
    else:
        from tuner.report.tables.trials import trials_csv

        say(trials_csv(data), end="")
    return 0


def _summary(data: StudyData) -> list[str]:
    recipe = data.recipe
    counts = {kind: data.count(kind) for kind in ("completed", "pruned", "diverged", "timed_out", "failed")}
    running = data.count("running")
    facts: dict[str, str] = {"study": data.name}
    if recipe:
        facts["environment"] = env_title(recipe)
        facts["trainer"] = f"{recipe.get('algo', '')}, {recipe.get('backend', '')}"
        facts["search"] = f"space {recipe.get('space')}, sampler {recipe.get('sampler')}, pruner {recipe.get('pruner')}"
    if data.grid:
        facts["each run"] = f"{data.grid[-1]:,} {data.clock}, {counted(len(data.grid), 'evaluation')}"
    there, asked = sum(counts.values()), recipe.get("trials")
    of = f" of {asked}" if asked and asked >= there else ""
    facts["trials"] = f"{there}{of} ({counts_text(counts)})" + (f", {running} running" if running else "")
    facts["spent"] = (
        f"{data.steps_spent:,} {data.clock}, {show_duration(sum(t.duration_s for t in data.trials))} of training"
        + (f"; {data.steps_saved:,} steps saved by stopping early" if data.grid and data.steps_saved else "")
    )
    lines = aligned(facts, indent="")
    if data.best is None:
        return [*lines, "No trial has completed yet."]
    chosen = data.chosen or data.best
    values = {one_line(k): v for k, v in (chosen.hyperparameters or chosen.params).items()}
    return [*lines, "", *verdict_lines(data), *_agents(data), f"values of trial {chosen.number}:", *aligned(values)]


def _agents(data: StudyData) -> list[str]:
    """Return where the agents of a verdict lie, by their seeds alone: reading them whole takes too long."""
    confirmation, where = data.confirmation, data.recipe.get("report_dir")
    if confirmation is None or confirmation.winner is None or not confirmation.complete or not isinstance(where, str):
        return []
    folder, found = Path(where) / file_name(data.name) / AGENTS, []
    for place, run in best_and_median(confirmation.winner, confirmation.objective).items():
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError, RecursionError):
            if json.loads((folder / place / "model.json").read_text(encoding="utf-8"))["seed"] == run.seed:
                found.append(str(folder / place))
    return [f"agents: {one_line(', '.join(found))}"] if found else []


def report_command(parsed: argparse.Namespace) -> int:
    """Write the report and say where it is."""
    from tuner.study.reading.study import load
    from tuner.study_report import write_study_report

    with no_collecting():
        data = load(parsed.study, parsed.storage)
        folder = Path(parsed.report_dir)
        report = folder / file_name(data.name)
        agents: Mapping[Place, KeptAgent] = {}
        if (report / AGENTS).is_dir():
            from tuner.study.upkeep.keep_agents import kept_agents  # brings Gymnasium: half a second

            agents = kept_agents(data.confirmation, report)
        paths = write_study_report(data, parsed.storage or default_storage(), folder, agents)
    say(paths.page)
    return 0


def export_command(parsed: argparse.Namespace) -> int:
    """Print or write a trial as YAML, or an agent as a zip."""
    if (parsed.model is None) == (parsed.study is None):
        raise InputError("tune export takes a STUDY, or --model DIR.")
    if parsed.model is not None:
        return _export_model(parsed)
    from tuner.study.reading.study import load
    from tuner.zoo.write import export_trial, write_export

    number_ = None if parsed.trial is None else whole_number(parsed.trial, "--trial", 0)
    export = export_trial(load(parsed.study, parsed.storage), number_)
    if export.reason:
        say(f"Not in RL Zoo's format: {export.reason}", stderr=True)
    if parsed.output is None:
        say(export.text, end="")
    else:
        try:
            write_export(export, Path(parsed.output))
        except OSError as error:
            raise InputError(f"-o {parsed.output} cannot be written: {error.strerror or error}.") from error
        say(f"{parsed.output}: trial {export.trial}")
    if export.seconds:
        say(f"One training run of trial {export.trial} took {number(export.seconds, 3)} s of a worker.", stderr=True)
    return 0


def _export_model(parsed: argparse.Namespace) -> int:
    if parsed.trial is not None or parsed.storage is not None:
        raise InputError("--trial and --storage belong to a study; --model DIR names the agent itself.")
    folder = Path(parsed.model)
    from tuner.training.saved.model_zip import ZIP
    from tuner.training.sb3.write_zip import write_zip

    written = write_zip(
        folder,
        Path(parsed.output or folder / ZIP),
        parsed.env_module,
        best=parsed.best,
        wrapper=canonicals(parsed.wrapper),
    )
    for line in written.notes:
        say(line, stderr=True)
    say(f"{written.path}: {written.sb3_class}.load reads it")
    if written.statistics is not None:
        say(f"{written.statistics}: VecNormalize.load reads it")
    return 0
