"""Workers and lanes for environments whose own steps take most of the time."""

import pytest

from tuner.plan.advice import StepTimes, advice

TWO = {"cores": 2, "runs": 100, "workers": 2, "lanes": 6}


@pytest.mark.parametrize(
    ("waiting", "workers", "faster"),
    [(60.0, 5, 2.5), (75.0, 8, 4.0), (90.0, 16, 8.0), (99.0, 16, 8.0)],
)
def test_as_many_workers_as_keep_the_cores_at_work_where_steps_wait(waiting, workers, faster):
    found = advice(StepTimes(100.0, waiting, 0.0), **TWO)
    assert found.startswith(f"--workers {workers} --lanes 1, about {faster:.1f} times as fast: ")


def test_no_more_workers_than_runs():
    assert advice(StepTimes(100.0, 90.0, 0.0), **{**TWO, "runs": 3}).startswith(
        "--workers 3 --lanes 1, about 1.5 times"
    )


def test_whoever_has_enough_workers_is_told_nothing():
    assert advice(StepTimes(100.0, 75.0, 0.0), **{**TWO, "workers": 8, "lanes": 1}) == ""


def test_steps_that_compute_leave_the_workers_as_they_are():
    found = advice(StepTimes(100.0, 5.0, 80.0), **TWO)
    assert found.startswith("--lanes 1 costs next to nothing") and "80%" in found
    assert advice(StepTimes(100.0, 5.0, 80.0), **{**TWO, "lanes": 1}) == ""


def test_quick_environments_get_no_advice():
    assert advice(StepTimes(100.0, 10.0, 20.0), **TWO) == ""
