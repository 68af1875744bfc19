"""The Stable-Baselines3 adapter adds evaluation and reporting, and changes nothing of what is learned."""

from __future__ import annotations

import contextlib
import dataclasses
import random

import numpy as np
import pytest
import torch
from contracts.fakes import Books
from stable_baselines3 import DQN
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv

from tuner import seeding
from tuner.contract.spec import EvaluationSpec, RunId, RunSpec
from tuner.core.schedules import linear
from tuner.envs.make import make
from tuner.envs.spec import EnvSpec
from tuner.errors import InputError
from tuner.hyperparameters import DQNHyperparameters, field_infos
from tuner.training.sb3.arguments import constructor_arguments
from tuner.training.sb3.trainer import SB3Trainer, build_model

SMALL = {
    "learning_rate": 1e-3, "batch_size": 16, "learning_starts": 50, "train_freq": 4, "gradient_steps": 2,
    "net_arch": (16, 16), "target_update_interval": 100, "exploration_fraction": 0.5,
}  # fmt: skip


def spec(grid=(200, 400, 600), *, trial=0, seed=3, **changes) -> RunSpec:
    hyperparameters = DQNHyperparameters(**{**SMALL, **changes})
    return RunSpec(RunId(trial), EnvSpec("CartPole-v1"), "sb3", hyperparameters, seed, grid, EvaluationSpec(3, 99, 100))


class Watcher:
    def __init__(self):
        self.episodes, self.updates, self.weights, self.evaluated = [], [], {}, {}

    def on_episode(self, run_id, step, episode_return, length):
        self.episodes.append((step, episode_return, length))

    def on_update(self, run_id, step, loss, q_value, epsilon):
        self.updates.append((step, loss, q_value, epsilon))

    def on_evaluated(self, point, weights):
        self.evaluated[point.step] = weights()

    def on_end(self, run_id, weights):
        self.weights[run_id] = weights


def train(*specs, observer=None, **books) -> Books:
    desk = Books(specs, **books)
    SB3Trainer(observer).train(desk)
    return desk


def test_one_learn_call_per_run_and_epsilon_follows_the_formula_at_every_step(monkeypatch):
    calls, rates = [], []
    learn, on_step = DQN.learn, DQN._on_step

    def counted_learn(self, total_timesteps, *args, **kwargs):
        calls.append(total_timesteps)
        return learn(self, total_timesteps, *args, **kwargs)

    def watched_on_step(self):
        on_step(self)
        rates.append((self.num_timesteps, self.exploration_rate))

    monkeypatch.setattr(DQN, "learn", counted_learn)
    monkeypatch.setattr(DQN, "_on_step", watched_on_step)
    desk = train(spec())
    assert calls == [600]
    steps = np.array([step for step, _ in rates])
    np.testing.assert_array_equal(steps, np.arange(1, 600))  # the last step ends learn() before it is stored
    np.testing.assert_array_equal([rate for _, rate in rates], linear(steps, 600, 1.0, 0.05, 0.5))
    reported = [p.metrics["epsilon"] for p in desk.points[RunId(0)]]
    np.testing.assert_array_equal(reported, linear([200, 400, 600], 600, 1.0, 0.05, 0.5))


def test_the_grid_holds_when_train_freq_does_not_divide_it():
    desk = train(spec((100, 250, 333), train_freq=64))
    assert [p.step for p in desk.points[RunId(0)]] == [100, 250, 333]
    assert desk.outcomes[RunId(0)].steps == 333


def test_the_same_spec_twice_gives_the_same_curve_bit_for_bit():
    desk = train(spec(trial=0), spec(trial=1))
    curves = [[(p.step, p.returns, p.lengths, p.metrics) for p in desk.points[RunId(i)]] for i in range(2)]
    assert curves[0] == curves[1]


@pytest.mark.slow
def test_what_is_learned_is_what_plain_stable_baselines3_learns():
    run, watcher = spec(), Watcher()
    train(run, observer=watcher)
    env = DummyVecEnv([lambda: Monitor(make(run.env))])
    arguments = {**SMALL, "buffer_size": 600, "policy_kwargs": {"net_arch": list(SMALL["net_arch"])}}
    del arguments["net_arch"]
    model = DQN("MlpPolicy", env, seed=run.seed, device="cpu", **arguments)
    env.seed(int(seeding.stream(run.seed, "environment").integers(2**31)))
    losses = []

    def until_the_end(local, _):
        if "train/loss" in model.logger.name_to_value:
            losses.append(model.logger.name_to_value["train/loss"])
        return model.num_timesteps < 600

    model.learn(600, callback=until_the_end, log_interval=10**9)
    env.close()
    plain = {name: value.numpy() for name, value in model.q_net.state_dict().items()}
    assert set(plain) == set(watcher.weights[run.run_id])
    for name, value in watcher.weights[run.run_id].items():
        np.testing.assert_array_equal(value, plain[name])
    assert watcher.updates[-1][1] == losses[-1]


def test_the_observer_sees_every_episode_and_every_training_call():
    watcher = Watcher()
    (points,) = train(spec(), observer=watcher).points.values()
    # Calls follow steps 52, 56, ... 596: step 600 is the last grid point and ends the run.
    assert [step for step, *_ in watcher.updates] == list(range(52, 600, 4))
    for before, point in zip((0, 200, 400), points, strict=True):
        # A call at a grid step comes after its evaluation.
        ended = [episode for episode in watcher.episodes if before < episode[0] <= point.step]
        losses = [loss for step, loss, *_ in watcher.updates if before <= step < point.step]
        q_values = [q for step, _, q, _ in watcher.updates if before <= step < point.step]
        assert point.metrics["train_episodes"] == len(ended)
        assert point.metrics["train_return"] == pytest.approx(np.mean([ret for _, ret, _ in ended]))
        assert point.metrics["loss"] == pytest.approx(np.mean(losses))
        assert point.metrics["q_value"] == pytest.approx(np.mean(q_values))
    assert {n: v.shape for n, v in watcher.weights[RunId(0)].items()} == {
        "q_net.0.weight": (16, 4), "q_net.0.bias": (16,), "q_net.2.weight": (16, 16), "q_net.2.bias": (16,),
        "q_net.4.weight": (2, 16), "q_net.4.bias": (2,),
    }  # fmt: skip


@pytest.mark.slow
def test_a_larger_buffer_than_the_run_can_fill_changes_nothing_but_memory():
    desk = train(spec(trial=0, buffer_size=600), spec(trial=1, buffer_size=10_000_000))
    first, second = ([(p.returns, p.metrics) for p in points] for points in desk.points.values())
    assert first == second


def test_constructor_arguments_are_every_shared_field_under_its_own_name():
    hyperparameters = DQNHyperparameters(**SMALL, buffer_size=500)
    arguments = constructor_arguments(hyperparameters, n_timesteps=10_000)
    values = hyperparameters.to_mapping()
    beside = ("net_arch", "learning_rate_schedule", *hyperparameters.wrapped)  # it has no argument of that name
    shared = [i.name for i in field_infos(DQNHyperparameters).values() if i.sb3 and i.name not in beside]
    assert arguments == {
        "policy": "MlpPolicy", "policy_kwargs": {"net_arch": [16, 16]}, **{name: values[name] for name in shared}
    }  # fmt: skip
    assert constructor_arguments(DQNHyperparameters(), 3000)["buffer_size"] == 3000


def test_n_step_returns_go_into_the_replay_memory():
    with contextlib.ExitStack() as resources:
        for n, kind in ((1, "_WatchedReplay"), (3, "_WatchedNStepReplay")):
            memory = build_model(spec(n_steps=n, gamma=0.9), resources).replay_buffer
            assert type(memory).__name__ == kind
        assert (memory.n_steps, memory.gamma) == (3, 0.9)
    (points,) = train(spec(n_steps=3)).points.values()
    assert all(np.isfinite(p.metrics["q_value"]) for p in points)


@pytest.mark.parametrize("field", [i.name for i in field_infos(DQNHyperparameters).values() if i.learned and not i.sb3])
def test_options_that_stable_baselines3_lacks_are_refused_by_name(field):
    info = field_infos(DQNHyperparameters)[field]
    other = next(c for c in info.choices if c != info.default) if info.kind == "choice" else not info.default
    if info.kind in ("int", "float"):
        other = info.default + (1 if info.kind == "int" else 0.01)
    with pytest.raises(InputError, match=f"{field}={other}"):
        constructor_arguments(DQNHyperparameters(**{field: other}), 1000)


def test_what_learning_does_not_depend_on_is_no_argument_of_its_own():
    plain, averaged = DQNHyperparameters(), DQNHyperparameters(weight_averaging=0.1)
    assert constructor_arguments(averaged, 1000) == constructor_arguments(plain, 1000)


@pytest.mark.slow
def test_the_processs_own_random_streams_are_left_alone_and_leave_the_run_alone():
    def draw(books, point):
        random.random(), np.random.rand(3), torch.rand(3)  # noqa: NPY002

    random.seed(1), np.random.seed(1), torch.manual_seed(1)  # noqa: NPY002
    expected = (random.random(), np.random.rand(), torch.rand(()).item())  # noqa: NPY002
    random.seed(1), np.random.seed(1), torch.manual_seed(1)  # noqa: NPY002
    quiet = train(spec())
    assert (random.random(), np.random.rand(), torch.rand(()).item()) == expected  # noqa: NPY002
    assert train(spec(), on_point=draw).points == quiet.points


@pytest.mark.parametrize("name", ["normalize_rewards", "normalize_observations"])
def test_numbers_as_observations_are_trained_on_with_whatever_is_normalised(name):
    """Stable-Baselines3 takes no plain numbers where a VecNormalize stands around them."""
    frozen = dataclasses.replace(spec(grid=(100, 200), **{name: True}), env=EnvSpec("FrozenLake-v1"))
    desk = train(frozen)
    assert desk.outcomes[frozen.run_id].kind == "completed", desk.outcomes[frozen.run_id].reason
    plain = dataclasses.replace(spec(grid=(100, 200)), env=EnvSpec("FrozenLake-v1"))
    if name == "normalize_observations":  # one-hot vectors need none: the same numbers
        assert train(plain).points[plain.run_id][-1].returns == desk.points[frozen.run_id][-1].returns
