"""Where a confirm stage stands, in a line: what is ahead, what is selected, and its scores beside the baselines'."""

import pytest

from tuner.result.confirmation import Contestant
from tuner.study.confirm.schedule import Job, Selection
from tuner.study.confirm.standing import standing


def contestant(key, role, name, trial=None):
    return Contestant(key=key, role=role, name=name, trial=trial, backend="native", hyperparameters={})


#: The first finalist trained as trial 2, of the portfolio, and as trial 39, a repeat: the baseline names the former.
CONTESTANTS = [
    contestant("a", "finalist", "trial 39", 39), contestant("b", "finalist", "trial 41", 41),
    contestant("d", "defaults", "the algorithm's defaults"), contestant("a", "known", "trial 2", 2),
]  # fmt: skip


@pytest.mark.parametrize(
    ("winner", "results", "line"),
    [
        (None, {}, "2 settings left"),
        (None, {("a", "select", 0): 500.0, ("b", "select", 0): 470.0}, "2 settings left, ahead: trial 39 at 500"),
        (None, {("a", "select", 0): 470.0, ("b", "select", 0): 500.0}, "2 settings left, ahead: trial 41 at 500"),
        ("a", {}, "trial 39 is selected"),
        ("a", {("a", "verdict", 0): 500.0, ("a", "verdict", 1): 490.0, ("d", "verdict", 0): 90.0},
         "trial 39: 495 on 2 of 10 fresh seeds; the algorithm's defaults: 90"),
    ],
)  # fmt: skip
def test_a_finalist_is_called_as_it_will_be_exported(winner, results, line):
    selection = Selection(wanted=(), alive=("a", "b"), dropped_after={}, winner=winner)
    assert standing(CONTESTANTS, selection, {Job(*job): score for job, score in results.items()}, 10) == line
