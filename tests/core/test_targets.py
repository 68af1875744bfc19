import numpy as np
import pytest
import torch

from tuner.core.targets import column_max, td_target


def test_target_by_hand():
    target = td_target(np.array([1.0, 2.0, -1.0]), np.array([0.9, 0.0, 0.81]), np.array([10.0, 10.0, 100.0]))
    np.testing.assert_allclose(target, [10.0, 2.0, 80.0])


def test_termination_cuts_and_truncation_bootstraps():
    terminated, truncated = td_target(np.zeros(2), np.array([0.0, 0.99]), np.full(2, 5.0))
    assert terminated == 0.0
    assert truncated == pytest.approx(4.95)


def test_shapes_that_would_broadcast_are_refused():
    with pytest.raises(ValueError, match=r"one shape"):
        td_target(np.zeros((3, 1)), np.zeros(3), np.zeros(3))


def test_column_max_is_the_maximum_for_numpy_and_torch():
    q = np.random.default_rng(0).normal(size=(4, 5, 6))
    np.testing.assert_array_equal(column_max(q, np.maximum), q.max(axis=-1))
    np.testing.assert_array_equal(column_max(torch.from_numpy(q), torch.maximum).numpy(), q.max(axis=-1))
    assert np.isnan(column_max(np.array([[1.0, np.nan, 2.0]]), np.maximum))
