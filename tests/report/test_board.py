"""A board's rows say what reports say, ranks are among one environment's studies, and texts never become markup."""

import dataclasses
import functools
import json
from datetime import UTC, datetime

import factory
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.report.numbers.board import board_row, ranked
from tuner.report.numbers.evidence import evidence
from tuner.report.pages.board import board_document, render_board
from tuner.report.pages.document import report_document
from tuner.report.tables.plain import study_document
from tuner.text import plain


def document(data):
    return plain({**study_document(data), "evidence": evidence(data)})


def test_a_row_is_the_verdict_s_own_numbers():
    data = factory.confirmed()
    found, row = evidence(data), board_row(document(data), "here")
    winner = next(c for c in found["contestants"] if c["key"] == found["winner"])
    assert row["verdict"] == {**winner["verdict"]["estimates"]["late"]}
    assert (row["trial"], row["environment"], row["steps"]) == (winner["trial"], "CartPole-v1", 50_000)
    assert row["setting"] == dict(next(t.params for t in data.trials if t.number == winner["trial"]))
    assert row["steps_spent"] == found["steps"]["searched"] + found["steps"]["confirmed"]
    told = {c["role"]: c["scores"]["late"]["result"] for c in found["comparisons"]}
    assert {role: beside["result"] for role, beside in row["against"].items()} == {
        role: result for role, result in told.items() if role in ("defaults", "zoo")
    }
    assert row["against"], "a baseline took part"


def test_a_report_and_the_study_it_is_of_make_one_row():
    data = factory.confirmed()
    report = report_document(data, best_yaml=None, commands={}, written=datetime.now(UTC))
    assert board_row(json.loads(json.dumps(report)), "here") == board_row(document(data), "here")


def test_the_brief_evidence_is_all_that_a_row_says():
    data = factory.confirmed()
    brief = plain({**study_document(data), "evidence": evidence(data, brief=True)})
    assert board_row(brief, "here") == board_row(document(data), "here")
    assert {"luck", "curves"}.isdisjoint(brief["evidence"])


def test_every_character_of_a_board_can_be_read():
    board = render_board(board_document(ranked([board_row(document(factory.confirmed()), "here")])))
    assert "\N{NO-BREAK SPACE}" in board and "\N{REPLACEMENT CHARACTER}" not in board


def test_before_a_verdict_there_is_one_run_s_score_and_no_rank():
    (row,) = ranked([board_row(document(factory.cartpole()), "here")])
    assert row["verdict"] is None and row["rank"] is None
    assert row["search_score"] == factory.cartpole().best.score
    assert f"[{row['search_score']:.3g}]" in render_board(board_document([row]))


def made(environment, arguments, value, number):
    verdict = None if value is None else {"value": value, "low": None, "high": None, "kind": "single", "n": 1}
    return {"environment": environment, "arguments": arguments, "study": f"s{number}", "source": "", "verdict": verdict,
            "search_score": 1.0, "objective": "late"}  # fmt: skip


@given(
    st.lists(
        st.tuples(
            st.sampled_from("AB"), st.sampled_from([{}, {"map": "8x8"}]), st.none() | st.integers(-9, 9).map(float)
        ),
        max_size=9,
    )
)
def test_a_rank_is_one_more_than_the_better_ones_of_the_same_environment_and_equal_ones_share_it(drawn):
    rows = ranked(made(*each, number) for number, each in enumerate(drawn))
    assert len(rows) == len(drawn)
    for row in rows:
        others = [r for r in rows if (r["environment"], r["arguments"]) == (row["environment"], row["arguments"])]
        judged = [r["verdict"]["value"] for r in others if r["verdict"] is not None]
        if row["verdict"] is None:
            assert row["rank"] is None
        else:
            assert row["rank"] == 1 + sum(value > row["verdict"]["value"] for value in judged)


def test_scores_that_differ_by_the_rounding_of_means_share_a_rank():
    values = [0.3, 0.1 + 0.2, 0.2, 0.2]
    assert [row["rank"] for row in ranked(made("A", {}, value, n) for n, value in enumerate(values))] == [1, 1, 3, 3]


def test_scores_of_different_kinds_are_not_ranked_together():
    """A run's best evaluation is above the mean of its last ones, whatever the settings are worth."""
    late = board_row(document(factory.confirmed()), "a")
    best = {**late, "study": "by-best", "objective": "best", "verdict": {**late["verdict"], "value": 499.0}}
    rows = ranked([{**row, "page": None, "film": None} for row in (late, best)])
    assert [(row["objective"], row["rank"]) for row in rows] == [("best", 1), ("late", 1)]
    page = render_board(board_document(rows))
    assert ">objective</button>" in page and 'class="is-best"' not in page
    assert ">objective</button>" not in render_board(board_document(rows[1:]))


def test_nothing_of_a_report_runs_on_the_page():
    data = factory.confirmed()
    hostile = "<script>alert(1)</script>"
    renamed = dataclasses.replace(data, name=hostile, recipe={**data.recipe, "env": hostile, "env_arg": {"a": hostile}})
    row = {**board_row(document(renamed), hostile), "page": None, "film": None}
    page = render_board(board_document(ranked([row])))
    assert hostile not in page and "&lt;script&gt;" in page


@pytest.mark.parametrize(
    "change",
    [
        {"study": None},
        {"summary": {}},
        {"evidence": {"contestants": []}},
        {"study": {"recipe": {"env": 3}, "grid": [], "name": "x"}},
    ],
)
def test_what_is_no_report_is_an_error_of_the_kind_that_is_caught(change):
    with pytest.raises((LookupError, TypeError, ValueError)):
        board_row({**document(factory.confirmed()), **change}, "here")


@functools.cache
def confirmed_report():
    return json.dumps(document(factory.confirmed()))


@pytest.mark.parametrize("value", [10**400, 1e999, float("nan"), "7", -1, True])
@pytest.mark.parametrize("name", ["grid", "steps_spent", "trial", "n", "kind", "share"])
def test_a_number_that_no_study_has_is_an_error_of_the_kind_that_is_caught(name, value):
    changed = json.loads(confirmed_report())
    winner = next(c for c in changed["evidence"]["contestants"] if c["key"] == changed["evidence"]["winner"])
    estimate = winner["verdict"]["estimates"][changed["evidence"]["objective"]]
    if name == "grid":
        changed["study"]["grid"] = [value]
    elif name == "steps_spent":
        changed["summary"]["steps_spent"] = value
    elif name == "trial":
        winner["trial"] = value
    elif name == "share":
        winner["verdict"]["reliability"] = {"reached": {"share": value if value != -1 else None}}
    else:
        estimate[name] = value
    with pytest.raises((LookupError, TypeError, ValueError)):
        board_row(changed, "here")


def test_a_setting_with_an_integer_that_no_float_holds_is_an_error():
    changed = json.loads(json.dumps(document(factory.confirmed())))
    changed["study"]["recipe"]["env_arg"] = {"size": [{"x": 10**400}]}
    with pytest.raises(ValueError, match="no such count"):
        board_row(changed, "here")


def test_what_is_seen_through_pixels_is_ranked_apart():
    data = factory.confirmed()
    frames = dataclasses.replace(data, name="frames", recipe={**data.recipe, "pixels": True})
    rows = ranked([{**board_row(document(each), ""), "page": None, "film": None} for each in (data, frames)])
    assert [row["rank"] for row in rows] == [1, 1] and rows[0]["arguments"] == {"--pixels": True}
    assert "CartPole-v1 (--pixels=true)" in render_board(board_document(rows))
