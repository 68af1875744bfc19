"""The HTML report and its machine-readable twins: one page that opens offline, ``report.json`` and ``trials.csv``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2
import plotly.graph_objects as go
import yaml
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from tuner import durable
from tuner.errors import InputError
from tuner.report import figures
from tuner.report.figures.confirmed import confirmed_scores, luck_lines, seed_curves
from tuner.report.figures.palette import dark_twins
from tuner.report.numbers.audits import importance_caution, pruning_sentences
from tuner.report.numbers.edges import edges, wider_space
from tuner.report.numbers.evidence import evidence
from tuner.report.numbers.reasons import reason_groups
from tuner.report.numbers.trials import METRICS
from tuner.report.pages.document import report_document, script_json
from tuner.report.pages.film import read_film
from tuner.report.tables import trials as tables
from tuner.report.tables.evidence import evidence_view, score_rows, titled_curves
from tuner.report.words import search as words
from tuner.report.words.evidence import verdict
from tuner.result.study import StudyData
from tuner.text import plain

TEMPLATES = Path(__file__).parent.parent / "templates"


@dataclass(frozen=True)
class Section:
    """A part of the page: ``templates/sections/<name>.html.j2`` under a title; an empty title stays out of the menu."""

    name: str
    title: str


#: The page in order. ``evidence`` says how far the result can be trusted.
SECTIONS = (
    Section("best", "Best values"),
    Section("agent", "The agent at play"),
    Section("evidence", "Evidence"),
    Section("history", "History"),
    Section("curves", "Learning curves"),
    Section("importance", "Importance"),
    Section("slices", "Slices"),
    Section("parallel", "Parallel coordinates"),
    Section("contours", "Contours"),
    Section("effort", "Time and steps"),
    Section("metrics", "Training metrics"),
    Section("trials", "All trials"),
    Section("reproduce", "Commands"),
    Section("provenance", "Provenance"),
)

#: Key of ``commands`` to what is said of it.
COMMAND_TITLES = {
    "reproduce": "Run this study again, or carry it on",
    "export": "Export the best values",
    "train": "Train with the best values",
    "dashboard": "Look into the study's database",
    "wider": "Search wider where the best trials lay at an end of their range",
}


def write_report(data: StudyData, folder: Path, *, best_yaml: str | None, commands: Mapping[str, str]) -> Path:
    """Write ``index.html``, ``report.json`` and ``trials.csv`` into ``folder``.

    Everything is rendered before anything is written, and each file replaces its predecessor at once, so a reader
    never meets half a file and a failure leaves the old report.

    Args:
        data: The study.
        folder: Made when it is not there.
        best_yaml: The best trial's values as the export writes them; None when nothing has completed.
        commands: Command lines to show: ``reproduce``, ``export``, ``train``, ``dashboard``.

    Returns:
        Path of ``index.html``.

    Raises:
        InputError: The folder cannot be written to.
    """
    written = datetime.now(UTC)
    found, narrow = evidence(data), edges(data)
    document = report_document(data, best_yaml=best_yaml, commands=commands, written=written, found=found)
    wider = wider_space(data, narrow)
    commands = {key: line for key, line in commands.items() if key != "wider" or wider is not None}
    texts = {
        "trials.csv": tables.trials_frame(data).to_csv(index=False, lineterminator="\n"),
        "report.json": json.dumps(document, indent=1, allow_nan=False, ensure_ascii=False) + "\n",
        "index.html": render(
            data, best_yaml=best_yaml, commands=commands, written=written, found=found, film=read_film(folder)
        ),
    }
    if wider is not None:
        texts["wider.yaml"] = wider
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            replace_file(folder / name, text)
    except OSError as error:
        raise InputError(
            f"the report cannot be written to '{folder}': {error.strerror or error}. Choose a folder with --report-dir."
        ) from error
    return folder / "index.html"


def render(
    data: StudyData,
    *,
    best_yaml: str | None,
    commands: Mapping[str, str],
    written: datetime,
    found: Mapping[str, Any] | None = None,
    film: Mapping[str, Any] | None = None,
) -> str:
    """Return the page as HTML. All text of ``data`` is escaped by the templates.

    Args:
        data: The study.
        best_yaml: The export's text, or None.
        commands: Command lines to show.
        written: When.
        found: What :func:`tuner.report.numbers.evidence.evidence` gives, where it is at hand.
        film: What :func:`tuner.report.pages.film.read_film` gives.
    """
    found = evidence(data) if found is None else found
    drawn = _drawn(data, found)
    searched, fixed = tables.best_values(data)
    return render_template(
        "report.html.j2",
        {key: plain(figure.to_plotly_json()) for key, (figure, _) in drawn.items()},
        {
            "data": data,
            "headline": words.headline(data),
            "verdict": verdict(found, data.chosen.params if data.chosen is not None else None),
            "lead": words.lead(data),
            "caution": words.caution(data),
            "notices": words.notices(data),
            "key_numbers": words.key_numbers(data, found),
            "reasons": reason_groups(data),
            "effort": words.effort_sentence(data),
            "pruning_audit": pruning_sentences(data),
            "importance_caution": importance_caution(data),
            "edges": edges(data),
            "wider_command": commands.get("wider"),
            "sections": [section for section in SECTIONS if section.name != "agent" or film is not None],
            "film": film,
            "drawn": {key: title for key, (_, title) in drawn.items()},
            "why_empty": {key: words.why_empty(key, data) for key in _FIGURE_KEYS},
            "searched": searched,
            "fixed": fixed,
            "columns": tables.trial_columns(data),
            "rows": tables.trial_rows(data),
            "best_yaml": best_yaml,
            "commands": [(COMMAND_TITLES.get(key, key.capitalize()), line) for key, line in commands.items()],
            "recipe_rows": tables.provenance_rows(data.recipe),
            "provenance_rows": tables.provenance_rows(data.provenance),
            "space_yaml": yaml.safe_dump(plain(data.space), sort_keys=False, allow_unicode=True) if data.space else "",
            "evidence": evidence_view(found),
            "written": written,
        },
    )


def render_template(template: str, figures_json: Mapping[str, Any], context: Mapping[str, Any]) -> str:
    """Return a self-contained page: our style, script and plotly.js inlined once, figures as JSON."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.tests["grouped"] = lambda key, group: key.startswith(f"{group}-")
    # Markup only for our own files and for JSON that cannot leave its script element.
    inlined = {
        "style": Markup((TEMPLATES / "style.css").read_text(encoding="utf-8")),
        "script": Markup((TEMPLATES / "page.js").read_text(encoding="utf-8")),
        "plotly": Markup(get_plotlyjs() if figures_json else ""),
        "figures_json": Markup(script_json(figures_json)),
        "twins_json": Markup(script_json(dark_twins())),
    }
    return environment.get_template(template).render({**context, **inlined})


def replace_file(path: Path, text: str) -> None:
    """Write ``text`` in one step; on failure ``path`` is untouched."""
    durable.replace_file(path, text.encode("utf-8", "backslashreplace"))


_FIGURE_KEYS = (
    "confirmed",
    "scores",
    "luck",
    "history",
    "curves",
    "importance",
    "slices",
    "parallel",
    "contours",
    "steps",
    "timeline",
    "metrics",
)


def _drawn(data: StudyData, found: Mapping[str, Any] | None) -> dict[str, tuple[go.Figure, str]]:
    """Return (figure, title) by key; those of a group are numbered and titled: ``slices-0``."""
    whole = {
        "history": figures.optimization_history(data),
        "curves": figures.learning_curves(data),
        "importance": figures.importance_bars(data),
        "parallel": figures.parallel_coordinates(data),
        "steps": figures.steps_by_trial(data),
        "timeline": figures.timeline(data),
    }
    if found is not None:
        luck = found["luck"]
        whole |= {
            "confirmed": seed_curves(titled_curves(found), data.reward_threshold),
            "scores": confirmed_scores(score_rows(found)),
            "luck": luck_lines(luck["finalists"], found["winner"]) if luck is not None else None,
        }
    metrics = {METRICS.get(name, name): figure for name, figure in figures.metric_curves(data).items()}
    drawn = {key: (figure, "") for key, figure in whole.items() if figure is not None}
    for group, members in (
        ("slices", figures.slices(data)),
        ("contours", figures.contours(data)),
        ("metrics", metrics),
    ):
        drawn |= {f"{group}-{i}": (figure, title) for i, (title, figure) in enumerate(members.items())}
    return drawn
