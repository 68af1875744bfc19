"""What the search was worth: rows by origin, what the best of each earns on fresh seeds, and the Pareto front."""

from __future__ import annotations

import dataclasses

import factory
from hypothesis import given
from hypothesis import strategies as st

from tuner.core.statistics import mean_interval
from tuner.report.figures import score_against_cost, scores_by_origin
from tuner.report.figures.worth import FRESH, TITLES
from tuner.report.numbers.worth import cost_series, origin, worth_series


def confirmed_with_origins():
    """Two starts, eight random trials, then every third from the prior, the others the sampler's own."""
    data = factory.confirmed()

    def source(number):
        return f"portfolio/{number}" if number < 2 else "prior" if number >= 10 and number % 3 == 0 else ""

    trials = tuple(dataclasses.replace(t, source=source(t.number)) for t in data.trials)
    return dataclasses.replace(data, trials=trials, recipe={**data.recipe, "startup_trials": 10})


def test_every_completed_trial_stands_in_the_row_that_it_comes_from():
    data = confirmed_with_origins()
    series = worth_series(data)
    assert list(series) == ["known", "random", "prior", "sampler", "defaults"]
    rows = {number: key for key, mine in series.items() for number in mine["trial"]}
    assert rows == {t.number: origin(data, t) for t in data.ranked}
    assert {rows[0], rows[1]} == {"known"}
    assert {rows[n] for n in range(2, 10) if n in rows} == {"random"}
    for key in ("known", "random", "prior", "sampler"):
        best = max(series[key]["trial"], key=lambda n: next(t.score for t in data.trials if t.number == n))
        assert series[key]["best"] == best


def test_without_a_sampler_that_learns_all_proposals_are_of_one_kind():
    data = confirmed_with_origins()
    for sampler, kind in (("random", "random"), ("qmc", "sampler")):
        other = dataclasses.replace(data, recipe={**data.recipe, "sampler": sampler})
        assert {origin(other, t) for t in other.trials if not t.source} == {kind}


def test_a_lost_random_trials_successor_is_a_random_one():
    data = confirmed_with_origins()
    lost, later = data.trials[8], data.trials[-1]
    successor = dataclasses.replace(later, source=lost.source, point=lost.number)
    assert successor.number >= 10 and origin(data, lost) == origin(data, successor) == "random"
    assert origin(data, dataclasses.replace(later, source="")) == "sampler"


def test_a_repeat_stands_in_the_row_of_the_setting_that_it_repeats():
    data = confirmed_with_origins()
    again = [dataclasses.replace(t, source="repeat", number=1000 + t.number) for t in data.trials[:20]]
    both = dataclasses.replace(data, trials=(*data.trials, *again))
    assert [origin(both, t) for t in again] == [origin(data, t) for t in data.trials[:20]]


def test_the_diamond_is_the_mean_of_the_verdicts_runs_else_of_the_selections():
    data = confirmed_with_origins()
    series, confirmation = worth_series(data), data.confirmation
    drawn = {trace.name: trace for trace in scores_by_origin(data).data}[FRESH]
    at = dict(zip(drawn.y, drawn.x, strict=True))
    for contestant in confirmation.contestants:
        for key, mine in series.items():
            if mine["best"] == contestant.trial and (contestant.trial is not None or contestant.role == key):
                scores = confirmation.scores(contestant, "verdict") or confirmation.scores(contestant, "select")
                assert at[TITLES[key]] == mean_interval(scores).value
    assert TITLES["defaults"] in at


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 5)), min_size=1, max_size=12))
def test_on_the_front_is_who_no_trial_that_costs_no_more_reaches(points):
    rows = [
        dataclasses.replace(factory.trial(i), score=float(score), duration_s=float(seconds))
        for i, (seconds, score) in enumerate(points)
    ]
    series = cost_series(factory.study(rows))
    for number, seconds, score, front in zip(*(series[k] for k in ("trial", "seconds", "score", "front")), strict=True):
        others = [t for t in rows if t.number != number and t.duration_s <= seconds and t.score >= score]
        equals = [t for t in others if (t.duration_s, t.score) == (seconds, score)]
        assert front == (len(others) == len(equals) and all(number < t.number for t in equals))


def test_nothing_is_drawn_of_one_trial_and_nothing_of_none():
    assert score_against_cost(factory.study([factory.trial(0)])) is None
    assert scores_by_origin(factory.study([])) is None
