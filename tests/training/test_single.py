"""One run on its own, saved and played again, on both backends."""

from __future__ import annotations

import sys
import textwrap

import pytest

from tuner.contract.spec import EvaluationSpec, RunId, RunSpec
from tuner.envs.spec import EnvSpec
from tuner.errors import InputError
from tuner.hyperparameters import DQNHyperparameters
from tuner.training.registry import make_trainer
from tuner.training.saved.agent import load_agent
from tuner.training.saved.model_files import save_model
from tuner.training.single import train_once


class Keeper:
    def __init__(self):
        self.weights = None

    def on_episode(self, *_):
        pass

    on_update = on_evaluated = on_episode

    def on_end(self, run_id, weights):
        self.weights = weights


def spec(backend="native", env="CartPole-v1", module=None, **changes) -> RunSpec:
    hyperparameters = DQNHyperparameters(**{"net_arch": (16,), "learning_starts": 20, "batch_size": 8, **changes})
    evaluation = EvaluationSpec(episodes=4, seed=99, max_steps=100)
    return RunSpec(RunId(0), EnvSpec(env, (), module), backend, hyperparameters, 5, (100, 200), evaluation)


def save(run, folder):
    """Train and save; the last evaluation is of the weights that are saved."""
    keeper, points = Keeper(), []
    outcome = train_once(run, keeper, points.append)
    assert outcome.kind == "completed", outcome
    save_model(folder, run, keeper.weights, points)
    return points


@pytest.mark.parametrize("env", ["CartPole-v1", "FrozenLake-v1"])
@pytest.mark.parametrize("backend", ["native", "sb3"])
def test_a_saved_policy_plays_as_it_did_in_its_last_evaluation(backend, env, tmp_path):
    # Step 200 is no training call (train_freq 7), so nothing is learned after the last evaluation.
    run = spec(backend, env, train_freq=7)
    points = save(run, tmp_path)
    assert [point.step for point in points] == [100, 200]
    assert load_agent(tmp_path).evaluate(4, run.evaluation_seed_at(200)) == (
        points[-1].returns,
        points[-1].lengths,
    )
    returns, lengths = load_agent(tmp_path).evaluate(6, 1)
    assert len(returns) == len(lengths) == 6


def test_what_a_backend_cannot_train_is_refused_before_anything_runs():
    with pytest.raises(InputError, match="double_q=True"):
        train_once(spec("sb3", double_q=True))


@pytest.mark.parametrize(("backend", "algorithm"), [("sb4", "dqn"), ("native", "ppo")])
def test_unknown_trainers_are_refused_with_what_is_known(backend, algorithm):
    with pytest.raises(InputError, match=backend if algorithm == "dqn" else algorithm):
        make_trainer(backend, algorithm, 1)


def test_playing_a_model_imports_a_module_only_when_the_user_names_it(tmp_path, monkeypatch):
    source = textwrap.dedent("""
        import gymnasium as gym
        gym.register("Mine-v0", entry_point="gymnasium.envs.classic_control:CartPoleEnv", max_episode_steps=50)
    """)
    (tmp_path / "mine.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "mine", raising=False)  # another test's may still be there
    save(spec(env="mine:Mine-v0"), tmp_path / "model")
    sys.modules.pop("mine")
    with pytest.raises(InputError, match="add --env-module mine"):
        load_agent(tmp_path / "model").evaluate(2, 0)
    assert "mine" not in sys.modules
    returns, _ = load_agent(tmp_path / "model", env_module="mine").evaluate(2, 0)
    assert "mine" in sys.modules
    assert len(returns) == 2
    sys.modules.pop("mine")


def test_a_model_that_does_not_fit_its_environment_is_refused(tmp_path):
    keeper = Keeper()
    train_once(spec(), keeper)
    save_model(tmp_path, spec(env="Acrobot-v1"), keeper.weights)
    with pytest.raises(InputError, match=r"reads 4 numbers and chooses among 2 actions; Acrobot-v1 has 6 and 3"):
        load_agent(tmp_path).evaluate(1, 0)
