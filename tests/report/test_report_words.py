"""Numbers, durations and sentences as people read them."""

import dataclasses
import math

import factory
import pytest

from tuner.report.numbers.audits import pruning_sentences
from tuner.report.numbers.trials import last_evaluation
from tuner.report.words import search as words
from tuner.report.words.caution import caution
from tuner.report.words.several import several_sentences
from tuner.text import duration, figure_text, large, listed, number


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (494.125, "494.1"),
        (500.0, "500"),
        (1_000_000, "1,000,000"),
        (-12.5, "-12.5"),
        (0.001008, "0.001008"),
        (0.1, "0.1"),
        (1e-5, "1e-5"),
        (2.34567e-5, "2.346e-5"),
        (0.0, "0"),
        (99999.99, "100,000"),
        (0.99996, "0.99996"),
        (-0.99996, "-0.99996"),
        (0.99987, "0.99987"),  # gamma's bound is 0.9999
        (0.9999999, "0.9999999"),
        (sum([0.1] * 10), "1"),  # 0.9999999999999999
        (0.95, "0.95"),
        (0.91234, "0.9123"),
        (None, "–"),
        (float("nan"), "–"),
    ],
)
def test_numbers_have_four_significant_digits_and_more_close_below_one(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.42, "0.4 s"),
        (42, "42 s"),
        (192, "3 min 12 s"),
        (60, "1 min"),
        (7500, "2 h 5 min"),
        (273_600, "3 d 4 h"),
        (None, "–"),
    ],
)
def test_durations_have_two_units(seconds, text):
    assert duration(seconds) == text


def test_large_counts_are_rounded():
    assert [large(v) for v in (950, 12_400, 2_310_000, 1_200_000_000)] == ["950", "12.4 k", "2.31 M", "1.2 G"]


def test_long_lists_are_cut_and_counted():
    assert listed(["a"]) == "a" and listed(["a", "b", "c"]) == "a, b and c"
    assert listed(list("abcdef"), most=3) == "a, b, c and 3 more"


def test_text_in_figures_is_neither_markup_nor_template():
    assert figure_text("<b>%{x}&") == "&lt;b&gt;%&#123;x}&amp;"


def test_a_score_over_several_seeds_is_said_to_be_a_mean(cartpole):
    best = cartpole.best
    curves = dict.fromkeys(range(3), best.curves[0])
    trials = tuple(dataclasses.replace(t, curves=curves) if t == best else t for t in cartpole.trials)
    said = caution(dataclasses.replace(cartpole, trials=trials))
    assert said.startswith("That is the mean of 3 training runs; not yet confirmed on fresh seeds.")


def test_key_numbers_agree_with_the_study(cartpole):
    cells = {cell.label: cell for cell in words.key_numbers(cartpole)}
    solved = sum(t.score is not None and t.score >= 475 for t in cartpole.trials)
    assert cells["Solved"].value == str(solved)
    spent, saved = cartpole.steps_spent, cartpole.steps_saved
    assert cells["Saved"].value == f"{100 * saved / (spent + saved):.0f} %"
    assert 4 <= len(cells) <= 6


@pytest.mark.parametrize(
    ("scores", "median"), [([1.0, 9.0, 4.0], "4"), ([9.0, 1.0], "5"), ([8.0, 2.0, 1.0, 3.0], "2.5")]
)
def test_the_median_takes_the_place_of_solved_where_no_threshold_is_known(scores, median):
    data = factory.study([factory.trial(i, score=s) for i, s in enumerate(scores)], reward_threshold=None)
    assert {c.label: c.value for c in words.key_numbers(data)}["Median score"] == median


def test_a_study_without_a_grid_still_has_words():
    data = factory.study([factory.trial(0, "pruned")], grid=())
    assert words.effort_sentence(data) and words.key_numbers(data) and words.lead(data)


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        ("failed", ["The only trial failed.", "It gave no result; the reason is below."]),
        ("pruned", ["Only pruned trials.", "1 trial ended early by the pruner; its last evaluation is shown"]),
    ],
)
def test_one_trial_is_spoken_of_as_one(outcome, said):
    data = factory.study([factory.trial(0, outcome)])
    (notice,) = words.notices(data)
    assert notice.title == said[0] and notice.text.startswith(said[1])
    assert "CartPole-v1, with its own values of learning_rate" in words.lead(data)[0]
    assert "How it ended: 1 " in words.lead(data)[1] and " they " not in words.lead(data)[1]


def test_one_audited_trial_is_spoken_of_as_one():
    rows = [factory.trial(i) for i in range(6)] + [factory.trial(6, "pruned")]
    data = factory.study([dataclasses.replace(rows[0], spared_at=25_000), *rows[1:]])
    said = pruning_sentences(data)[1]
    assert said.startswith("Of 1 trial finished though it wanted to stop it, ") and " 1 pruned trial would have" in said


@pytest.mark.parametrize(("n", "said"), [(1, "over 1 fresh seed."), (2, "over 2 fresh seeds.")])
def test_seeds_of_several_environments_are_counted(n, said):
    estimate = {"value": 3.0, "low": None, "high": None, "kind": "single", "n": n}
    row = {"env": "A-v0", "held_out": False, "settings": {"setting": {"estimate": estimate}}, "comparisons": {}}
    assert several_sentences({"environments": [row]})[0].endswith(said)


def test_the_last_evaluation_is_one_that_all_seeds_have_reached():
    row = factory.trial(0, "pruned")
    points = [factory.CurvePoint(step, (float(step),)) for step in factory.GRID[:3]]
    ahead = dataclasses.replace(row, curves={0: tuple(points), 1: tuple(points[:2])})
    assert last_evaluation(ahead) == points[1].mean
    assert last_evaluation(dataclasses.replace(row, curves={})) is None
    broken = factory.CurvePoint(factory.GRID[3], (math.inf,))
    assert last_evaluation(dataclasses.replace(row, curves={0: (*points, broken)})) is None
