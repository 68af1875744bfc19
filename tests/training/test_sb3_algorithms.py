"""An algorithm that only Stable-Baselines3 has needs a declaration alone: it trains, is saved and played again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from contracts.fakes import Books

from tuner import hyperparameters as declared
from tuner.contract.spec import EvaluationSpec, RunId, RunSpec
from tuner.envs.make import inspect
from tuner.envs.spec import EnvSpec
from tuner.errors import InputError
from tuner.fields import declare
from tuner.hyperparameters import Hyperparameters, check_backends, field_infos
from tuner.training.registry import footprint, make_trainer
from tuner.training.saved.model_files import load_model, save_model
from tuner.training.saved.play import evaluate_saved
from tuner.zoo.read import read_config
from tuner.zoo.write import config_yaml


@dataclass(frozen=True)
class PPO(Hyperparameters):
    algorithm: ClassVar[str] = "ppo"
    title: ClassVar[str] = "PPO"
    native: ClassVar[bool] = False
    sb3_class: ClassVar[str] = "stable_baselines3.PPO"

    learning_rate: float = declare(1e-2, "Step size.", kind="float", low=0.0, low_open=True, high=1.0)
    n_steps: int = declare(32, "Steps between updates.", kind="int", low=2, high=1e6)
    batch_size: int = declare(16, "Minibatch.", kind="int", low=2, high=8192)
    net_arch: tuple[int, ...] = declare((16,), "Widths.", kind="layers", low=1, high=4096)

    def stored_transitions(self, n_timesteps: int) -> int:
        return self.n_steps


@dataclass(frozen=True)
class QRDQN(Hyperparameters):
    algorithm: ClassVar[str] = "qrdqn"
    title: ClassVar[str] = "QR-DQN"
    native: ClassVar[bool] = False
    sb3_class: ClassVar[str] = "sb3_contrib.QRDQN"

    learning_starts: int = declare(20, "Random steps.", kind="int", low=0, high=1e7)
    buffer_size: int = declare(1000, "Transitions.", kind="int", low=1, high=1e7)
    batch_size: int = declare(8, "Minibatch.", kind="int", low=2, high=8192)
    net_arch: tuple[int, ...] = declare((16,), "Widths.", kind="layers", low=1, high=4096)


@pytest.fixture(params=[PPO, QRDQN], ids=lambda cls: cls.algorithm, autouse=True)
def algorithm(request, monkeypatch):
    if request.param is QRDQN:
        pytest.importorskip("sb3_contrib", reason="it comes with rl-zoo3")
    monkeypatch.setitem(declared.ALGORITHMS, request.param.algorithm, request.param)
    return request.param


class Keeper:
    def __init__(self):
        self.weights = {}

    def on_episode(self, run_id, step, episode_return, length):
        pass

    def on_update(self, run_id, step, loss, q_value, epsilon):
        pass

    def on_evaluated(self, point, weights):
        pass

    def on_end(self, run_id, weights):
        self.weights[run_id] = weights


def train(algorithm, env, trials=1):
    evaluation = EvaluationSpec(2, 5, 50)
    specs = [RunSpec(RunId(i), EnvSpec(env), "sb3", algorithm(), 3, (60, 120), evaluation) for i in range(trials)]
    desk, keeper = Books(specs), Keeper()
    make_trainer("sb3", algorithm.algorithm, 1, keeper).train(desk)
    return specs, desk, keeper


def test_it_is_evaluated_on_its_grid_and_the_same_seed_gives_the_same_curve(algorithm):
    _, desk, _ = train(algorithm, "CartPole-v1", trials=2)
    curves = [[(p.step, p.returns, p.metrics) for p in desk.points[RunId(i)]] for i in range(2)]
    assert [step for step, *_ in curves[0]] == [60, 120]
    assert curves[0] == curves[1]
    assert all(outcome.kind == "completed" for outcome in desk.outcomes.values())


@pytest.mark.parametrize("env", ["CartPole-v1", "FrozenLake-v1", "MinAtar/Breakout-v1"])
def test_a_saved_policy_plays_the_last_evaluation_again(algorithm, env, tmp_path):
    (spec,), desk, keeper = train(algorithm, env)
    save_model(tmp_path, spec, keeper.weights[spec.run_id], desk.points[spec.run_id])
    model = load_model(tmp_path)
    facts = inspect(spec.env, "dqn")
    assert (model.policy.input_size, model.policy.n_actions) == (facts.encoder.input_size, facts.n_actions)
    last = desk.points[spec.run_id][-1]
    returns, lengths = evaluate_saved(tmp_path, 2, spec.evaluation_seed_at(last.step))
    assert (returns, lengths) == (last.returns, last.lengths)


def test_a_file_whose_arrays_do_not_fit_is_one_line(algorithm, tmp_path):
    (spec,), _, keeper = train(algorithm, "CartPole-v1")
    weights = dict(keeper.weights[spec.run_id])
    weights["spaces"] = np.array([5, 2], np.float32)
    save_model(tmp_path, spec, weights)
    with pytest.raises(InputError, match="does not hold a network"):
        load_model(tmp_path)


def test_its_export_is_rl_zoos_and_reads_back_as_itself(algorithm, tmp_path):
    path = tmp_path / "best.yaml"
    path.write_text(config_yaml("CartPole-v1", 120, algorithm()))
    assert "schema" not in path.read_text()
    config = read_config(path, algorithm=algorithm.algorithm)
    assert config.hyperparameters == algorithm().to_mapping()


def test_the_native_backend_does_not_train_it_and_its_memory_is_counted(algorithm):
    with pytest.raises(InputError, match=f"got --algo {algorithm.algorithm}. Use --backend sb3"):
        check_backends(algorithm.algorithm, ["native"])
    found = footprint(algorithm(), inspect(EnvSpec("CartPole-v1"), "dqn"), 1000, "sb3")
    assert found.transitions == algorithm().stored_transitions(1000)
    assert found.network_bytes > 0
    assert set(field_infos(algorithm)) >= {"batch_size", "net_arch"}
