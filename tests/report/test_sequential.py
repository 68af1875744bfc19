"""A verdict that went on until it was sure: what is bounded and what that rests on stands wherever it is printed."""

import dataclasses

import factory
import pytest

from tuner.report.numbers.evidence import evidence
from tuner.report.numbers.more_seeds import more_seeds, paired_scores
from tuner.report.pages.dashboard import dashboard_note
from tuner.report.tables.evidence import evidence_view
from tuner.report.words.evidence import verdict
from tuner.report.words.in_short import in_short
from tuner.report.words.more_seeds import more_seeds_lines
from tuner.result.sequential import Until, standing, told


def zoo_key(data):
    return next(b.key for b in data.confirmation.baselines if b.role == "zoo")


@pytest.fixture(scope="module")
def data():
    return factory.confirmed()


def until(data, bounds=None):
    found = data.confirmation
    ours = found.scores(found.winner, "verdict")
    standings = {
        b.key: standing(ours, found.scores(b, "verdict"), 1 - 0.05 / 3, bounds, (10,)) for b in found.baselines
    }
    standings = told(standings, 3, 0.95, (10,))
    return dataclasses.replace(
        data, confirmation=dataclasses.replace(found, until=Until(0.95, 10, 40, bounds), standings=standings)
    )


def test_no_interval_for_a_fixed_number_of_seeds_is_given(data):
    found = evidence(until(data))
    assert {e["low"] for row in found["contestants"] for e in row["verdict"]["estimates"].values()} == {None}
    assert not any(end is not None for curve in found["curves"] for end in curve["low"])
    assert all(row["scores"]["late"]["probability"]["low"] is None for row in found["comparisons"])
    assert found["until"]["each"] == pytest.approx(1 - 0.05 / 3)
    assert "95 % interval" not in " ".join(verdict(found))
    assert "0.9833 at every look" in evidence_view(found)["comparison_columns"]


def test_what_is_sure_and_what_it_rests_on_is_said_on_the_dashboard_too(data):
    note = dashboard_note(until(data))
    assert "It is ahead of the algorithm's defaults" in note and "sure after 10 seeds" in note
    short = " ".join(in_short(until(data), evidence(until(data))))
    assert "Better than defaults (sure after 10 seeds)" in short and "cannot be told from RL Zoo." in short
    assert "for all comparisons together and at every look" in note
    assert "beside settings that are alike it is wrong in at most 5 % of such verdicts" in note
    assert "differences of two runs of a seed are normal" in note


def test_what_more_seeds_would_decide_is_the_first_look_at_which_such_a_sample_is_sure(data):
    found = more_seeds(until(data), 0.95)
    rows = {row["role"]: row for row in found["comparisons"]}
    assert rows["defaults"]["sure_after"] == 10
    zoo = rows["zoo"]
    assert zoo["sure_after"] is None
    assert zoo["seeds_needed"] == until(data).confirmation.standings[zoo_key(data)].seeds_needed((10,)) > 10
    lines = more_seeds_lines(found, "s")
    assert f"about {zoo['seeds_needed'] - 10:,} more of both would decide it" in " ".join(lines)
    assert f"tune confirm s --until 0.95 --confirm-seeds {zoo['seeds_needed']} --confirm-budget" in lines[-2]
    surer = more_seeds(data, 0.999)  # a study with a fixed number of seeds too
    assert all(a["seeds_needed"] >= b["seeds_needed"] for a, b in zip(surer["comparisons"], rows.values(), strict=True))


def test_a_setting_that_is_two_baselines_is_one_comparison(data):
    """As the verdict has it: the defaults may be the best of what was known beforehand, too."""
    one, whole = until(data), until(data).confirmation
    again = dataclasses.replace(whole.baselines[0], role="known", name="trial 3")
    twice = dataclasses.replace(one, confirmation=dataclasses.replace(whole, contestants=(*whole.contestants, again)))
    assert evidence(twice)["until"]["each"] == evidence(one)["until"]["each"]
    rows = more_seeds(twice)["comparisons"]
    assert [row["role"] for row in rows] == [*(row["role"] for row in more_seeds(one)["comparisons"]), "known"]
    alone = {row["role"]: {**row, "name": ""} for row in more_seeds(one)["comparisons"]}
    assert {row["role"]: {**row, "name": ""} for row in rows[:-1]} == alone


def test_pairs_are_runs_of_the_same_seed(data):
    confirmation = data.confirmation
    winner, baseline = confirmation.winner, confirmation.baselines[0]
    fates = {2: "failed", 4: "diverged"}
    runs = tuple(
        dataclasses.replace(r, outcome=fates.get(r.replicate, "completed")) if r.phase == "verdict" else r
        for r in winner.runs
    )
    pairs = paired_scores(confirmation, dataclasses.replace(winner, runs=runs), baseline)
    theirs = {r.replicate: r.score("late") for r in baseline.phase("verdict")}
    everyone = [s for c in confirmation.contestants for r in c.phase("verdict") if (s := r.score("late")) is not None]
    assert [b for _, b in pairs] == [theirs[r] for r in range(10) if r != 2]
    assert pairs[3][0] == min(everyone)


def test_a_known_range_bounds_each_mean_and_a_score_outside_is_told(data):
    found = evidence(until(data, (0.0, 500.0)))
    winner = next(row for row in found["contestants"] if row["key"] == found["winner"])
    scores = winner["verdict"]["scores"]["late"]
    assert winner["verdict"]["mean"]["value"] == pytest.approx(sum(scores) / len(scores))
    assert 0 < winner["verdict"]["mean"]["low"] < winner["verdict"]["mean"]["value"]
    assert "nothing but that returns lie between 0 and 500" in " ".join(verdict(found))
    disproved = evidence(until(data, (0.0, 300.0)))
    assert disproved["until"]["bounds_hold"] is False
    assert "0:300 does not hold" in " ".join(verdict(disproved))
    assert not any(row["sequence"]["bounded"] for row in disproved["comparisons"] if row["role"] == "zoo")
