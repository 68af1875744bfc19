import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.stats import ttest_ind

from tuner.core.elimination import clearly_beaten, p_not_below
from tuner.core.reliability import clearly_worse_quarters

samples = st.lists(st.integers(0, 500), min_size=1, max_size=8)


def test_beaten_by_hand():
    scores = {"best": [500, 490, 495, 500, 480], "close": [500, 470, 495, 460, 500], "far": [200, 150, 180, 90, 210]}
    assert clearly_beaten(scores) == {"far"}


@pytest.mark.parametrize(("ahead", "gone"), [(1.8, set()), (1.9, {"b"})])
def test_one_in_twenty_of_equal_candidates_is_dropped(ahead, gone):
    """The standard error of the difference is 1, with 8 degrees of freedom: t at 0.95 is 1.86."""
    assert clearly_beaten({"a": [ahead + i for i in range(5)], "b": range(5)}) == gone


@given(samples.filter(lambda s: len(set(s)) > 1), samples.filter(lambda s: len(set(s)) > 1))
def test_p_value_is_that_of_welchs_one_sided_test(x, y):
    expected = ttest_ind(x, y, equal_var=False, alternative="less").pvalue
    assert p_not_below(x, y) == pytest.approx(expected, abs=1e-12)


@given(st.dictionaries(st.integers(0, 5), samples, max_size=5))
def test_leader_stays_and_so_does_who_ties_with_it_or_ran_once(scores):
    gone = clearly_beaten(scores)
    means = {name: float(np.mean(s)) for name, s in scores.items()}
    for name in gone:
        assert means[name] < max(means.values())
        assert len(scores[name]) > 1
    if scores:
        assert set(scores) - gone


def test_equal_scores_at_the_ceiling_are_not_beaten_and_a_constant_lower_one_is():
    assert clearly_beaten({1: [500, 500, 500], 2: [500, 500]}) == set()
    assert clearly_beaten({1: [500, 500, 500], 2: [9, 9]}) == {2}
    assert clearly_beaten({1: [500], 2: [9]}) == set()


@given(st.floats(-1e6, 1e6).filter(lambda x: abs(x) > 1e-6), st.integers(2, 12), st.integers(2, 12))
@example(0.9, 6, 7)
def test_equal_scores_beat_nobody_however_many_runs_there_are_of_each(score, n, m):
    candidates = {1: [score] * n, 2: [math.nextafter(score, math.inf)] * m if m % 2 else [score] * m}
    assert clearly_beaten(candidates) == clearly_worse_quarters(candidates) == set()
    assert p_not_below(candidates[1], candidates[2]) == 1.0
    higher = [score + 1e-9 * abs(score)] * m
    assert clearly_beaten({1: candidates[1], 2: higher}) == {1}


def test_before_rule_5_the_rounding_of_means_beat_equal_scores():
    six, seven = [0.9] * 6, [0.9] * 7
    assert clearly_beaten({1: six, 2: seven}, rounding=None) == {1}


def test_a_score_that_is_none_is_refused():
    with pytest.raises(ValueError, match=r"candidate 'a' needs a list of finite scores"):
        clearly_beaten({"a": [], "b": [1.0]})
