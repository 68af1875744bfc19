"""The figures of a page of settings, section by section, made from its document alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go

from tuner.report.figures.confirmed import MOST_WITH_SEEDS, Look, confirmed_scores, looks_of, ordered_looks, seed_curves
from tuner.report.figures.sweep import against_values, heat_map, value_lines
from tuner.report.words.search import OBJECTIVE_NAMES
from tuner.text import typed_text

Document = Mapping[str, Any]


class Section(NamedTuple):
    """Figures under one heading.

    Attributes:
        key: Key of its figure; where there are several, their keys begin with it and a dash.
        title: Heading.
        text: What the figures show.
        figures: Key to figure, those that there is something to draw for.
        titles: Key to what stands over a small figure.
        small: Whether they stand side by side.
    """

    key: str
    title: str
    text: str
    figures: Mapping[str, go.Figure]
    titles: Mapping[str, str] = {}
    small: bool = False


def comparison_sections(document: Document, objective: str) -> list[Section]:
    """Return learning curves and scores of all settings."""
    settings = document["settings"]
    every = looks_of(len(settings))
    scored = [(s, look) for s, look in zip(settings, every, strict=True) if objective in s["estimates"]]
    rows = [
        {"title": s["label"], "scores": s["scores"][objective], "estimate": s["estimates"][objective]}
        for s, _ in scored
    ]
    curves = _curves(document, settings, every)
    scores = confirmed_scores(rows, [look for _, look in scored])
    return [
        _single("curves", "Learning curves", _curves_text(settings), curves),
        _single("scores", "Scores", f"{objective.capitalize()}: {OBJECTIVE_NAMES[objective]}. Dots are runs.", scores),
    ]


def sweep_sections(document: Document, objective: str) -> list[Section]:
    """Return what one field does, or two."""
    return (_one_field if len(document["vary"]) == 1 else _two_fields)(document, objective)


def _one_field(document: Document, objective: str) -> list[Section]:
    settings = document["settings"]
    (name,) = document["vary"]
    looks = _by_value(name, settings)
    clock = document["run"]["clock"]
    scores, shares, times = [], [], []
    for s in settings:
        value, diverged, seconds = s["values"][name], s["diverged"], s["seconds"]
        if (estimate := s["estimates"].get(objective)) is not None:
            scores.append(_against(value, s["scores"][objective], estimate["value"], estimate))
        shares.append(_against(value, [], diverged["share"], diverged))
        times.append(_against(value, seconds["runs"], seconds["median"], {"low": None, "high": None}))
    lines = [{"title": s["label"], **s["q_values"]} for s in settings]
    sections = [
        _single(
            "scores",
            f"The {objective} score",
            f"{_meaning(objective)}. Dots are runs; the line joins interquartile means with their 95 % intervals.",
            against_values(name, scores, f"{objective} score"),
        ),
        _single(
            "curves",
            "Learning curves",
            f"{_curves_text(settings)} The stronger the colour, the higher the value.",
            _curves(document, settings, looks),
        ),
    ]
    q_values = value_lines(lines, looks, "mean Q-value of the batches", clock)
    if q_values is not None:
        text = "What the agent takes its actions to be worth, mean over runs. Above what can be had it is too hopeful."
        sections.append(_single("q_values", "Q-values", text, q_values))
    small = {"cost-0": (against_values(name, times, "seconds", height=320, scale="from_zero"), "Seconds a run")}
    text = "Training seconds of each run and their median. No run diverged."
    if any(share["middle"] for share in shares):
        figure = against_values(name, shares, "runs that diverged", height=320, scale="share")
        small["cost-1"] = (figure, "Runs that diverged")
        text = "Training seconds of each run and their median; the share of runs that diverged, with its 95 % interval."
    return [*sections, _several("cost", "Cost and divergence", text, small)]


def _two_fields(document: Document, objective: str) -> list[Section]:
    settings, vary = document["settings"], document["vary"]
    (first, along), (second, upwards) = vary.items()

    def cells(of: Any) -> list[list[float | None]]:
        """Return [values upwards, values along]: settings are in the order of the product, the first field slowest."""
        return [[of(settings[i * len(upwards) + j]) for i in range(len(along))] for j in range(len(upwards))]

    def drawn(of: Any, title: str, *, share: bool = False) -> go.Figure | None:
        return heat_map((first, second), (along, upwards), cells(of), title, share=share)

    low, high = document["return_range"]
    air = 0.05 * (high - low)
    multiples = {}
    for j, value in enumerate(upwards):
        members = settings[j :: len(upwards)]
        titled = [{**s, "label": f"{first} {typed_text(s['values'][first])}"} for s in members]
        figure = _curves(document, titled, _by_value(first, members))
        if figure is not None:
            figure.update_yaxes(range=[low - air, high + air])
            figure.update_layout(height=360)
        multiples[f"curves-{j}"] = (figure, f"{second} {typed_text(value)}")
    small = {
        "cost-0": (drawn(lambda s: s["seconds"]["median"], "seconds"), "Median seconds a run"),
        "cost-1": (drawn(lambda s: (s["q_values"]["mean"] or [None])[-1], "Q-value"), "Mean Q-value at the end"),
    }
    text = "Over the runs of each pair of values. No run diverged."
    if any(s["diverged"]["runs"] for s in settings):
        small["cost-2"] = (drawn(lambda s: s["diverged"]["share"], "share", share=True), "Runs that diverged")
        text = "Over the runs of each pair of values."
    several = _several("cost", "Cost, Q-values and divergence", text, small)
    score = drawn(lambda s: s["estimates"].get(objective, {}).get("value"), "score")
    text = f"{_meaning(objective)}: interquartile mean over seeds."
    return [
        _single("scores", f"The {objective} score", text, score),
        _several(
            "curves",
            "Learning curves",
            f"{_curves_text(along)} The stronger the colour, the higher {first}.",
            multiples,
        ),
        several,
    ]


def _single(key: str, title: str, text: str, figure: go.Figure | None) -> Section:
    return Section(key, title, text, {} if figure is None else {key: figure})


def _several(key: str, title: str, text: str, found: Mapping[str, tuple[go.Figure | None, str]]) -> Section:
    figures = {name: figure for name, (figure, _) in found.items() if figure is not None}
    return Section(key, title, text, figures, {name: words for name, (_, words) in found.items()}, small=True)


def _curves_text(settings: Sequence[Any]) -> str:
    thin = "Thin lines are seeds, thick ones" if len(settings) <= MOST_WITH_SEEDS else "Lines are"
    return f"{thin} interquartile means over seeds, with bands for their 95 % intervals."


def _curves(document: Document, settings: Sequence[Mapping[str, Any]], looks: Sequence[Look]) -> go.Figure | None:
    there = [(s, look) for s, look in zip(settings, looks, strict=True) if s["curves"]["step"]]
    titled = [{**s["curves"], "title": s["label"]} for s, _ in there]
    run = document["run"]
    return seed_curves(titled, run["reward_threshold"], [look for _, look in there], run["clock"])


def _meaning(objective: str) -> str:
    return f"{OBJECTIVE_NAMES[objective][0].upper()}{OBJECTIVE_NAMES[objective][1:]}"


def _against(value: Any, dots: Sequence[float], middle: float, interval: Mapping[str, Any]) -> dict[str, Any]:
    return {"value": value, "dots": dots, "middle": middle, "low": interval["low"], "high": interval["high"]}


def _by_value(name: str, settings: Sequence[Mapping[str, Any]]) -> list[Look]:
    """Return a look for each setting, darker for higher values; in their order where they are no numbers."""
    values = [s["values"][name] for s in settings]
    numeric = all(isinstance(v, int | float) for v in values)
    ranks = sorted(range(len(values)), key=values.__getitem__) if numeric else list(range(len(values)))
    looks = dict(zip(ranks, ordered_looks(len(values)), strict=True))
    return [looks[i] for i in range(len(values))]
