"""Continuous actions in steps, from one command: search, verdict, report, export, RL Zoo, replay, compare, sweep."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import yaml

import tuner
from tuner.cli.app import main
from tuner.errors import InputError
from tuner.hyperparameters import DQNHyperparameters
from tuner.zoo.read import read_config
from tuner.zoo.write import config_yaml

WRAPPER = "tuner.envs.discrete_actions.DiscreteActions"

SHORT = ("--steps", "200", "--evaluations", "2", "--eval-episodes", "1", "--executor", "inline", "--quiet")


pytestmark = pytest.mark.usefixtures("in_tmp")


def search(*words):
    fixed = ("--space", "classic", "--set", "learning_starts=50", "--set", "net_arch=16", "--trials", "2")
    return main([*words, *fixed, *SHORT])


@pytest.mark.slow
@pytest.mark.usefixtures("pages_of_one_figure")
@pytest.mark.parametrize("backend", ["native", "sb3"])
def test_a_study_goes_from_search_to_replay(backend, tmp_path, capsys):
    command = ["--env", "Pendulum-v1", "--discretize", "3", "--backend", backend, "--study", "swing", "--confirm", "1"]
    command += ["--confirm-seeds", "1", "--confirm-budget", "9"]
    assert search(*command) == 0
    report = tmp_path / "reports" / "swing"
    exported = yaml.safe_load((report / "best.yaml").read_text())["Pendulum-v1"]
    assert exported["env_wrapper"] == [{WRAPPER: {"steps": 3}}]
    assert "Pendulum-v1 (actions in 3 steps a dimension)" in (report / "index.html").read_text()
    document = json.loads((report / "report.json").read_text())
    assert document["study"]["recipe"]["discretize"] == 3 and document["evidence"]["winner"]
    assert document["study"]["provenance"]["preprocessing"] == {"discretize": 3}
    capsys.readouterr()
    assert main(["show", "swing"]) == 0
    assert "Pendulum-v1 (actions in 3 steps a dimension)" in capsys.readouterr().out
    assert main(["replay", "swing", "0"]) == 0
    agent = tuner.load_agent(report / "agents" / "best")
    assert agent.act(np.zeros(3, np.float32)) in (-2.0, 0.0, 2.0)
    capsys.readouterr()
    command[3] = "5"
    assert search(*command) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "--discretize was 3, now 5" in said


def test_the_plan_names_it(capsys):
    assert search("--env", "Pendulum-v1", "--discretize", "7", "--dry-run") == 0
    assert "Box(3,) float32, 7 actions (actions in 7 steps a dimension)" in capsys.readouterr().out


@pytest.mark.slow
def test_a_setting_trains_again_from_its_file_and_files_that_differ_are_not_compared(tmp_path, capsys):
    values = ["--set", "learning_starts=50", "--set", "net_arch=16"]
    train = ["train", "--env", "MountainCarContinuous-v0", "--steps", "120", "--evaluations", "1", "--quiet"]
    assert main([*train, "--discretize", "3", *values, "-o", "one"]) == 0
    written = read_config(tmp_path / "one" / "config.yaml")
    assert (written.discretize, written.env_kwargs) == (3, {})
    assert main(["train", "--config", "one/config.yaml", "--evaluations", "1", "--quiet", "-o", "two"]) == 0
    one, two = (np.load(tmp_path / name / "weights.npz") for name in ("one", "two"))
    assert all(np.array_equal(one[name], two[name]) for name in one.files)
    assert main([*train, "--discretize", "5", *values, "-o", "five"]) == 0
    capsys.readouterr()
    assert main(["compare", "one/config.yaml", "five/config.yaml", "--seeds", "1"]) == 2
    assert "differ in discretize: 3 and 5. Say --discretize N for all." in capsys.readouterr().err
    again = ["--seeds", "1", "--evaluations", "1", "--executor", "inline", "--quiet"]
    assert main(["compare", "one/config.yaml", "--vary", "gamma=0.9,0.99", *again, "-o", "page"]) == 0
    document = json.loads(next((tmp_path / "page").glob("*.json")).read_text())
    assert document["run"]["discretize"] == 3
    assert main(["evaluate", "one", "--episodes", "1"]) == 0


def test_what_only_our_own_form_holds_keeps_it(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text(config_yaml("Pendulum-v1", 500, DQNHyperparameters(double_q=True), {}, {"discretize": 4}))
    assert path.read_text().startswith("# Not in RL Zoo's format") and read_config(path).discretize == 4
    path.write_text(path.read_text().replace("discretize: 4", "discretize: 1"))
    with pytest.raises(InputError, match="discretize: must be a whole number of at least 2, got 1"):
        read_config(path)


@pytest.mark.parametrize("arguments", [{}, {"steps": 1}, {"steps": "5"}, {"steps": 5, "more": 1}, 5])
def test_a_wrapper_with_other_arguments_is_refused(arguments, tmp_path):
    path = tmp_path / "zoo.yaml"
    path.write_text(yaml.safe_dump({"Pendulum-v1": {"n_timesteps": 100, "env_wrapper": [{WRAPPER: arguments}]}}))
    with pytest.raises(InputError, match=r"DiscreteActions(: steps: must be a whole number| takes steps and nothing)"):
        read_config(path)


@pytest.mark.slow
@pytest.mark.parametrize("env", ["Pendulum-v1", "MountainCarContinuous-v0"])
def test_rl_zoo_trains_the_exported_file(env, tmp_path):
    path = tmp_path / "best.yaml"
    path.write_text(config_yaml(env, 300, DQNHyperparameters(), {}, {"discretize": 5}))
    command = [sys.executable, "-m", "rl_zoo3.train", "--algo", "dqn", "--env", env, "--conf-file", str(path)]
    command += ["-f", str(tmp_path / "logs"), "--eval-freq", "-1"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.slow
def test_the_lander_flies_by_two_numbers_in_steps(tmp_path):
    pytest.importorskip("Box2D")
    words = ["--env", "LunarLander-v3", "--env-arg", "continuous=true", "--discretize", "3", "--confirm", "0"]
    assert search(*words) == 0
    (report,) = (tmp_path / "reports").iterdir()
    exported = yaml.safe_load((report / "best.yaml").read_text())["LunarLander-v3"]
    assert exported["env_kwargs"] == {"continuous": True} and exported["env_wrapper"] == [{WRAPPER: {"steps": 3}}]
