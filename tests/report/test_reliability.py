"""The worst that the verdict's seeds have shown, for every winner."""

import dataclasses

import factory
import numpy as np
import pytest

from tuner.core.reliability import worst_quarter
from tuner.core.statistics import share_interval
from tuner.report.numbers.evidence import evidence
from tuner.report.tables.evidence import evidence_view
from tuner.report.words.evidence import tied_sentence, verdict
from tuner.report.words.search import key_numbers


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
