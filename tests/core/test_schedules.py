import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stable_baselines3.common.utils import LinearSchedule

from tuner.core.schedules import SCHEDULES, cosine, exponential, linear, step_size


def test_linear_at_start_middle_end_and_past_the_end():
    values = linear([0, 50, 100, 101, 1000], 1000, 1.0, 0.1, 0.1)
    np.testing.assert_allclose(values, [1.0, 0.55, 0.1, 0.1, 0.1], atol=1e-12)


def test_linear_equals_stable_baselines3_bit_for_bit():
    schedule = LinearSchedule(0.9, 0.03, 0.37)
    steps = np.arange(1, 5001)
    theirs = [schedule(1.0 - step / 5000.0) for step in steps]
    np.testing.assert_array_equal(linear(steps, 5000, 0.9, 0.03, 0.37), theirs)


def test_exponential_by_hand():
    values = exponential([0, 200, 400, 401], 1000, 1.0, 0.2, 0.4)
    np.testing.assert_allclose(values, [1.0, 0.2 + 0.8 * np.exp(-2.5), 0.2 + 0.8 * np.exp(-5.0), 0.2])


def test_cosine_by_hand():
    np.testing.assert_allclose(
        cosine([0, 250, 500, 1000, 1500], 1000, 0.2), [0.2, 0.1 + 0.05 * 2**0.5, 0.1, 0, 0], atol=1e-17
    )


@pytest.mark.parametrize("step", [1, 333, 999, 1000])
def test_a_linear_step_size_is_stable_baselines3_s_bit_for_bit(step):
    assert step_size("linear", step, 1000, 3e-4) == LinearSchedule(3e-4, 0.0, 1.0)(1.0 - step / 1000.0)


@pytest.mark.parametrize(
    ("schedule", "halfway", "end"), [("constant", 1.0, 1.0), ("linear", 0.5, 0), ("cosine", 0.5, 0)]
)
def test_a_step_size_falls_to_nothing_unless_it_is_constant(schedule, halfway, end):
    found = [step_size(schedule, step, 200, 0.01) / 0.01 for step in (0, 100, 200, 300)]
    assert found == pytest.approx([1.0, halfway, end, end])


@pytest.mark.parametrize("name", SCHEDULES)
@given(
    initial=st.floats(0, 1), final=st.floats(0, 1), fraction=st.just(0.0) | st.floats(1e-6, 1), n=st.integers(1, 10_000)
)
def test_schedules_stay_between_their_ends_and_never_turn(name, initial, final, fraction, n):
    values = SCHEDULES[name](np.arange(n + 1), n, initial, final, fraction)
    low, high = sorted((initial, final))
    assert (values >= low - 1e-12).all()
    assert (values <= high + 1e-12).all()
    differences = np.diff(values) * np.sign(final - initial)
    assert (differences >= -1e-12).all()
