"""The commands and blocks of docs/coming-from.md run, with small budgets."""

import re
import runpy
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import rl_zoo3
import yaml
from cli.cli_shell import tune

from tuner.zoo.read import read_config

PAGE = (Path(__file__).parent.parent / "docs" / "coming-from.md").read_text(encoding="utf-8")

SEARCH = (
    "--steps", "200", "--trials", "4", "--evaluations", "2", "--eval-episodes", "1", "--executor", "inline", "--quiet",
    "--set", "learning_starts=20", "--confirm", "1", "--confirm-seeds", "2", "--confirm-budget", "9",
)  # fmt: skip


def block(kind, name):
    return re.search(rf"<!-- {kind}: {name} -->\n```\w*\n(.*?)```", PAGE, re.S).group(1)


def lines(name):
    return block("commands", name).splitlines()


def run(line, *small):
    shell = tune(*shlex.split(line)[1:], *small)
    assert shell.code == 0, (line, shell.err)
    return shell


def python(name, here, **changes):
    code = block("python", name)
    for was, now in changes.values():
        assert was in code
        code = code.replace(was, now)
    (here / "block.py").write_text(code)
    return runpy.run_path(str(here / "block.py"))


def test_every_block_is_run_or_is_of_a_package_that_is_not_installed():
    kinds = re.findall(r"(?:<!-- (\w+): [\w.]+ -->\n)?```(\w*)\n", PAGE)
    opened = [(kind, language) for kind, language in kinds if (kind, language) != ("", "")]
    assert [language for kind, language in opened if not kind] == ["text", "text"]
    assert len(re.findall(r"^```", PAGE, re.M)) == 2 * len(opened)


@pytest.mark.slow
def test_from_a_zoo_file_to_a_better_setting_back_in_the_zoo(in_tmp, monkeypatch):
    # --within counts from the start of the process, and that of the tests has run for minutes.
    monkeypatch.setattr("tuner.cli.run_command._process_began", time.monotonic)
    search, export, train = lines("zoo")
    shutil.copy(Path(rl_zoo3.__file__).parent / "hyperparams" / "dqn.yml", "dqn.yml")
    run(search, *SEARCH)
    assert "dqn.yml" in tune("show", "better").out, "the setting that it began with is named"
    run(export)
    assert read_config("better.yml", "CartPole-v1").n_timesteps == 200
    assert list(yaml.safe_load(Path("better.yml").read_text())) == ["CartPole-v1"]
    command = [sys.executable, *shlex.split(train)[1:], "-n", "200", "-f", "logs"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert Path("logs/dqn/CartPole-v1_1/CartPole-v1.zip").is_file()


@pytest.mark.slow
def test_another_algorithm_of_the_zoo_goes_the_same_way(in_tmp):
    search, export, train = lines("sac")
    run(search, *SEARCH)
    run(export)
    command = [sys.executable, *shlex.split(train)[1:], "-n", "60", "-f", "logs"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert Path("logs/sac/Pendulum-v1_1/Pendulum-v1.zip").is_file()


@pytest.mark.slow
def test_a_study_of_optunas_is_where_a_search_begins(in_tmp):
    python("optuna", in_tmp, steps=("20_000", "110"), trials=("n_trials=20", "n_trials=2"))
    Path("old.yaml").write_text(block("file", "old.yaml"))
    (command,) = lines("optuna")
    run(command, *SEARCH[:-6], "--confirm", "0")
    data = tune("show", "from-optuna", "--json").out
    assert data.count('"old.yaml trial ') >= 1
    assert python("read", in_tmp)["study"].best_trial.user_attrs["hyperparameters"]["learning_starts"] == 20


def test_cleanrls_defaults_train(in_tmp):
    (command,) = lines("cleanrl")
    run(command, "--steps", "300", "--evaluations", "2", "--eval-episodes", "1", "--quiet", "-o", "agent",
        "--set", "learning_starts=150")  # fmt: skip
    values = read_config(Path("agent/config.yaml")).hyperparameters
    assert values["net_arch"] == [120, 84]
    assert values["loss"] == "mse"


def test_a_space_of_ones_own_is_searched(in_tmp):
    Path("mine.yaml").write_text(block("file", "mine.yaml"))
    (command,) = lines("ray")
    run(command, *SEARCH[:-6], "--confirm", "0")
