"""``tune paper``: a study's verdict or a comparison as figures, tables, methods and raw data for a publication."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tuner.cli.console import say
from tuner.cli.parser import add_command, add_storage
from tuner.errors import InputError
from tuner.optional import require
from tuner.plan.naming import file_name

#: What the folder of a comparison, a sweep or a report holds, the first that is there.
DOCUMENTS = ("comparison.json", "sweep.json", "report.json")

#: What goes into the archive of raw data where it is there.
RAW = (*DOCUMENTS, "runs.jsonl", "trials.csv", "best.yaml")

_HELP = "write vector figures, tables, methods, references and raw data of a study or a comparison"


def add_to(commands: Any) -> None:
    """Add the command."""
    paper = add_command(commands, "paper", command, _HELP)
    paper.add_argument(
        "source",
        metavar="STUDY|DIR",
        help="Name of a study with a verdict, or the folder that tune compare or tune sweep wrote",
    )
    paper.add_argument(
        "-o", "--output", metavar="DIR", help="Folder of the files (default: reports/STUDY/paper or DIR/paper)"
    )
    add_storage(paper)


def command(parsed: argparse.Namespace) -> int:
    """Write the files and say where they are."""
    require("matplotlib", purpose="tune paper", extra="paper")
    from tuner.paper.content import paper_of
    from tuner.paper.files import paper_files, write_paper

    source, given = parsed.source, Path(parsed.source)
    if given.is_dir():
        document, raw = _read(given)
        folder = given / "paper"
    else:
        document, raw = _of_study(source, parsed.storage)
        folder = Path("reports") / file_name(source) / "paper"
    folder = folder if parsed.output is None else Path(parsed.output)
    try:
        paper = paper_of(document)
    except InputError as error:
        raise InputError(f"{source}: {error}") from error
    files = paper_files(paper, raw)
    write_paper(files, folder)
    figures = sorted(name for name in files if name.endswith(".pdf"))
    say(f"Figures: {', '.join(figures)} (and as SVG)")
    say("Tables: table.tex, hyperparameters.tex; as data: table.csv, scores.csv, data.zip")
    say("Text: methods.tex (methods.md), references.bib; main.tex puts all of it on pages")
    say(f"Folder: {folder}")
    return 0


def _read(folder: Path) -> tuple[Mapping[str, Any], dict[str, bytes]]:
    name = next((name for name in DOCUMENTS if (folder / name).is_file()), None)
    if name is None:
        raise InputError(
            f"{folder} holds none of {', '.join(DOCUMENTS)}. Name a study, or the folder that tune compare or tune "
            "sweep wrote."
        )
    try:
        raw = {each: (folder / each).read_bytes() for each in RAW if (folder / each).is_file()}
        document = json.loads(raw[name])
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{folder / name} cannot be read: {error}.") from error
    if not isinstance(document, dict):
        raise InputError(f"{folder / name} is no document of tune.")
    return document, raw


def _of_study(name: str, storage: str | None) -> tuple[Mapping[str, Any], dict[str, bytes]]:
    from tuner.report.pages.document import report_document
    from tuner.report.tables.trials import trials_csv
    from tuner.study.reading.study import load
    from tuner.zoo.write import export_of

    data = load(name, storage)
    export = export_of(data)
    best = None if export is None else export.text
    # Dated by its data: the same study is the same file.
    ends = [trial.finished for trial in data.trials if trial.finished is not None]
    if not ends:
        raise InputError(f"{name}: no trial has ended yet, so there is nothing to publish.")
    document = report_document(data, best_yaml=best, commands={}, written=max(ends))
    raw = {"report.json": json.dumps(document, allow_nan=False, ensure_ascii=False).encode("utf-8", "backslashreplace")}
    raw["trials.csv"] = trials_csv(data).encode("utf-8", "backslashreplace")
    if best is not None:
        raw["best.yaml"] = best.encode()
    return document, raw
