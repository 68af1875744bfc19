"""``tune compare``: both backends on the same seeds, resumable, no winner where none can be told."""

import errno
import json
import os
import re

import pytest
import yaml
from cli_shell import VALUES, tune

from tuner.cli.paired_runs import read_runs
from tuner.errors import InputError
from tuner.zoo.write import SCHEMA

#: Tells who makes it, and moves its process.
MOVING = """\
import os, gymnasium
from gymnasium.envs.classic_control import CartPoleEnv
class E(CartPoleEnv):
    def __init__(self):
        with open({told!r}, "a") as file: file.write(f"{{os.getpid()}}\\n")
        os.chdir("/"); os.umask(0o777)
        super().__init__()
gymnasium.register("E-v0", E)
"""
SHORT = ("--evaluations", "3", "--eval-episodes", "2", "--executor", "inline")


@pytest.fixture
def values(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "values.yaml").write_text(VALUES)
    return "values.yaml"


def full(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("where", "line"),
    [
        (
            "tuner.cli.paired_runs.append_line",
            "runs.jsonl cannot be written: No space left on device. The same command",
        ),
        ("tuner.report.pages.settings.replace_file", "s cannot be written: No space left on device. Its runs are kept"),
        ("tuner.cli.settings_commands.keep_first", "tune: error: No space left on device. Make room, and say"),
    ],
)
def test_a_full_disk_is_one_line_and_the_same_command_carries_on(where, line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = ["sweep", "--env", "FrozenLake-v1", "--algo", "q_learning", "--vary", "gamma=0.9,0.99", "--seeds", "1"]
    command += ["--steps", "20", "--evaluations", "1", "--eval-episodes", "1", "--executor", "inline", "-o", "s"]
    with monkeypatch.context() as patch:
        patch.setattr(where, full)
        shell = tune(*command, "--quiet")
    assert shell.code == 2 and line in shell.err and shell.err.count("\n") == 1, shell.err
    assert tune(*command, "--quiet").code == 0 and (tmp_path / "s" / "sweep.html").exists()


def too_many(*_):
    raise OSError(errno.EMFILE, "Too many open files")


def test_too_many_open_files_are_one_line_whatever_opens_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tuner.cli.settings_commands.keep_first", too_many)
    shell = tune("sweep", "--env", "FrozenLake-v1", "--algo", "q_learning", "--vary", "gamma=0.9,0.99", "-o", "s")
    assert shell.code == 2
    assert shell.err == "tune: error: Too many open files. Raise their limit (ulimit -n), and say the same again.\n"


def test_a_search_whose_workers_the_system_does_not_start_is_one_line_and_carries_on_later(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = ["--env", "FrozenLake-v1", "--algo", "q_learning", "--trials", "2", "--steps", "20", "--evaluations", "1"]
    command += ["--eval-episodes", "1", "--confirm", "0", "--study", "s", "--quiet"]
    with monkeypatch.context() as patch:
        patch.setattr("tuner.execution.processes.WorkerProcess", too_many)
        shell = tune(*command, "--workers", "2")
    assert shell.code == 2 and shell.err.count("\n") == 1, shell.err
    assert "Worker 1 cannot be started: Too many open files. Use fewer --workers" in shell.err
    assert tune(*command, "--executor", "inline").code == 0


def test_compare_trains_both_on_the_same_seeds_and_says_what_differs(values, tmp_path):
    shell = tune("compare", values, "--seeds", "3", *SHORT)
    assert shell.code == 0, shell.err
    folder = tmp_path / "reports" / "compare-dqn-CartPole-v1"
    found = json.loads((folder / "comparison.json").read_text())
    native, sb3 = found["backends"]["native"], found["backends"]["sb3"]
    assert native["seeds"] == sb3["seeds"]
    assert len(set(native["seeds"])) == 3
    assert native["outcomes"] == sb3["outcomes"] == ["completed"] * 3
    assert native["curves"]["step"] == sb3["curves"]["step"] == [100, 200, 300]
    assert set(found["differences"]) == {"late", "auc", "final", "best"}
    for objective, difference in found["differences"].items():
        value = native["estimates"][objective]["value"] - sb3["estimates"][objective]["value"]
        assert difference["difference"]["value"] == pytest.approx(value)
    assert found["words"][0] in shell.out
    assert "comparison.html" in shell.out
    title = re.search("<h1>(.*)</h1>", (folder / "comparison.html").read_text()).group(1)
    assert re.sub("<[^>]+>", "", title) == "DQN on CartPole-v1: native against Stable-Baselines3"


def test_the_same_command_with_more_seeds_trains_only_the_new_ones(values, tmp_path):
    assert tune("compare", values, "--seeds", "1", *SHORT, "-o", "out").code == 0
    first = (tmp_path / "out" / "runs.jsonl").read_text().splitlines()
    (tmp_path / "out" / "runs.jsonl").write_text("\n".join([*first, '{"signature": "cut sh']))
    shell = tune("compare", values, "--seeds", "2", *SHORT, "-o", "out")
    assert shell.code == 0, shell.err
    begun = [line for line in shell.err.splitlines() if line.startswith("compare, ")]
    assert begun == ["compare, native: 1 of 2 runs are there.", "compare, sb3: 1 of 2 runs are there."]
    alone = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert tune("compare", values, "--seeds", "2", *SHORT, "-o", "fresh").code == 0
    fresh = json.loads((tmp_path / "fresh" / "comparison.json").read_text())
    assert [b["scores"] for b in alone["backends"].values()] == [b["scores"] for b in fresh["backends"].values()]


@pytest.mark.slow
def test_environments_are_made_in_children_only(values, tmp_path):
    told = tmp_path / "told"
    (tmp_path / "e.py").write_text(MOVING.format(told=str(told)))
    (tmp_path / values).write_text(VALUES.replace("CartPole-v1", "E-v0"))
    umask = os.umask(0o22)
    shell = tune(
        "compare", values, "--env", "E-v0", "--env-module", "e.py", "--steps", "100", "--seeds", "1", "--workers", "1",
        "--evaluations", "1", "--eval-episodes", "1", "-o", "out",
    )  # fmt: skip
    assert (os.getcwd(), os.umask(umask)) == (str(tmp_path), 0o22)
    assert shell.code == 0, shell.err
    makers = set(told.read_text().split())
    assert len(makers) >= 3, "one looks at it, and each backend has a worker"
    assert str(os.getpid()) not in makers
    assert json.loads((tmp_path / "out" / "comparison.json").read_text())["backends"]["sb3"]["outcomes"] == [
        "completed"
    ]


def test_what_only_we_train_has_nothing_to_be_compared_with(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    values = {"learning_rate": 0.5, "final_learning_rate": 0.1}
    own = {"schema": SCHEMA, "algorithm": "q_learning", "env": "FrozenLake-v1", "n_timesteps": 500}
    (tmp_path / "q.yaml").write_text(yaml.safe_dump({**own, "hyperparameters": values}))
    shell = tune("compare", "q.yaml", "--seeds", "1")
    assert (shell.code, shell.err.count("\n")) == (2, 1)
    assert "Stable-Baselines3 does not train q_learning" in shell.err
    # The file says which algorithm it is for, so that training from it needs no --algo.
    shell = tune("train", "--config", "q.yaml", "--evaluations", "2", "--eval-episodes", "2", "-o", "model")
    assert shell.code == 0, shell.err
    shell = tune("train", "--config", "q.yaml", "--algo", "dqn", "-o", "model")
    assert "q.yaml is for q_learning, but --algo is dqn" in shell.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--set", "double_q=true"], "Stable-Baselines3's DQN has no double_q"),
        (["--seeds", "0"], "--seeds must be an integer of at least 1"),
        (["--env", "Acrobot-v1"], "has no settings for Acrobot-v1"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(values, tmp_path, arguments, says):
    shell = tune("compare", values, *SHORT, *arguments)
    assert shell.code == 2
    assert says in shell.err
    assert shell.err.count("\n") == 1
    assert [p.name for p in tmp_path.iterdir()] == ["values.yaml"]


def test_a_stored_run_that_has_been_changed_is_a_line(tmp_path):
    whole = {"signature": "s", "outcome": "completed", "steps": 3, "duration_s": 0.5, "reason": None,
             "curve": [[3, [1.0, float("nan")]]], "metrics": [{}]}  # fmt: skip
    path = tmp_path / "runs.jsonl"
    path.write_text(json.dumps(whole) + '\n{"signature": "cut' + "\n" + "[" * 100_000)
    assert set(read_runs(path)) == {"s"}
    for change in (
        {"curve": [[3]]}, {"curve": [[3, []]]}, {"curve": [[3, ["x"]]]}, {"curve": 5}, {"curve": [["3", [1.0]]]},
        {"steps": None}, {"steps": 10**400}, {"duration_s": "1"}, {"outcome": "won"}, {"reason": 7}, {"signature": []},
    ):  # fmt: skip
        path.write_text(json.dumps(whole) + "\n" + json.dumps({**whole, **change}))
        with pytest.raises(InputError, match=r"runs.jsonl:2 is damaged, or no run of tune"):
            read_runs(path)
    with pytest.raises(InputError, match=r"cannot be read: Is a directory. Name another folder with -o."):
        read_runs(tmp_path)
