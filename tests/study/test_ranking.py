"""Finalists by a model of all trials: a lucky score among bad neighbours comes after a good setting among good ones."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from study_fakes import SPACE

from tuner.contract.rules import CURRENT, VERSION_0_1_0
from tuner.hyperparameters import DQNHyperparameters
from tuner.result.study import StudyData, TrialRow
from tuner.space.cube import Cube
from tuner.space.parse import parse_space
from tuner.study.confirm import ranking
from tuner.study.confirm.contestants import finalists
from tuner.study.confirm.ranking import ranked_by_worth


def trial(number: int, learning_rate: float, score: float, **params) -> TrialRow:
    values = {"learning_rate": learning_rate, "buffer_size": 1000, "double_q": False, **params}
    settings = DQNHyperparameters(**{n: v for n, v in values.items() if n != "shape"}).to_mapping()
    return TrialRow(number, "COMPLETE", "completed", score, values, settings, {}, {}, 100, 1.0, None, None)


def study(trials, rules=CURRENT) -> StudyData:
    return StudyData("s", {"algo": "dqn"}, SPACE, (1000,), tuple(trials), rules=rules)


@pytest.fixture
def lucky():
    """Thirty noisy scores over the learning rate, whose truth peaks at 1e-3, and one lucky bad setting."""
    rng = np.random.default_rng(1)
    rates = np.geomspace(1e-5, 1e-2, 30)
    rows = [trial(i, r, 100 - 40 * abs(np.log10(r) + 3) + rng.normal(0, 6)) for i, r in enumerate(rates)]
    return [*rows, trial(30, 1.1e-5, 101.0)]


def test_a_lucky_score_among_bad_neighbours_is_no_favourite_and_trains_again_all_the_same(lucky):
    data = study(lucky)
    assert data.best.number == 30
    order = [t.number for t in ranked_by_worth(data)]
    assert order.index(30) > 10
    found = finalists(data, 5, "native")
    assert found[0].trial != 30
    assert found[1].trial == 30, "among those that even a small budget pays for"
    assert all(abs(np.log10(c.hyperparameters["learning_rate"]) + 3) < 0.7 for c in found if c.trial != 30)


def test_by_rule_2_the_best_score_comes_last(lucky):
    found = finalists(study(lucky, dataclasses.replace(CURRENT, finalists=2)), 5, "native")
    assert [c.trial for c in found].index(30) == 4


def test_the_best_of_what_was_known_beforehand_takes_part_behind_the_model_s_first(lucky):
    named = [dataclasses.replace(t, source="portfolio/one" if t.number in (2, 5) else t.source) for t in lucky]
    found = [c.trial for c in finalists(study(named), 3, "native")]
    best = max((t for t in named if t.number in (2, 5)), key=lambda t: t.score)
    assert found == [ranked_by_worth(study(named))[0].number, best.number, 30]
    for source in ("prior", "repeat"):  # proposals of the prior and second runs are the search's own
        proposed = [dataclasses.replace(t, source=source) for t in lucky]
        assert [c.trial for c in finalists(study(proposed), 3, "native")][1] == 30


def test_a_study_of_an_older_rule_keeps_the_order_of_scores(lucky):
    data = study(lucky, VERSION_0_1_0)
    assert [c.trial for c in finalists(data, 5, "native")] == [t.number for t in data.ranked[:5]]


@pytest.mark.parametrize(("rule", "counted"), [(5, (99.0, 98.0)), (6, (99.0, 98.0, 1.0, 1.0))])
def test_runs_of_a_setting_that_diverged_in_the_search_count_beside_its_others(rule, counted):
    """As the lowest score of the search, whose random play was better."""
    rows = [trial(0, 1e-3, 99.0), trial(1, 1e-3, 98.0), trial(2, 1e-4, 1.0)]
    lost = dataclasses.replace(rows[0], state="PRUNED", score=None)
    rows += [
        dataclasses.replace(lost, number=3 + i, outcome=outcome)
        for i, outcome in enumerate(("diverged", "timed_out", "pruned", "failed"))
    ]
    data = dataclasses.replace(study(rows, dataclasses.replace(CURRENT, finalists=rule)), random_play=(50.0,))
    found = {c.trial: c.searched for c in finalists(data, 5, "native")}
    assert found == {0: counted, 2: (1.0,)}
    worst = dataclasses.replace(data, recipe={**data.recipe, "objective": "worst"})
    assert not any(c.searched for c in finalists(worst, 5, "native"))


@pytest.mark.parametrize("limit", [1, 2, 5, 100])
def test_finalists_are_different_and_no_more_than_asked_for(lucky, limit):
    twice = [*lucky, *(dataclasses.replace(t, number=t.number + 100) for t in lucky)]
    found = finalists(study(twice), limit, "native")
    assert len({c.key for c in found}) == len(found) == min(limit, len(lucky))


def test_trials_of_another_program_are_left_out_of_the_model(lucky):
    strange = trial(40, 0.5, 200.0)  # beyond the range
    assert 40 not in [t.number for t in ranked_by_worth(study([*lucky, strange]))]


def test_of_many_trials_the_model_sees_the_best_half_of_what_it_may_see(lucky, monkeypatch):
    monkeypatch.setattr(ranking, "MOST_TRIALS", 10)
    data = study(lucky)
    seen = {t.number for t in ranked_by_worth(data)}
    assert len(seen) == 10
    assert {t.number for t in data.ranked[:5]} <= seen
    assert data.ranked[-1].number in seen


def test_points_lie_in_the_unit_cube_and_choices_are_one_apart():
    cube = Cube(parse_space(SPACE))
    low = cube.place({"learning_rate": 1e-5, "buffer_size": 100, "double_q": True, "tau": 0.1})
    high = cube.place({"learning_rate": 1e-2, "buffer_size": 10_000, "double_q": False})
    assert low.min() >= 0
    assert high.max() <= 1
    both = [
        cube.place({"learning_rate": 1e-3, "buffer_size": 500, "double_q": choice, "tau": 0.5})
        for choice in (True, False)
    ]
    assert np.linalg.norm(both[0] - both[1]) == pytest.approx(1)
