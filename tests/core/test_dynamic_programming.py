"""Published and derived values of environments whose transition tables are known."""

import gymnasium as gym
import numpy as np
import pytest
from core.value_iteration import value_iteration

from tuner.core.dynamic_programming import Model, finite_horizon_optimum, policy_return


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
