"""Holm's correction: adjusted p-values against the step-down procedure that they stand for."""

from hypothesis import given
from hypothesis import strategies as st

from tuner.core.multiple_comparisons import holm

P_VALUES = st.lists(st.floats(0, 1), max_size=8)


def test_the_smallest_is_multiplied_by_all_the_largest_by_one_and_order_stays():
    assert holm([0.04, 0.01, 0.03]) == [0.06, 0.03, 0.06]  # 0.01 x 3, 0.03 x 2, and 0.04 x 1 not below the one before
    assert holm([0.2]) == [0.2]
    assert holm([]) == []


@given(p_values=P_VALUES, level=st.floats(0, 1, exclude_max=True))
def test_what_is_rejected_is_what_stepping_down_rejects(p_values, level):
    rejected = set()
    for rank, i in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        if p_values[i] * (len(p_values) - rank) > level:
            break
        rejected.add(i)
    assert {i for i, p in enumerate(holm(p_values)) if p <= level} == rejected


@given(p_values=P_VALUES)
def test_an_adjusted_value_is_a_probability_and_never_below_its_own(p_values):
    assert all(p <= adjusted <= 1 for p, adjusted in zip(p_values, holm(p_values), strict=True))
