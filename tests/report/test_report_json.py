"""report.json and trials.csv: the same numbers as the page, as plain data."""

import csv
import dataclasses
import io
import json
import math
from datetime import UTC, datetime
from pathlib import Path

import factory
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.report import figures
from tuner.report.pages.document import report_document
from tuner.report.pages.template import script_json
from tuner.report.tables.trials import trials_csv, trials_frame
from tuner.text import plain

WRITTEN = datetime(2026, 3, 1, tzinfo=UTC)


def document(data) -> dict:
    return report_document(data, best_yaml="a: 1\n", commands={"export": "tune export x"}, written=WRITTEN)


def numbers(value):
    if isinstance(value, dict):
        for item in value.values():
            yield from numbers(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from numbers(item)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield float(value)


def table(data) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(trials_csv(data))))


def test_json_round_trips(cartpole):
    before = document(cartpole)
    assert json.loads(json.dumps(before, allow_nan=False)) == before


def test_every_number_of_a_figure_is_in_the_json(cartpole):
    known = set(numbers(document(cartpole)))
    columns = {float(i) for i in range(10)}  # where axes stand in parallel coordinates
    drawn = {
        "history": figures.optimization_history(cartpole),
        "curves": figures.learning_curves(cartpole),
        "importance": figures.importance_bars(cartpole),
        "parallel": figures.parallel_coordinates(cartpole),
        "steps": figures.steps_by_trial(cartpole),
        "worth": figures.scores_by_origin(cartpole),
        "cost": figures.score_against_cost(cartpole),
        **figures.slices(cartpole),
        **figures.contours(cartpole),
        **figures.metric_curves(cartpole),
    }
    low, high = (f(t.score for t in cartpole.trials if t.score is not None) for f in (min, max))
    heights = {(t.score - low) / (high - low) for t in cartpole.trials if t.score is not None}
    for name, figure in drawn.items():
        allowed = known | ({*columns, *heights} if name == "parallel" else set())
        for trace in figure.data:
            found = set(numbers([list(trace[key]) for key in ("x", "y") if trace[key] is not None]))
            assert found <= allowed, f"{name}: {sorted(found - allowed)[:3]}"


def test_every_key_of_a_trial_and_of_the_summary_is_in_the_published_schema(cartpole):
    page = (Path(__file__).parents[2] / "docs" / "report-schema.md").read_text(encoding="utf-8")
    before, _, after = page.partition("## Trials")
    trials = after.partition("## Figures")[0]
    found = document(cartpole)
    for part, keys in ((trials, found["trials"][0]), (before, found["summary"]), (before, found["study"])):
        assert [key for key in keys if f"`{key}`" not in part] == []


def test_the_summary_counts_what_the_study_counts(cartpole):
    summary = document(cartpole)["summary"]
    assert summary["outcomes"] == {o: cartpole.count(o) for o in ("completed", "pruned", "diverged", "failed")}
    assert sum(summary["outcomes"].values()) == summary["trials"] == 60
    assert summary["best"]["trial"] == cartpole.best.number
    assert summary["best"]["score"] == max(t.score for t in cartpole.trials if t.score is not None)
    assert (summary["steps_spent"], summary["steps_saved"]) == (cartpole.steps_spent, cartpole.steps_saved)


def test_numbers_that_are_not_finite_become_null():
    point = factory.CurvePoint(5000, (1.0, math.nan), {"loss": math.inf, "q_value": float("-inf")})
    data = factory.study([factory.trial(0, "diverged", curves={0: (point,)})])
    text = json.dumps(document(data), allow_nan=False)
    assert json.loads(text)["trials"][0]["curves"]["0"][0] == {
        "step": 5000,
        "returns": [1.0, None],
        "metrics": {"loss": None, "q_value": None},
    }


def test_a_curve_that_is_not_finite_still_makes_every_figure():
    point = factory.CurvePoint(5000, (1.0, math.nan), {"loss": math.inf})
    data = factory.study([factory.trial(0, "diverged", curves={0: (point,)}), factory.trial(1), factory.trial(2)])
    for name in figures.__all__:
        assert getattr(figures, name)(data) is not None


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.tuples(inner) | st.dictionaries(st.integers() | st.text(), inner),
        max_leaves=20,
    )
)
def test_plain_data_is_always_json_and_plain_twice_is_plain_once(value):
    once = plain(value)
    assert json.loads(json.dumps(once, allow_nan=False)) == once
    assert plain(once) == once


def test_plain_data_of_numpy_times_and_paths():
    assert plain({1: np.float32(0.5), "a": np.array([1, 2]), "p": Path("x"), "t": WRITTEN}) == {
        "1": 0.5,
        "a": [1, 2],
        "p": "x",
        "t": "2026-03-01T00:00:00+00:00",
    }


@given(st.text())
def test_script_json_cannot_leave_its_element_and_says_the_same(text):
    embedded = script_json({"text": text})
    assert not set("<>&\u2028\u2029") & set(embedded)
    assert json.loads(embedded) == {"text": text}


def test_csv_has_each_trial_with_its_values(cartpole):
    rows = table(cartpole)
    assert [int(row["number"]) for row in rows] == [t.number for t in cartpole.trials]
    for row, trial in zip(rows, cartpole.trials, strict=True):
        assert row["outcome"] == trial.outcome and row["state"] == trial.state and row["reason"] == trial.reason
        assert (float(row["score"]) if row["score"] else None) == trial.score
        assert float(row["params_learning_rate"]) == trial.params["learning_rate"]
        assert row["params_buffer_size"] == str(trial.params["buffer_size"]), "whole numbers stay whole"
        assert row["seeds"] == str(trial.seeds[0])
        last = trial.curves[0][-1].mean if trial.curves else None
        assert (float(row["final_return"]) if row["final_return"] else None) == last


def test_csv_leaves_out_constant_hyperparameters_and_keeps_resolved_ones_that_vary():
    trials = [
        dataclasses.replace(t, params={"one_minus_gamma": 1 - g}, hyperparameters={**t.hyperparameters, "gamma": g})
        for t, g in ((factory.trial(0), 0.9), (factory.trial(1), 0.99))
    ]
    rows = table(factory.study(trials))
    assert [float(row["hyperparameters_gamma"]) for row in rows] == [0.9, 0.99]
    assert "hyperparameters_batch_size" not in rows[0]


def test_csv_keeps_whole_numbers_whole_beside_empty_cells():
    trials = [factory.trial(0), factory.trial(1, "failed", params={})]
    assert table(factory.study(trials))[0]["params_buffer_size"] == str(trials[0].params["buffer_size"])


def test_csv_text_is_never_a_formula():
    rows = table(factory.study([factory.trial(0, "failed", reason='=HYPERLINK("x")')]))
    assert rows[0]["reason"] == '\'=HYPERLINK("x")'


def test_the_frame_and_the_file_hold_the_same(cartpole):
    frame = pd.read_csv(io.StringIO(trials_csv(cartpole)))
    assert list(frame) == list(trials_frame(cartpole))
    for name, column in trials_frame(cartpole).items():
        expected = column.to_numpy(dtype=object, na_value=None)
        for there, here in zip(frame[name], expected, strict=True):
            assert (here in (None, "") and pd.isna(there)) or str(there) == str(here) or there == pytest.approx(here), (
                name
            )
