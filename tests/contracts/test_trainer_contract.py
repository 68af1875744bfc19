"""What every trainer owes its dispatcher, whichever backend it is."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest
from contracts.fakes import Books

from tuner.agents.dqn.stack import DQNStack
from tuner.agents.sampled_dqn import SampledDQN
from tuner.contract.spec import EvaluationSpec, RunId, RunSpec
from tuner.envs.spec import EnvSpec
from tuner.hyperparameters import DQNHyperparameters, QLearningHyperparameters, SampledDQNHyperparameters
from tuner.training.registry import make_trainer

MODULE = str(Path(__file__).with_name("misbehaving_envs.py"))

SMALL = DQNHyperparameters(
    learning_rate=1e-3, batch_size=16, learning_starts=20, train_freq=7, gradient_steps=2, net_arch=(16,),
    target_update_interval=30, exploration_fraction=0.5,
)  # fmt: skip

TABULAR = QLearningHyperparameters(exploration_fraction=0.5, bins=4)

SAMPLED = SampledDQNHyperparameters(
    batch_size=16, learning_starts=20, train_freq=7, gradient_steps=2, net_arch=(16,), sampled_actions=8,
    exploration_fraction=0.5,
)  # fmt: skip

SETTINGS = {"dqn": SMALL, "q_learning": TABULAR, "sampled_dqn": SAMPLED}

#: Cut into steps, shown by the last two observations, in wrappers of which one draws and remembers.
CHANGED = {
    "discretize": 4, "frame_stack": 2,
    "wrapper": (
        "gymnasium.wrappers.FlattenObservation",
        'gymnasium.wrappers.StickyAction:{"repeat_action_probability": 0.25}',
    ),
}  # fmt: skip

#: (backend, lanes, algorithm, how the environment is met)
TRAINERS = [
    ("native", 1, "dqn", {}),
    ("native", 3, "dqn", {}),
    ("sb3", 1, "dqn", {}),
    ("native", 3, "dqn", CHANGED),
    ("sb3", 1, "dqn", CHANGED),
    ("native", 1, "q_learning", {}),
    ("native", 1, "q_learning", {"discretize": 4}),
    ("native", 1, "sampled_dqn", {}),
]


def name_of(backend) -> str:
    return "-".join([*map(str, backend[:3]), *backend[3]])


@pytest.fixture(params=TRAINERS, ids=name_of)
def backend(request):
    return request.param


def spec(trial: int, backend, *, seed: int | None = None, grid=(50, 101, 160), **env_kwargs) -> RunSpec:
    name, _, algorithm, met = backend
    continuous = bool(met) or algorithm == "sampled_dqn"
    env = EnvSpec("Pendulum-v1" if continuous else "CartPole-v1", **met)
    if env_kwargs:
        env_kwargs |= {"continuous": True} if continuous else {}
        env = EnvSpec("Misbehaving-v0", tuple(sorted(env_kwargs.items())), MODULE, **met)
    hyperparameters = SETTINGS[algorithm]
    return RunSpec(
        RunId(trial), env, name, hyperparameters, 7 + trial if seed is None else seed, grid,
        EvaluationSpec(episodes=2, seed=99, max_steps=30),
    )  # fmt: skip


def train(backend, specs, **books) -> Books:
    name, lanes, algorithm, _ = backend
    desk = Books(specs, **books)
    make_trainer(name, algorithm, lanes).train(desk)
    assert not desk.in_flight
    return desk


def test_the_last_third_of_the_grid_may_take_other_episodes_and_the_first_ones_stay_the_same(backend):
    plain = [spec(i, backend) for i in range(2)]
    longer = [dataclasses.replace(s, evaluation=dataclasses.replace(s.evaluation, late_episodes=5)) for s in plain]
    usual, more = train(backend, plain), train(backend, longer)
    for run_id, points in more.points.items():
        assert [len(point.returns) for point in points] == [2, 2, 5]
        assert [p.returns for p in points[:2]] == [p.returns for p in usual.points[run_id][:2]]


def test_every_run_taken_is_finished_once_with_points_at_the_grid_steps_in_order(backend):
    specs = [spec(i, backend) for i in range(3)]
    desk = train(backend, specs)
    assert set(desk.outcomes) == {s.run_id for s in specs}
    for run_id, outcome in desk.outcomes.items():
        assert (outcome.kind, outcome.steps) == ("completed", 160)
        assert [point.step for point in desk.points[run_id]] == [50, 101, 160]
        for point in desk.points[run_id]:
            assert len(point.returns) == len(point.lengths) == 2
            assert all(1 <= length <= 30 for length in point.lengths)


def test_metrics_are_means_since_the_point_before_under_the_same_names(backend):
    (points,) = train(backend, [spec(0, backend)]).points.values()
    for point in points:
        returns = {"train_return"} if point.metrics["train_episodes"] else set()
        assert set(point.metrics) == {"epsilon", "train_episodes", "loss", "q_value"} | returns
    # Linear from 1 to 0.05 over the first half of 160 steps.
    assert points[0].metrics["epsilon"] == pytest.approx(1 - 0.95 * 50 / 80)
    assert points[1].metrics["epsilon"] == points[2].metrics["epsilon"] == 0.05


def test_training_episodes_and_returns_are_counted_per_interval(backend):
    # Ten-step episodes with reward 1: by step 50 five have ended, by 101 five more, by 160 six.
    (points,) = train(backend, [spec(0, backend, how="", at=0)]).points.values()
    assert [p.metrics["train_episodes"] for p in points] == [5, 5, 6]
    assert [p.metrics["train_return"] for p in points] == [10, 10, 10]


def test_a_run_told_to_stop_ends_there_and_the_next_one_goes_on(backend):
    specs = [spec(i, backend) for i in range(4)]
    desk = train(backend, specs, stop_at={RunId(1): 101})
    assert (desk.outcomes[RunId(1)].kind, desk.outcomes[RunId(1)].steps) == ("stopped", 101)
    assert [point.step for point in desk.points[RunId(1)]] == [50, 101]
    assert [desk.outcomes[RunId(i)].kind for i in (0, 2, 3)] == ["completed"] * 3


def test_stopping_at_the_last_grid_point_is_completing(backend):
    desk = train(backend, [spec(0, backend)], stop_at={RunId(0): 160})
    assert desk.outcomes[RunId(0)].kind == "completed"


def test_an_environment_that_raises_fails_its_own_run_only(backend):
    specs = [spec(0, backend, how="", at=0), spec(1, backend, how="raise", at=73), spec(2, backend)]
    desk = train(backend, specs)
    failed = desk.outcomes[RunId(1)]
    assert (failed.kind, failed.reason) == ("failed", "ValueError: broken at 73")
    assert "misbehaving_envs.py" in failed.detail
    assert [point.step for point in desk.points[RunId(1)]] == [50]
    assert desk.outcomes[RunId(0)].kind == desk.outcomes[RunId(2)].kind == "completed"


def test_an_environment_that_cannot_be_made_fails_its_own_run_only(backend):
    broken = dataclasses.replace(spec(0, backend), env=EnvSpec("NoSuch-v0"))
    desk = train(backend, [broken, spec(1, backend)])
    assert desk.outcomes[RunId(0)].kind == "failed"
    assert "NoSuch-v0" in desk.outcomes[RunId(0)].reason
    assert desk.outcomes[RunId(1)].kind == "completed"


@pytest.mark.parametrize("field", ["reward", "observation"])
def test_what_is_not_finite_is_a_divergence_with_field_and_step(backend, field):
    desk = train(backend, [spec(0, backend, how=field, at=73), spec(1, backend, how="", at=0)])
    outcome = desk.outcomes[RunId(0)]
    assert (outcome.kind, outcome.reason, outcome.steps) == ("diverged", f"{field} is not finite at step 73", 73)
    assert desk.outcomes[RunId(1)].kind == "completed"


@pytest.mark.parametrize("backend", [t for t in TRAINERS if t[2] != "q_learning"], ids=name_of)  # float32 overflows
def test_a_loss_that_is_not_finite_is_a_divergence_and_the_next_run_goes_on(backend):
    # Training starts at the first multiple of train_freq = 7 above learning_starts = 20.
    desk = train(backend, [spec(0, backend, how="huge"), spec(1, backend, how="", at=0)])
    outcome = desk.outcomes[RunId(0)]
    assert (outcome.kind, outcome.reason, outcome.steps) == ("diverged", "loss is inf at step 21", 21)
    assert desk.outcomes[RunId(1)].kind == "completed"


@pytest.mark.parametrize("backend", [t for t in TRAINERS if t[0] == "native" and t[2] != "q_learning"], ids=name_of)
def test_weights_that_are_no_numbers_at_an_evaluation_are_a_divergence(backend, monkeypatch):
    """The training call at step 98 leaves one of them; the next loss would tell it at 105 alone."""
    learn, update, updates = DQNStack.learn, SampledDQN.update, []

    def spoiling_stack(self, lanes):
        found = learn(self, lanes)
        if found and self.clock[0] == 98:
            self.state.online[0, 0] = np.inf
        return found

    def spoiling_learner(self):
        updates.append(update(self))
        if len(updates) == 2 * len(range(21, 99, 7)):
            self.online.row[0, 0] = np.inf
        return updates[-1]

    monkeypatch.setattr(DQNStack, "learn", spoiling_stack)
    monkeypatch.setattr(SampledDQN, "update", spoiling_learner)
    desk = train(backend, [spec(0, backend)])
    outcome = desk.outcomes[RunId(0)]
    assert (outcome.kind, outcome.reason, outcome.steps) == ("diverged", "weights are not finite at step 101", 101)
    assert [point.step for point in desk.points[RunId(0)]] == [50]


@pytest.mark.parametrize("how", ["", "raise", "reward", "huge"])
def test_every_environment_is_closed_however_a_run_ends(backend, how):
    train(backend, [spec(0, backend, how="", at=0)])
    counter = sys.modules["misbehaving_envs"].Misbehaving
    counter.unclosed = 0
    train(backend, [spec(0, backend, how=how, at=73), spec(1, backend, how=how, at=73)], stop_at={RunId(1): 101})
    assert counter.unclosed == 0


def test_actions_that_do_not_start_at_0_are_shifted(backend):
    # The environment itself asserts that every action is its own.
    desk = train(backend, [spec(0, backend, start=3)])
    assert desk.outcomes[RunId(0)].kind == "completed"


def test_the_same_spec_twice_gives_the_same_curve_and_another_seed_another(backend):
    specs = [spec(0, backend, seed=5), spec(1, backend, seed=5), spec(2, backend, seed=6)]
    desk = train(backend, specs)
    curves = [[(p.returns, p.lengths, p.metrics) for p in desk.points[RunId(i)]] for i in range(3)]
    assert curves[0] == curves[1] != curves[2]


def test_what_the_dispatcher_raises_is_nobodys_run_failing(backend):
    def storage_dies(books, point):
        raise ConnectionError("storage is gone")

    name, lanes, algorithm, _ = backend
    desk = Books([spec(0, backend)], on_point=storage_dies)
    with pytest.raises(ConnectionError, match="storage is gone"):
        make_trainer(name, algorithm, lanes).train(desk)
    assert not desk.outcomes
