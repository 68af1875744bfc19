"""The plot of ``tune train``: one training as a page that opens offline, and its numbers as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from markupsafe import Markup

from tuner.report.figures.training import DRAWN_EPISODES, training_metric, training_returns
from tuner.report.numbers.trials import METRICS, spread
from tuner.report.pages.template import render_template, script_json, write_page
from tuner.report.pages.value_maps import TABLE_CURVES, value_maps
from tuner.report.tables.trials import provenance_rows
from tuner.report.words.evidence import BACKEND_NAMES
from tuner.report.words.in_short import nothing_learned
from tuner.report.words.search import ALGORITHM_NAMES, CLOCKS, KeyNumber
from tuner.text import counted, env_title, plain, score_text

#: Raised when a key of ``training.json`` changes its meaning or goes away.
SCHEMA_VERSION = 1


def write_training_page(
    run: Mapping[str, Any],
    watched: Mapping[str, Any],
    evaluations: Iterable[tuple[int, Sequence[float]]],
    folder: Path,
    *,
    reward_threshold: float | None = None,
    random_mean: float | None = None,
    table: Mapping[str, Any] | None = None,
) -> Path:
    """Write ``training.html`` and ``training.json`` into an existing folder; each replaces its predecessor at once.

    ``training.json`` holds ``schema_version``, ``run``, ``episodes`` (``step``, ``return``, ``length``), ``updates``
    (``step``, ``loss``, ``q_value``, ``epsilon``; each entry the mean over ``stride`` training calls),
    ``evaluations`` (``step``, ``returns``) and, where it is given, ``table``.

    Args:
        run: ``env``, ``algorithm``, ``backend``, ``seed``, ``n_timesteps``, ``hyperparameters``; plain data.
        watched: ``episodes``, ``updates`` and ``stride``.
        evaluations: (step, return of each episode), in order.
        folder: Where to write.
        reward_threshold: The environment's own 'solved' return, when it has one.
        random_mean: Mean return of random play, where somebody has played.
        table: A Q-table over training beside the true values, as ``tuner.training.lone.table_log`` gives it.

    Returns:
        Path of ``training.html``.
    """
    points = [{"step": step, "returns": returns} for step, returns in evaluations]
    seen = {} if table is None else {"table": table}
    document = plain({"schema_version": SCHEMA_VERSION, "run": run, **watched, "evaluations": points, **seen})
    html = render_training(document, reward_threshold, random_mean)
    return write_page(folder / "training.html", html, document, indent=None)


def render_training(
    document: Mapping[str, Any], reward_threshold: float | None = None, random_mean: float | None = None
) -> str:
    """Return the page of a ``training.json`` as HTML."""
    run, stride = document["run"], document["stride"]
    clock = CLOCKS.get(run["algorithm"], "environment steps")
    returns = [point["returns"] for point in document["evaluations"] if point["returns"]]
    steps = [point["step"] for point in document["evaluations"] if point["returns"]]
    means = [sum(r) / len(r) for r in returns]
    low, high, intervals = spread(returns)
    evaluations = {"step": steps, "mean": means, "low": low, "high": high}
    updates = document["updates"]
    drawn: dict[str, tuple[go.Figure | None, str]] = {
        "returns": (
            training_returns(document["episodes"], evaluations, reward_threshold, intervals, clock),
            "",
        )
    }
    for i, name in enumerate(("loss", "q_value", "epsilon")):
        values = [float("nan") if v is None else v for v in updates[name]]
        figure = training_metric(updates["step"], values, may_be_log=name == "loss", clock=clock)
        drawn[f"metrics-{i}"] = (figure, METRICS[name])
    table = document.get("table")
    if table is not None:
        for i, (name, title) in enumerate(TABLE_CURVES.items()):
            drawn[f"table-{i}"] = (training_metric(table["steps"], table[name]), title)
    shown = {key: (figure, title) for key, (figure, title) in drawn.items() if figure is not None}
    algorithm = ALGORITHM_NAMES.get(run["algorithm"], run["algorithm"])
    backend = BACKEND_NAMES.get(run["backend"], run["backend"])
    return render_template(
        "training.html.j2",
        {key: plain(figure.to_plotly_json()) for key, (figure, _) in shown.items()},
        {
            "headline": f"{algorithm} on {env_title(run)}",
            "nothing_learned": nothing_learned(means, random_mean),
            "lead": f"One training of {run['n_timesteps']:,} {clock} by {backend}, with seed {run['seed']}.",
            "key_numbers": _key_numbers(document, steps, means),
            "table": table,
            "maps_json": None if table is None else Markup(script_json(value_maps(table))),
            "thinned": _thinned(len(document["episodes"]["step"]), stride),
            "drawn": {key: title for key, (_, title) in shown.items()},
            "why_empty": {
                "returns": "Nothing to draw: no episode ended and nothing was evaluated.",
                "metrics": "Nothing to draw: the run took no gradient step.",
            },
            "hyperparameter_rows": provenance_rows(run["hyperparameters"]),
        },
    )


def _key_numbers(document: Mapping[str, Any], steps: list[int], means: list[float]) -> list[KeyNumber]:
    episodes = document["episodes"]["return"]
    last_training = episodes[-100:]
    mean = sum(last_training) / len(last_training) if last_training else None
    last = means[-1] if means else None
    best = max(range(len(means)), key=means.__getitem__, default=None)
    remark = f"over the last {counted(len(last_training), 'training episode')}"
    return [
        KeyNumber("Last evaluation", score_text(last, 4), f"at step {steps[-1]:,}" if steps else ""),
        KeyNumber(
            "Best evaluation",
            score_text(None if best is None else means[best], 4),
            "" if best is None else f"at step {steps[best]:,}",
        ),
        KeyNumber("Mean return", score_text(mean, 4), remark),
        KeyNumber("Episodes", f"{len(episodes):,}", "played in training"),
    ]


def _thinned(episodes: int, stride: int) -> str:
    every = -(-episodes // DRAWN_EPISODES)
    notes = []
    if every > 1:
        notes.append(f"One in {every} of {episodes:,} training episodes is drawn; the mean is over all.")
    if stride > 1:
        notes.append(f"Each point of loss, Q-value and epsilon is the mean over {stride:,} training calls.")
    return " ".join(notes)
