"""A result in a notebook: a few lines, a small page, and frames that hold every number once."""

from html.parser import HTMLParser
from pathlib import Path

import factory
import pytest

from tuner.hyperparameters import from_mapping
from tuner.result.study import StudyData
from tuner.study_result import StudyResult


def result(data: StudyData, ending: str = "done") -> StudyResult:
    best = from_mapping("dqn", data.chosen.hyperparameters) if data.chosen is not None else None
    return StudyResult(data.name, data, best, Path("reports/x/index.html"), Path("reports/x/best.yaml"), {}, ending)


@pytest.mark.parametrize("data", [factory.cartpole(), factory.confirmed(), factory.study([])], ids=lambda d: d.name)
def test_a_result_prints_in_under_15_lines_and_names_its_report(data):
    text = repr(result(data))
    assert text.count("\n") < 14
    assert "reports/x/index.html" in text
    assert data.name in text


def test_an_interrupted_result_says_that_the_same_recipe_carries_on(cartpole):
    assert "interrupted: the same recipe carries on" in repr(result(cartpole, "interrupted"))


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.rows, self.seen = [], 0, set()

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        self.rows += tag == "tr"
        if tag not in ("br", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_small_page_is_whole_and_its_text_is_escaped(cartpole):
    import dataclasses

    parser = Tags()
    named = dataclasses.replace(result(cartpole), name="<script>alert(1)</script>")
    parser.feed(named._repr_html_())
    assert parser.open == []
    assert "script" not in parser.seen
    assert parser.rows == 1 + 8 + len(named.values())


def test_frames_hold_every_trial_evaluation_and_confirm_run_once():
    data = factory.confirmed()
    found = result(data)
    assert len(found.trials_frame()) == len(data.trials)
    curves = found.curves_frame()
    assert len(curves) == sum(len(curve) for t in data.trials for curve in t.curves.values())
    best = curves[curves.trial == data.best.number]
    assert list(best.mean_return) == [point.mean for point in data.best.curves[0]]
    runs = found.confirm_frame()
    winner = data.confirmation.winner
    scores = runs[(runs.contestant == winner.title) & (runs.phase == "verdict")].score
    assert tuple(scores) == data.confirmation.scores(winner, "verdict")
    assert len(runs) == sum(len(c.runs) for c in data.confirmation.contestants)
    assert result(factory.study([])).curves_frame().empty


def test_figures_are_those_of_the_report(cartpole):
    figures = result(cartpole).figures()
    assert len(figures) > 5
    assert all(hasattr(figure, "to_plotly_json") for figure in figures.values())
