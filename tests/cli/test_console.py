"""What the command line draws: tables whose words stay whole at any width, and numbers of any size."""

import contextlib
import io
import os
import shlex
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.cli.console import PIPED_WIDTH, TOGETHER, console, decimal, print_table, table
from tuner.cli.range_text import range_text

HEADS = ("environment", "algorithm", "steps", "verdict", "seeds", "core-hours", "made")
ROW = ("FrozenLake-v1", "q_learning", "400,000", "0.735 (0.73 to 0.748)", "12", "0.13", "2026-11-30")


def printed(width, *rows):
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as text:
        patch.setenv("COLUMNS", str(width))
        made = table(*HEADS, right=("seeds",))
        for row in rows:
            made.add_row(*row)
        print_table(made)
    return text.getvalue().splitlines()


@given(st.integers(0, 240))
def test_no_word_of_a_table_is_broken_at_any_width(width):
    words = " ".join(printed(width, ROW, ROW[::-1])).split()
    short = [word for text in (*HEADS, *ROW) for word in text.split() if len(word) <= TOGETHER]
    assert not set(short) - set(words)


@pytest.mark.parametrize("width", [1, 20, 40, 77])
def test_a_table_that_does_not_fit_is_lines_of_head_and_value(width):
    lines = printed(width, ROW, ROW)
    assert lines[: len(HEADS)] == [f"{head:<11}  {text}" for head, text in zip(HEADS, ROW, strict=True)]
    assert lines == [*lines[: len(HEADS)], "", *lines[: len(HEADS)]]


def test_a_list_of_seven_columns_is_a_table_on_a_terminal_of_eighty():
    lines = printed(80, ROW, ROW)
    assert all(head in lines[0] for head in HEADS) and max(map(len, lines)) <= 80


@pytest.mark.parametrize("columns", ["0", "-5", "wide", "²", "9" * 5_000])
def test_what_is_no_width_counts_as_none(monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    with contextlib.redirect_stdout(io.StringIO()):
        assert console().width == PIPED_WIDTH


@given(st.floats(-1e300, 1e300) | st.floats(-1e-2, 1e-2))
def test_a_score_of_any_size_takes_a_few_characters_and_keeps_its_value(score):
    text = decimal(score)
    assert len(text) <= 24
    assert float(text.replace(",", "")) == pytest.approx(score, rel=0.05, abs=1e-9)


def test_nothing_but_rounding_is_zero_without_a_sign():
    assert decimal(1 + sum([-0.1] * 10)) == "0.000"  # ten steps, then the goal
    assert [decimal(v) for v in (-0.0, -1e-17, 0.0004, -0.0042)] == ["0.000", "0.000", "0.0004", "-0.0042"]


@pytest.mark.parametrize(
    ("choices", "text"),
    [
        ([False, True], "one of false, true"),
        ([[64], [64, 64]], "one of [64], [64, 64]"),
        ([None, 0.1], "one of null, 0.1"),
    ],
)
def test_choices_are_shown_as_they_are_typed(choices, text):
    assert range_text({"type": "categorical", "choices": choices}) == text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "closed", "code"), [(["settings"], ">&-", 0), (["nonsense"], "2>&-", 2), (["settings"], ">&- 2>&-", 0)]
)
def test_a_command_whose_output_is_closed_does_the_same_and_says_nothing(tmp_path, command, closed, code):
    words = shlex.join([sys.executable, "-m", "tuner", *command])
    done = subprocess.run(
        ["sh", "-c", f"{words} {closed}"], cwd=tmp_path, capture_output=True, check=False, text=True,
        env={**os.environ, "COLUMNS": ""},
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "")


@pytest.mark.parametrize(("command", "code"), [(["settings"], 0), (["nonsense"], 2)])
def test_a_command_whose_reader_has_gone_ends_with_its_own_exit_code(tmp_path, command, code):
    reading, writing = os.pipe()
    os.close(reading)
    words = [sys.executable, "-m", "tuner", *command]
    done = subprocess.run(words, cwd=tmp_path, stdout=writing, stderr=writing, check=False)
    os.close(writing)
    assert done.returncode == code


@pytest.mark.parametrize(("full", "fails"), [("stdout", True), ("stderr", False)])
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no disk that is always full")
def test_an_answer_without_room_is_an_error_and_what_is_said_beside_it_is_not(full, fails):
    program = "from tuner.streams import outlive_readers as o; import sys; o(); print('x', file=sys.{}, flush=True)"
    with open("/dev/full", "w") as room:
        done = subprocess.run(
            [sys.executable, "-c", program.format(full)], check=False, **{"stderr": subprocess.DEVNULL, full: room}
        )
    assert bool(done.returncode) == fails


@pytest.mark.parametrize(
    "encoding", ["ascii", *(pytest.param(name, marks=pytest.mark.slow) for name in ("latin-1", "utf-8"))]
)
def test_a_letter_that_the_output_cannot_hold_is_written_as_its_code(tmp_path, encoding):
    done = subprocess.run(
        [sys.executable, "-m", "tuner", "settings"], cwd=tmp_path, capture_output=True, check=False,
        env={**os.environ, "PYTHONIOENCODING": encoding},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    assert ("\u2013" if encoding == "utf-8" else "\\u2013") in done.stdout.decode(encoding)
