"""``tune compare``: the same hyperparameters trained by two backends, as a page that opens offline, and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tuner.report.figures.confirmed import confirmed_scores
from tuner.report.figures.confirmed import seed_curves as draw_curves
from tuner.report.numbers.comparison import OBJECTIVES, group_numbers, lowest_evaluation, return_range
from tuner.report.numbers.evidence import compare_samples
from tuner.report.pages.template import render_template, write_page
from tuner.report.tables.evidence import RESULTS, SCORES
from tuner.report.tables.trials import Cell, provenance_rows
from tuner.report.words.evidence import caption, few_sentence, interval_text, probability_text, range_text
from tuner.report.words.search import ALGORITHM_NAMES, KeyNumber
from tuner.result.confirmation import ConfirmRun
from tuner.text import counted, env_title, plain, score_text, signed_percent

#: Raised when a key of ``comparison.json`` changes its meaning or goes away.
SCHEMA_VERSION = 1

TITLES = {"native": "native", "sb3": "Stable-Baselines3"}


def comparison_document(
    run: Mapping[str, Any], runs: Mapping[str, Sequence[ConfirmRun]], *, provenance: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the comparison as plain data.

    Keys: ``schema_version``, ``written``, ``run`` (``env``, ``algorithm``, ``n_timesteps``, ``hyperparameters``,
    ``seeds``, ``evaluation``), ``provenance``, ``return_range`` (lowest and highest mean return of any evaluation),
    ``floor`` (what a run that diverged counts as: the lowest, where a run has completed), ``backends`` (name to
    ``seeds``, ``outcomes``, ``scores``, ``estimates`` and ``curves``), ``differences`` (score to ``difference``, native
    minus Stable-Baselines3, and ``probability`` that native's run is the better one, with their intervals, ``result``,
    and ``of_range``: the difference's interval as shares of the return range), ``words``.

    Args:
        run: What was trained, plain data.
        runs: Backend to its runs, in the order of seeds.
        provenance: Versions and hardware.
    """
    backends = group_numbers(runs)
    low, high = return_range(runs)
    document: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "written": datetime.now(UTC),
        "run": run,
        "provenance": provenance,
        "return_range": [low, high],
        "floor": lowest_evaluation(runs),
        "backends": backends,
        "differences": {},
    }
    for objective in OBJECTIVES:
        ours, theirs = (backends.get(name, {}).get("scores", {}).get(objective) for name in TITLES)
        if ours and theirs:
            found = compare_samples(ours, theirs)
            difference, span = found["difference"], high - low
            share = None
            if difference["low"] is not None and span > 0:
                share = [difference["low"] / span, difference["high"] / span]
            document["differences"][objective] = {**found, "of_range": share}
    document["words"] = comparison_words(document)
    plain_document: dict[str, Any] = plain(document)
    return plain_document


def comparison_words(document: Mapping[str, Any]) -> list[str]:
    """Return the comparison in sentences, with no winner where the intervals name none."""
    sentences = []
    for objective, found in document["differences"].items():
        estimates = {name: b["estimates"][objective] for name, b in document["backends"].items()}
        pair = " and ".join(f"{TITLES.get(n, n)} {interval_text(e)}" for n, e in estimates.items())
        ahead = {"better": "native is ahead", "worse": "native is behind", "tie": "they tie"}.get(
            found["result"], "they cannot be told apart"
        )
        share = found["of_range"]
        of_range = (
            ""
            if share is None
            else f", that is {signed_percent(share[0])} to {signed_percent(share[1])} of the range of returns"
        )
        difference = found["difference"]
        gap = f"{score_text(difference['value'])} ({range_text(difference)}{of_range})"
        sentences.append(f"{SCORES[objective].capitalize()}: {pair}; {ahead}. Native minus the other: {gap}.")
    scored = [b["estimates"][o] for b in document["backends"].values() for o in document["differences"]]
    sentences += few_sentence(scored)
    for name, backend in document["backends"].items():
        bad = [o for o in backend["outcomes"] if o != "completed"]
        if bad:
            text = "; ".join(backend["reasons"]) or ", ".join(sorted(set(bad)))
            sentences.append(f"{TITLES.get(name, name)}: {counted(len(bad), 'run')} did not complete ({text}).")
    return sentences or ["No run of both backends has completed, so there is nothing to compare."]


def write_comparison(document: Mapping[str, Any], folder: Path) -> Path:
    """Write ``comparison.html`` and ``comparison.json`` into an existing folder; return the page's path."""
    return write_page(folder / "comparison.html", render_comparison(document), document)


def render_comparison(document: Mapping[str, Any]) -> str:
    """Return the page of a ``comparison.json`` as HTML."""
    run, backends = document["run"], document["backends"]
    titled = [{**b["curves"], "title": TITLES.get(n, n)} for n, b in backends.items() if b["curves"]["step"]]
    objective = OBJECTIVES[0]
    rows = [
        {"title": TITLES.get(n, n), "scores": b["scores"][objective], "estimate": b["estimates"][objective]}
        for n, b in backends.items()
        if objective in b["estimates"]
    ]
    drawn = {"curves": draw_curves(titled), "scores": confirmed_scores(rows)}
    shown = {key: figure for key, figure in drawn.items() if figure is not None}
    algorithm = ALGORITHM_NAMES.get(run["algorithm"], run["algorithm"])
    return render_template(
        "comparison.html.j2",
        {key: plain(figure.to_plotly_json()) for key, figure in shown.items()},
        {
            "headline": f"{algorithm} on {env_title(run)}: native against Stable-Baselines3",
            "lead": f"The same hyperparameters, {run['n_timesteps']:,} environment steps each, trained by both "
            f"backends with {counted(run['seeds'], 'seed')} and judged on the same evaluation episodes.",
            "words": document["words"],
            "key_numbers": _key_numbers(document),
            "drawn": dict.fromkeys(shown, ""),
            "why_empty": dict.fromkeys(("curves", "scores"), "Nothing to draw: no run has completed."),
            "columns": ["score", "native", "Stable-Baselines3", "difference", "95 % interval", "of the return range",
                        "P(native is better)", "result"],
            "rows": [_row(o, found, backends) for o, found in document["differences"].items()],
            "hyperparameter_rows": provenance_rows(run["hyperparameters"]),
            "provenance_rows": provenance_rows({**run["evaluation"], **document["provenance"]}),
        },
    )  # fmt: skip


def _row(objective: str, found: Mapping[str, Any], backends: Mapping[str, Any]) -> list[Cell]:
    difference, probability, share = found["difference"], found["probability"], found["of_range"]
    sides = [backends[name]["estimates"][objective] for name in ("native", "sb3")]
    return [
        Cell(SCORES[objective], SCORES[objective]),
        *(Cell(caption(side), side["value"]) for side in sides),
        Cell(score_text(difference["value"]), difference["value"]),
        Cell(range_text(difference), difference["low"]),
        Cell(
            "–" if share is None else f"{signed_percent(share[0], 1)} to {signed_percent(share[1], 1)}",
            None if share is None else share[0],
        ),
        Cell(probability_text(probability), probability["value"]),
        Cell(RESULTS[found["result"]], RESULTS[found["result"]]),
    ]


def _key_numbers(document: Mapping[str, Any]) -> list[KeyNumber]:
    cells = []
    for name, backend in document["backends"].items():
        estimate = backend["estimates"].get(OBJECTIVES[0])
        value = "–" if estimate is None else score_text(estimate["value"])
        remark = "no completed run" if estimate is None else f"late score, {range_text(estimate)}"
        cells.append(KeyNumber(TITLES.get(name, name), value, remark))
    found = document["differences"].get("auc")
    if found is not None:
        remark = f"{range_text(found['difference'])}, area under the curve"
        cells.append(KeyNumber("Difference", score_text(found["difference"]["value"]), remark))
        cells.append(KeyNumber("P(native is better)", f"{found['probability']['value']:.2f}", "area under the curve"))
    return cells
