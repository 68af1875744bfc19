"""The result in three short lines, and what they say where a comparison is unfair or nothing was learned."""

import dataclasses

import factory
import pytest

from tuner.report.numbers.evidence import compare_samples, evidence
from tuner.report.words.evidence import comparison_sentence, probability_text, share_of_steps
from tuner.report.words.in_short import below_random, in_short


@pytest.fixture(scope="module")
def data():
    return dataclasses.replace(factory.confirmed(), random_play=(20.0, 25.0))


def tuned_for(data, steps):
    """The study with RL Zoo's values meant for this many steps."""
    rows = data.confirmation.contestants
    rows = tuple(dataclasses.replace(c, tuned_for=steps) if c.role == "zoo" else c for c in rows)
    return dataclasses.replace(data, confirmation=dataclasses.replace(data.confirmation, contestants=rows))


def test_three_lines_say_the_result_what_stands_beside_it_and_what_follows(data):
    found = evidence(data)
    first, second, third = in_short(data, found)
    estimate = next(r for r in found["contestants"] if r["key"] == found["winner"])["verdict"]["estimates"]["late"]
    name = data.confirmation.winner.name.capitalize()
    value, low, high = (f"{estimate[key]:.0f}" for key in ("value", "low", "high"))
    assert first == f"{name}: {value} ({low} to {high}), 10 fresh seeds; solved at 475."
    assert second.startswith("Defaults: ") and second.endswith("; random play: 22.5.") and "RL Zoo: " in second
    assert third.startswith("Better than defaults") and "cannot be told from RL Zoo" in third
    assert max(map(len, (first, second, third))) <= 100


def test_a_search_without_a_verdict_says_that_its_score_is_one_run(data):
    bare = dataclasses.replace(data, confirmation=None)
    assert in_short(bare, None) == [
        f"Trial {data.best.number}: {data.best.score:.1f} in the search, one training run; solved at 475.",
        "Random play: 22.5.",
    ]
    assert in_short(factory.study([]), None) == []


def test_the_comparison_itself_says_that_values_trained_for_less_than_they_are_meant_for(data):
    short = tuned_for(data, 150_000)  # runs take 50,000
    found = evidence(short)
    rows = {row["key"]: row for row in found["contestants"]}
    against = next(c for c in found["comparisons"] if c["role"] == "zoo")
    sentence = comparison_sentence(against, rows, "late")
    assert "RL Zoo's tuned values, trained for a third of the 150,000 steps they are meant for" in sentence
    assert "RL Zoo: " in in_short(short, found)[1] and " in a third of its steps" in in_short(short, found)[1]
    full = evidence(tuned_for(data, 50_000))
    assert "of its steps" not in " ".join(in_short(data, full))


@pytest.mark.parametrize(
    ("steps", "meant", "said"),
    [
        (25_000, 50_000, "half"),
        (1, 3, "a third"),
        (20_000, 50_000, "40 %"),
        (120_000, 1_000_000, "12 %"),
        (1, 10**6, "less than 1 %"),
    ],
)
def test_shares_of_steps_are_said_plainly(steps, meant, said):
    assert share_of_steps({"n_timesteps": steps, "tuned_for": meant}) == said


def test_a_probability_that_contradicts_its_interval_stands_without_it():
    three = compare_samples([10.0, 11, 12], [1.0, 2, 3])["probability"]
    assert (three["value"], three["low"]) == (1.0, pytest.approx(0.5, abs=0.01))
    assert probability_text(three) == "1.00 (too few seeds)"
    ten = compare_samples([float(10 + i) for i in range(10)], [float(i) for i in range(10)])["probability"]
    assert probability_text(ten) == f"1.00 ({ten['low']:.2f} to 1.00)" and ten["low"] > 0.5


def test_what_is_no_better_than_random_play_is_called_that(data):
    assert below_random(22.6, data) == ""
    assert below_random(22.5, data).startswith("That is no better than random play (22.5 over 2 episodes)")
    assert below_random(10.0, data).startswith("That is below random play (22.5 over 2 episodes)")
    assert below_random(10.0, dataclasses.replace(data, random_play=())) == ""
    worse = dataclasses.replace(data, random_play=(1e6,))
    assert in_short(worse, evidence(worse))[-1].startswith("That is below random play")


@pytest.mark.parametrize(("theirs", "said"), [((1, 1, 1, 2), True), ((1, 1, 1, 0), True), ((1, 1, 0, 0), False)])
def test_another_trial_that_does_better_on_the_verdicts_seeds_is_named_with_the_command_that_takes_it(theirs, said):
    data = factory.confirmed()
    found = evidence(data)
    row = next(c for c in found["comparisons"] if c["role"] == "startup")
    share = sum({0: 0, 1: 1, 2: 0.5}[each] for each in theirs) / 4  # pairs that the winner lost, ties one half
    row["scores"]["late"]["probability"]["value"] = 1 - share
    lines = [line for line in in_short(data, found) if "tune export" in line]
    line = (
        f"Trial 3, best of the first random, does better on these seeds in {100 * share:.0f} % of the pairs of runs: "
        "tune export dqn-native-CartPole-v1 --trial 3 takes it."
    )
    assert lines == [line] * said


def test_baselines_that_are_no_trials_are_not_offered(data):
    found = evidence(data)
    for row in found["comparisons"]:
        row["scores"]["late"]["probability"]["value"] = 0.0 if row["role"] != "startup" else 1.0
    assert not [line for line in in_short(data, found) if "tune export" in line]


@pytest.mark.parametrize(("role", "words"), [("defaults", "defaults"), ("zoo", "RL Zoo")])
def test_a_baseline_that_is_better_and_was_not_tried_is_named_with_the_flag_that_begins_with_it(data, role, words):
    found = evidence(data)
    line = (
        f"The search has not tried {words}: the same command with --start-with {role} begins with that, as another "
        "study."
    )
    for result in ("tie", "undecided", "better", "worse"):
        row = next(c for c in found["comparisons"] if c["role"] == role)
        row["scores"]["late"]["result"] = result
        assert [each for each in in_short(data, found) if "--start-with" in each] == [line] * (result == "worse")
    for source in (role, f"portfolio/{role}"):
        first, *others = data.trials
        tried = dataclasses.replace(data, trials=(dataclasses.replace(first, source=source), *others))
        assert line not in in_short(tried, found)
