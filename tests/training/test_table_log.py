"""What the page of a tabular run says of its table, against loops over the definition."""

import json

import numpy as np
import pytest

from tuner.core.dynamic_programming import reachable, value_iteration
from tuner.envs.spec import EnvSpec
from tuner.envs.transition_table import MAX_ENTRIES, transition_table
from tuner.report.pages.value_maps import value_maps
from tuner.text import plain
from tuner.training.lone.table_log import SHOWN_TABLES, TableLog

LAKE = EnvSpec("FrozenLake-v1")


def lake_tables(n):
    rng = np.random.default_rng(1)
    found = transition_table(LAKE)
    values, q_values = value_iteration(found.model, 0.9)
    tables = [q_values + rng.normal(scale=0.2 * (n - i) / n, size=q_values.shape) for i in range(n)]
    return found, values, q_values, [np.zeros((16, 4)), *tables, q_values]


def test_share_of_optimal_actions_and_largest_error_are_those_of_the_definition():
    found, values, q_values, tables = lake_tables(4)
    log = TableLog()
    for step, table in enumerate(tables):
        log.add(100 * step, table)
    told = log.beside_truth(LAKE, 0.9)
    states = np.flatnonzero(reachable(found.model, found.start))
    for i, table in enumerate(tables):
        right = [q_values[s, table[s].argmax()] >= q_values[s].max() - 1e-9 for s in states]
        assert told["optimal_share"][i] == pytest.approx(sum(right) / len(states))
        assert told["largest_error"][i] == pytest.approx(max(abs(table[s].max() - values[s]) for s in states))
    assert told["optimal_share"][-1] == 1 and told["largest_error"][-1] < 1e-9
    assert told["steps"] == [0, 100, 200, 300, 400, 500]
    assert told["actions"][0] == [-1] * 16  # of equals none
    assert told["truth"]["actions"][6] == [0, 2]  # between two holes left is as good as right


def test_a_log_goes_on_from_its_snapshot():
    *_, tables = lake_tables(3)
    whole, first, second = TableLog(), TableLog(), TableLog()
    for step, table in enumerate(tables):
        whole.add(step, table)
        (first if step < 2 else second).add(step, table)
    resumed = TableLog()
    resumed.restore(first.snapshot())
    for step, table in enumerate(tables[2:], 2):
        resumed.add(step, table)
    assert resumed.beside_truth(LAKE, 0.9) == whole.beside_truth(LAKE, 0.9)


def test_many_evaluations_are_shown_in_part_and_counted_in_full():
    log = TableLog()
    for step in range(1000):
        log.add(step, np.zeros((16, 4)))
    told = log.beside_truth(LAKE, 0.9)
    assert len(told["optimal_share"]) == 1000
    assert len(told["values"]) == len(told["shown"]) == SHOWN_TABLES
    assert (told["shown"][0], told["shown"][-1]) == (0, 999)
    assert set(np.diff(told["shown"])) <= {25, 26}


def test_there_is_nothing_without_a_table_or_a_truth():
    log = TableLog()
    assert log.beside_truth(LAKE, 0.9) is None
    log.add(1, np.zeros((16, 4)))
    assert log.beside_truth(EnvSpec("CartPole-v1"), 0.9) is None
    assert log.beside_truth(EnvSpec("FrozenLake8x8-v1"), 0.9) is None
    large = TableLog()
    large.add(1, np.broadcast_to(0.0, (MAX_ENTRIES, 2)))
    assert large.steps == []


def test_of_taxi_the_layers_that_can_be_are_drawn_and_of_unknown_maps_the_numbers():
    log = TableLog()
    log.add(1, np.zeros((500, 6)))
    table = json.loads(json.dumps(plain(log.beside_truth(EnvSpec("Taxi-v4"), 0.99))))
    drawn = value_maps(table)
    assert len(drawn["layers"]) == 16 and (drawn["rows"], drawn["columns"]) == (5, 5)
    assert drawn["high"] == 20  # dropping off, at once
    drawn = value_maps({**table, "map": None})
    assert drawn["rows"] * drawn["columns"] >= 500 and drawn["signs"] is None and not drawn["marks"]
    assert drawn["layers"][0]["states"] == list(range(500))
