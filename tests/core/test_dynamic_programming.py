"""Published and derived values of environments whose transition tables are known."""

import gymnasium as gym
import numpy as np
import pytest

from tuner.core.dynamic_programming import Model, finite_horizon_optimum, policy_return, reachable, value_iteration


def model_of(name, **kwargs):
    env = gym.make(name, **kwargs)
    try:
        return Model.of(env.unwrapped.P), np.asarray(env.unwrapped.initial_state_distrib)
    finally:
        env.close()


@pytest.mark.parametrize(("gamma", "value"), [(0.9, 0.0689), (0.95, 0.1805), (0.99, 0.5420), (0.999, 0.7855)])
def test_the_start_of_frozen_lake_is_worth_what_is_published(gamma, value):
    model, start = model_of("FrozenLake-v1")
    values, _ = value_iteration(model, gamma)
    assert start @ values == pytest.approx(value, abs=1e-4)


def test_the_best_success_rate_of_frozen_lake_within_its_time_limit():
    model, start = model_of("FrozenLake-v1")
    assert start @ finite_horizon_optimum(model, 100) == pytest.approx(0.7442, abs=1e-4)
    _, q_values = value_iteration(model, 0.99)
    assert start @ policy_return(model, q_values.argmax(axis=1), 100) == pytest.approx(0.7402, abs=1e-4)


def test_random_play_on_frozen_lake():
    model, start = model_of("FrozenLake-v1")
    assert start @ policy_return(model, np.full((16, 4), 0.25), 100) == pytest.approx(0.0139, abs=1e-4)


def test_the_best_mean_return_of_taxi_over_its_three_hundred_starts():
    model, start = model_of("Taxi-v4")
    assert np.count_nonzero(start) == 300
    _, q_values = value_iteration(model, 0.99)
    assert start @ policy_return(model, q_values.argmax(axis=1), 200) == pytest.approx(7.93, abs=0.005)


def test_cliff_walking_is_thirteen_steps_long():
    model, start = model_of("CliffWalking-v1")
    _, q_values = value_iteration(model, 0.99)
    assert start @ policy_return(model, q_values.argmax(axis=1), 100) == pytest.approx(-13)


def test_two_states_by_hand():
    model = Model.of(
        {
            0: {0: [(1.0, 1, 0.0, False)], 1: [(1.0, 0, 0.25, True)]},
            1: {0: [(0.5, 0, 2.0, True), (0.5, 1, 0.0, False)], 1: [(1.0, 1, 0.0, False)]},
        }
    )
    values, q_values = value_iteration(model, 0.5)
    # V(1) = 1 + 0.5 * 0.5 V(1) = 4/3; Q(0, 0) = 0.5 V(1) = 2/3 beats 0.25.
    assert values == pytest.approx([2 / 3, 4 / 3])
    assert q_values[0] == pytest.approx([2 / 3, 0.25])


def naive_value_iteration(table, gamma, sweeps):
    """The definition, state by state, from the table itself."""
    values = [0.0] * len(table)
    for _ in range(sweeps):
        values = [
            max(
                sum(p * (r + gamma * (0.0 if ended else values[to])) for p, to, r, ended in outcomes)
                for outcomes in table[state].values()
            )
            for state in range(len(table))
        ]
    return values


@pytest.mark.parametrize("gamma", [0.0, 0.5, 0.9])
def test_value_iteration_equals_the_naive_one(gamma):
    rng = np.random.default_rng(3)
    table = {
        state: {
            action: [
                (float(p), int(rng.integers(6)), float(rng.normal()), bool(rng.random() < 0.2))
                for p in rng.dirichlet(np.ones(3))
            ]
            for action in range(3)
        }
        for state in range(6)
    }
    values, q_values = value_iteration(Model.of(table), gamma)
    assert values == pytest.approx(naive_value_iteration(table, gamma, 400), abs=1e-9)
    assert q_values.max(axis=1) == pytest.approx(values, abs=1e-9)


def chain(length):
    """Action 1 goes right, 0 stays; the step out of the last state pays 1 and ends."""
    return {
        state: {0: [(1.0, state, 0.0, False)], 1: [(1.0, min(state + 1, length - 1), *_pay(state, length))]}
        for state in range(length)
    }


def _pay(state, length):
    return (1.0, True) if state == length - 1 else (0.0, False)


def test_a_chain_is_worth_gamma_to_the_steps_that_are_left():
    values, q_values = value_iteration(Model.of(chain(5)), 0.9)
    assert values == pytest.approx([0.9**4, 0.9**3, 0.81, 0.9, 1.0])
    assert q_values[0] == pytest.approx([0.9 * 0.9**4, 0.9**4])
    assert value_iteration(Model.of(chain(5)), 1.0)[0] == pytest.approx(np.ones(5))


def test_a_process_that_pays_for_ever_has_no_undiscounted_optimum():
    with pytest.raises(ValueError, match="have not settled after 100 sweeps with gamma 1"):
        value_iteration(Model.of({0: {0: [(1.0, 0, 1.0, False)]}}), 1.0, max_sweeps=100)


def test_what_the_start_never_leads_to_is_not_reachable():
    model = Model.of(chain(5))
    assert reachable(model, np.eye(5)[2]).tolist() == [False, False, True, True, True]
    lake, start = model_of("FrozenLake-v1")
    assert np.flatnonzero(~reachable(lake, start)).tolist() == [5, 7, 11, 12, 15]  # four holes and the goal
