"""The comparison of two backends: native minus Stable-Baselines3, careful words."""

import math

import factory

from tuner.core.statistics import iqm_difference
from tuner.report.pages.comparison import comparison_document, render_comparison

RUN = {
    "env": "CartPole-v1", "algorithm": "dqn", "n_timesteps": 50_000, "hyperparameters": {"gamma": 0.99}, "seeds": 6,
    "evaluation": {"episodes": 10},
}  # fmt: skip


def document(native, sb3):
    return comparison_document(RUN, {"native": native, "sb3": sb3}, provenance={"versions": {"torch": "2"}})


def runs(skill, count=6, **changes):
    return [factory.confirm_run("verdict", i, skill, **changes) for i in range(count)]


def test_difference_is_native_minus_the_other_with_its_share_of_the_return_range():
    ours, theirs = runs(0.9), runs(0.2)
    found = document(ours, theirs)
    late = found["differences"]["late"]
    expected = iqm_difference([r.score("late") for r in ours], [r.score("late") for r in theirs])
    assert (late["difference"]["value"], late["difference"]["low"]) == (expected.value, expected.low)
    low, high = found["return_range"]
    assert late["of_range"][0] == expected.low / (high - low)
    assert late["result"] == "better"
    assert "native is ahead" in found["words"][0]
    assert found["words"][0] in render_comparison(found).replace("&#39;", "'")


def test_what_cannot_be_told_apart_or_ties_is_called_so():
    assert "they cannot be told apart" in document(runs(0.6), runs(0.6)[::-1])["words"][0]
    assert "they tie" in document(runs(0.6, flat=500.0), runs(0.5, flat=500.0))["words"][0]


def test_intervals_over_few_seeds_are_called_guesses():
    few = "An interval over fewer than 5 seeds is a guess."
    assert few in document(runs(0.9)[:3], runs(0.2)[:3])["words"]
    assert few not in document(runs(0.9), runs(0.2))["words"]


def test_runs_that_diverged_count_as_the_worst_and_are_named():
    nan = factory.CurvePoint(5_000, (math.nan,) * 10)
    broken = factory.confirm_run("verdict", 9, 0.5, outcome="diverged", curve=(nan,), reason="loss became inf")
    found = document([*runs(0.9), broken], runs(0.8))
    scores = found["backends"]["native"]["scores"]["late"]
    assert scores[-1] == min(min(b["scores"]["late"]) for b in found["backends"].values())
    assert found["words"][-1] == "native: 1 run did not complete (loss became inf)."
    nothing = document([broken], [broken])
    assert nothing["differences"] == {}
    assert "Nothing to draw" in render_comparison(nothing)
