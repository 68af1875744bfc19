import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_ind

from tuner.core.elimination import clearly_beaten, p_not_below

samples = st.lists(st.integers(0, 500), min_size=1, max_size=8)


def test_beaten_by_hand():
    scores = {"best": [500, 490, 495, 500, 480], "close": [500, 470, 495, 460, 500], "far": [200, 150, 180, 90, 210]}
    assert clearly_beaten(scores) == {"far"}


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


def test_a_score_that_is_none_is_refused():
    with pytest.raises(ValueError, match=r"candidate 'a' needs a list of finite scores"):
        clearly_beaten({"a": [], "b": [1.0]})
