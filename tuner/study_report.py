"""A study's report on disk, with the export and the commands that only the study's storage and folder tell."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tuner.collecting import no_collecting
from tuner.errors import InputError
from tuner.plan.command_lines import recipe_command, study_commands
from tuner.plan.naming import file_name
from tuner.plan.recipe import from_mapping
from tuner.result.agents import KeptAgent, Place
from tuner.result.study import StudyData
from tuner.zoo.write import export_of, write_export


@dataclass(frozen=True)
class ReportPaths:
    """What was written about a study: the page, and ``best.yaml`` unless no trial has completed."""

    page: Path
    best_yaml: Path | None


@no_collecting()
def write_study_report(
    data: StudyData, storage: str, report_dir: Path, agents: Mapping[Place, KeptAgent]
) -> ReportPaths:
    """Write ``index.html``, ``report.json``, ``trials.csv`` and ``best.yaml`` into ``report_dir/<study>``.

    Args:
        data: The study.
        storage: Its storage URL, shown in commands with the password masked.
        report_dir: Folder of all reports.
        agents: Those that are there of its verdict.

    Raises:
        InputError: The folder cannot be written.
    """
    from tuner.report.pages.study import write_report  # brings plotly

    folder = report_dir / file_name(data.name)
    best_path: Path | None = None
    text: str | None = None
    export = export_of(data)
    if export is not None:
        best_path, text = folder / "best.yaml", export.text
        try:
            write_export(export, best_path)
        except OSError as error:
            raise InputError(
                f"{best_path} cannot be written: {error.strerror or error}. Choose a folder with --report-dir."
            ) from error
    commands = {}
    if data.recipe:
        recipe = from_mapping({**data.recipe, "storage": None})
        commands = study_commands(recipe, data.name, storage, str(best_path) if best_path else None)
        wider = dataclasses.replace(recipe, space=str(folder / "wider.yaml"), study=None)
        commands["wider"] = recipe_command(wider, data.name, storage)
    return ReportPaths(write_report(data, folder, best_yaml=text, commands=commands, agents=agents), best_path)
