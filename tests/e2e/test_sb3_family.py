"""Each algorithm that only Stable-Baselines3 has, to the end: a study with its verdict, export, RL Zoo, replay."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import yaml
from stable_baselines3.common.base_class import BaseAlgorithm

import tuner
from tuner.cli.app import main
from tuner.hyperparameters import ALGORITHMS
from tuner.space.catalog import load_by_name

FAMILY = [name for name, cls in ALGORITHMS.items() if not cls.native]

#: What makes a run of some hundred steps learn a few times, where an algorithm has it.
SET = {"learning_starts": 50, "rollout_steps": 64, "batch_size": 16, "net_arch": [16], "lstm_hidden_size": 8}


def env_of(algorithm):
    return "CartPole-v1" if "Discrete" in ALGORITHMS[algorithm].actions else "Pendulum-v1"


def small_study(algorithm, folder, **settings):
    known = load_by_name("default", algorithm).infos
    recipe = tuner.StudyRecipe(
        **{
            "env": env_of(algorithm), "algo": algorithm, "backend": "sb3", "study": "small", "trials": 5,
            "steps": 200, "evaluations": 2, "eval_episodes": 1, "confirm": 2, "confirm_seeds": 2,
            "confirm_budget": 10.0,
            "set": {name: value for name, value in SET.items() if name in known}, "startup_trials": 3,
            "executor": "inline", "storage": f"sqlite:///{folder / 'study.db'}", "report_dir": str(folder / "reports"),
        } | settings
    )  # fmt: skip
    return tuner.run(recipe)


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", FAMILY)
def test_a_study_goes_to_its_verdict_its_export_trains_in_rl_zoo_and_a_trial_is_replayed(algorithm, tmp_path):
    result, env = small_study(algorithm, tmp_path), env_of(algorithm)
    assert [t.outcome for t in result.data.trials if t.outcome not in ("completed", "pruned")] == []
    report = json.loads(result.report.with_name("report.json").read_text())
    roles = {row["role"] for row in report["evidence"]["contestants"]}
    assert {"finalist", "defaults"} <= roles
    assert "zoo" in roles or algorithm == "recurrent_ppo"  # whose values are of environments of RL Zoo's own
    assert report["evidence"]["winner"]
    exported = yaml.safe_load(result.export.read_text())[env]
    assert exported["learning_rate"] in (result.best.learning_rate, f"lin_{result.best.learning_rate!r}")
    command = [sys.executable, "-m", "rl_zoo3.train", "--algo", ALGORITHMS[algorithm].zoo_name(), "--env", env]
    command += ["--conf-file", str(result.export), "-f", str(tmp_path / "logs"), "--eval-freq", "-1"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr[-2000:]
    trial = str(next(t.number for t in result.data.trials if t.outcome == "completed"))
    assert main(["replay", "small", trial, "--storage", f"sqlite:///{tmp_path / 'study.db'}"]) == 0


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", FAMILY)
def test_an_agent_is_trained_evaluated_and_loaded_by_stable_baselines3(algorithm, tmp_path, capsys):
    known, env = ALGORITHMS[algorithm]().to_mapping(), env_of(algorithm)
    values = {"learning_starts": 50, "net_arch": "16", "normalize_observations": "true", "n_envs": 2, "batch_size": 16}
    values |= {} if "buffer_size" in known else {"n_steps": 32}
    words = [f"--set={name}={value}" for name, value in values.items() if name in known]
    folder = tmp_path / "agent"
    command = ["train", "--env", env, "--algo", algorithm, "--backend", "sb3", "--steps", "300", "--evaluations", "2"]
    assert main([*command, *words, "-o", str(folder), "--quiet"]) == 0
    assert "For Stable-Baselines3:" in capsys.readouterr().out
    assert main(["evaluate", str(folder), "--episodes", "2"]) == 0
    import importlib

    module, _, name = ALGORITHMS[algorithm].sb3_class.rpartition(".")
    loaded: BaseAlgorithm = getattr(importlib.import_module(module), name).load(folder / "model.zip")
    agent = tuner.load_agent(folder)
    assert loaded.action_space.shape == agent.make_env().action_space.shape
    text = (folder / "config.yaml").read_text()
    assert yaml.safe_load(text)[env]["n_envs"] == 2
    again = ["--config", str(folder / "config.yaml"), "-o", str(tmp_path / "again"), "--quiet"]
    assert main([*command, "--steps", "100", "--evaluations", "1", *again]) == 0


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--algo", "dqn", "--env", "Pendulum-v1"], "DQN needs a Discrete action space; Pendulum-v1 has Box"),
        (
            ["--algo", "sac", "--env", "CartPole-v1", "--backend", "sb3"],
            "SAC needs a Box action space; CartPole-v1 has",
        ),
        (["--algo", "ppo", "--env", "CartPole-v1"], "--algo ppo. Use --backend sb3."),
        (
            ["--algo", "ppo", "--env", "CartPole-v1", "--backend", "sb3", "--set", "exploration_fraction=0.1"],
            "Leave it out, or use --algo dqn|",
        ),
        (
            ["--algo", "ppo", "--env", "CartPole-v1", "--backend", "sb3", "--set", "use_sde=true"],
            "use_sde needs continuous actions",
        ),
        (
            ["train", "--algo", "ppo", "--env", "CartPole-v1", "--backend", "sb3", "--set", "use_sde=true"],
            "use_sde needs continuous actions",
        ),
        (
            ["--n-envs", "4", "--env", "CartPole-v1"],
            "dqn learns from one environment. Leave it out, or use --backend sb3",
        ),
        (
            ["--algo", "ppo", "--backend", "sb3", "--env", "CartPole-v1", "--n-envs", "4", "--set", "n_envs=8"],
            "--n-envs 4 and --set n_envs=8 differ. Keep one of them.",
        ),
    ],
)
def test_what_makes_no_sense_is_a_line_that_names_the_way_out(words, line, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    search = [] if words[0] == "train" else ["--trials", "2", "--executor", "inline"]
    assert main([*words, *search]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and line in said
    assert list(tmp_path.iterdir()) == []
