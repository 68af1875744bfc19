"""Search, select and verdict on objectives with known truth: `benchmarks/selection.py` with fixed seeds."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

_spec = importlib.util.spec_from_file_location(
    "benchmark_selection", Path(__file__).parents[2] / "benchmarks" / "selection.py"
)
selection = sys.modules["benchmark_selection"] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(selection)

REPEATS = 500


@pytest.mark.learning
@pytest.mark.parametrize("make", [selection.normal, selection.bimodal], ids=lambda make: make.__name__)
def test_selected_winner_is_better_than_a_longer_searchs_best_and_its_interval_covers(make):
    found = [selection.study(make, repeat) for repeat in range(REPEATS)]
    better, worse = sum(s.gain > 0 for s in found), sum(s.gain < 0 for s in found)
    # A fair coin for each study in which the two differ: clearly more often means four standard errors.
    assert better - worse > 4 * np.sqrt(better + worse)
    assert np.mean([s.gain for s in found]) > 0
    assert 0.92 <= np.mean([s.held for s in found]) <= 0.98


@pytest.mark.learning
def test_on_pure_noise_the_shrinkage_is_the_true_gap():
    found = [selection.study(selection.noise, repeat) for repeat in range(REPEATS)]
    apart = np.array([s.shrinkage - s.gap for s in found])
    assert abs(apart.mean()) <= 1.96 * apart.std(ddof=1) / np.sqrt(REPEATS)
    assert np.mean([s.gap for s in found]) > 100  # luck there was: two standard deviations of a run
