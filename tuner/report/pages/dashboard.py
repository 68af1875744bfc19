"""What a study's own page says, for those who only look into optuna-dashboard: a note and a few figures."""

from __future__ import annotations

import plotly.graph_objects as go

from tuner.report.figures.confirmed import confirmed_scores, luck_lines, seed_curves
from tuner.report.figures.curves import learning_curves
from tuner.report.numbers.evidence import evidence
from tuner.report.tables.evidence import score_rows, titled_curves
from tuner.report.words import search as words
from tuner.report.words.evidence import luck_sentences, verdict
from tuner.report.words.in_short import in_short
from tuner.result.study import StudyData

#: What the saved plots are called.
TITLES = {
    "learning-curves": "Learning curves of the search,<br>the exported trial as best",
    "confirmed-learning-curves": "Learning curves on fresh seeds",
    "confirmed-scores": "Scores on fresh seeds (95 % intervals)",
    "search-and-fresh-scores": "Scores in the search and on fresh seeds",
}

#: Of the dashboard's figures: it may be light or dark, which they are not told.
TEXT, GRID = "#7d8894", "rgba(125, 136, 148, 0.25)"


def dashboard_note(data: StudyData) -> str:
    """Return the verdict as Markdown; before the confirm stage, what was found and how far to trust it."""
    found = evidence(data)
    chosen = data.chosen
    sentences = verdict(found, chosen.params if chosen is not None else None) or words.lead(data)
    lines = [
        *in_short(data, found),
        *sentences,
        *luck_sentences(found),
        *(f"{n.title} {n.text}" for n in words.notices(data)),
    ]
    return "\n".join([f"# {_escaped(words.headline(data))}", "", *(f"- {_escaped(line)}" for line in lines)])


def dashboard_figures(data: StudyData) -> dict[str, go.Figure]:
    """Return name to figure: learning curves of the search and, once finalists have been trained again, of those."""
    found = evidence(data)
    drawn = {"learning-curves": learning_curves(data)}
    if found is not None:
        luck = found["luck"]
        drawn |= {
            "confirmed-learning-curves": seed_curves(titled_curves(found), data.reward_threshold, clock=data.clock),
            "confirmed-scores": confirmed_scores(score_rows(found)),
            "search-and-fresh-scores": None if luck is None else luck_lines(luck["finalists"], found["winner"]),
        }
    figures = {name: figure for name, figure in drawn.items() if figure is not None}
    for name, figure in figures.items():  # nothing else there says what they show
        figure.update_layout(
            title={"text": TITLES[name], "font": {"size": 14}},
            font={"color": TEXT},
            margin={"t": 78},
            legend={"y": -0.25, "yanchor": "top"},  # below the axis: a long one grows into the title
        )
        figure.update_annotations(bgcolor="rgba(0, 0, 0, 0)", font_color=TEXT)
        for update in (figure.update_xaxes, figure.update_yaxes):
            update(gridcolor=GRID, zerolinecolor=GRID, tickfont_color=TEXT, title_font_color=TEXT)
    return figures


def _escaped(text: str) -> str:
    """Return text of users as it may stand in Markdown: no markup, on one line."""
    return "".join(f"\\{c}" if c in "\\`*[]<>#|" else c for c in " ".join(text.split()))
