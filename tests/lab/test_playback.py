"""What a replay chooses: judged by seeds that had no say."""

from types import SimpleNamespace

import numpy as np
import pytest
from playback import Scored, choose


def measured(late, fresh=None):
    """Scores alone, with seeds that no search draws or without."""
    return SimpleNamespace(late=late, fresh=np.empty((len(late), 0)) if fresh is None else fresh)


def test_the_confirmed_choice_ignores_the_seed_that_looked_best():
    late = np.array([[500.0, 100.0, 130.0, 70.0], [400.0, 390.0, 410.0, 430.0], [200.0] * 4])
    trials = [Scored(*trial) for trial in ((500, 400, 0, 0), (390, 300, 1, 1), (200, 150, 2, 0))]
    best, chosen = choose(measured(late), trials)
    assert best == pytest.approx(100), "the seed that made it best says nothing of it"
    assert chosen == pytest.approx((400 + 410 + 430) / 3)


def test_seeds_that_chose_say_nothing_of_what_was_chosen():
    """On pure noise the truth of the choice is the mean of the noise, not the best of it."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(400):
        late = rng.normal(100, 20, (5, 5))
        trials = [Scored(late[i, 0], 0, i, 0) for i in range(5)]
        found.append(choose(measured(late), trials))
    np.testing.assert_allclose(np.mean(found, axis=0), 100, atol=3 * 20 / np.sqrt(400 * 2))


def test_a_model_orders_the_finalists_in_place_of_their_scores():
    late = np.array([[500.0, 100.0, 110.0]] + [[400.0 - i, 400.0, 400.0] for i in range(6)])
    trials = [Scored(late[i, 0], 0, i, 0) for i in range(7)]
    doubts = choose(measured(late), trials, lambda rows, scores: np.where(np.array(rows) == 0, -1.0, scores))
    assert choose(measured(late), trials).best == pytest.approx(105)
    assert doubts.best == pytest.approx(400)


def test_further_seeds_choose_and_judge_in_place_of_those_that_a_search_draws():
    late = np.array([[500.0, 0.0, 0.0], [400.0, 400.0, 400.0]])
    fresh = np.array([[90.0, 100.0, 110.0, 100.0, 100.0], [np.nan] * 5])
    trials = [Scored(500, 0, 0, 0), Scored(400, 0, 1, 0)]
    assert choose(measured(late, fresh), trials).best == pytest.approx(100)
    assert choose(measured(late, fresh), trials).confirmed == pytest.approx(400)


def test_further_seeds_that_chose_say_nothing_either():
    rng = np.random.default_rng(0)
    found = []
    for _ in range(400):
        late, fresh = rng.normal(100, 20, (5, 3)), rng.normal(100, 20, (5, 7))
        found.append(choose(measured(late, fresh), [Scored(late[i, 0], 0, i, 0) for i in range(5)]).confirmed)
    assert np.mean(found) == pytest.approx(100, abs=4 * 20 / np.sqrt(400 * 3))


def test_scores_that_a_finalist_has_count_where_they_are_pooled():
    late = np.array([[500.0, 100.0, 100.0, 100.0], [200.0, 150.0, 150.0, 150.0]])
    trials = [Scored(500, 0, 0, 0), Scored(200, 0, 1, 0)]
    assert choose(measured(late), trials).confirmed == pytest.approx(150)
    assert choose(measured(late), trials, pooled=True).confirmed == pytest.approx(100), "(500 + 2 * 100) / 3 > 500 / 3"
