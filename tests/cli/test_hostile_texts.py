"""No text out of a database steers the terminal that a command prints to, nor a reader of what it writes."""

import csv
import io
import json
import sqlite3
from pathlib import Path

import pytest
from cli_shell import tune

#: Sets a terminal's title, colours, turns text round, and hides behind what encoders refuse.
EVIL = "\x1b]0;owned\x07\x1b[31m\u202e\x9b2J\x00\ud800"


@pytest.fixture
def hostile(own_study):
    """A study in whose every free text stands what steers a terminal, and in one a formula."""
    base = sqlite3.connect("studies/tuner.db")
    for table, key, name in (
        ("trial_user_attributes", "trial_user_attribute_id", "reason"),
        ("study_user_attributes", "study_user_attribute_id", "provenance"),
        ("study_user_attributes", "study_user_attribute_id", "recipe"),
    ):
        for row, text in base.execute(f"select {key}, value_json from {table} where key=?", (name,)).fetchall():
            value = json.loads(text)
            if isinstance(value, dict):
                value = {
                    k: v + EVIL if isinstance(v, str) and k in ("env", "command", "created") else v
                    for k, v in value.items()
                }
                value |= {"env_module": EVIL} if name == "recipe" else {EVIL: EVIL}
            base.execute(f"update {table} set value_json=? where {key}=?", (json.dumps(value), row))
    trial = base.execute("select min(trial_id) from trials").fetchone()[0]
    base.execute(
        "insert into trial_user_attributes (trial_id, key, value_json) values (?, 'reason', ?)",
        (trial, json.dumps(EVIL)),
    )
    base.commit()


def clean(text):
    return not any(c in text for c in "\x1b\x07\x00\x9b\u202e")


@pytest.mark.parametrize("command", ["list", "show", "report", "export", "replay", "confirm", "doctor"])
def test_no_command_repeats_what_steers_a_terminal(hostile, command):
    arguments = {"list": [], "doctor": [], "show": ["tiny", "--all"], "replay": ["tiny", "0"]}.get(command, ["tiny"])
    shell = tune(command, *arguments)
    assert clean(shell.out) and clean(shell.err)
    assert "Traceback" not in shell.err


@pytest.mark.parametrize("command", ["show", "report", "export", "confirm"])
def test_an_outcome_that_nobody_writes_is_refused_without_repeating_it(hostile, command):
    base = sqlite3.connect("studies/tuner.db")
    value = json.dumps("=cmd|' /C calc'!A0" + EVIL)
    base.execute("update trial_user_attributes set value_json=? where key='outcome'", (value,))
    base.commit()
    shell = tune(command, "tiny")
    assert shell.code == 2
    assert "'outcome' must be one of" in shell.err
    assert clean(shell.out) and clean(shell.err)


def test_no_file_of_the_report_repeats_what_steers_a_terminal_or_holds_a_formula(hostile):
    assert tune("report", "tiny").code == 0
    files = [path for path in Path("reports/tiny").iterdir() if path.suffix in (".html", ".json", ".csv", ".yaml")]
    assert len(files) == 4
    for path in files:
        assert clean(path.read_text(encoding="utf-8")), path
        assert "owned" not in path.name
    document = json.loads(Path("reports/tiny/report.json").read_text(encoding="utf-8"))
    assert clean(json.dumps(document, ensure_ascii=False))
    rows = list(csv.reader(io.StringIO(Path("reports/tiny/trials.csv").read_text(encoding="utf-8"))))
    assert not any(cell.startswith(("=", "+", "@", "\t", "\r")) for row in rows for cell in row)
