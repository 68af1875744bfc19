"""``tune show``: trials that can be read at any width, and the plain data of a study."""

import contextlib
import csv
import dataclasses
import io
import json
import subprocess
import sys

import pytest
from cli_shell import tune

from tuner.cli import console as consoles
from tuner.cli.trial_table import trial_tables
from tuner.report.tables.trials import trials_csv
from tuner.study.reading.study import load


def wide(data, fields, trials):
    """A study of many fields and trials, made of one."""
    names = [f"a_hyperparameter_{i}" for i in range(fields)]
    example = data.trials[0]
    rows = [
        dataclasses.replace(example, number=n, params={name: 10.0**-i for i, name in enumerate(names)})
        for n in range(trials)
    ]
    return dataclasses.replace(data, trials=tuple(rows)), names


def drawn(data, width):
    text = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(text):
        patch.delenv("COLUMNS", raising=False)
        patch.setattr(consoles, "PIPED_WIDTH", width)
        out = consoles.console()
        out.print(*trial_tables(data, everything=True, width=out.width), sep="\n")
    return text.getvalue().splitlines()


def test_columns_is_the_width_of_what_goes_into_a_pipe(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with contextlib.redirect_stdout(io.StringIO()):
        assert consoles.console().width == 80
        monkeypatch.delenv("COLUMNS")
        assert consoles.console().width == consoles.PIPED_WIDTH


@pytest.mark.parametrize("width", [80, 120])
def test_twenty_fields_have_a_line_each_and_every_trial_a_column(study, width):
    data, names = wide(load("tiny"), 20, 30)
    lines = drawn(data, width)
    assert max(map(len, lines)) <= width
    heads = [line.split() for line in lines if line.startswith("trial ")]
    assert [int(number) for head in heads for number in head[1:]] == list(range(30))
    assert len(heads) > 1 and max(map(len, heads)) > 4, "several trials side by side, block below block"
    for i, name in enumerate(names):
        found = [line.split()[1:] for line in lines if line.split()[:1] == [name]]
        assert [len(values) for values in found] == [len(head) - 1 for head in heads]
        assert {float(value) for values in found for value in values} == {10.0**-i}


def test_what_fits_has_a_line_for_each_trial(study):
    data, names = wide(load("tiny"), 2, 30)
    lines = drawn(data, 100)
    (head,) = (line for line in lines if line.split()[:2] == ["trial", "outcome"])
    assert all(name in head for name in names)
    assert [int(line.split()[0]) for line in lines if line.split()[:1] and line.split()[0].isdigit()] == list(range(30))


def test_a_value_wider_than_the_terminal_is_folded_and_lost_nowhere(study):
    data, _ = wide(load("tiny"), 1, 2)
    long = "~" * 100
    data = dataclasses.replace(
        data, trials=tuple(dataclasses.replace(trial, params={"text": long}) for trial in data.trials)
    )
    assert sum(line.count("~") for line in drawn(data, 60)) == 2 * len(long)


def test_a_trial_alone_is_one_and_its_last_evaluation_is_the_reports(study):
    data = load("tiny")
    (row,) = [t for t in data.trials if t.number == data.best.number]
    seeds = {0: row.curves[0], 1: row.curves[0][:-1]}  # the second has not come so far
    alone = dataclasses.replace(data, trials=(dataclasses.replace(row, curves=seeds),))
    (table,) = trial_tables(alone, everything=False, width=1_000)
    assert table.title == "best of 1 trial"
    (last,) = next(list(column.cells) for column in table.columns if column.header == "last")
    (line,) = csv.DictReader(io.StringIO(trials_csv(alone)))
    assert last == consoles.decimal(float(line["final_return"])) == consoles.decimal(row.curves[0][-2].mean)


def test_json_is_the_reports_own(study):
    report = json.loads((study / "reports" / "tiny" / "report.json").read_text())
    shell = tune("show", "tiny", "--json")
    assert (shell.code, shell.err) == (0, "")
    shown = json.loads(shell.out)
    assert shown == {name: report[name] for name in ("schema_version", "study", "summary", "trials")}


def test_csv_is_the_reports_own(study):
    shell = tune("show", "tiny", "--csv")
    assert (shell.code, shell.err) == (0, "")
    assert shell.out == (study / "reports" / "tiny" / "trials.csv").read_text()
    assert [row["number"] for row in csv.DictReader(io.StringIO(shell.out))] == ["0", "1", "2"]


def test_one_kind_of_data_at_a_time(study):
    shell = tune("show", "tiny", "--json", "--csv")
    assert (shell.code, shell.out) == (2, "")
    assert "--json" in shell.err and "--csv" in shell.err


@pytest.mark.parametrize("flag", ["--all", "--json", "--csv"])
def test_showing_loads_nothing_heavy(study, flag):
    heavy = ("torch", "optuna", "pandas", "plotly", "jinja2", "gymnasium", "scipy.stats", "scipy.optimize")
    code = (
        "import sys; from tuner.cli.app import main; "
        f"assert main(['show', 'tiny', {flag!r}]) == 0; loaded = set({heavy}) & sys.modules.keys(); "
        "assert not loaded, loaded"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
