"""Tables as LaTeX (packages booktabs and graphicx), in the report's rounding, and as CSV with all digits."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

from tuner.paper.content import Group, Paper
from tuner.report.tables.evidence import RESULTS
from tuner.report.words.evidence import probability_text, range_text
from tuner.report.words.search import OBJECTIVE_NAMES
from tuner.text import NOTHING, level_percent, printable, score_text, sentence, typed_text

#: What LaTeX reads as its own.
_SPECIAL = str.maketrans({
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%",
    "_": r"\_", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "\n": " ", "\t": " ",
})  # fmt: skip


def latex(text: str) -> str:
    """Return text as LaTeX prints it, whatever it holds; two hyphens stay two."""
    escaped = re.sub("-(?=-)", "-{}", printable(text).translate(_SPECIAL))
    return escaped.replace(NOTHING, "--")


def meaning(objective: str) -> str:
    """Return what a score is."""
    return OBJECTIVE_NAMES.get(objective, objective).partition(";")[0]


def results_tex(paper: Paper) -> str:
    """Return the table of results: interquartile mean with interval, and what is compared, a row for each setting."""
    fields = list(paper.groups[0].values) if paper.vary else []
    several = any(g.compared for g in paper.groups)
    heads = [
        *(fields or ["setting"]),
        "runs",
        f"{paper.objective} score",
        "95 % interval" if paper.until is None else f"{level_percent(paper.until['level'])} sequence",
    ]
    if several:
        heads += ["difference", "P(better)", *(["p (Holm)"] if paper.corrected else []), "result"]
    bad = any(outcome != "completed" for g in paper.groups for outcome in g.outcomes)
    heads += ["not completed"] if bad else []
    rows = [[*_names(g, fields), *_cells(paper, g, several=several, bad=bad)] for g in paper.groups]
    names = len(fields) or 1
    note = f" Differences: {paper.differences}." if several else ""
    caption = (
        f"{sentence(paper.middle)} of the {paper.objective} score on {paper.env} after {paper.n_timesteps:,} "
        f"{paper.clock}; the score of a run is {meaning(paper.objective)}.{note}"
    )
    return _tabular(heads, rows, "l" * names + "r" * (len(heads) - names), caption, "tab:results")


def results_csv(paper: Paper) -> str:
    """Return the same with all digits; empty where there is nothing."""
    fields = list(dict.fromkeys(name for g in paper.groups for name in g.values))
    ends = ("value", "low", "high")
    heads = ["setting", *fields, "score", "runs", "completed", paper.middle.replace(" ", "_"), "low", "high",
             *(f"difference{end}" for end in ("", "_low", "_high")),
             *(f"probability{end}" for end in ("", "_low", "_high")), "p_value", "p_holm", "result"]  # fmt: skip
    rows = []
    for g in paper.groups:
        found = g.compared or {}
        estimates = [found.get("difference"), found.get("probability")]
        rows.append([
            g.title, *(_cell(g.values[name]) if name in g.values else "" for name in fields), paper.objective,
            len(g.outcomes), list(g.outcomes).count("completed"),
            *(g.estimate[end] if g.estimate else None for end in ends),
            *(None if e is None else e[end] for e in estimates for end in ends),
            found.get("p_value"), found.get("p_holm"), found.get("result"),
        ])  # fmt: skip
    return _csv(heads, rows)


def scores_csv(paper: Paper) -> str:
    """Return one row for each run: its setting, seed, outcome and scores."""
    objectives = list(dict.fromkeys(o for g in paper.groups for o in g.scores))
    rows = []
    for g in paper.groups:
        # A run that failed has no score, so scores are matched to runs only where all have one.
        whole = [o for o in objectives if len(g.scores.get(o, ())) == len(g.seeds)]
        for i, (seed, outcome) in enumerate(zip(g.seeds, g.outcomes, strict=True)):
            rows.append([g.title, seed, outcome, *(g.scores[o][i] if o in whole else None for o in objectives)])
    return _csv(["setting", "seed", "outcome", *objectives], rows)


def hyperparameters_tex(paper: Paper) -> str:
    """Return all hyperparameters: one column where all settings agree or differ in fields that the results name."""
    named = [] if paper.kind == "study" else list(paper.groups[0].values)
    every = list(dict.fromkeys(name for g in paper.groups for name in g.hyperparameters))
    columns = list(paper.groups) if paper.kind == "study" else [paper.groups[0]]
    heads = ["hyperparameter", *(g.title for g in columns)] if paper.kind == "study" else ["hyperparameter", "value"]
    rows = []
    for name in every:
        if name in named:
            values = list(dict.fromkeys(typed_text(g.hyperparameters[name]) for g in paper.groups))
            rows.append([name, ", ".join(values)])
        else:
            rows.append([name, *(_value(g.hyperparameters.get(name)) for g in columns)])
    caption = f"Hyperparameters on {paper.env}; names as in Stable-Baselines3, intervals in environment steps."
    return _tabular(heads, rows, "l" + "r" * (len(heads) - 1), caption, "tab:hyperparameters")


def _cell(value: Any) -> Any:
    """Return a hyperparameter for a program: numbers stay numbers, also below zero."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else typed_text(value)


def _names(group: Group, fields: Sequence[str]) -> list[str]:
    return [typed_text(group.values[name]) for name in fields] or [group.title]


def _cells(paper: Paper, group: Group, *, several: bool, bad: bool) -> list[str]:
    estimate, found = group.estimate, group.compared
    cells = [str(len(group.outcomes))]
    cells += [NOTHING] * 2 if estimate is None else [_point(estimate), _range(estimate)]
    if several:
        cells += _compared(found, corrected=paper.corrected)
    if bad:
        cells.append(str(sum(outcome != "completed" for outcome in group.outcomes)))
    return cells


def _compared(found: Mapping[str, Any] | None, *, corrected: bool) -> list[str]:
    if found is None:
        return [NOTHING] * (4 if corrected else 3)
    difference = found["difference"]
    of = "" if difference["low"] is None else f" ({range_text(difference)})"
    p = [f"{found['p_holm']:.2g}"] if corrected else []
    return [_point(difference) + of, probability_text(found["probability"]), *p, RESULTS[found["result"]]]


def _point(estimate: Mapping[str, Any]) -> str:
    return score_text(estimate["value"])


def _range(estimate: Mapping[str, Any]) -> str:
    return NOTHING if estimate["kind"] == "sequential" else range_text(estimate)


def _value(value: Any) -> str:
    return NOTHING if value is None else typed_text(value)


def _tabular(heads: Sequence[str], rows: Sequence[Sequence[str]], columns: str, caption: str, label: str) -> str:
    lines = [_guarded(" & ".join(map(latex, row))) + r" \\" for row in (heads, *rows)]
    return "\n".join([
        r"\begin{table}", r"  \centering", r"  \small", f"  \\caption{{{latex(caption)}}}", f"  \\label{{{label}}}",
        r"  \resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%  (package graphicx)",
        f"  \\begin{{tabular}}{{{columns}}}", r"    \toprule", f"    {lines[0]}", r"    \midrule",
        *(f"    {line}" for line in lines[1:]), r"    \bottomrule", r"  \end{tabular}}", r"\end{table}", "",
    ])  # fmt: skip


def _guarded(row: str) -> str:
    """Return a row that the end of the one before does not take for its own length (``[``) or star."""
    return "{}" + row if row[:1] in ("[", "*") else row


def _csv(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(heads)
    writer.writerows([["" if cell is None else _safe(cell) for cell in row] for row in rows])
    return text.getvalue()


def _safe(cell: Any) -> Any:
    """Return a cell that no spreadsheet runs as a formula; numbers as Python writes them, with all digits."""
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@") else cell
