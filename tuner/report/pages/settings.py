"""``tune compare`` over settings and ``tune sweep``: settings on the same seeds, as an offline page and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from tuner.report.numbers.comparison import OBJECTIVES, against_first, lowest_evaluation, return_range, setting_numbers
from tuner.report.pages.setting_figures import comparison_sections, sweep_sections
from tuner.report.pages.template import render_template, replace_file, write_page
from tuner.report.pages.value_maps import value_multiples
from tuner.report.tables.comparison import settings_columns, settings_markdown, settings_rows
from tuner.report.tables.trials import provenance_rows
from tuner.report.words.comparison import settings_words
from tuner.report.words.evidence import BACKEND_NAMES
from tuner.report.words.search import ALGORITHM_NAMES, KeyNumber
from tuner.result.confirmation import ConfirmRun
from tuner.text import counted, duration, env_title, listed, plain

#: Raised when a key of the JSON changes its meaning or goes away.
SCHEMA_VERSION = 1

#: What the page is about: settings beside the first one, or what one or two hyperparameters do.
Page = Literal["comparison", "sweep"]

#: Score that words, table and figures are about.
OBJECTIVE = OBJECTIVES[0]


def settings_document(
    run: Mapping[str, Any],
    settings: Mapping[str, Mapping[str, Any]],
    runs: Mapping[str, Sequence[ConfirmRun]],
    *,
    vary: Mapping[str, Sequence[Any]],
    provenance: Mapping[str, Any],
    tables: Sequence[Mapping[str, Any] | None] = (),
) -> dict[str, Any]:
    """Return settings side by side as plain data; its keys are in ``docs/report-schema.md``.

    Args:
        run: What all have in common: ``env``, ``algorithm``, ``backend``, ``clock``, ``n_timesteps``, ``seeds``,
            ``evaluation``, ``reward_threshold``.
        settings: Label to complete hyperparameters; the others are compared with the first.
        runs: Label to its runs, in the order of seeds.
        vary: Fields that the settings are the values of, the product of two; empty where files gave them.
        provenance: Versions and hardware.
        tables: For each setting the table that its first seed has learned, as
            :func:`tuner.training.lone.table_log.tables_beside_truth` returns it; empty without.
    """
    every = list(settings.values())
    fields = list(vary) or [name for name in every[0] if any(s[name] != every[0][name] for s in every)]
    numbers = setting_numbers({label: runs[label] for label in settings})
    rows = [{"values": {name: settings[s["label"]][name] for name in fields}, **s} for s in numbers]
    for row, table in zip(rows, tables, strict=bool(tables)):
        if table is not None:
            row["table"] = table
    document: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "written": datetime.now(UTC),
        "run": {**run, "hyperparameters": {n: v for n, v in every[0].items() if n not in fields}},
        "provenance": provenance,
        "return_range": list(return_range(runs)),
        "floor": lowest_evaluation(runs),
        "fields": fields,
        "vary": {name: list(values) for name, values in vary.items()},
        "settings": rows,
        "comparisons": against_first(rows),
    }
    document["words"] = settings_words(document, OBJECTIVE)
    plain_document: dict[str, Any] = plain(document)
    return plain_document


def write_settings(document: Mapping[str, Any], folder: Path, page: Page) -> Path:
    """Write ``<page>.html``, ``.json`` and a table, ``.md``, into an existing folder; return the page's path."""
    html = render_settings(document, page)
    replace_file(folder / f"{page}.md", settings_markdown(document, OBJECTIVE))
    return write_page(folder / f"{page}.html", html, document)


def render_settings(document: Mapping[str, Any], page: Page) -> str:
    """Return the page of such a document as HTML."""
    run, settings = document["run"], document["settings"]
    sections = (sweep_sections if page == "sweep" else comparison_sections)(document, OBJECTIVE)
    algorithm = ALGORITHM_NAMES.get(run["algorithm"], run["algorithm"])
    fields = listed(list(document["vary"]))
    what = f"what {fields} {'does' if len(document['vary']) == 1 else 'do'}"
    heading = what if page == "sweep" else f"{len(settings)} settings" + (f" of {fields}" if fields else "")
    return render_template(
        "settings.html.j2",
        {key: plain(figure.to_plotly_json()) for section in sections for key, figure in section.figures.items()},
        {
            "eyebrow": page.capitalize(),
            "headline": f"{algorithm} on {env_title(run)}: {heading}",
            "lead": f"Each setting is trained for {run['n_timesteps']:,} {run['clock']} by "
            f"{BACKEND_NAMES.get(run['backend'], run['backend'])} with the same {counted(run['seeds'], 'seed')} and "
            "judged on the same evaluation episodes.",
            "words": document["words"],
            "key_numbers": _key_numbers(settings),
            "sections": sections,
            "drawn": {key: section.titles.get(key, "") for section in sections for key in section.figures},
            "why_empty": {section.key: "Nothing to draw: no run has completed." for section in sections},
            "columns": settings_columns(document, OBJECTIVE),
            "rows": settings_rows(document, OBJECTIVE),
            "markdown": settings_markdown(document, OBJECTIVE),
            "page": page,
            "maps": value_multiples(settings),
            "hyperparameter_rows": provenance_rows(run["hyperparameters"]),
            "provenance_rows": provenance_rows({**run["evaluation"], **document["provenance"]}),
        },
    )


def _key_numbers(settings: Sequence[Mapping[str, Any]]) -> list[KeyNumber]:
    outcomes = [outcome for s in settings for outcome in s["outcomes"]]
    seconds = sum(s["training_s"] for s in settings)
    return [
        KeyNumber("Settings", f"{len(settings)}", "the first is what the others are compared with"),
        KeyNumber(
            "Runs completed", f"{outcomes.count('completed')} of {len(outcomes)}", "one for each seed and setting"
        ),
        KeyNumber("Diverged", f"{outcomes.count('diverged')}", "count as the lowest evaluation of any run"),
        KeyNumber("Training time", duration(seconds), "of all runs together"),
    ]
