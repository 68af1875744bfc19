"""The claim of ``benchmarks/forecast.py`` as a test: run by hand, on a quiet machine, as it judges times.

pytest -n 0 -m "" benchmarks/test_forecast.py
"""

import statistics

import pytest
from forecast import ENVIRONMENTS, pair


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_the_forecast_of_a_default_study_is_within_thirty_percent(env):
    pairs = [pair(env, 0.2, repeat, 16) for repeat in range(3)]
    assert 0.7 < statistics.median(p.forecast_s / p.actual_s for p in pairs) < 1.3
