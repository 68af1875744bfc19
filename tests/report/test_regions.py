"""Where good settings lie: regions around the true optimum, and silence where nothing is known."""

from __future__ import annotations

import dataclasses

import factory
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.core.regions import FEWEST, SHUFFLES, differs, favoured, good_trials, span
from tuner.report.numbers.regions import Region, regions, worth_tuning_next
from tuner.report.pages.document import report_document
from tuner.report.words.search import next_sentence


def studied(score, n=120, seed=0):
    """Return a study of random completed trials, each worth what ``score`` says of its parameters, and some noise."""
    rng = np.random.default_rng(seed)
    trials = []
    for number in range(n):
        row = factory.trial(number, rng=rng)
        params = factory.sampled(rng)
        noisy = score(params) + 0.1 * float(rng.standard_normal())
        trials.append(dataclasses.replace(row, params=params, hyperparameters=factory.resolved(params), score=noisy))
    return factory.study(trials)


def named(data):
    return {region.name: region for region in regions(data)}


def test_a_region_lies_around_the_optimum_and_spares_what_does_not_matter():
    found = named(studied(lambda p: -abs(np.log10(p["learning_rate"]) + 3)))
    assert found["learning_rate"].low < 1e-3 < found["learning_rate"].high
    assert found["learning_rate"].high / found["learning_rate"].low < 50  # of a thousand searched
    assert "exploration_final_eps" not in found and "net_arch" not in found


def test_a_choice_that_never_helps_is_left_out():
    found = named(studied(lambda p: float(p["net_arch"] == "256,256")))
    assert found["net_arch"].choices == ("256,256",)
    assert found["net_arch"].text == "256,256"
    assert found["net_arch"].low is None


def test_scores_that_do_not_depend_on_the_settings_draw_a_region_in_one_study_of_twenty_at_most():
    drawn = sum(bool(regions(studied(lambda p: 0.0, n=40, seed=seed))) for seed in range(12))
    assert drawn <= 2  # 0.6 are expected, 3 or more have a probability of 2 %


@pytest.mark.parametrize("n", [0, 1, 4 * FEWEST - 1])
def test_few_trials_have_no_region(n):
    assert regions(studied(lambda p: p["learning_rate"], n=n)) == []


def test_equal_scores_have_no_region():
    data = studied(lambda p: 0.0)
    equal = tuple(dataclasses.replace(t, score=1.0) for t in data.trials)
    assert regions(dataclasses.replace(data, trials=equal)) == []


def test_what_to_tune_next_are_the_two_that_decide_most_beyond_noise():
    data = factory.cartpole()
    assert worth_tuning_next(data) == ["learning_rate", "target_update_interval"]
    assert next_sentence(data) == "Worth tuning further: learning_rate and target_update_interval."
    quiet = {name: found._replace(noise=0.9) for name, found in data.importances.items()}
    assert next_sentence(dataclasses.replace(data, importances=quiet)) == ""


def test_the_document_says_the_regions():
    data = studied(lambda p: -abs(np.log10(p["learning_rate"]) + 3))
    audits = report_document(data, best_yaml=None, commands={}, written=factory.START)["audits"]
    assert [Region(**{**r, "choices": tuple(r["choices"])}) for r in audits["regions"]] == regions(data)
    assert audits["tune_next"] == worth_tuning_next(data)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.data())
def test_a_span_lies_within_the_good_ones(values, data):
    positions = np.array(values)
    good = np.array(data.draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values))))
    good[0] = True
    low, high = span(positions, good)
    assert positions[good].min() <= low <= high <= positions[good].max()


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=30), st.data())
def test_some_choice_is_always_favoured_and_all_are_where_all_trials_are_good(choices, data):
    good = np.array(data.draw(st.lists(st.booleans(), min_size=len(choices), max_size=len(choices))))
    good[0] = True
    assert favoured(choices, good)
    assert favoured(choices, np.ones(len(choices), bool)) == list(dict.fromkeys(choices))


@pytest.mark.parametrize("ordered", [True, False])
def test_chance_makes_few_regions_and_a_difference_is_seen(ordered):
    rng = np.random.default_rng(3)
    good = np.arange(100) < 25
    places = [rng.integers(4, size=100).astype(float) for _ in range(60)]
    by_chance = np.mean([differs(p, good, ordered) <= 0.05 for p in places])
    assert by_chance <= 0.15  # 3 of 60 are expected, 9 or more have a probability of 0.4 %
    assert differs(np.where(good, places[0] // 2, places[0]), good, ordered) <= 0.05


@pytest.mark.parametrize("ordered", [True, False])
def test_what_is_found_is_one_of_the_orders_there_could_be(ordered):
    best = np.arange(40) < 10
    assert differs(np.where(best, 0.0, 1.0), best, ordered) == 1 / (1 + SHUFFLES)
    assert differs(np.zeros(40), best, ordered) == 1.0


def test_a_choice_is_favoured_that_is_half_as_common_among_the_good_and_a_span_leaves_a_tenth_out_at_either_end():
    choices, good = list("aaaabbbbc"), np.array([1, 0, 0, 0, 1, 1, 1, 0, 0], bool)
    assert favoured(choices, good) == ["a", "b"]  # a: 4 of 9 among all, 1 of 4 among the good
    assert favoured(choices, np.array([0, 0, 0, 0, 1, 1, 1, 0, 1], bool)) == ["b", "c"]
    assert span(np.linspace(0, 1, 11), np.ones(11, bool)) == pytest.approx((0.1, 0.9))


def test_a_quarter_of_the_trials_is_good_and_the_best_ones_where_scores_have_no_noise():
    points = np.linspace(0, 1, 40)[:, None]
    good = good_trials(points, points[:, 0])
    assert good.sum() == 10 and good[-10:].all()
