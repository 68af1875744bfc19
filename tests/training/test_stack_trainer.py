"""The native trainer: a run is a function of its spec, whatever happens on the lanes beside it."""

from __future__ import annotations

import dataclasses
import itertools
import types

import gymnasium as gym
import numpy as np
import pytest
from training.desk import MIXED, Desk, make_spec

from tuner.agents.dqn.layout import q_head_of
from tuner.contract.rules import CURRENT
from tuner.contract.spec import RunId
from tuner.envs.probe import PROBES
from tuner.networks.mlp import Activations, MLPLayout, append_one, forward
from tuner.training.run_checkpoint import RunCheckpoints
from tuner.training.stack.trainer import NativeTrainer


def train(specs, lanes, stop_at=None, **kwargs) -> Desk:
    desk = Desk(specs, stop_at)
    NativeTrainer(lanes, observer=desk, **kwargs).train(desk)
    return desk


@pytest.mark.parametrize(
    ("env", "steps"), [("CartPole-v1", 300), pytest.param("tune/ProbeIdentity-v0", 300, marks=pytest.mark.slow)]
)
def test_a_curve_is_bit_equal_alone_in_a_stack_in_any_lane_and_after_a_refill(env, steps):
    specs = [
        dataclasses.replace(spec, rules=CURRENT, evaluation=dataclasses.replace(spec.evaluation, seed=70 + i % 3))
        for i, spec in enumerate(make_spec(i, env, steps, **changes) for i, changes in enumerate(MIXED))
    ]
    alone = train(specs, 1)  # one lane, refilled nine times
    stack = train(specs, 10)
    refilled = train(specs[::-1], 3, stop_at={RunId(6): steps // 3, RunId(2): steps // 3 * 2})
    assert {o.kind for o in alone.outcomes.values()} == {"completed"}
    for spec in specs:
        name = spec.run_id
        assert [p.step for p in alone.points[name]] == list(spec.grid)
        assert alone.points[name] == stack.points[name]
        n = len(refilled.points[name])
        assert alone.points[name][:n] == refilled.points[name]
        assert alone.episodes.get(name) == stack.episodes.get(name)
        for key, weights in alone.weights[name].items():
            np.testing.assert_array_equal(weights, stack.weights[name][key])
    assert len({p.returns for points in alone.points.values() for p in points}) > 3, "the curves are all alike"


def test_a_wide_network_whose_adam_is_torchs_is_bit_equal_alone_and_in_a_stack():
    specs = [
        make_spec(i, steps=300, net_arch=(128, 128), learning_rate=rate) for i, rate in enumerate((1e-3, 3e-4, 2e-3))
    ]
    alone, stack = train(specs, 1), train(specs[::-1], 3)
    for spec in specs:
        assert alone.points[spec.run_id] == stack.points[spec.run_id]
        for key, weights in alone.weights[spec.run_id].items():
            np.testing.assert_array_equal(weights, stack.weights[spec.run_id][key])


def test_the_same_spec_twice_is_the_same_curve_and_another_seed_is_not():
    curves = [train([make_spec(0, seed=seed)], 1).points[RunId(0)] for seed in (5, 5, 6)]
    assert curves[0] == curves[1]
    assert curves[0] != curves[2]


def test_a_stopped_run_ends_there_and_its_lane_is_refilled():
    specs = [make_spec(i) for i in range(4)]
    desk = train(specs, 2, stop_at={RunId(0): 200})
    assert desk.outcomes[RunId(0)].kind == "stopped"
    assert desk.outcomes[RunId(0)].steps == 200
    assert [len(desk.points[RunId(i)]) for i in range(4)] == [1, 3, 3, 3]


def test_each_run_of_a_stack_is_charged_its_own_part_of_the_work(monkeypatch):
    """Every piece of work takes a second of this clock; a run with three updates a call pays three quarters of them.

    The first is for making its environment; the call after the last evaluation is never made.
    """
    seconds = itertools.count()
    clock = types.SimpleNamespace(perf_counter=lambda: next(seconds), monotonic=lambda: 0.0)
    for module in ("runner", "lane"):
        monkeypatch.setattr(f"tuner.training.stack.{module}.time", clock)
    specs = [make_spec(i, train_freq=50, learning_starts=0, gradient_steps=n) for i, n in enumerate((1, 3))]
    desk = train(specs, 2)
    (few, many), calls = (desk.points[spec.run_id] for spec in specs), 600 // 50
    for point, other in zip(few, many, strict=True):
        together = sum(point.lengths) + sum(other.lengths)
        assert point.evaluation_s == pytest.approx(sum(point.lengths) / together)
        assert other.evaluation_s == pytest.approx(1 - point.evaluation_s)
    for points, part in zip((few, many), (0.25, 0.75), strict=True):
        evaluating = sum(point.evaluation_s for point in points)
        assert points[-1].elapsed_s == pytest.approx(1 + calls / 2 + part * (calls - 1) + evaluating, abs=0.1)


def test_the_torch_path_trains_the_same_run_within_rounding():
    fast, reference = (train([make_spec(0)], 1, numeric_path=path) for path in ("numpy", "torch"))
    first_fast, first_reference = fast.updates[RunId(0)][0], reference.updates[RunId(0)][0]
    np.testing.assert_allclose(first_fast, first_reference, rtol=1e-5)
    assert {o.kind for o in reference.outcomes.values()} == {"completed"}


@pytest.mark.parametrize("variant", [{"quantiles": 3}, {"noisy": True}], ids=str)
def test_a_run_keeps_the_arithmetic_of_its_rules_when_compiled_code_has_learned_more(variant):
    today = make_spec(0, "tune/ProbeDiscount-v0", 300, **variant)
    before = dataclasses.replace(today, rules=dataclasses.replace(CURRENT, update_path=2))
    found = [
        train([spec], 1, numeric_path=path).weights[RunId(0)]
        for spec, path in ((before, None), (today, "numpy"), (today, None), (today, "compiled"))
    ]
    for one, other in (found[:2], found[2:]):
        for name, array in one.items():
            np.testing.assert_array_equal(array, other[name])
    assert any(not np.array_equal(array, found[2][name]) for name, array in found[0].items())


@pytest.mark.parametrize("path", ["numpy", "compiled"])
@pytest.mark.parametrize(("n_steps", "differ"), [(5, True), (1, False)])
def test_a_run_clips_rewards_as_its_rules_say(path, n_steps, differ):
    setting = {"normalize_rewards": True, "n_steps": n_steps, "gamma": 0.3, "loss": "mse"}
    today = make_spec(0, "MountainCar-v0", 200, **setting)
    before = dataclasses.replace(today, rules=dataclasses.replace(CURRENT, reward_clip=1))
    found = [train([spec], 1, numeric_path=path).weights[RunId(0)] for spec in (before, today)]
    assert differ == any(not np.array_equal(array, found[1][name]) for name, array in found[0].items())


@pytest.mark.learning
@pytest.mark.parametrize("env", [e for e in PROBES if "Truncation" not in e and "Identity" not in e])
@pytest.mark.parametrize(
    "variant",
    [
        {},
        {"double_q": True},
        {"optimizer": "rmsprop", "loss": "mse"},
        {"dueling": True, "n_steps": 3},
        {"prioritized": True},
        {"prioritized": True, "dueling": True, "double_q": True, "n_steps": 2},
        {"learning_rate_schedule": "cosine"},
        {"layer_norm": True},
        {"layer_norm": True, "prioritized": True, "dueling": True},
        {"quantiles": 5},
        {"noisy": True, "noisy_sigma": 0.2},
        {"quantiles": 3, "prioritized": True, "dueling": True, "double_q": True},
    ],
    ids=str,
)
def test_probe_q_values_are_learned(env, variant):
    check_q_values(env, 0.5, steps=1200, **variant)


@pytest.mark.parametrize("variant", [{}, {"n_steps": 4}, {"n_steps": 25, "dueling": True}], ids=str)
def test_a_truncated_episode_bootstraps(variant):
    check_q_values("tune/ProbeTruncation-v0", 0.5, steps=1200, **variant)


def test_discrete_observations_and_actions_with_a_start_are_learned():
    desk = check_q_values("tune/ProbeIdentity-v0", 0.4, steps=2000, kwargs=(("n", 4), ("start", 3)))
    assert desk.points[RunId(0)][-1].mean_return >= 90


def check_q_values(env, gamma, steps, **changes) -> Desk:
    changes = {"learning_rate": 5e-3, "exploration_final_eps": 0.5, **changes}
    spec = make_spec(0, env, steps, gamma=gamma, **changes)
    desk = train([spec], 1)
    probe = PROBES[env][0](**dict(spec.env.kwargs))
    discrete = isinstance(probe.observation_space, gym.spaces.Discrete)
    inputs = np.eye(probe.observation_space.n) if discrete else probe.observations
    learned = learned_values(spec, desk.weights[RunId(0)], inputs)
    np.testing.assert_allclose(learned, probe.q_values(gamma), atol=0.1)
    return desk


def learned_values(spec, weights, inputs) -> np.ndarray:
    """Return the Q-values of network inputs, by the weights a run ended with."""
    last = max(weights, key=lambda name: int(name.split(".")[1]))
    head = q_head_of(spec.hyperparameters, len(weights[last]))
    layout = MLPLayout((inputs.shape[1], 16, 16, head.n_outputs), spec.hyperparameters.layer_norm)
    row = layout.from_state_dict(weights)[None]
    buffers = Activations(layout, 1, len(inputs), row.dtype)
    return head.q_values(forward(layout.network(row), append_one(inputs[None].astype(row.dtype)), buffers)[0])


def first_values(seeds, **changes):
    """Return what runs with these seeds think the first observation of the noisy probe is worth: 0 is the truth."""
    specs = [
        make_spec(
            seed, "tune/ProbeOverestimation-v0", 3000, 1, seed=seed, gamma=1.0, exploration_final_eps=1.0,
            learning_rate=5e-3, loss="mse", buffer_size=100, target_update_interval=400, **changes,
        )
        for seed in seeds
    ]  # fmt: skip
    desk = train(specs, len(specs))
    first = np.array([[-1.0]], np.float32)
    return np.array([learned_values(s, desk.weights[s.run_id], first).mean() for s in specs])


@pytest.mark.parametrize("variant", [{}, {"dueling": True, "prioritized": True}], ids=str)
@pytest.mark.learning
def test_double_q_learning_overestimates_less(variant):
    plain, double = (first_values(range(12), double_q=on, **variant) for on in (False, True))
    difference = plain - double  # the same seeds, the same noise
    assert plain.mean() > 0.1
    assert difference.mean() > 2 * difference.std(ddof=1) / np.sqrt(len(difference))


@pytest.mark.learning
@pytest.mark.parametrize("variant", [{"double_q": True}, {"dueling": True}, {"prioritized": True}], ids=str)
def test_every_variant_learns_the_identity_probes_values(variant):
    check_q_values("tune/ProbeIdentity-v0", 0.4, steps=4000, **variant)


@pytest.mark.learning
@pytest.mark.parametrize("tau", [0.1, 0.5])
@pytest.mark.parametrize("variant", [{}, {"double_q": True}, {"prioritized": True, "dueling": True}], ids=str)
def test_munchausen_learns_what_its_equation_says(variant, tau):
    """Two equal actions have log pi = -log 2: entropy is worth tau log 2 in the next state, and alpha of it is lost."""
    alpha, gamma, entropy = 0.5, 0.5, tau * np.log(2)
    changes = {"munchausen": True, "munchausen_tau": tau, "munchausen_alpha": alpha, "learning_rate": 5e-3}
    changes |= {"exploration_final_eps": 0.5, "gamma": gamma, **variant}
    for env, expected in (
        ("tune/ProbeDiscount-v0", [gamma * (1 + (1 - alpha) * entropy) - alpha * entropy, 1 - alpha * entropy]),
        ("tune/ProbeTruncation-v0", [(1 + (gamma - alpha) * entropy) / (1 - gamma)]),
    ):
        spec = make_spec(0, env, 1500, **changes)
        learned = learned_values(spec, train([spec], 1).weights[RunId(0)], PROBES[env][0]().observations)
        np.testing.assert_allclose(learned, np.transpose([expected] * 2), atol=0.03)


def test_munchausen_tells_actions_apart_by_more_than_their_rewards():
    """The identity probe's fixed point, by iterating the equation: a right answer's lead grows by 1 / (1 - alpha)."""
    alpha, tau, gamma = 0.5, 0.5, 0.4
    q = np.eye(4)
    for _ in range(500):
        log_pi = q / tau - np.log(np.exp(q / tau).sum(axis=1, keepdims=True))
        q = np.eye(4) + alpha * tau * log_pi + gamma * (np.exp(log_pi) * (q - tau * log_pi)).sum(axis=1).mean()
    changes = {"munchausen": True, "munchausen_tau": tau, "munchausen_alpha": alpha, "munchausen_clip": -9.0}
    changes |= {"learning_rate": 5e-3, "exploration_final_eps": 0.5, "gamma": gamma}
    spec = make_spec(0, "tune/ProbeIdentity-v0", 4000, **changes)
    learned = learned_values(spec, train([spec], 1).weights[RunId(0)], np.eye(4))
    assert q[0, 0] - q[0, 1] == pytest.approx(1 / (1 - alpha))
    np.testing.assert_allclose(learned, q, atol=0.1)


@pytest.mark.learning
@pytest.mark.parametrize("variant", [{}, {"double_q": True, "dueling": True, "prioritized": True}], ids=str)
def test_an_n_step_return_values_what_exploration_does_before_it_bootstraps(variant):
    # Three steps: the action asked about, two of the behaviour, which errs with probability w, then the best.
    gamma, w = 0.4, 0.5 * 3 / 4
    behaviour = (gamma + gamma**2) * (1 - w)
    best = (1 + behaviour) / (1 - gamma**3)
    expected = np.eye(4) + behaviour + gamma**3 * best
    changes = {"learning_rate": 1e-3, "exploration_final_eps": 0.5, "buffer_size": 3000}
    spec = make_spec(0, "tune/ProbeIdentity-v0", 6000, gamma=gamma, n_steps=3, **changes, **variant)
    learned = learned_values(spec, train([spec], 1).weights[RunId(0)], np.eye(4))
    np.testing.assert_allclose(learned, expected, atol=0.1)


class Faulty(gym.Env):
    """CartPole-like spaces; does what it is told at step ``at``."""

    observation_space = gym.spaces.Box(-1, 1, (4,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, fault: str = "", at: int = 137) -> None:
        if fault == "make":
            raise RuntimeError("cannot be made")
        self.fault, self.at, self.clock = fault, at, 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(4, np.float32), {}

    def step(self, action):
        self.clock += 1
        now = self.clock == self.at
        if now and self.fault == "raise":
            raise OSError("the simulator is gone")
        observation = np.full(4, np.nan if now and self.fault == "observation" else 0.1, np.float32)
        reward = {"reward": np.nan, "infinite": -np.inf}.get(self.fault, 1.0) if now else 1.0
        return observation, reward, self.clock % 20 == 0, False, {}

    def close(self):
        if self.fault in ("close", "raise") and self.clock >= self.at:
            raise OSError("the port is gone")


gym.register("tune/Faulty-v0", Faulty, disable_env_checker=True)


@pytest.mark.parametrize(
    ("fault", "kind", "reason"),
    [
        ("make", "failed", "RuntimeError: cannot be made"),
        ("raise", "failed", "OSError: the simulator is gone"),
        ("observation", "diverged", "observation is not finite at step 137"),
        ("reward", "diverged", "reward is not finite at step 137"),
        ("infinite", "diverged", "reward is not finite at step 137"),
    ],
)
def test_a_fault_ends_only_its_own_run(fault, kind, reason):
    healthy = [make_spec(i, "tune/Faulty-v0") for i in range(3)]
    sick = make_spec(9, "tune/Faulty-v0", kwargs=(("fault", fault),))
    desk = train([healthy[0], sick, *healthy[1:]], 4)
    outcome = desk.outcomes[RunId(9)]
    assert outcome.kind == kind
    assert outcome.steps == (0 if fault == "make" else 137)
    assert reason in outcome.reason
    assert "\n" not in outcome.reason
    assert all(desk.outcomes[s.run_id].kind == "completed" for s in healthy)


@pytest.mark.parametrize("at", [137, 20])
def test_an_environment_that_cannot_be_closed_ends_only_its_own_run(at):
    """Its evaluations, of 20 steps an episode, are played in environments of their own, which break as well."""
    healthy = [make_spec(i, "tune/Faulty-v0") for i in range(3)]
    sick = make_spec(9, "tune/Faulty-v0", kwargs=(("at", at), ("fault", "close")))
    desk = train([healthy[0], sick, *healthy[1:]], 4)
    outcome = desk.outcomes[RunId(9)]
    assert (outcome.kind, outcome.steps, outcome.reason) == ("failed", 600, "OSError: the port is gone")
    assert all(desk.outcomes[s.run_id].kind == "completed" for s in healthy)


def test_an_infinite_loss_is_divergence(monkeypatch):
    from tuner.agents.dqn.stack import DQNStack

    learn = DQNStack.learn

    def poison(self, lanes):
        if self.clock[0] == 120:
            self.state.online[0] = np.inf
        return learn(self, lanes)

    monkeypatch.setattr(DQNStack, "learn", poison)
    desk = train([make_spec(0), make_spec(1)], 2)
    assert desk.outcomes[RunId(0)].kind == "diverged"
    assert desk.outcomes[RunId(0)].reason.endswith("at step 120")
    assert "is nan" in desk.outcomes[RunId(0)].reason
    assert desk.outcomes[RunId(1)].kind == "completed"


class Far(gym.Env):
    """What is seen is so large that a squared error is a number and its gradient none, with some weights."""

    def __init__(self, render_mode=None):
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, (4,), np.float32)
        self.action_space = gym.spaces.Discrete(2)
        self.clock = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.full(4, 3e20, np.float32), {}

    def step(self, action):
        self.clock += 1
        return np.full(4, 3e20, np.float32), 1.0, self.clock % 20 == 0, False, {}


gym.register("tune/Far-v0", Far, disable_env_checker=True)


@pytest.mark.parametrize("path", ["numpy", "torch", "compiled"])
@pytest.mark.parametrize("averaging", [0.0, 0.5])
def test_weights_that_the_last_training_call_leaves_no_numbers_are_divergence(path, averaging, tmp_path):
    """One call, at step 17 of 20: its loss is finite, and no loss comes after it."""
    sick, healthy = (
        make_spec(
            i, "tune/Far-v0", steps=20, evaluations=2, loss="mse", learning_starts=16, train_freq=17, gradient_steps=1,
            batch_size=4, max_grad_norm=1e9, weight_averaging=averaging,
        )
        for i in (4, 5)
    )  # fmt: skip
    files = RunCheckpoints(tmp_path, every_s=0, cost_factor=0)
    train([sick], 1, stop_at={sick.run_id: 10}, numeric_path=path, checkpoints=files)
    alone, stacked, resumed = (
        train([sick], 1, numeric_path=path),
        train([healthy, sick], 2, numeric_path=path),
        train([sick], 1, numeric_path=path, checkpoints=files),
    )
    for desk in (alone, stacked, resumed):
        outcome = desk.outcomes[sick.run_id]
        assert (outcome.kind, outcome.steps, outcome.reason) == ("diverged", 20, "weights are not finite at step 20")
        assert [point.step for point in desk.points[sick.run_id]] == [10]
        assert (sick.run_id, 20) not in desk.evaluated  # so it is never the best
        assert [update[0] for update in desk.updates[sick.run_id]] == [17]
    assert stacked.outcomes[healthy.run_id].kind == "completed"


def test_metrics_are_means_since_the_point_before():
    desk = train([make_spec(0, "tune/ProbeTruncation-v0")], 1)
    points, updates = desk.points[RunId(0)], desk.updates[RunId(0)]
    for point in points:
        since = [u for u in updates if point.step - 200 <= u[0] < point.step]
        assert point.metrics["loss"] == pytest.approx(np.mean([u[1] for u in since]))
        assert point.metrics["train_return"] == 10.0
        assert point.metrics["train_episodes"] == 20
    assert points[-1].metrics["epsilon"] == 0.05


def test_lanes_must_be_positive():
    with pytest.raises(ValueError, match="at least 1, got 0"):
        NativeTrainer(0)
