"""Whatever stands in a database's rows, in a saved run, or in a file beside a report: an error of ours in one line."""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import random
import sqlite3
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_fuzz import TOKENS, VALUES, changed, refuses_in_one_line

import tuner.api
from tuner.cli.app import main
from tuner.cli.paired_runs import read_runs
from tuner.contract.spec import EvaluationSpec, RunId, RunSpec
from tuner.envs.spec import EnvSpec
from tuner.hyperparameters import DQNHyperparameters
from tuner.plan.recipe import StudyRecipe
from tuner.report.pages.film import read_film
from tuner.training.run_checkpoint import RunCheckpoints

sys.path.append(str(Path(__file__).parents[1] / "study"))
from study_fakes import FakeExecutor

looks = settings(
    max_examples=settings.default.max_examples // 4, deadline=None, suppress_health_check=list(HealthCheck)
)

#: Every column that a program could have written otherwise.
COLUMNS = {
    "study_user_attributes": ("key", "value_json"),
    "study_system_attributes": ("key", "value_json"),
    "trial_user_attributes": ("key", "value_json"),
    "trial_system_attributes": ("key", "value_json"),
    "trial_params": ("param_name", "param_value", "distribution_json"),
    "trial_values": ("value", "value_type", "objective"),
    "trial_intermediate_values": ("step", "intermediate_value", "intermediate_value_type"),
    "trials": ("number", "state", "datetime_start", "datetime_complete"),
    "study_directions": ("direction", "objective"),
    "studies": ("study_name",),
}

#: ``report`` draws, which takes a second: once in as many others.
COMMANDS = [*[("list",), ("show", "s"), ("export", "s"), ("export", "s", "--trial", "1"), ("doctor",)] * 4,
            ("report", "s"), ("show", "s", "--all")]  # fmt: skip

WORDS = ["COMPLETE", "RUNNING", "WAITING", "FAIL", "INF_POS", "NAN", "FINITE", "2024-13-45", b"\xff", *TOKENS]


def cell(luck: random.Random):
    """What a program could have written: text, JSON of any depth, numbers, nothing."""
    number = luck.choice([0, 1, -1, luck.randint(-(2**63), 2**63 - 1), luck.gauss(0, 1), luck.uniform(-1e308, 1e308)])
    text = "".join(chr(luck.choice([luck.randrange(128), luck.randrange(0xD800)])) for _ in range(luck.randrange(40)))
    kind = luck.randrange(6)
    return json.dumps(value(luck, 3)) if kind < 2 else [text, number, None, luck.choice(WORDS)][kind - 2]


def value(luck: random.Random, depth: int):
    """Plain data."""
    if depth == 0 or luck.random() < 0.4:
        return luck.choice(
            [
                None,
                True,
                False,
                luck.randint(-9, 99),
                2**70,
                luck.gauss(0, 100),
                math.nan,
                math.inf,
                luck.choice(TOKENS),
            ]
        )
    parts = [value(luck, depth - 1) for _ in range(luck.randrange(4))]
    return parts if luck.random() < 0.5 else {luck.choice(TOKENS): part for part in parts}


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """A study of two trials more than its confirm stage needs, and another; the bytes of both."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("rows"))
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        patch.delenv("TUNE_STORAGE", raising=False)
        for name, confirm in (("s", 2), ("other", 0)):
            recipe = StudyRecipe(
                env="CartPole-v1", trials=12, steps=300, evaluations=3, eval_episodes=2, pruner="none", confirm=confirm,
                sampler="random", workers=1, executor="inline", study=name,
            )  # fmt: skip
            assert tuner.api.run(recipe, executor=FakeExecutor()).data.count("completed") == 12
        path = Path("studies/tuner.db")
        connection = sqlite3.connect(path)
        connection.execute("pragma wal_checkpoint(truncate)")
        connection.close()
        yield path.read_bytes(), itertools.count()


@pytest.mark.slow
def test_rows_of_any_content(database, capsys):
    # Chance of its own: Hypothesis takes a command between two examples for strategies that are flaky.
    for seed in range(settings.default.max_examples // 80):  # a second each
        rows_of_any_content(*database, random.Random(seed), capsys)


def rows_of_any_content(fine, numbers, luck, capsys):
    """Write into one or two cells of the study, and look at it."""
    path = Path(f"{next(numbers)}.db")  # one each: an engine may still hold the last one's file
    path.write_bytes(fine)
    edits = []
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("pragma ignore_check_constraints = on")
        for _ in range(luck.randint(1, 2)):
            table = luck.choice(list(COLUMNS))
            column, content = luck.choice(COLUMNS[table]), cell(luck)
            rows = [row for (row,) in connection.execute(f"select rowid from {table} order by rowid")]
            if not rows:
                continue
            edits.append((table, column, luck.choice(rows), content))
            try:
                connection.execute(f"update {table} set {column} = ? where rowid = ?", (content, edits[-1][2]))
            except (sqlite3.IntegrityError, UnicodeEncodeError, OverflowError):
                continue
    command = luck.choice(COMMANDS)
    capsys.readouterr()
    code = main([*command, "--storage", f"sqlite:///{path}"])
    out, said = capsys.readouterr()
    assert code in ((0, 1, 2) if command == ("doctor",) else (0, 2)), (edits, command, said)
    assert "\x1b" not in out + said, (edits, command)
    assert said.count("\n") <= 3 and len(said) < 6_000, (edits, command, said)
    assert not {p.name for p in Path().iterdir() if not p.name.startswith(path.name)} - {"studies", "reports"}
    for left in Path().glob(f"{path.name}*"):
        left.unlink()
    if command[0] == "report" and code == 0:
        json.loads(Path("reports/s/report.json").read_text(), parse_constant=pytest.fail)


ARRAYS = {"points": np.array("[[1, 2]]"), "weights": np.arange(12.0).reshape(3, 4), "step": np.array(7)}
SPEC = RunSpec(RunId(0), EnvSpec("CartPole-v1"), "native", DQNHyperparameters(), 7, (100,), EvaluationSpec(1, 9, 20))


@looks
@given(draw=st.data())
def test_a_saved_run_of_any_bytes_is_none_or_what_was_saved(tmp_path_factory, draw):
    folder = tmp_path_factory.getbasetemp() / "runs"
    saved = RunCheckpoints(folder)
    saved.save(SPEC, ARRAYS)
    (path,) = folder.iterdir()
    path.write_bytes(draw.draw(changed([path.read_bytes()])))
    read = saved.load(SPEC)
    if read is not None:
        assert read.keys() == ARRAYS.keys()
        assert all(np.array_equal(read[name], ARRAYS[name]) for name in ARRAYS)


RUNS = [
    b'{"signature": "a", "outcome": "completed", "steps": 10, "duration_s": 0.5, "reason": "", "curve": [[5, [1.0]]]}\n'
]
FILMS = [b'{"env": "CartPole-v1", "returns": [1.5, 20.0], "lengths": [3, 40]}']


@looks
@given(content=changed(RUNS) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_runs_of_a_comparison_of_any_bytes(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "runs.jsonl"
    path.write_bytes(content)
    refuses_in_one_line(read_runs, path)


@looks
@given(content=changed(FILMS) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_what_lies_beside_a_report_of_any_bytes(tmp_path_factory, content):
    folder = tmp_path_factory.getbasetemp() / "film" / "agent"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "video.mp4").touch()
    (folder / "video.json").write_bytes(content)
    film = read_film(folder.parent)
    json.dumps(film, allow_nan=False)
