"""Vector figures in the report's colours and marks, the same bytes for the same numbers.

Text in PDF is TrueType (Type 42, which publishers ask for), in SVG it is drawn. The font comes with matplotlib.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from tuner.paper.content import Group, Paper, panels
from tuner.report.figures.confirmed import MOST_WITH_SEEDS, Look, bands, looks_of
from tuner.report.figures.palette import light
from tuner.report.figures.sweep import values_axis
from tuner.text import printable, typed_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Inches across: the text of a page in one column.
WIDTH = 5.5

STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.labelsize": 8,
    "axes.titlesize": 8,
    "axes.edgecolor": light("muted"),
    "axes.labelcolor": light("ink"),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": light("rule"),
    "grid.linewidth": 0.6,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.color": light("muted"),
    "ytick.color": light("muted"),
    "text.color": light("ink"),
    "legend.fontsize": 7,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "lines.markersize": 4,
    "pdf.fonttype": 42,
    "svg.fonttype": "path",
    "svg.hashsalt": "tune",  # else names of clip paths are drawn by chance
    "axes.formatter.limits": (-4, 6),
}

#: The report's dashes and symbols in matplotlib's words.
DASHES: Mapping[str, Any] = {
    "solid": "-",
    "dash": (0, (5, 2)),
    "dot": (0, (1, 1.5)),
    "dashdot": "-.",
    "longdash": (0, (8, 3)),
    "longdashdot": (0, (8, 3, 1, 3)),
}
SYMBOLS = {
    "star": "*", "circle": "o", "square": "s", "triangle-up": "^", "diamond": "D", "x": "X", "cross": "P",
}  # fmt: skip


def figure_files(paper: Paper) -> dict[str, bytes]:
    """Return file name to content: each figure as PDF and as SVG."""
    import matplotlib

    drawn: dict[str, Callable[[Paper], Figure | None]] = {
        "curves": learning_curves,
        "scores": scores_by_seed,
        "values": score_by_value,
        "history": search_history,
    }
    files = {}
    # From matplotlib's own defaults: whatever a machine's matplotlibrc says, a figure is the same.
    style: Any = {**matplotlib.rcParamsDefault, "backend": "agg", **STYLE}
    with matplotlib.rc_context(style):
        for name, draw in drawn.items():
            figure = draw(paper)
            if figure is not None:
                files[f"{name}.pdf"] = _bytes(figure, "pdf", {"CreationDate": None, "Producer": None, "Creator": None})
                files[f"{name}.svg"] = _bytes(figure, "svg", {"Date": None, "Creator": None})
    return files


def _bytes(figure: Figure, kind: str, metadata: Mapping[str, None]) -> bytes:
    content = io.BytesIO()
    figure.savefig(content, format=kind, metadata=dict(metadata))
    return content.getvalue()


def learning_curves(paper: Paper) -> Figure | None:
    """Return interquartile means over seeds with their 95 % bands; single seeds where there are few settings."""
    shown = [(title, [g for g in groups if g.curve["step"]]) for title, groups in panels(paper)]
    shown = [(title, groups) for title, groups in shown if groups]
    if not shown:
        return None
    figure, axes = _axes(len(shown), 3.3)
    for i, (place, (title, groups)) in enumerate(zip(axes, shown, strict=True)):
        for group, look in zip(groups, looks_of(len(groups)), strict=True):
            label = group.title if len(shown) == 1 else _first_value(paper, group)
            _curve(place, group, label, look, with_seeds=len(groups) <= MOST_WITH_SEEDS)
        _threshold(place, paper.threshold)
        place.set_title(_words(title))
        place.set_xlabel(paper.clock)
        if i == 0:
            place.set_ylabel("mean return")
    _legend(figure, axes[0])
    return figure


def scores_by_seed(paper: Paper) -> Figure | None:
    """Return every run's score as a dot, and the interquartile mean with its interval, a line for each setting."""
    groups = [g for g in paper.groups if g.estimate is not None]
    figure, (place,) = _axes(1, 0.7 + 0.3 * len(groups))
    for i, (group, look) in enumerate(zip(groups, looks_of(len(groups)), strict=True)):
        scores = group.scores[paper.objective]
        place.plot(scores, [i] * len(scores), "o", color=look.colour, alpha=0.35, markersize=4, markeredgewidth=0)
        _estimate(place, group, look, i)
    place.set_yticks(range(len(groups)), [_words(g.title) for g in groups])
    place.set_ylim(len(groups) - 0.5, -0.5)
    place.grid(visible=False, axis="y")
    place.grid(visible=True, axis="x")
    place.set_xlabel(f"{paper.objective} score of a run")
    return figure


def score_by_value(paper: Paper) -> Figure | None:
    """Return scores and interquartile means against the numbers of the one field that a sweep varies."""
    groups = [g for g in paper.groups if g.estimate is not None]
    if len(paper.vary) != 1 or len(groups) < 2:
        return None
    (name,) = paper.vary
    axis = values_axis(name, [g.values[name] for g in groups])
    if not axis.numeric:  # the figure of scores shows as much
        return None
    groups = sorted(groups, key=lambda g: g.values[name])
    figure, (place,) = _axes(1, 2.8)
    for group in groups:
        scores = group.scores[paper.objective]
        x = [group.values[name]] * len(scores)
        place.plot(x, scores, "o", color=light("completed"), alpha=0.35, markeredgewidth=0)
    middle = [_number(g.estimate, "value") for g in groups]
    down = [m - _number(g.estimate, "low", m) for m, g in zip(middle, groups, strict=True)]
    up = [_number(g.estimate, "high", m) - m for m, g in zip(middle, groups, strict=True)]
    at = [g.values[name] for g in groups]
    place.errorbar(at, middle, yerr=[down, up], fmt="-D", color=light("best"), capsize=2.5, zorder=3)
    if axis.log:
        place.set_xscale("log")
    place.set_xlabel(_words(name))
    place.set_ylabel(f"{paper.objective} score")
    return figure


def search_history(paper: Paper) -> Figure | None:
    """Return the search's scores in order, and the best so far; None where there was no search."""
    if not paper.study:
        return None
    history = paper.study["figures"]["history"]
    figure, (place,) = _axes(1, 2.6)
    place.plot(history["scored"]["trial"], history["scored"]["score"], "o", color=light("completed"), markersize=3,
               markeredgewidth=0, alpha=0.7, label="trial")  # fmt: skip
    so_far = history["best_so_far"]
    place.step(so_far["trial"], so_far["score"], where="post", color=light("best"), label="best so far")
    place.set_xlabel("trial")
    place.set_ylabel(f"score in the search ({'one run' if paper.search_runs == 1 else f'{paper.search_runs} runs'})")
    place.legend(loc="lower right")
    return figure


def _axes(count: int, height: float) -> tuple[Figure, list[Axes]]:
    from matplotlib.figure import Figure

    columns = min(count, 3)
    rows = math.ceil(count / columns)
    figure = Figure(figsize=(WIDTH, height if count == 1 else 0.5 + 1.9 * rows), layout="constrained")
    places = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    for place in places[count:]:
        place.set_axis_off()
    return figure, list(places[:count])


def _curve(place: Axes, group: Group, label: str, look: Look, *, with_seeds: bool) -> None:
    curve, dash = group.curve, DASHES[look.dash]
    for run in curve["runs"] if with_seeds else ():
        place.plot(run["step"], run["mean"], color=look.colour, alpha=0.25, linewidth=0.5, linestyle=dash)
    for steps, low, high in bands(curve):
        place.fill_between(steps, low, high, color=look.colour, alpha=0.15, linewidth=0)
    symbol = SYMBOLS[look.symbol]
    place.plot(
        curve["step"], curve["iqm"], color=look.colour, linestyle=dash, marker=symbol, label=_words(label), zorder=3
    )


def _threshold(place: Axes, threshold: float | None) -> None:
    """Draw the return at which the environment counts as solved, where the curves come near it."""
    low, high = place.get_ylim()
    if threshold is not None and low <= threshold <= high:
        place.axhline(threshold, color=light("muted"), linewidth=0.8, linestyle=":", zorder=1)
        at: Any = {"xy": (0.01, threshold), "xycoords": ("axes fraction", "data"), "va": "bottom", "fontsize": 6.5}
        place.annotate(f"solved at {threshold:g}", color=light("muted"), **at)


def _estimate(place: Axes, group: Group, look: Look, y: float) -> None:
    value = _number(group.estimate, "value")
    low, high = (_number(group.estimate, end, value) for end in ("low", "high"))
    place.errorbar(
        [value], [y], xerr=[[value - low], [high - value]], fmt=SYMBOLS[look.symbol], color=look.colour, capsize=2.5,
        markersize=6, zorder=3,
    )  # fmt: skip


def _number(estimate: Mapping[str, Any] | None, key: str, otherwise: float = math.nan) -> float:
    found = None if estimate is None else estimate[key]
    return otherwise if found is None else float(found)


def _legend(figure: Figure, place: Axes) -> None:
    """Name the curves below the figure, where no curve can run through their names."""
    figure.legend(*place.get_legend_handles_labels(), loc="outside lower center", ncols=3)


def _first_value(paper: Paper, group: Group) -> str:
    first = next(iter(paper.vary))
    return f"{first} {typed_text(group.values[first])}"


def _words(text: str) -> str:
    """Return text as it is: matplotlib reads what stands between dollars as a formula."""
    return printable(text).replace("$", r"\$")
