"""The algorithms that only Stable-Baselines3 has: each trains, is saved and played again."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from contracts.fakes import Books
from gymnasium import spaces

from tuner.contract.spec import EvaluationSpec, RunId, RunSpec
from tuner.envs.make import inspect
from tuner.envs.spec import EnvSpec
from tuner.errors import InputError
from tuner.hyperparameters import ALGORITHMS, check_backends, from_mapping
from tuner.training.registry import footprint, make_trainer
from tuner.training.saved.agent import load_agent
from tuner.training.saved.model_files import load_model, save_model
from tuner.zoo.read import read_config
from tuner.zoo.write import config_yaml

#: So small that a run of a hundred steps learns a few times.
SMALL = {"n_steps": 8, "batch_size": 8, "n_epochs": 1, "learning_starts": 20, "train_freq": 8, "net_arch": [16],
         "n_quantiles": 5, "top_quantiles_to_drop_per_net": 1, "lstm_hidden_size": 8}  # fmt: skip

FAMILY = [name for name, cls in ALGORITHMS.items() if not cls.native]


def small(algorithm, **values):
    known = ALGORITHMS[algorithm]().to_mapping()
    some = {name: value for name, value in SMALL.items() if name in known}
    if "buffer_size" in known:
        del some["n_steps"]  # rewards summed, there
    return from_mapping(algorithm, some | values)


def env_of(algorithm):
    return "CartPole-v1" if "Discrete" in ALGORITHMS[algorithm].actions else "Pendulum-v1"


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


def train(hyperparameters, env, trials=1, keeper=None):
    evaluation = EvaluationSpec(2, 5, 50)
    specs = [RunSpec(RunId(i), EnvSpec(env), "sb3", hyperparameters, 3, (60, 121), evaluation) for i in range(trials)]
    desk, keeper = Books(specs), keeper or Keeper()
    make_trainer("sb3", hyperparameters.algorithm, 1, keeper).train(desk)
    return specs, desk, keeper


@pytest.mark.parametrize("algorithm", FAMILY)
def test_it_is_evaluated_on_its_grid_and_the_same_seed_gives_the_same_curve(algorithm):
    _, desk, _ = train(small(algorithm, n_envs=2), env_of(algorithm), trials=2)
    curves = [[(p.step, p.returns, p.metrics) for p in desk.points[RunId(i)]] for i in range(2)]
    assert [step for step, *_ in curves[0]] == [60, 121]  # though two environments never are at 121
    assert curves[0] == curves[1]
    assert all((outcome.kind, outcome.steps) == ("completed", 121) for outcome in desk.outcomes.values())
    assert "loss" in curves[0][-1][2]


@pytest.mark.parametrize("n_envs", [3, 30, 31, 45, 64, 256])
def test_many_environments_side_by_side_leave_out_no_evaluation(n_envs):
    evaluation, grid = EvaluationSpec(1, 5, 5), tuple(range(30, 301, 30))
    settings = small("a2c", n_envs=n_envs, n_steps=2)
    specs = [RunSpec(RunId(i), EnvSpec("CartPole-v1"), "sb3", settings, 3, grid, evaluation) for i in range(2)]
    desk = Books(specs, stop_at={RunId(1): 150})
    make_trainer("sb3", "a2c", 1).train(desk)
    ends = [(desk.outcomes[RunId(i)].kind, desk.outcomes[RunId(i)].steps) for i in range(2)]
    assert ends == [("completed", 300), ("stopped", 150)]
    assert [[p.step for p in desk.points[RunId(i)]] for i in range(2)] == [list(grid), list(grid[:5])]


def test_a_run_leaves_no_folder_behind(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    train(small("a2c"), "CartPole-v1")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("algorithm", FAMILY)
@pytest.mark.parametrize("normalized", [False, True])
def test_a_saved_policy_plays_the_last_evaluation_again(algorithm, normalized, tmp_path):
    env = env_of(algorithm)
    values = small(algorithm, normalize_observations=normalized, normalize_rewards=normalized, activation_fn="elu")
    (spec,), desk, keeper = train(values, env)
    save_model(tmp_path, spec, keeper.weights[spec.run_id], desk.points[spec.run_id])
    model = load_model(tmp_path)
    facts = inspect(spec.env, algorithm)
    assert (model.policy.input_size, model.policy.n_actions) == (facts.encoder.input_size, facts.n_actions)
    last = desk.points[spec.run_id][-1]
    returns, lengths = load_agent(tmp_path).evaluate(2, spec.evaluation_seed_at(last.step))
    assert (returns, lengths) == (last.returns, last.lengths)


@pytest.mark.parametrize("env", ["FrozenLake-v1", "MinAtar/Breakout-v1", "tune/ProbeIdentity-v0"])
@pytest.mark.parametrize("algorithm", ["ppo", "qrdqn", "recurrent_ppo"])
def test_other_observations_and_actions_are_played_again_too(algorithm, env, tmp_path):
    (spec,), desk, keeper = train(small(algorithm), env)
    save_model(tmp_path, spec, keeper.weights[spec.run_id], desk.points[spec.run_id])
    last = desk.points[spec.run_id][-1]
    played = load_agent(tmp_path, env_module="tuner.envs.probe").evaluate(2, spec.evaluation_seed_at(last.step))
    assert played == (last.returns, last.lengths)


def test_noise_that_depends_on_the_state_is_saved_with_the_policy(tmp_path):
    (spec,), desk, keeper = train(small("ppo", use_sde=True, use_expln=True), "Pendulum-v1")
    save_model(tmp_path, spec, keeper.weights[spec.run_id], desk.points[spec.run_id])
    last = desk.points[spec.run_id][-1]
    assert load_agent(tmp_path).evaluate(2, spec.evaluation_seed_at(last.step))[0] == last.returns


def test_an_agent_of_continuous_actions_acts_as_its_environment_takes_it(tmp_path):
    (spec,), desk, keeper = train(small("sac"), "Pendulum-v1")
    save_model(tmp_path, spec, keeper.weights[spec.run_id], desk.points[spec.run_id])
    agent = load_agent(tmp_path)
    action = agent.act(np.array([1.0, 0.0, 0.5], np.float32))
    assert spaces.Box(-2.0, 2.0, (1,), np.float32).contains(action)
    assert agent.act_many([np.zeros(3, np.float32)] * 4).shape == (4, 1)


def test_an_agent_that_remembers_forgets_where_an_episode_begins(tmp_path):
    (spec,), desk, keeper = train(small("recurrent_ppo"), "Pendulum-v1")
    save_model(tmp_path, spec, keeper.weights[spec.run_id], desk.points[spec.run_id])
    agent, seen = load_agent(tmp_path), np.array([1.0, 0.0, 0.5], np.float32)
    first, second = agent.act(seen), agent.act(seen)
    agent.begin()
    assert (agent.act(seen), agent.act(seen)) == (first, second) and first != second


def test_a_file_whose_arrays_do_not_fit_is_one_line(tmp_path):
    (spec,), _, keeper = train(small("ppo"), "CartPole-v1")
    weights = dict(keeper.weights[spec.run_id])
    weights["spaces"] = np.array([5, 2], np.float32)
    save_model(tmp_path, spec, weights)
    with pytest.raises(InputError, match="does not hold a network"):
        load_model(tmp_path)


@pytest.mark.parametrize("algorithm", ["ppo", "sac"])  # a distribution raises over such numbers, a critic does not
def test_weights_that_are_no_numbers_are_a_divergence_and_no_error(algorithm):
    class Poisoner(Keeper):
        def on_evaluated(self, point, weights):
            for name, array in weights().items():
                if name.endswith("weight"):
                    array.fill(np.nan)  # the network's own memory

    (spec,), desk, _ = train(small(algorithm), env_of(algorithm), keeper=Poisoner())
    assert desk.outcomes[spec.run_id].kind == "diverged"
    assert "weights are not finite" in desk.outcomes[spec.run_id].reason


@pytest.mark.parametrize("algorithm", FAMILY)
def test_its_export_is_rl_zoos_and_reads_back_as_itself(algorithm, tmp_path):
    values = small(algorithm, learning_rate="lin_3e-4", n_envs=4, normalize_rewards=True, activation_fn="leaky_relu")
    path = tmp_path / "best.yaml"
    path.write_text(config_yaml(env_of(algorithm), 120, values))
    assert "schema" not in path.read_text() and "lin_0.0003" in path.read_text()
    assert read_config(path, algorithm=algorithm).hyperparameters == values.to_mapping()


@pytest.mark.parametrize("algorithm", FAMILY)
def test_the_native_backend_does_not_train_it_and_its_memory_is_counted(algorithm):
    with pytest.raises(InputError, match=f"got --algo {algorithm}. Use --backend sb3"):
        check_backends(algorithm, ["native"])
    values = small(algorithm, n_envs=2)
    found = footprint(values, inspect(EnvSpec(env_of(algorithm)), algorithm), 1000, "sb3")
    assert found.transitions == (1000 if hasattr(values, "buffer_size") else 16)
    assert found.network_bytes > 0


@pytest.mark.parametrize("algorithm", FAMILY)
def test_what_a_step_costs_can_be_measured_in_a_short_run(algorithm):
    values = ALGORITHMS[algorithm]()
    learning = values.steady(learns=True)
    assert learning.random_steps(1000) == 0
    if "buffer_size" not in values.to_mapping():  # a rollout of 2048 steps would not be over when the time is
        assert learning.n_steps <= 128
    assert dataclasses.replace(values, net_arch=(512, 512)).work(10**6, 1000) > values.work(10**4, 1000)
