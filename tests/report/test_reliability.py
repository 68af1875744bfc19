"""The worst that the verdict's seeds have shown, for every winner."""

import dataclasses

import factory
import numpy as np
import pytest

from tuner.core.reliability import worst_quarter
from tuner.core.statistics import interquartile_mean, share_interval
from tuner.report.numbers.evidence import evidence
from tuner.report.numbers.reliability import evaluations_by_step
from tuner.report.tables.evidence import evidence_view
from tuner.report.words.evidence import tied_sentence, verdict
from tuner.report.words.search import key_numbers
from tuner.result.confirmation import ConfirmRun
from tuner.result.curve import CurvePoint


@pytest.fixture(scope="module")
def data():
    return factory.confirmed()


def winner_of(found):
    return next(row for row in found["contestants"] if row["key"] == found["winner"])


def test_worst_seed_worst_quarter_and_the_share_that_reaches_the_threshold_are_those_of_the_verdicts_runs(data):
    found = evidence(data)
    runs = data.confirmation.winner.phase("verdict")
    scores = [run.score("late") for run in runs]
    mine = winner_of(found)["verdict"]["reliability"]
    assert mine["worst"] == {"seed": runs[int(np.argmin(scores))].seed, "score": min(scores), "outcome": "completed"}
    assert mine["worst_quarter"] == pytest.approx(worst_quarter(scores))
    hits = sum(score >= 475 for score in scores)
    assert 0 < hits < 10
    assert (mine["reached"]["runs"], mine["reached"]["n"]) == (hits, 10)
    assert (mine["reached"]["low"], mine["reached"]["high"]) == share_interval(hits, 10)
    text = " ".join(verdict(found))
    assert f"{hits} of 10 reach 475 (a share of {hits / 10:.2f}, 95 % interval" in text
    assert len(evidence_view(found)["reliability_rows"]) == 4


def test_the_curve_of_the_worst_quarter_is_that_of_the_evaluations_at_each_step(data):
    curve = next(c for c in evidence(data)["curves"] if c["key"] == data.confirmation.winner_key)
    runs = data.confirmation.winner.phase("verdict")
    for i in range(len(curve["step"])):
        assert curve["worst_quarter"][i] == pytest.approx(worst_quarter([run.curve[i].mean for run in runs]))


def test_curves_do_not_rise_where_runs_diverge(data):
    """Of four runs at the ceiling two diverge, one before it was evaluated, and one fails: they stay, as the floor."""
    whole = data.confirmation
    points = tuple(CurvePoint(step, (value,)) for step, value in ((10, 20.0), (20, 500.0), (30, 500.0)))
    ends = [("completed", 3), ("completed", 3), ("diverged", 1), ("diverged", 0), ("failed", 1)]
    runs = [ConfirmRun("verdict", i, i, end, points[:n], 30) for i, (end, n) in enumerate(ends)]
    one = dataclasses.replace(whole.winner, runs=tuple(runs))
    for floor, means in (
        (9.0, [[20, 20, 20, 20, 9], [500, 500, 9, 9], [500, 500, 9, 9]]),
        (None, [[20] * 4, [500] * 2, [500] * 2]),
    ):
        found = dataclasses.replace(whole, grid=(10, 20, 30), contestants=(one,), floor=floor)
        (curve,) = evidence(dataclasses.replace(data, confirmation=found))["curves"]
        assert curve["step"] == [10, 20, 30] and curve["n"] == [len(each) for each in means]
        assert curve["iqm"] == [pytest.approx(interquartile_mean(each)) for each in means]
        assert curve["worst_quarter"] == [pytest.approx(worst_quarter(each)) for each in means]
        assert [len(run["mean"]) for run in curve["runs"]] == [3, 3, 1, 1]
    assert evaluations_by_step(runs, 100.0)[10] == [20.0] * 5  # never above those that are left


def test_a_diverged_run_is_the_worst_and_reaches_nothing_and_a_failed_one_does_not_count(data):
    confirmation = data.confirmation
    winner = confirmation.winner
    fates = {0: "diverged", 1: "failed"}
    runs = tuple(
        dataclasses.replace(r, outcome=fates.get(r.replicate, "completed")) if r.phase == "verdict" else r
        for r in winner.runs
    )
    others = [c for c in confirmation.contestants if c.key != winner.key]
    changed = dataclasses.replace(confirmation, contestants=(dataclasses.replace(winner, runs=runs), *others))
    found = evidence(dataclasses.replace(data, confirmation=changed))
    mine = winner_of(found)["verdict"]["reliability"]
    assert mine["worst"]["outcome"] == "diverged" and mine["worst"]["score"] is None
    assert mine["reached"]["n"] == 9
    assert "diverged, the worst quarter" in " ".join(verdict(found))


@pytest.mark.parametrize("value", [0.7, 0.1, 8.1, -8.1, 0.0])
def test_a_score_that_is_the_threshold_but_for_the_rounding_of_means_reaches_it(value):
    data = factory.confirmed_flat(value, reward_threshold=value)
    assert winner_of(evidence(data))["verdict"]["reliability"]["reached"]["runs"] == 10
    assert next(cell.value for cell in key_numbers(data) if cell.label == "Solved") == "4"
    higher = dataclasses.replace(data, reward_threshold=value + 1e-6)
    assert winner_of(evidence(higher))["verdict"]["reliability"]["reached"]["runs"] == 0


def test_without_a_threshold_no_share_is_given_and_what_chose_the_winner_is_named(data):
    chosen = dataclasses.replace(data.confirmation, chosen_by="worst_quarter")
    found = evidence(dataclasses.replace(data, reward_threshold=None, confirmation=chosen))
    assert winner_of(found)["verdict"]["reliability"]["reached"] is None
    assert " reach " not in " ".join(verdict(found))
    assert tied_sentence(found)[0].endswith("taken for its higher worst quarter.")
    assert "select worst quarter" in evidence_view(found)["columns"]
