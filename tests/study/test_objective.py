import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.contract.objective import OBJECTIVES, run_score, trial_score, value_at
from tuner.contract.outcome import EvalPoint
from tuner.contract.spec import RunId
from tuner.errors import DivergedError


def curve(means, replicate=0, steps=None):
    steps = steps or [100 * (i + 1) for i in range(len(means))]
    return [EvalPoint(RunId(0, replicate), s, (m - 3, m + 3), (1, 1)) for s, m in zip(steps, means, strict=True)]


@pytest.mark.parametrize(
    ("objective", "expected"),
    [("late", (40.0 + 10.0) / 2), ("final", 10.0), ("best", 60.0), ("auc", (0 + 20 + 60 + 40 + 10) / 5)],
)
def test_scores_equal_numbers_computed_by_hand(objective, expected):
    assert run_score(objective, curve([0.0, 20.0, 60.0, 40.0, 10.0])) == pytest.approx(expected)


@pytest.mark.parametrize(("n", "last"), [(1, 1), (2, 1), (3, 1), (4, 2), (6, 2), (7, 3), (10, 4)])
def test_late_is_the_mean_of_the_last_third_rounded_up(n, last):
    means = [float(i * i) for i in range(n)]
    assert run_score("late", curve(means)) == pytest.approx(sum(means[-last:]) / last)


def test_auc_weighs_an_evaluation_by_the_steps_before_it():
    assert run_score("auc", curve([10.0, 40.0], steps=[300, 400])) == pytest.approx((10 * 300 + 40 * 100) / 400)


def test_a_trial_scores_the_mean_over_its_seeds():
    assert trial_score("final", {0: curve([1.0, 10.0]), 1: curve([5.0, 40.0], 1)}) == 25.0


def test_the_pruner_sees_the_mean_over_the_seeds_that_have_reached_the_step():
    curves = {0: curve([10.0, 20.0]), 1: curve([30.0], 1)}
    assert value_at(100, curves) == 20.0
    assert value_at(200, curves) == 20.0
    with pytest.raises(ValueError, match="step 300"):
        value_at(300, curves)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_number_that_is_not_finite_is_never_a_score(objective, bad):
    points = [*curve([1.0, 2.0]), EvalPoint(RunId(0), 300, (bad,), (1,))]
    with pytest.raises(DivergedError, match="step 300"):
        run_score(objective, points)


def test_an_overflowing_score_is_divergence_not_a_crash():
    points = [EvalPoint(RunId(0), step, (1.7e308,), (1,)) for step in (1, 2, 3, 4)]
    with pytest.raises(DivergedError, match="late"):
        run_score("late", points)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=12), st.sampled_from(sorted(OBJECTIVES)))
def test_every_score_lies_between_the_worst_and_the_best_evaluation(means, objective):
    score = run_score(objective, curve(means))
    points = [p.mean_return for p in curve(means)]
    assert min(points) - 1e-6 <= score <= max(points) + 1e-6
