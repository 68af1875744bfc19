"""Tabular Q-learning against hand-computed numbers, a naive twin and exact values."""

import math

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st
from training.desk import Desk

from tuner import seeding
from tuner.agents.dqn.exploration import LaneExploration
from tuner.agents.q_learning import QLearner, epsilon, learning_rate
from tuner.contract.grid import evaluation_grid
from tuner.contract.spec import EvaluationSpec, RunId, RunSpec
from tuner.core.dynamic_programming import Model, value_iteration
from tuner.envs.discretiser import Discretiser, discretiser_for
from tuner.envs.probe import PROBES
from tuner.envs.spec import EnvSpec
from tuner.errors import InputError, UnusableEnvironmentError
from tuner.hyperparameters import DQNHyperparameters, QLearningHyperparameters
from tuner.plan.recipe import StudyRecipe
from tuner.training.registry import make_trainer
from tuner.training.saved.agent import load_agent
from tuner.training.saved.model_files import load_model, save_model
from tuner.training.saved.play import record_agent
from tuner.training.saved.table_policy import TablePolicy


def learner(**changes):
    settings = QLearningHyperparameters(**{"learning_rate": 0.5, "learning_rate_schedule": "constant", **changes})
    return QLearner(3, 2, settings, 100, np.random.default_rng(0))


def spec_of(env, steps, *, seed=1, kwargs=(), evaluations=2, **changes):
    settings = QLearningHyperparameters(**changes)
    evaluation = EvaluationSpec(5, 7, 200)
    return RunSpec(
        RunId(0), EnvSpec(env, kwargs), "native", settings, seed, evaluation_grid(steps, evaluations), evaluation
    )


def train(spec):
    desk = Desk([spec])
    make_trainer("native", "q_learning", 1, desk).train(desk)
    assert desk.outcomes[spec.run_id].kind == "completed", desk.outcomes
    return desk


def test_an_update_moves_a_share_of_the_error():
    q = learner(gamma=0.9)
    q.act(0)
    q.table[1] = [2.0, 4.0]
    q.learn(0, 1, 1.0, 1, terminated=False)
    assert q.table[0] == [0.0, pytest.approx(0.5 * (1.0 + 0.9 * 4.0))]
    q.learn(0, 1, 1.0, 1, terminated=False)
    assert q.table[0][1] == pytest.approx(2.3 + 0.5 * (4.6 - 2.3))


def test_nothing_follows_a_terminal_step():
    q = learner()
    q.act(0)
    q.table[1] = [100.0, 100.0]
    q.learn(0, 0, 1.0, 1, terminated=True)
    assert q.table[0][0] == 0.5


def test_an_optimistic_start_tries_every_action():
    q = learner(initial_value=5.0, exploration_initial_eps=0.0, exploration_final_eps=0.0)
    first = q.act(0)
    q.learn(0, first, 0.0, 0, terminated=True)
    assert q.act(0) != first


def halfway_through_a_block():
    """A table and a lane that never explore, after 30 steps, as snapshots."""
    table = learner(**NEVER)
    lane = LaneExploration(1, 2)
    lane.start(0, DQNHyperparameters(learning_starts=0, **NEVER), 100, np.random.default_rng(0))
    for _ in range(30):
        table.learn(0, table.act(0), 0.0, 0, terminated=True)
    lane.decide(0, 0, 30)
    return table.snapshot(), lane.snapshot(0)


NEVER = {"exploration_initial_eps": 0.0, "exploration_final_eps": 0.0}
ALWAYS = {"exploration_initial_eps": 1.0, "exploration_final_eps": 1.0}


def test_a_schedule_that_is_changed_on_the_way_holds_from_the_next_step_on():
    """Decisions are made a block of steps ahead: those of the schedule before are made again."""
    saved_table, saved_lane = halfway_through_a_block()
    table = learner(learning_rate=1.0, initial_value=0.0, **ALWAYS)
    table.restore(saved_table)
    acts = [table.act(0)]
    table.learn(0, acts[0], 8.0, 0, terminated=True)
    assert table.table[0][acts[0]] == 8.0
    for _ in range(40):
        acts.append(table.act(0))
        table.learn(0, acts[-1], 8.0, 0, terminated=True)
    assert set(acts) == {0, 1}
    lane = LaneExploration(1, 2)
    lane.start(0, DQNHyperparameters(learning_starts=0, **ALWAYS), 100, np.random.default_rng(0))
    lane.restore(0, saved_lane)
    assert lane.decide(0, 30, 50)[0].all()


def test_what_versions_before_kept_of_a_block_leads_to_the_same_decisions():
    steps, half = np.arange(1024), {"exploration_initial_eps": 0.5, "exploration_final_eps": 0.5}
    settings = DQNHyperparameters(learning_starts=10, **half)
    lanes = [LaneExploration(1, 2), LaneExploration(1, 2)]
    for lane in lanes:
        lane.start(0, settings, 100, np.random.default_rng(0))
    lanes[0].decide(0, 0, 30)
    lane = lanes[0].snapshot(0)
    old = {name: lane[name] for name in ("actions", "end", "stream")}
    explores = (steps < 10) | ((lane["uniforms"] < 0.5) & (steps > 0))
    lanes[1].restore(0, {**old, "explores": explores})
    for one, other in zip(lanes[0].decide(0, 30, 1500), lanes[1].decide(0, 30, 1500), strict=True):
        np.testing.assert_array_equal(one, other)

    tables = learner(**half), learner(**half)
    for _ in range(30):
        tables[0].learn(0, tables[0].act(0), 1.0, 0, terminated=True)
    saved = tables[0].snapshot()
    rates = learning_rate(QLearningHyperparameters(learning_rate=0.5, learning_rate_schedule="constant"), steps, 100)
    old = {name: array for name, array in saved.items() if name != "uniforms"}
    tables[1].restore({**old, "explores": saved["uniforms"] < 0.5, "rates": rates})
    for _ in range(1500):
        actions = [table.act(0) for table in tables]
        assert actions[0] == actions[1]
        for table in tables:
            table.learn(0, actions[0], 1.0, 0, terminated=True)
    assert tables[0].table == tables[1].table


@given(st.integers(0, 200))
def test_learning_rates_go_from_one_end_to_the_other(step):
    for schedule in ("constant", "linear", "geometric"):
        settings = QLearningHyperparameters(learning_rate=0.8, final_learning_rate=0.1, learning_rate_schedule=schedule)
        p = min(step / 100, 1.0)
        by_hand = {"constant": 0.8, "linear": 0.8 - 0.7 * p, "geometric": 0.8 * (0.1 / 0.8) ** p}[schedule]
        assert float(learning_rate(settings, np.array(step), 100)) == pytest.approx(by_hand)


def naive_twin(spec):
    """A short, obvious loop with the same random streams."""
    settings, n = spec.hyperparameters, spec.n_timesteps
    env = gym.make(spec.env.id, **dict(spec.env.kwargs))
    rng = seeding.stream(spec.seed, "exploration")
    q = np.full((env.observation_space.n, env.action_space.n), settings.initial_value)
    s, _ = env.reset(seed=int(seeding.stream(spec.seed, "environment").integers(2**31)))
    for step in range(n):
        if step % 1024 == 0:
            uniforms = rng.random((2, 1024))
        explores = uniforms[0, step % 1024] < epsilon(settings, np.array(step), n)
        a = int(uniforms[1, step % 1024] * env.action_space.n) if explores else int(q[s].argmax())
        following, r, terminated, truncated, _ = env.step(a)
        target = r + (0 if terminated else settings.gamma * q[following].max())
        q[s, a] += float(learning_rate(settings, np.array(step), n)) * (target - q[s, a])
        s = following
        if terminated or truncated:
            s, _ = env.reset()
    env.close()
    return q


@pytest.mark.parametrize("env", ["FrozenLake-v1", "Taxi-v4"])
def test_the_trainer_learns_what_a_naive_loop_learns(env):
    spec = spec_of(env, 3000, learning_rate=0.4, initial_value=0.3)
    desk = train(spec)
    assert desk.weights[spec.run_id]["table"] == pytest.approx(naive_twin(spec), abs=1e-12)


@pytest.mark.parametrize("probe", list(PROBES))
def test_known_values_are_learned(probe):
    gamma = 0.5
    spec = spec_of(
        probe, 12_000, gamma=gamma, exploration_final_eps=1.0, final_learning_rate=0.02, bins=2, bin_limit=1.0
    )
    desk = train(spec)
    arrays = desk.weights[spec.run_id]
    env = gym.make(probe)
    try:
        bare = env.unwrapped
        found = discretiser_for(bare.observation_space, 2, 1.0)
        policy = TablePolicy(arrays["table"], found)
        inputs = np.eye(bare.observation_space.n) if found is None else bare.observations
        assert policy.q_values(inputs) == pytest.approx(bare.q_values(gamma), abs=0.1)
    finally:
        env.close()


@pytest.mark.learning
def test_frozen_lake_is_learned_close_to_its_exact_values():
    spec = spec_of("FrozenLake-v1", 600_000, final_learning_rate=0.005, exploration_final_eps=0.3)
    table = train(spec).weights[spec.run_id]["table"]
    env = gym.make("FrozenLake-v1")
    _, exact = value_iteration(Model.of(env.unwrapped.P), 0.99)
    env.close()
    assert table[0].max() == pytest.approx(exact[0].max(), abs=0.06)


def test_bins_are_equal_and_what_lies_outside_falls_into_the_last():
    bins = Discretiser((0.0, -1.0), (1.0, 1.0), 4)
    assert bins.rows == 16
    assert [bins.row([x, -1.0]) for x in (-9.0, 0.0, 0.26, 0.5, 0.99, 1.0, 9.0)] == [0, 0, 4, 8, 12, 12, 12]
    assert [bins.row([0.0, y]) for y in (-1.0, -0.5, 0.0, 0.5)] == [0, 1, 2, 3]


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(-5, 5)), min_size=1, max_size=20), st.integers(1, 9))
def test_one_observation_and_many_fall_into_the_same_cells(observations, bins):
    discretiser = Discretiser((-1.0, -2.0), (1.5, 2.0), bins)
    array = np.array(observations)
    assert discretiser.row_array(array).tolist() == [discretiser.row(row) for row in array]


@pytest.mark.parametrize("limit", [math.ulp(0.0), 1.0, 1e6])
def test_any_finite_number_falls_into_a_bin_however_narrow_these_are(limit):
    bins = discretiser_for(spaces.Box(-np.inf, np.inf, (1,), np.float64), 9, limit)
    numbers = np.array([-np.finfo(float).max, -limit, 0.0, limit, np.finfo(float).max])[:, None]
    assert [bins.row(number) for number in numbers] == [0, 0, 4, 8, 8]
    assert bins.row_array(numbers).tolist() == [0, 0, 4, 8, 8]


class Leaves(gym.Env):
    """Shows a number of its space until an episode is longer than evaluations are, then one outside."""

    action_space = spaces.Discrete(2)
    observation_space = spaces.Discrete(3, start=2)

    def __init__(self, outside):
        self.outside = outside

    def reset(self, *, seed=None, options=None):
        self.left = 250
        return 2, {}

    def step(self, action):
        self.left -= 1
        return (3 if self.left > 0 else self.outside), 1.0, False, False, {}


gym.register("tests/Leaves-v0", entry_point=Leaves)


@pytest.mark.parametrize("outside", [1, 5])
def test_an_observation_outside_of_its_space_is_no_other_row_of_the_table(outside):
    spec = spec_of("tests/Leaves-v0", 300, kwargs=(("outside", outside),), evaluations=1)
    desk = Desk([spec])
    make_trainer("native", "q_learning", 1, desk).train(desk)
    ended = desk.outcomes[spec.run_id]
    assert ended.kind == "failed"
    assert f"observation {outside} is outside of Discrete(3, start=2)" in ended.reason


def test_a_dimension_without_bounds_ends_at_the_limit():
    found = discretiser_for(gym.make("CartPole-v1").observation_space, 6, 2.5)
    assert found.low[1] == -2.5
    assert found.high[3] == 2.5
    assert found.high[0] == pytest.approx(4.8)


def test_too_many_cells_and_other_spaces_are_refused_in_one_line():
    with pytest.raises(UnusableEnvironmentError, match=r"100\^8 table rows") as refused:
        discretiser_for(spaces.Box(-1, 1, (8,)), 100, 1.0)
    assert "\n" not in str(refused.value)
    with pytest.raises(UnusableEnvironmentError, match="Discrete or Box"):
        discretiser_for(spaces.MultiDiscrete([2, 3]), 2, 1.0)


@pytest.mark.parametrize(("env", "changes"), [("FrozenLake-v1", {}), ("CartPole-v1", {"bins": 4})])
def test_a_saved_table_plays_as_the_trained_one(tmp_path, env, changes):
    spec = spec_of(env, 1000, **changes)
    desk = train(spec)
    save_model(tmp_path, spec, desk.weights[spec.run_id], desk.points[spec.run_id])
    loaded = load_model(tmp_path)
    assert (loaded.policy.table == desk.weights[spec.run_id]["table"]).all()
    inputs = np.eye(16) if env == "FrozenLake-v1" else np.random.default_rng(0).normal(size=(50, 4))
    own = TablePolicy(loaded.policy.table, loaded.policy.discretiser)
    assert (loaded.policy.act(inputs) == own.act(inputs)).all()
    assert loaded.spec.hyperparameters == spec.hyperparameters


class Arms(gym.Env):
    """A bandit: one state, and arms that pay their own number."""

    action_space = spaces.Discrete(3)
    observation_space = spaces.Discrete(1, start=4)

    def reset(self, *, seed=None, options=None):
        return 4, {}

    def step(self, action):
        return 4, float(action), True, False, {}


gym.register("tests/Arms-v0", entry_point=Arms)


def test_a_single_state_has_a_table_of_one_row(tmp_path):
    spec = spec_of("tests/Arms-v0", 600)
    desk = train(spec)
    assert desk.points[spec.run_id][-1].returns == (2.0,) * 5
    save_model(tmp_path, spec, desk.weights[spec.run_id])
    assert load_agent(tmp_path, env=Arms()).act(4) == 2


#: Kind -> (what is shown, what a cell's number is multiplied by, cells).
CELLS = {
    "picture": (spaces.Box(0, 3, (1, 2), np.uint8), 1, 4),
    "doubles": (spaces.Box(0, 1, (2,), np.float64), 1 / 10, 10),  # 0.7 in single precision lies in the bin below
}


class Cells(gym.Env):
    """Shows a cell; the action of its number pays. Ten steps an episode."""

    metadata = {"render_modes": ["rgb_array"]}  # noqa: RUF012

    def __init__(self, kind, render_mode=None):
        self.observation_space, self.unit, cells = CELLS[kind]
        self.action_space, self.render_mode = spaces.Discrete(cells), render_mode

    def _show(self):
        self.cell = int(self.np_random.integers(self.action_space.n))
        return np.full(self.observation_space.shape, self.cell * self.unit, self.observation_space.dtype)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.left = 10
        return self._show(), {}

    def step(self, action):
        paid = float(action == self.cell)
        self.left -= 1
        return self._show(), paid, self.left == 0, False, {}

    def render(self):
        return np.zeros((32, 32, 3), np.uint8)


gym.register("tests/Cells-v0", entry_point=Cells)


@pytest.mark.parametrize("kind", list(CELLS))
def test_a_table_plays_by_the_rows_that_it_has_learned(kind, tmp_path):
    """Networks see pictures of bytes divided, and all numbers in single precision; a table has learned from neither."""
    _, unit, cells = CELLS[kind]
    spec = spec_of("tests/Cells-v0", 4000, kwargs=(("kind", kind),), bins=cells, exploration_final_eps=1.0, gamma=0.0)
    desk = train(spec)
    assert desk.points[spec.run_id][-1].returns == (10.0,) * 5
    save_model(tmp_path, spec, desk.weights[spec.run_id])
    agent = load_agent(tmp_path)
    assert agent.evaluate(3)[0] == (10.0,) * 3
    assert agent.act_many([np.full(CELLS[kind][0].shape, i * unit) for i in range(cells)]).tolist() == list(
        range(cells)
    )
    assert record_agent(agent, 1, 0, tmp_path).returns == (10.0,)


def test_stable_baselines_trains_no_tables():
    with pytest.raises(InputError, match=r"--backend sb3 trains dqn, .* only, got --algo q_learning"):
        StudyRecipe(env="FrozenLake-v1", algo="q_learning", backend="sb3").validated()
