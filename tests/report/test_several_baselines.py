"""A winner beside several baselines: what is called better or worse holds for all of them together."""

import dataclasses
import json

import factory
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner import seeding
from tuner.core.multiple_comparisons import holm
from tuner.report.numbers.evidence import evidence
from tuner.report.words.evidence import comparison_sentence
from tuner.result.verdict import compare, compare_with_each, p_value

SAMPLES = st.lists(st.integers(0, 9).map(float), min_size=1, max_size=10)


@given(ours=SAMPLES, others=st.dictionaries(st.sampled_from("abcd"), SAMPLES))
def test_each_is_judged_as_alone_but_for_what_holms_correction_takes_back(ours, others):
    found = compare_with_each(ours, others)
    alone = {name: compare(ours, theirs) for name, theirs in others.items()}
    p_values = {name: p_value(alone[name], len(ours), len(theirs)) for name, theirs in others.items()}
    adjusted = dict(zip(p_values, holm(list(p_values.values())), strict=True))
    assert list(found) == list(others)
    for name, one in found.items():
        assert (one.difference, one.probability) == (alone[name].difference, alone[name].probability)
        assert (one.p_value, one.p_holm) == (p_values[name], adjusted[name])
        told = alone[name].result in ("better", "worse")
        assert one.result == ("undecided" if told and adjusted[name] > 0.05 else alone[name].result)


def test_one_baseline_is_judged_as_before_and_four_alike_are_named_seldom():
    rng = seeding.stream(0, "baselines that are alike")
    errors = {1: 0, 4: 0}
    for _ in range(300):
        winner, *others = rng.normal(250, 50, (5, 10)).tolist()
        for n in errors:
            found = compare_with_each(winner, dict(enumerate(others[:n])))
            errors[n] += any(one.result in ("better", "worse") for one in found.values())
        assert compare_with_each(winner, {0: others[0]})[0].result == compare(winner, others[0]).result
    # 15 errors are expected at 5 %; uncorrected 4 baselines give 16 %: 48, of which 27 and fewer come once in 2,000
    assert errors[4] <= 27 and errors[1] <= 27


def test_the_report_takes_back_what_one_of_several_comparisons_shows_by_chance():
    # by itself p = 0.037 beside the defaults; RL Zoo's values are level: corrected it is 0.075
    winner = [5.0, 6.0, 7.0, 8.0, 9.0, 10.0]
    near = [1.0, 2.0, 3.0, 4.0, 6.5, 7.5]
    alone = compare_with_each(winner, {"defaults": near})["defaults"]
    both = compare_with_each(winner, {"defaults": near, "zoo": winner})
    assert alone.p_value < 0.05 and alone.result == "better"
    assert both["defaults"].p_holm == pytest.approx(2 * alone.p_value) and both["defaults"].result == "undecided"


def test_the_report_corrects_over_the_baselines_of_each_score():
    data = factory.confirmed()
    found, winner = evidence(data), data.confirmation.winner
    json.dumps(found, allow_nan=False)
    assert len(found["comparisons"]) == 3
    for objective in found["comparisons"][0]["scores"]:
        ours = data.confirmation.scores(winner, "verdict", objective)
        theirs = {b.key: data.confirmation.scores(b, "verdict", objective) for b in data.confirmation.baselines}
        expected = {key: dataclasses.asdict(one) for key, one in compare_with_each(ours, theirs).items()}
        assert {row["with"]: row["scores"][objective] for row in found["comparisons"]} == expected


def test_the_sentence_says_why_an_interval_that_tells_is_not_enough():
    found = evidence(factory.confirmed())
    rows = {row["key"]: row for row in found["contestants"]}
    beside = next(row for row in found["comparisons"] if row["scores"]["late"]["result"] == "better")
    assert "by itself" not in comparison_sentence(beside, rows, "late")
    beside["scores"]["late"]["result"] = "undecided"
    sentence = comparison_sentence(beside, rows, "late")
    assert sentence.startswith("It cannot be told from ")
    assert sentence.endswith(
        "; by itself it could, but of several comparisons one comes out like that by chance too often."
    )
