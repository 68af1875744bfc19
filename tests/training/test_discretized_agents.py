"""Agents on continuous actions in steps: saved, loaded, continued, in any lane, they do what their evaluations say."""

import dataclasses

import gymnasium
import numpy as np
import pytest
from test_agent import play
from test_run_checkpoint import assert_go_on_and_feel_no_neighbours
from test_single import save, spec
from training.desk import make_spec

import tuner
from tuner.envs.discrete_actions import DiscreteActions
from tuner.envs.spec import EnvSpec
from tuner.errors import InputError
from tuner.hyperparameters import QLearningHyperparameters
from tuner.training.saved.model_files import load_model, load_weights, spec_from_plain, spec_to_plain

PENDULUM = EnvSpec("Pendulum-v1", discretize=5)


@pytest.mark.parametrize("backend", ["native", "sb3"])
def test_an_agent_acts_in_the_bare_environment_and_earns_what_its_evaluation_says(backend, tmp_path):
    run = dataclasses.replace(spec(backend), env=PENDULUM)
    points = save(dataclasses.replace(run, evaluation=dataclasses.replace(run.evaluation, max_steps=200)), tmp_path)
    agent, env = tuner.load_agent(tmp_path), gymnasium.make("Pendulum-v1")
    returns, lengths = agent.evaluate(episodes=2, seed=points[-1].step)
    assert [play(agent, env, points[-1].step + i) for i in range(2)] == list(returns) and lengths == (200, 200)
    first = env.reset(seed=1)[0]
    assert env.action_space.contains(agent.act(first))
    many = agent.act_many([first, env.step(agent.act(first))[0]])
    assert many.shape == (2, 1) and set(many.ravel().tolist()) <= {-2.0, -1.0, 0.0, 1.0, 2.0}
    if backend == "native":
        assert agent.act(first) == (-2.0, -1.0, 0.0, 1.0, 2.0)[agent.q_values(first).argmax()]
    given = tuner.load_agent(tmp_path, env=env)
    assert given.act(first) == agent.act(first)
    indexed = tuner.load_agent(tmp_path, env=DiscreteActions(gymnasium.make("Pendulum-v1"), 5))
    assert PENDULUM.discretize is not None and (indexed.act(first) - 2.0) == agent.act(first)
    with pytest.raises(InputError, match="chooses among 5 actions; Pendulum-v1 has 3 and 3"):
        tuner.load_agent(tmp_path, env=DiscreteActions(gymnasium.make("Pendulum-v1"), 3)).act(first)


@pytest.mark.slow
def test_runs_go_on_bit_for_bit_and_do_not_feel_their_neighbours(tmp_path, monkeypatch):
    made = [make_spec(i, "Pendulum-v1", **changes) for i, changes in enumerate(({}, {"prioritized": True}, {}))]
    specs = [dataclasses.replace(one, env=EnvSpec("Pendulum-v1", discretize=3 + i % 2)) for i, one in enumerate(made)]
    assert_go_on_and_feel_no_neighbours(specs, tmp_path, monkeypatch)


def test_a_table_has_a_column_for_each_joint_action(tmp_path):
    save(dataclasses.replace(spec(), env=PENDULUM, hyperparameters=QLearningHyperparameters(bins=4)), tmp_path)
    (table,) = [array for array in load_weights(tmp_path).values() if array.ndim == 2]
    assert table.shape == (4**3, 5)
    assert tuner.load_agent(tmp_path).act(np.zeros(3, np.float32)) in (-2.0, -1.0, 0.0, 1.0, 2.0)


def test_a_models_file_says_it_and_refuses_what_is_none(tmp_path):
    run = dataclasses.replace(spec(), env=PENDULUM)
    plain = spec_to_plain(run)
    assert spec_from_plain(plain).env == PENDULUM
    assert "discretize" not in spec_to_plain(spec())["env"], "older versions read what does not use it"
    for wrong in (1, True, "5", 5.0, -2):
        with pytest.raises(ValueError, match="discretize must be a whole number of at least 2"):
            spec_from_plain({**plain, "env": {**plain["env"], "discretize": wrong}})
    save(run, tmp_path)
    assert load_model(tmp_path).spec.env == PENDULUM


def test_what_names_a_run_holds_the_steps_and_is_as_before_without():
    def signature(**changes):
        return dataclasses.replace(spec(), env=EnvSpec("Pendulum-v1", **changes)).signature()

    assert len({signature(), signature(discretize=3), signature(discretize=5)}) == 3
    assert spec().describe().keys() == {"env", "algorithm", "backend", "seed", "n_timesteps", "hyperparameters"}
    assert dataclasses.replace(spec(), env=PENDULUM).describe()["discretize"] == 5
    np.testing.assert_equal(PENDULUM.changes(), {"discretize": 5})
