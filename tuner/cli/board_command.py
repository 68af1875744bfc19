"""``tune board``: all studies of a database, and reports from elsewhere, on one page."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tuner.cli.console import say
from tuner.cli.parser import add_command, add_storage
from tuner.errors import InputError
from tuner.plan.naming import file_name
from tuner.storage_url import default_storage, mask


def add_to(commands: Any) -> None:
    """Add the command."""
    board = add_command(commands, "board", command, "all studies on one page: verdicts, baselines, cost")
    board.add_argument(
        "reports", metavar="REPORT", nargs="*", help="report.json files of studies elsewhere, or folders that hold one"
    )
    add_storage(board)
    board.add_argument("--report-dir", metavar="DIR", default="reports", help="Folder of reports (default: reports)")
    board.add_argument("-o", "--output", metavar="FILE", help="The page (default: board.html in the folder of reports)")
    board.add_argument("--json", action="store_true", help="Print the rows instead of writing a page")


def command(parsed: argparse.Namespace) -> int:
    """Write the page and say where it is, or print the rows."""
    from tuner.report.numbers.board import ranked
    from tuner.report.pages.board import board_document, write_board

    reports = Path(parsed.report_dir)
    page = Path(parsed.output) if parsed.output is not None else reports / "board.html"
    if not parsed.json and (page.suffix not in (".html", ".htm") or page.is_dir()):
        raise InputError(f"-o {page}: a board is a page; name a file that ends in .html.")
    given: list[dict[str, Any]] = []
    told: list[dict[str, Any]] = []
    for name in parsed.reports:
        row = _of_report(Path(name), page.parent)
        if _facts(row) not in told:
            given, told = [*given, row], [*told, _facts(row)]
    stored = _of_database(parsed.storage, reports, page.parent, alone=not given)
    rows = ranked([*(row for row in stored if _facts(row) not in told), *given])
    document = board_document(rows)
    if parsed.json:
        say(json.dumps(document, allow_nan=False, ensure_ascii=False))
        return 0
    if not rows:
        say(f"There are no studies in {mask(parsed.storage or default_storage())} yet.", stderr=True)
        return 0
    try:
        page.parent.mkdir(parents=True, exist_ok=True)
        write_board(document, page)
    except OSError as error:
        raise InputError(f"{page} cannot be written: {error.strerror or error}. Choose a file with -o.") from error
    say(page)
    return 0


def _facts(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is equal in a report and in the study that it is of."""
    return {name: value for name, value in row.items() if name not in ("source", "page", "film")}


def _of_database(storage: str | None, reports: Path, beside: Path, *, alone: bool) -> list[dict[str, Any]]:
    """Return the database's studies; where there is no default database, that is no mistake beside reports."""
    from tuner.report.numbers.board import board_row
    from tuner.report.numbers.evidence import evidence
    from tuner.report.tables.plain import study_document
    from tuner.study.reading.study import load
    from tuner.study.reading.summaries import list_studies
    from tuner.text import plain

    try:
        names = [study.name for study in list_studies(storage)]
    except InputError:
        if storage is None and not alone:
            return []
        raise
    found = []
    for name in names:
        data = load(name, storage, importances=False)
        if not data.recipe:  # another program's study
            continue
        document = plain({**study_document(data), "evidence": evidence(data, brief=True)})
        row = board_row(document, mask(storage or default_storage()))
        found.append({**row, **_links(reports / file_name(name), beside)})
    return found


def _of_report(given: Path, beside: Path) -> dict[str, Any]:
    from tuner.plan.imported import no_report, read_report
    from tuner.report.numbers.board import board_row

    path = given / "report.json" if given.is_dir() else given
    try:
        row = board_row(read_report(path), str(path))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise no_report(path) from error
    return {**row, **_links(path.parent, beside)}


def _links(folder: Path, beside: Path) -> dict[str, str | None]:
    """Return the addresses of a study's page and film as seen from the board; None where there is none."""
    files = {"page": folder / "index.html", "film": folder / "agent" / "video.mp4"}
    return {
        name: quote(os.path.relpath(file, beside).replace(os.sep, "/")) if file.is_file() else None
        for name, file in files.items()
    }
