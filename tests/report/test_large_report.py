"""The report of a study of thousands of trials."""

import dataclasses
import itertools
import json
import re
from datetime import UTC, datetime

import factory
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.report.figures.curves import learning_curves
from tuner.report.numbers.axes import parameter_axes
from tuner.report.numbers.thinning import LINES, evenly
from tuner.report.pages.study import render
from tuner.report.tables.trials import MOST_ROWS, trial_rows, trials_csv
from tuner.text import short_numbers

SCORES = st.lists(st.none() | st.floats(-1e3, 1e3), min_size=2, max_size=60)


def large(trials):
    kinds = ("completed", "completed", "pruned")
    return factory.study([factory.trial(i, kinds[i % 3]) for i in range(trials)])


@given(SCORES, st.integers(2, 20), st.data())
def test_what_is_drawn_of_many_holds_the_best_the_first_and_even_ranks(scores, most, data):
    first = data.draw(st.integers(0, len(scores) - 1))
    places = evenly(scores, first, most)
    assert places == sorted(set(places)) and len(places) == min(most, len(scores))
    assert first in places
    # Without one that is there in any case: the best and the last rank, and no gap in ranks wider than needed.
    ranked = sorted(range(len(scores)), key=lambda i: (scores[i] is None, -(scores[i] or 0), i))
    found = sorted(ranked.index(i) for i in evenly(scores, None, most))
    assert found[0] == 0 and found[-1] == len(scores) - 1
    assert max(b - a for a, b in itertools.pairwise(found)) <= -(-(len(scores) - 1) // (len(found) - 1))


def test_floats_are_shortened_and_nothing_else():
    assert short_numbers({"a": [1 / 3, 12345678, "1.23456789", None, True]}, 4) == {
        "a": [0.3333, 12345678, "1.23456789", None, True]
    }


def test_of_many_curves_some_are_drawn_the_best_among_them_and_said_so():
    data = large(LINES + 60)
    figure = learning_curves(data)
    drawn = {trial for trace in figure.data for trial in (trace.customdata if trace.customdata is not None else ())}
    assert len(drawn - {None}) == LINES and data.chosen.number in drawn
    assert f"{LINES} of {LINES + 60} trials" in figure.layout.xaxis.title.text


def test_the_table_holds_the_best_and_the_file_all():
    data = large(MOST_ROWS + 40)
    shown = {row[0].sort for row in trial_rows(data)}
    left_out = [t.score for t in data.trials if t.number not in shown and t.score is not None]
    assert len(shown) == MOST_ROWS and data.chosen.number in shown
    assert not left_out or max(left_out) <= min(t.score for t in data.trials if t.number in shown and t.score)
    assert trials_csv(data).count("\n") == MOST_ROWS + 41


@pytest.mark.slow
def test_a_page_of_two_thousand_trials_is_below_two_megabytes():
    page = render(large(2000), best_yaml=None, commands={}, written=datetime.now(UTC))
    assert len(page.encode()) < 2_000_000
    assert f"{MOST_ROWS} best of 2,000 trials" in page
    assert json.loads(re.search(r'id="figures">(.*?)</script>', page).group(1))


def test_a_network_shape_is_one_category_whether_listed_or_sampled():
    data = factory.study([factory.trial(i) for i in range(3)])
    trials = [
        dataclasses.replace(t, params={"net_arch": a})
        for t, a in zip(data.trials, ("64x64", "64", "linear"), strict=True)
    ]
    space = {"search": {"net_arch": {"type": "categorical", "choices": [[64], [64, 64], []]}}}
    axis = parameter_axes(dataclasses.replace(data, trials=tuple(trials), space=space))["net_arch"]
    assert axis.categories == ("64", "64x64", "linear")
    assert axis.position("64x64") == 0.5
