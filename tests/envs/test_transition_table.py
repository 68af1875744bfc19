"""Tables that environments show are read as they are, and only where they say what an agent meets."""

import gymnasium
import numpy as np
import pytest

from tuner.core.dynamic_programming import reachable
from tuner.envs.spec import EnvSpec, frozen
from tuner.envs.transition_table import transition_table

#: Row and column that an arrow leads to.
ARROWS = {"←": (0, -1), "→": (0, 1), "↑": (-1, 0), "↓": (1, 0)}

GRIDS = ["FrozenLake-v1", "FrozenLake8x8-v1", "CliffWalking-v1", "CliffWalkingSlippery-v1", "Taxi-v4"]


@pytest.mark.parametrize("name", GRIDS)
def test_arrows_point_where_the_table_leads(name):
    found = transition_table(EnvSpec(name))
    assert found is not None and found.map is not None
    grid = found.map
    for action, sign in enumerate(grid.actions):
        if sign not in ARROWS:
            assert sign in grid.signs
            continue
        moved = np.zeros(2)
        for _, states in grid.layers:
            where = np.array([divmod(cell, grid.columns) for cell in range(len(states))])
            chances = found.model.successors[np.ix_(states, [action], states)][:, 0]
            # Jumps, back to the start, are no moves of the arrow.
            steps = where[None] - where[:, None]
            near = np.abs(steps).sum(axis=2) == 1
            moved += (chances[..., None] * steps * near[..., None]).sum(axis=(0, 1))
        assert (np.abs(moved).argmax(), np.sign(moved[np.abs(moved).argmax()])) == (
            int(ARROWS[sign][0] == 0),
            sum(ARROWS[sign]),
        )


@pytest.mark.parametrize("name", GRIDS)
def test_every_reachable_state_lies_in_one_cell(name):
    found = transition_table(EnvSpec(name))
    assert found is not None and found.map is not None
    cells = [state for _, states in found.map.layers for state in states]
    assert len(cells) == len(set(cells))
    assert set(np.flatnonzero(reachable(found.model, found.start))) <= set(cells)


def test_holes_and_walls_are_where_the_environment_has_them():
    lake = transition_table(EnvSpec("FrozenLake-v1")).map
    assert lake.marks == {0: "start", 5: "hole", 7: "hole", 11: "hole", 12: "hole", 15: "goal"}
    taxi = transition_table(EnvSpec("Taxi-v4"))
    east = taxi.map.actions.index("→")
    _, states = taxi.map.layers[0]
    blocked = [c for c in range(25) if c % 5 < 4 and taxi.model.successors[states[c], east, states[c]] == 1]
    assert blocked == list(taxi.map.walls)


class Ring(gymnasium.Env):
    """Four states in a circle; a table without a map."""

    def __init__(self, kind="good"):
        self.observation_space, self.action_space = gymnasium.spaces.Discrete(4), gymnasium.spaces.Discrete(2)
        to = np.random.default_rng().permutation(4) if kind == "random" else np.arange(4)
        p = 0.9 if kind == "leaks" else 1.0
        self.P = {s: {a: [(p, int((to[s] + 1 + a) % 4), float(s), False)] for a in range(2)} for s in range(4)}
        if kind == "short":
            del self.P[3]
        if kind == "backwards":  # the same ring, the last state by its number from the end
            self.P = {
                s: {a: [(1.0, to - 4, r, False)] for a, ((_, to, r, _),) in row.items()} for s, row in self.P.items()
            }
        if kind == "beyond":
            self.P[0][0] = [(1.0, 4, 0.0, True)]
        if kind == "negative":
            self.P[0][0] = [(2.0, 1, 0.0, False), (-1.0, 1, 0.0, True)]
        if kind == "words":
            self.P = "a table"


class Doubled(gymnasium.RewardWrapper):
    def reward(self, reward):
        return 2 * reward


@pytest.fixture(autouse=True)
def ring():
    gymnasium.register("Ring-v0", Ring, max_episode_steps=9)
    gymnasium.register("DoubledRing-v0", lambda: Doubled(Ring()))
    yield
    for name in ("Ring-v0", "DoubledRing-v0"):
        del gymnasium.registry[name]


def test_without_a_map_the_table_is_read_and_every_state_may_be_first():
    found = transition_table(EnvSpec("Ring-v0"))
    assert found is not None and found.map is None
    assert found.start.tolist() == [0.25] * 4
    assert found.model.rewards[:, 0].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("kind", ["leaks", "short", "words", "backwards", "beyond", "negative"])
def test_what_is_no_table_of_the_environment_is_none(kind):
    assert transition_table(EnvSpec("Ring-v0", frozen({"kind": kind}))) is None


def test_a_wrapper_that_changes_rewards_hides_the_table():
    assert transition_table(EnvSpec("DoubledRing-v0")) is None
    assert transition_table(EnvSpec("CartPole-v1")) is None


def test_a_map_that_is_another_each_time_is_no_truth(monkeypatch):
    rng = iter([np.arange(4), np.array([1, 0, 3, 2])])

    class Shuffled:
        @staticmethod
        def permutation(n):
            return next(rng)

    monkeypatch.setattr(np.random, "default_rng", lambda *_: Shuffled)
    assert transition_table(EnvSpec("Ring-v0", frozen({"kind": "random"}))) is None
