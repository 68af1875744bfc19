"""The sections of a study's page, in order: each owns its words, its figures and what it says where they are missing.

A new section is its numbers (``numbers/``), its words or figure (``words/``, ``figures/``) and an entry here; only one
that is more than sentences above figures needs a template, ``templates/sections/<name>.html.j2``, which finds what its
``view`` returns under that name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
import yaml

from tuner.report import figures
from tuner.report.figures.confirmed import confirmed_scores, luck_lines, seed_curves
from tuner.report.numbers import parameters, trials, worth
from tuner.report.numbers.audits import importance_caution, pruning_sentences
from tuner.report.numbers.edges import edges
from tuner.report.numbers.regions import regions
from tuner.report.tables import trials as tables
from tuner.report.tables.evidence import evidence_view, score_rows, titled_curves
from tuner.report.words import search as words
from tuner.report.words.agents import agent_code
from tuner.report.words.caution import caution
from tuner.result.agents import KeptAgent, Place
from tuner.result.study import StudyData
from tuner.text import plain, sentence

#: What :func:`tuner.report.numbers.evidence.evidence` gives.
Evidence = Mapping[str, Any]

#: Key of ``commands`` to what is said of it.
COMMAND_TITLES = {
    "reproduce": "Run this study again, or carry it on",
    "export": "Export the best values",
    "train": "Train with the best values",
    "dashboard": "Look into the study's database",
    "wider": "Search wider where the best trials lay at an end of their range",
}


@dataclass(frozen=True)
class Page:
    """What the page is made from.

    Attributes:
        data: The study.
        found: Its evidence; None before the confirm stage.
        best_yaml: The export's text, or None.
        commands: Command lines to show, by key of :data:`COMMAND_TITLES`.
        film: What :func:`tuner.report.pages.film.read_film` gives.
        agents: Those that are there of its verdict.
    """

    data: StudyData
    found: Evidence | None
    best_yaml: str | None
    commands: Mapping[str, str]
    film: Mapping[str, Any] | None
    agents: Mapping[Place, KeptAgent]


@dataclass(frozen=True)
class Figure:
    """A figure, or a group of small ones by title.

    Attributes:
        key: Names its place on the page and its numbers in ``report.json``.
        label: What it shows, for those who cannot see it.
        draw: From the study and its evidence; None or an empty mapping where there is nothing to draw.
        empty: What is said then, in words or from the study, unless :func:`words.what_is_missing` knows more.
        numbers: What it draws, as plain data; None where that stands under ``evidence``.
        of_scores: Whether it takes scores and sampled parameters.
    """

    key: str
    label: str
    draw: Callable[[StudyData, Evidence | None], go.Figure | Mapping[str, go.Figure] | None]
    empty: str | Callable[[StudyData], str]
    numbers: Callable[[StudyData], Any] | None = None
    of_scores: bool = False

    def why_empty(self, data: StudyData) -> str:
        """Return why it is not there."""
        missing = words.what_is_missing(data, of_scores=self.of_scores)
        return missing or (self.empty if isinstance(self.empty, str) else self.empty(data))

    def drawn(self, data: StudyData, found: Evidence | None) -> dict[str, tuple[go.Figure, str]]:
        """Return (figure, title) by key; those of a group are numbered and titled: ``slices-0``."""
        figure = self.draw(data, found)
        if isinstance(figure, Mapping):
            return {f"{self.key}-{i}": (member, title) for i, (title, member) in enumerate(figure.items())}
        return {} if figure is None else {self.key: (figure, "")}


@dataclass(frozen=True)
class Section:
    """A part of the page under a title.

    Attributes:
        name: Its anchor, and its template where ``intro`` is empty.
        title: In the menu and above it.
        figures: Its figures.
        intro: The sentence above its figures.
        columns: ``narrow`` or ``wide`` small figures in as many columns as fit; empty for one large figure.
        view: What its template shows.
        shown: Whether it is on the page at all.
    """

    name: str
    title: str
    figures: tuple[Figure, ...] = ()
    intro: str = ""
    columns: str = ""
    view: Callable[[Page], Mapping[str, Any]] = lambda page: {}
    shown: Callable[[Page], bool] = lambda page: True


def _figure(
    key: str, label: str, draw: Callable[[StudyData], Any], numbers: Callable[[StudyData], Any], empty: Any = "", /
) -> tuple[Figure, ...]:
    """Return a figure of the search; without words of its own it is one of scores."""
    return (Figure(key, label, lambda data, found: draw(data), empty or TWO_TRIALS, numbers, of_scores=not empty),)


def _confirmed(key: str, label: str, draw: Callable[[StudyData, Evidence], go.Figure | None]) -> Figure:
    """Return a figure of the evidence."""
    return Figure(key, label, lambda data, found: None if found is None else draw(data, found), NO_FINALIST)


NO_FINALIST = "Nothing to draw: no finalist has been trained again yet."
TWO_TRIALS = "Nothing to draw: it takes two completed trials."
NO_STEP = "Nothing to draw: no trial has taken an environment step yet."

# fmt: off
#: The page in order. ``evidence`` says how far the result can be trusted.
SECTIONS = (
    Section("best", "Best values", view=lambda page: {
        **dict(zip(("searched", "fixed"), tables.best_values(page.data), strict=True)),
        "edges": edges(page.data), "wider_command": page.commands.get("wider"), "yaml": page.best_yaml,
        "agents": page.agents, "code": next((agent_code(a, page.data) for a in page.agents.values()), ""),
    }),
    Section("agent", "The agent at play", view=lambda page: {"film": page.film},
            shown=lambda page: page.film is not None),
    Section("evidence", "Evidence", (
        _confirmed("confirmed", "Learning curves by seed",
                   lambda data, found: seed_curves(titled_curves(found), data.reward_threshold, clock=data.clock)),
        _confirmed("scores", "Score of every run of the verdict",
                   lambda data, found: confirmed_scores(score_rows(found))),
        _confirmed("luck", "Search scores beside scores on fresh seeds",
                   lambda data, found: luck_lines((found["luck"] or {}).get("finalists", ()), found["winner"])),
    ), view=lambda page: {"evidence": evidence_view(page.found), "caution": caution(page.data)}),
    Section("worth", "What the search was worth", _figure(
        "worth", "Scores of trials by where they come from", figures.scores_by_origin, worth.worth_series,
        "Nothing to draw: no trial has run to the end yet.",
    ), "Search scores of the completed trials by where they come from; the diamond is what the best of each row earns "
       "on fresh seeds, where it was trained again. Search scores rest on one run or a few, and the highest of many "
       "flatters."),
    Section("history", "History", _figure(
        "history", "Score of each trial and the best so far", figures.optimization_history, trials.history_series,
    ), "Every trial in order. A pruned trial stands at its last evaluation, which is not a score: it was taken earlier "
       "in training than those of completed trials."),
    Section("curves", "Learning curves", _figure(
        "curves", "Mean return of each trial as it trains", figures.learning_curves, trials.curves_series,
        "Nothing to draw: no trial has been evaluated yet.",
    ), "How each trial learnt. Completed trials are the stronger in colour the higher their score; grey lines ended "
       "early, where their mark stands."),
    Section("importance", "Importance", (Figure(
        "importance", "Importance of each hyperparameter", lambda data, found: figures.importance_bars(data),
        words.why_no_importance, parameters.importance_series, of_scores=True,
    ),), view=lambda page: {
        "named": words.importance_sentence(page.data), "caution": importance_caution(page.data),
        "regions": regions(page.data), "next": words.next_sentence(page.data),
    }),
    Section("slices", "Slices", _figure(
        "slices", "Score against one hyperparameter", figures.slices, parameters.slices_series,
    ), "Score against each hyperparameter alone, the most important first; the star is the best trial. Marks at the "
       "foot are trials without a score.", "narrow"),
    Section("parallel", "Parallel coordinates", _figure(
        "parallel", "Completed trials across all hyperparameters", figures.parallel_coordinates,
        parameters.parallel_series,
    ), "One line for each completed trial, the stronger in colour the higher its score. Point at an axis to follow a "
       "trial; drag along an axis to keep only the trials that pass there, double-click to see all again."),
    Section("contours", "Contours", (Figure(
        "contours", "Score over two hyperparameters", lambda data, found: figures.contours(data),
        "Nothing to draw: fewer than two parameters were sampled.", parameters.contours_series, of_scores=True,
    ),), "Score over pairs of the most important hyperparameters. The surface is a smoothed mean of the scores around; "
         "where no trial is near, it is left open.", "wide"),
    Section("cost", "What a run costs", _figure(
        "cost", "Score against the seconds of a run", figures.score_against_cost, worth.cost_series,
    ), "Seconds are a worker's for one seed, evaluations included. No trial that costs less beats the filled marks: "
       "these are worth choosing between. The star is the exported trial."),
    Section("effort", "Time and steps", (
        *_figure("steps", "What each trial spent and saved", figures.steps_by_trial, trials.effort_series,
                 NO_STEP),
        *_figure("timeline", "When each trial ran", figures.timeline, trials.timeline_series, NO_STEP),
    ), view=lambda page: {
        "clock": sentence(page.data.clock),
        "sentences": [words.effort_sentence(page.data), *pruning_sentences(page.data)],
    }),
    Section("metrics", "Training metrics", _figure(
        "metrics", "Training metric", figures.metric_curves, trials.metrics_series,
        "Nothing to draw: the trials recorded no training metrics.",
    ), "What training measured between evaluations, in the colours of the learning curves.", "wide"),
    Section("trials", "All trials", view=lambda page: {
        "columns": tables.trial_columns(page.data), "rows": tables.trial_rows(page.data),
        "all": len(page.data.trials),
    }),
    Section("reproduce", "Commands", view=lambda page: {
        "commands": [(COMMAND_TITLES.get(key, key.capitalize()), line) for key, line in page.commands.items()],
    }),
    Section("provenance", "Provenance", view=lambda page: {
        "made_with": tables.provenance_rows(page.data.provenance),
        "asked_for": tables.provenance_rows(page.data.recipe),
        "space": yaml.safe_dump(plain(page.data.space), sort_keys=False, allow_unicode=True) if page.data.space else "",
    }),
)
# fmt: on

FIGURES = tuple(figure for section in SECTIONS for figure in section.figures)
