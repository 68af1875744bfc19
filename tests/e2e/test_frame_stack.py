"""The last observations as one, from one command: search, verdict, export, RL Zoo, replay, and files both ways."""

import argparse
import json

import numpy as np
import pytest
import yaml

import tuner
from tuner.cli.app import main
from tuner.envs.make import make
from tuner.envs.spec import EnvSpec
from tuner.errors import InputError
from tuner.hyperparameters import DQNHyperparameters
from tuner.zoo.read import read_config
from tuner.zoo.write import config_yaml

pytestmark = pytest.mark.usefixtures("in_tmp")


@pytest.mark.slow
@pytest.mark.usefixtures("pages_of_one_figure")
@pytest.mark.parametrize("backend", ["native", "sb3"])
def test_a_study_goes_from_search_to_replay(backend, tmp_path, capsys):
    command = ["--env", "CartPole-v1", "--frame-stack", "3", "--backend", backend, "--study", "past", "--trials", "2"]
    command += ["--space", "classic", "--set", "learning_starts=50", "--set", "net_arch=16", "--steps", "200"]
    command += ["--evaluations", "2", "--eval-episodes", "1", "--executor", "inline", "--quiet"]
    command += ["--confirm", "1", "--confirm-seeds", "1", "--confirm-budget", "9"]
    assert main(command) == 0
    report = tmp_path / "reports" / "past"
    exported = yaml.safe_load((report / "best.yaml").read_text())["CartPole-v1"]
    assert exported["frame_stack"] == 3 and "env_wrapper" not in exported
    assert "CartPole-v1 (the last 3 observations at once)" in (report / "index.html").read_text()
    assert json.loads((report / "report.json").read_text())["study"]["recipe"]["frame_stack"] == 3
    assert main(["replay", "past", "0"]) == 0
    agent = tuner.load_agent(report / "agents" / "best")
    assert agent.act(np.zeros(4, np.float32)) in (0, 1)
    capsys.readouterr()
    command[3] = "4"
    assert main(command) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "--frame-stack was 3, now 4" in said


def test_rl_zoos_own_loader_stacks_as_it_is_done_here(tmp_path):
    from rl_zoo3.exp_manager import ExperimentManager

    path = tmp_path / "best.yaml"
    done = {"discretize": 3, "frame_stack": 4}
    path.write_text(config_yaml("Pendulum-v1", 500, DQNHyperparameters(), {}, done))
    config = read_config(path)
    assert (config.discretize, config.frame_stack) == (3, 4)
    manager = ExperimentManager(argparse.Namespace(), "dqn", "Pendulum-v1", str(tmp_path), config=str(path), verbose=0)
    model, _ = manager.setup_experiment()
    theirs, ours = model.get_env(), make(EnvSpec("Pendulum-v1", **done))
    theirs.seed(3)
    np.testing.assert_array_equal(theirs.reset()[0], ours.reset(seed=3)[0])
    for action in (0, 2, 1, 1, 0):
        np.testing.assert_array_equal(theirs.step([action])[0][0], ours.step(action)[0])
    theirs.close()


def test_stacked_and_normalised_observations_are_written_in_our_form_and_come_back(tmp_path):
    path = tmp_path / "best.yaml"
    path.write_text(
        config_yaml("CartPole-v1", 500, DQNHyperparameters(normalize_observations=True), {}, {"frame_stack": 4})
    )
    assert path.read_text().startswith("# Not in RL Zoo's format: RL Zoo normalises observations (norm_obs) before")
    assert read_config(path).frame_stack == 4


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        (
            {"frame_stack": 4, "normalize": True},
            "before it stacks them (frame_stack), not after. Take one of them out.",
        ),
        ({"frame_stack": "4"}, "frame_stack: must be a whole number of at least 2, got '4'"),
        ({"frame_stack": 4, "policy": "CnnPolicy"}, "frame_stack: 4 is not supported; take it out."),
    ],
    ids=["normalised", "text", "images"],
)
def test_files_that_cannot_be_met_are_refused(settings, line, tmp_path):
    path = tmp_path / "zoo.yaml"
    path.write_text(yaml.safe_dump({"CartPole-v1": {"n_timesteps": 100, **settings}}))
    with pytest.raises(InputError) as refused:
        read_config(path)
    assert line in str(refused.value)
