"""Wrappers, from one command: search, verdict, report, export, RL Zoo, replay, and files both ways."""

import argparse
import json
import sys
import zipfile
from pathlib import Path

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

DISCRETE = "tuner.envs.discrete_actions.DiscreteActions"
TIMED = 'gymnasium.wrappers.TimeAwareObservation:{"normalize_time": false}'
FLAT = "gymnasium.wrappers.FlattenObservation"

OWN = """
import gymnasium

class Halved(gymnasium.ObservationWrapper):
    def observation(self, observation):
        return observation / 2
"""

SHORT = ["--set", "learning_starts=50", "--set", "net_arch=16", "--evaluations", "2", "--quiet"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TUNE_STORAGE", raising=False)
    (tmp_path / "halves.py").write_text(OWN)
    yield
    sys.modules.pop("halves", None)


@pytest.mark.slow
@pytest.mark.usefixtures("pages_of_one_figure")
@pytest.mark.parametrize("backend", ["native", "sb3"])
def test_a_study_goes_from_search_to_replay(backend, tmp_path, capsys):
    command = ["--env", "CartPole-v1", "--wrapper", TIMED, "halves:Halved", "--backend", backend, "--study", "timed"]
    command += ["--space", "classic", "--trials", "2", "--steps", "200", "--eval-episodes", "1", *SHORT]
    command += ["--executor", "inline", "--confirm", "1", "--confirm-seeds", "1", "--confirm-budget", "9"]
    assert main(command) == 0
    report = tmp_path / "reports" / "timed"
    exported = yaml.safe_load((report / "best.yaml").read_text())["CartPole-v1"]
    assert exported["env_wrapper"] == [
        {"gymnasium.wrappers.TimeAwareObservation": {"normalize_time": False}}, "halves.Halved",
    ]  # fmt: skip
    document = json.loads((report / "report.json").read_text())
    assert document["study"]["recipe"]["wrapper"] == [TIMED, "halves.Halved"]
    assert document["study"]["provenance"]["preprocessing"] == {"wrapper": [TIMED, "halves.Halved"]}
    assert (
        "--wrapper halves.Halved" not in document["commands"]["train"]
        and "halves.Halved" in (document["commands"]["train"])
    )
    capsys.readouterr()
    assert main(["show", "timed"]) == 0
    assert 'wrapped in TimeAwareObservation:{"normalize_time": false} and Halved' in capsys.readouterr().out
    assert main(["replay", "timed", "0"]) == 2
    assert "add --wrapper halves.Halved" in capsys.readouterr().err
    assert main(["replay", "timed", "0", "--wrapper", "halves.Halved"]) == 0
    capsys.readouterr()
    more = ["confirm", "timed", "--confirm-seeds", "2", "--executor", "inline", "--quiet"]
    assert main(more) == main(["publish", "timed", "--episodes", "1", "-o", "hub"]) == 2
    for said in (lines := capsys.readouterr().err.splitlines()):
        assert "importing that runs its code. If you trust it, add --wrapper halves.Halved" in said
    assert len(lines) == 2 and not (tmp_path / "hub").exists()
    assert main([*more, "--wrapper", "halves.Halved", FLAT]) == 2
    assert f"The study 'timed' was not made with --wrapper {FLAT}." in capsys.readouterr().err
    assert main([*more, "--wrapper", "halves.Halved"]) == 0
    agent = tuner.load_agent(report / "agents" / "best", wrapper=["halves:Halved"])
    assert agent.act(np.zeros(5, np.float32)) in (0, 1)
    with pytest.raises(InputError, match=r"wraps the environment in 'halves.Halved', and importing that runs its code"):
        tuner.load_agent(report / "agents" / "best").act(np.zeros(5, np.float32))
    assert (report / "agents" / "best" / "model.zip").is_file()
    capsys.readouterr()
    assert main([*command[:3], TIMED, *command[5:]]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "--wrapper was " in said and " now " in said


@pytest.mark.slow
def test_a_setting_trains_again_from_its_file_and_files_that_differ_are_not_compared(tmp_path, capsys):
    train = ["train", "--env", "CartPole-v1", "--steps", "120", *SHORT]
    assert main([*train, "--wrapper", TIMED, "--wrapper", FLAT, "-o", "one"]) == 0
    assert read_config(tmp_path / "one" / "config.yaml").wrapper == (TIMED, FLAT)
    assert main(["train", "--config", "one/config.yaml", "--evaluations", "2", "--quiet", "-o", "two"]) == 0
    one, two = (np.load(tmp_path / name / "weights.npz") for name in ("one", "two"))
    assert all(np.array_equal(one[name], two[name]) for name in one.files)
    assert main(["train", "--continue", "one", "--steps", "240", "--quiet"]) == 0
    assert main(["evaluate", "one", "--episodes", "1"]) == 0
    assert main([*train, "-o", "plain"]) == 0
    capsys.readouterr()
    assert main(["compare", "one/config.yaml", "plain/config.yaml", "--seeds", "1", "--steps", "120"]) == 2
    said = capsys.readouterr().err
    assert "differ in wrapper: " in said and "Say --wrapper NAME for all." in said and said.count("\n") == 1
    again = ["--seeds", "1", "--evaluations", "1", "--executor", "inline", "--quiet"]
    assert main(["compare", "one/config.yaml", "--vary", "gamma=0.9,0.99", *again, "-o", "page"]) == 0
    document = json.loads(next((tmp_path / "page").glob("*.json")).read_text())
    assert document["run"]["wrapper"] == [TIMED, FLAT]


def test_a_file_of_another_program_makes_nobody_import_its_wrapper(tmp_path, capsys):
    (tmp_path / "halves.py").write_text("from pathlib import Path\nPath('CANARY').touch()\n" + OWN)
    (tmp_path / "zoo.yaml").write_text("CartPole-v1: {n_timesteps: 120, env_wrapper: halves.Halved}\n")
    words = ["train", "--env", "CartPole-v1", "--config", "zoo.yaml", *SHORT, "-o", "made"]
    assert main(words) == 2
    said = capsys.readouterr().err
    assert "zoo.yaml wraps the environment in 'halves.Halved'" in said and "add --wrapper halves.Halved" in said
    assert not (tmp_path / "CANARY").exists() and not (tmp_path / "made").exists()
    assert main([*words, "--wrapper", "halves.Halved"]) == 0
    assert (tmp_path / "CANARY").exists()
    capsys.readouterr()
    assert main(["evaluate", "made", "--episodes", "1"]) == 2
    assert "add --wrapper halves.Halved" in capsys.readouterr().err
    assert main(["evaluate", "made", "--episodes", "1", "--wrapper", FLAT]) == 2
    assert f"was not trained with --wrapper {FLAT}" in capsys.readouterr().err
    assert main(["evaluate", "made", "--episodes", "1", "--wrapper", "halves:Halved"]) == 0


def test_a_zip_of_stable_baselines3_plays_in_the_wrappers_that_are_named(tmp_path, capsys):
    train = ["train", "--env", "CartPole-v1", "--steps", "120", "--set", "double_q=false", *SHORT]
    assert main([*train, "--wrapper", "TimeAwareObservation", "-o", "timed"]) == 0
    with zipfile.ZipFile(tmp_path / "timed" / "model.zip") as ours, zipfile.ZipFile("theirs.zip", "w") as theirs:
        for name in ours.namelist():
            if not name.startswith("tune"):
                theirs.writestr(name, ours.read(name))
    capsys.readouterr()
    words = ["evaluate", "theirs.zip", "--env", "CartPole-v1", "--episodes", "3", "--seed", "7"]
    assert main(words) == 2
    assert "It was trained on another version of the environment" in capsys.readouterr().err
    assert main([*words, "--wrapper", "TimeAwareObservation"]) == 0
    played = capsys.readouterr().out
    assert main(["evaluate", "timed", "--episodes", "3", "--seed", "7"]) == 0
    assert capsys.readouterr().out == played


@pytest.mark.parametrize("known", [{}, {"double_q": True}], ids=["zoo", "own"])
def test_files_hold_wrappers_beside_all_else_that_is_done(known, tmp_path):
    path = tmp_path / "best.yaml"
    done = {"wrapper": [TIMED, FLAT], "discretize": 4, "frame_stack": 2}
    path.write_text(config_yaml("Pendulum-v1", 500, DQNHyperparameters(**known), {}, done))
    assert path.read_text().startswith("# Not in RL Zoo's format") == bool(known)
    config = read_config(path)
    assert (config.wrapper, config.discretize, config.frame_stack) == ((TIMED, FLAT), 4, 2)


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"env_wrapper": [DISCRETE, FLAT]}, "DiscreteActions' is not supported in this place; take it out."),
        (
            {"env_wrapper": ["stable_baselines3.common.atari_wrappers.AtariWrapper", FLAT]},
            "not supported in this place",
        ),
        ({"env_wrapper": [{"a.B": {}, "c.D": {}}]}, "env_wrapper: must be FlattenObservation, module:Class"),
        ({"env_wrapper": {"a b": {}}}, "env_wrapper: must be FlattenObservation, module:Class"),
    ],
    ids=["order", "atari", "two", "name"],
)
def test_wrappers_of_a_file_that_cannot_be_met_are_refused(settings, line, tmp_path):
    path = tmp_path / "zoo.yaml"
    path.write_text(yaml.safe_dump({"Pendulum-v1": {"n_timesteps": 100, **settings}}))
    with pytest.raises(InputError) as refused:
        read_config(path)
    assert line in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize("wrappers", [(), (TIMED, FLAT)], ids=["discretized", "wrapped"])
def test_rl_zoos_own_loader_makes_the_environment_that_trains_here(wrappers, tmp_path):
    from rl_zoo3.exp_manager import ExperimentManager

    path = tmp_path / "best.yaml"
    done = {"wrapper": list(wrappers), "discretize": 5}
    path.write_text(config_yaml("Pendulum-v1", 500, DQNHyperparameters(), {}, done))
    manager = ExperimentManager(argparse.Namespace(), "dqn", "Pendulum-v1", str(tmp_path), config=str(path), verbose=0)
    model, _ = manager.setup_experiment()
    theirs, ours = model.get_env(), make(EnvSpec("Pendulum-v1", wrapper=wrappers, discretize=5), training=True)
    theirs.seed(3)
    np.testing.assert_array_equal(theirs.reset()[0], ours.reset(seed=3)[0])
    for action in (0, 4, 2, 1, 3) * 4:
        observation, reward, *_ = theirs.step([action])
        mine = ours.step(action)
        np.testing.assert_array_equal(observation[0], mine[0])
        assert reward[0] == np.float32(mine[1])
    theirs.close()


@pytest.mark.slow
@pytest.mark.usefixtures("pages_of_one_figure")
@pytest.mark.parametrize(
    ("package", "env", "wrappers", "shape"),
    [
        ("minigrid", "MiniGrid-DoorKey-5x5-v0", ["minigrid.wrappers.ImgObsWrapper", FLAT], (147,)),
        ("highway_env", "highway-fast-v0", [FLAT], (25,)),
    ],
    ids=["minigrid", "highway"],
)
def test_rl_zoo_sets_up_what_a_study_of_a_packages_environment_exports(package, env, wrappers, shape, tmp_path):
    pytest.importorskip(package, reason="needs the extra minigrid or highway")
    from rl_zoo3.exp_manager import ExperimentManager

    command = ["--env", env, "--wrapper", *wrappers, "--space", "classic", "--trials", "2", "--steps", "100"]
    assert main([*command, "--eval-episodes", "1", *SHORT, "--workers", "1", "--confirm", "0", "--study", "far"]) == 0
    path = tmp_path / "reports" / "far" / "best.yaml"
    assert yaml.safe_load(path.read_text())[env]["env_wrapper"] == wrappers
    manager = ExperimentManager(argparse.Namespace(), "dqn", env, str(tmp_path), config=str(path), verbose=0)
    model, _ = manager.setup_experiment()
    assert model.observation_space.shape == shape
    model.get_env().close()


def test_rl_zoos_tuned_values_stand_beside_a_study_in_the_wrappers_they_are_for():
    from tuner.zoo.tuned import zoo_values

    flat = ("minigrid.wrappers.FlatObsWrapper",)
    assert zoo_values("MiniGrid-Empty-Random-5x5-v0", "ppo", flat) is not None
    assert zoo_values("MiniGrid-Empty-Random-5x5-v0", "ppo") is None
    assert zoo_values("CartPole-v1", "dqn", flat) is None is not zoo_values("CartPole-v1")


def test_exports_are_compared_where_one_names_the_flattening_that_rl_zoo_needs(tmp_path):
    from tuner.cli.settings_commands import plan_settings

    files = [str(tmp_path / f"{name}.yaml") for name in ("plain", "flat", "timed")]
    for file, wrappers in zip(files, ([], [FLAT], [TIMED]), strict=True):
        given = {"n_timesteps": 500, "gamma": 0.9 + len(file) / 1000, **({"env_wrapper": wrappers} if wrappers else {})}
        Path(file).write_text(yaml.safe_dump({"CartPole-v1": given}))
    for pair in (files[:2], files[1::-1]):
        assert len(plan_settings({}, pair, [])[1]) == 2
    with pytest.raises(InputError, match="differ in wrapper"):
        plan_settings({}, files[::2], [])
