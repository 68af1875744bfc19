"""The HTML report and its machine-readable twins: one page that opens offline, ``report.json`` and ``trials.csv``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tuner.errors import InputError
from tuner.report.numbers.edges import edges, wider_space, wider_title
from tuner.report.numbers.evidence import evidence
from tuner.report.numbers.reasons import reason_groups
from tuner.report.pages.document import report_document
from tuner.report.pages.film import read_film
from tuner.report.pages.sections import FIGURES, SECTIONS, Page
from tuner.report.pages.template import render_template, replace_file
from tuner.report.tables import trials as tables
from tuner.report.words import search as words
from tuner.report.words.evidence import verdict
from tuner.report.words.in_short import in_short
from tuner.result.agents import KeptAgent, Place
from tuner.result.study import StudyData
from tuner.text import plain, short_numbers


def write_report(
    data: StudyData,
    folder: Path,
    *,
    best_yaml: str | None,
    commands: Mapping[str, str],
    agents: Mapping[Place, KeptAgent] | None = None,
) -> Path:
    """Write ``index.html``, ``report.json`` and ``trials.csv`` into ``folder``.

    Everything is rendered before anything is written, and each file replaces its predecessor at once, so a reader
    never meets half a file and a failure leaves the old report. ``wider.yaml`` is there as long as it is advised.

    Args:
        data: The study.
        folder: Made when it is not there.
        best_yaml: The best trial's values as the export writes them; None when nothing has completed.
        commands: Command lines to show: ``reproduce``, ``export``, ``train``, ``dashboard``.
        agents: Those that are there of its verdict.

    Returns:
        Path of ``index.html``.

    Raises:
        InputError: The folder cannot be written to.
    """
    written = datetime.now(UTC)
    found, agents = evidence(data), agents or {}
    document = report_document(
        data, best_yaml=best_yaml, commands=commands, written=written, found=found, agents=agents
    )
    wider = wider_space(data, edges(data))
    commands = {key: line for key, line in commands.items() if key != "wider" or wider is not None}
    texts = {
        "trials.csv": tables.trials_csv(data),
        "report.json": _json(document),
        "index.html": render(
            data,
            best_yaml=best_yaml,
            commands=commands,
            written=written,
            found=found,
            film=read_film(folder),
            agents=agents,
        ),
    }
    if wider is not None:
        texts["wider.yaml"] = wider
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            replace_file(folder / name, text)
        if wider is None:
            _withdraw(folder / "wider.yaml", wider_title(data.name))
    except OSError as error:
        raise InputError(
            f"the report cannot be written to '{folder}': {error.strerror or error}. Choose a folder with --report-dir."
        ) from error
    return folder / "index.html"


def _withdraw(advice: Path, title: str) -> None:
    """Remove the wider space that an earlier report advised, and nothing that others have put there."""
    if not advice.is_file():
        return
    with advice.open("rb") as file:
        ours = file.read(len(title.encode())) == title.encode()
    if ours:
        advice.unlink()


def _json(document: Mapping[str, Any]) -> str:
    """Return JSON with a line for each key: Python's encoder takes ten times as long where it indents."""
    lines = (
        f"{json.dumps(key)}: {json.dumps(value, allow_nan=False, ensure_ascii=False)}"
        for key, value in document.items()
    )
    return "{\n" + ",\n".join(lines) + "\n}\n"


def render(
    data: StudyData,
    *,
    best_yaml: str | None,
    commands: Mapping[str, str],
    written: datetime,
    found: Mapping[str, Any] | None = None,
    film: Mapping[str, Any] | None = None,
    agents: Mapping[Place, KeptAgent] | None = None,
) -> str:
    """Return the page as HTML. All text of ``data`` is escaped by the templates.

    Args:
        data: The study.
        best_yaml: The export's text, or None.
        commands: Command lines to show.
        written: When.
        found: What :func:`tuner.report.numbers.evidence.evidence` gives, where it is at hand.
        film: What :func:`tuner.report.pages.film.read_film` gives.
        agents: Those that are there of its verdict.
    """
    found = evidence(data) if found is None else found
    page = Page(data, found, best_yaml, commands, film, agents or {})
    drawn = {key: place for figure in FIGURES for key, place in figure.drawn(data, found).items()}
    sections = [section for section in SECTIONS if section.shown(page)]
    return render_template(
        "report.html.j2",
        {key: short_numbers(plain(figure.to_plotly_json()), 6) for key, (figure, _) in drawn.items()},
        {
            "data": data,
            "headline": words.headline(data),
            "in_short": in_short(data, found),
            "verdict": verdict(found, data.chosen.params if data.chosen is not None else None),
            "lead": words.lead(data),
            "notices": words.notices(data),
            "key_numbers": words.key_numbers(data, found),
            "reasons": reason_groups(data),
            "sections": sections,
            "views": {section.name: section.view(page) for section in sections},
            "drawn": {key: title for key, (_, title) in drawn.items()},
            "why_empty": {figure.key: figure.why_empty(data) for figure in FIGURES},
            "written": written,
        },
    )
