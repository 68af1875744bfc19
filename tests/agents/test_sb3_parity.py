"""Stable-Baselines3's own DQN and a lane walk through the same transitions, minibatches and weights, step by step."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

import gymnasium as gym
import numpy as np
import pytest
import sb3_contrib.qrdqn.qrdqn as contrib_qrdqn
import stable_baselines3.common.policies as sb3_policies
import stable_baselines3.dqn.dqn as sb3_dqn
import torch
from sb3_contrib import QRDQN
from sb3_contrib.common.utils import quantile_huber_loss
from stable_baselines3 import DQN
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

import tuner.agents.dqn.update_numpy as update_numpy
from tuner.agents.dqn.exploration import epsilon
from tuner.agents.dqn.stack import DQNStack
from tuner.contract.grid import evaluation_grid
from tuner.contract.spec import EvaluationSpec, RunId, RunSpec
from tuner.core.targets import td_target
from tuner.envs.spec import EnvSpec
from tuner.hyperparameters import DQNHyperparameters
from tuner.training.sb3.arguments import constructor_arguments
from tuner.training.sb3.inputs import statistics
from tuner.training.stack.lane import LaneRun
from tuner.training.stack.runner import StackRunner


class ScriptedEnv(gym.Env):
    """Plays a fixed film, whatever the action: so both learners see the same transitions. Ends both ways."""

    observation_space = gym.spaces.Box(-10, 10, (3,), np.float32)
    action_space = gym.spaces.Discrete(3)

    def __init__(self, rare: bool = False) -> None:
        rng = np.random.default_rng(0)
        self.film = rng.normal(size=(4000, 3)).astype(np.float32)
        self.rewards = rng.integers(-4, 5, size=4000) / 4  # exact in single precision
        if rare:  # each beyond ten deviations
            self.rewards = np.zeros(4000)
            self.rewards[[160, 240]] = 10.0, 100.0
        self.ends = rng.choice(3, size=4000, p=[0.9, 0.06, 0.04])
        self.at = -1

    def reset(self, *, seed=None, options=None):
        self.at += 1
        return self.film[self.at], {}

    def step(self, action):
        self.at += 1
        end = self.ends[self.at]
        return self.film[self.at], float(self.rewards[self.at]), bool(end == 1), bool(end == 2), {}


gym.register("tune/Scripted-v0", ScriptedEnv, disable_env_checker=True)
gym.register("tune/Rare-v0", ScriptedEnv, disable_env_checker=True, kwargs={"rare": True})

CASES = {
    "zoo-like": {"train_freq": 16, "gradient_steps": 8, "target_update_interval": 10, "learning_starts": 50},
    "every step, soft target": {"train_freq": 1, "gradient_steps": 1, "tau": 0.05, "target_update_interval": 1,
                                "learning_starts": 0},
    "as many as collected": {"train_freq": 7, "gradient_steps": -1, "target_update_interval": 9,
                             "learning_starts": 20, "max_grad_norm": 0.5},
    "small buffer": {"train_freq": 4, "gradient_steps": 2, "target_update_interval": 30, "learning_starts": 10,
                     "buffer_size": 40, "exploration_fraction": 0.5, "exploration_final_eps": 0.1},
    "n-step, small buffer": {"train_freq": 5, "gradient_steps": 3, "target_update_interval": 12,
                             "learning_starts": 4, "buffer_size": 37, "n_steps": 4},
    "normalised": {"train_freq": 3, "gradient_steps": 2, "target_update_interval": 9, "learning_starts": 20,
                   "normalize_observations": True, "normalize_rewards": True},
    "normalised rewards, n-step": {"train_freq": 8, "gradient_steps": 4, "target_update_interval": 12,
                                   "learning_starts": 40, "buffer_size": 37, "n_steps": 3, "normalize_rewards": True},
    "normalised rare rewards, n-step": {"train_freq": 8, "gradient_steps": 4, "target_update_interval": 12,
                                        "learning_starts": 80, "buffer_size": 37, "n_steps": 6, "gamma": 0.5,
                                        "normalize_rewards": True},
    "linear learning rate": {"train_freq": 5, "gradient_steps": 2, "target_update_interval": 11, "learning_starts": 9,
                             "learning_rate_schedule": "linear"},
}  # fmt: skip
STEPS = 240


def env_of(h: DQNHyperparameters) -> str:
    return "tune/Rare-v0" if h.n_steps == 6 else "tune/Scripted-v0"


@dataclass
class Trace:
    """What a learner did, in order."""

    epsilons: list[float] = field(default_factory=list)
    actions: list[int] = field(default_factory=list)
    indices: list[np.ndarray] = field(default_factory=list)
    targets: list[np.ndarray] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    online: dict = field(default_factory=dict)
    target: dict = field(default_factory=dict)


def hyperparameters(case: dict) -> DQNHyperparameters:
    return DQNHyperparameters(
        **{"learning_rate": 2e-3, "batch_size": 8, "net_arch": (10, 6), "gamma": 0.875, "buffer_size": 1000, **case}
    )


def trace_sb3(h: DQNHyperparameters, monkeypatch, kind=DQN) -> tuple[dict, Trace]:
    """Return the weights that Stable-Baselines3 begins with, and what it does.

    Args:
        h: Of the native agent, quantiles among them.
        monkeypatch: Notes targets and losses.
        kind: DQN, or sb3-contrib's QRDQN; its networks are renamed, and its Adam is the one with torch's epsilon.
    """
    trace = Trace()
    original = sb3_policies.preprocess_obs
    monkeypatch.setattr(sb3_policies, "preprocess_obs", lambda *a, **k: original(*a, **k).double())

    class F:
        @staticmethod
        def smooth_l1_loss(current, target):
            trace.targets.append(target.detach().numpy().reshape(-1).copy())
            loss = torch.nn.functional.smooth_l1_loss(current, target)
            trace.losses.append(loss.item())
            return loss

    def quantile_loss(current, target, sum_over_quantiles):
        trace.targets.append(target.detach().numpy().reshape(-1).copy())
        loss = quantile_huber_loss(current, target, sum_over_quantiles=sum_over_quantiles)
        trace.losses.append(loss.item())
        return loss

    monkeypatch.setattr(sb3_dqn, "F", F)
    monkeypatch.setattr(contrib_qrdqn, "quantile_huber_loss", quantile_loss)
    env = DummyVecEnv([lambda: gym.make(env_of(h))])
    if h.normalize_observations or h.normalize_rewards:
        norm_obs, norm_reward = h.normalize_observations, h.normalize_rewards
        env = VecNormalize(env, norm_obs=norm_obs, norm_reward=norm_reward, gamma=h.gamma)
    beside = {} if kind is DQN else {"n_quantiles": h.quantiles, "optimizer_class": torch.optim.Adam}
    model = kind(
        "MlpPolicy", env, seed=3, policy_kwargs={"net_arch": list(h.net_arch), **beside},
        **{k: v for k, v in constructor_arguments(dataclasses.replace(h, quantiles=1), STEPS).items()
           if k not in ("policy", "policy_kwargs", "buffer_size")}, buffer_size=h.buffer_size,
    )  # fmt: skip
    model.policy.double()
    online, target = (
        (model.q_net, model.q_net_target) if kind is DQN else (model.quantile_net, model.quantile_net_target)
    )
    target.load_state_dict(online.state_dict())
    initial = {k: v.copy() for k, v in named(online).items()}
    get = model.replay_buffer._get_samples

    def recorded(index, env=None):
        trace.indices.append(np.asarray(index).copy())
        return get(index, env=env)

    monkeypatch.setattr(model.replay_buffer, "_get_samples", recorded)

    class Watch(BaseCallback):
        def _on_step(self) -> bool:
            trace.epsilons.append(self.model.exploration_rate)
            trace.actions.append(int(self.locals["actions"][0]))
            return self.num_timesteps < STEPS

    model.learn(STEPS, callback=Watch())
    # A callback ends learn() before the last step is stored; the lane stores it first, and its target update with it.
    # No later computation can tell, but the comparison of target networks below can.
    if STEPS % h.target_update_interval == 0:
        model._on_step()
    trace.online = named(online) | statistics(model.get_vec_normalize_env())
    trace.target = named(target)
    return initial, trace


def named(network: torch.nn.Module) -> dict:
    return {k.replace("quantile_net", "q_net"): v.numpy() for k, v in network.state_dict().items()}


def trace_lane(h: DQNHyperparameters, initial: dict, sb3: Trace, monkeypatch) -> Trace:
    trace = Trace()
    spec = RunSpec(RunId(0), EnvSpec(env_of(h)), "native", h, 3, evaluation_grid(STEPS, 1), EvaluationSpec(1, 0, 3))
    runner = StackRunner(spec, lanes=2, numeric_path="numpy", dtype=np.float64)
    stack: DQNStack = runner._stack
    runner.start(spec)
    row = stack.state.layout.from_state_dict(initial)
    stack.state.online[0] = stack.state.target[0] = row
    indices = iter(sb3.indices)

    def explore(lane, steps):
        clock = stack.clock[lane]
        return np.ones(steps, bool), np.array(sb3.actions[clock : clock + steps])

    def sample(lane, steps, batch_size, out):
        places = np.array([next(indices) for _ in range(steps)])
        out[:] = stack.memory._rows[stack.memory._base[lane] + places]
        stack.normalizer.rows(lane, out, places)
        return places.reshape(-1)

    def record_target(rewards, discounts, values):
        target = td_target(rewards, discounts, values)
        trace.targets.append(target.reshape(-1).copy())
        return target

    def trained(self, loss, q_value):
        trace.losses.append(loss)

    monkeypatch.setattr(stack, "explore", explore)
    monkeypatch.setattr(stack.memory, "sample", sample)
    monkeypatch.setattr(update_numpy, "td_target", record_target)
    monkeypatch.setattr(LaneRun, "trained", trained)

    class Desk:
        def report(self, points):
            return frozenset()

        def finish(self, outcome):
            assert outcome.kind == "completed", outcome

    while runner.active:
        runner.round(Desk())
    assert next(indices, None) is None, "the lane took fewer gradient steps"
    trace.epsilons = list(epsilon(h, np.arange(STEPS), STEPS))
    trace.online = dict(stack.weights(0))
    trace.target = stack.state.layout.to_state_dict(stack.state.target[0])
    runner.close()
    return trace


def compare(h: DQNHyperparameters, sb3: Trace, lane: Trace) -> None:
    np.testing.assert_allclose(lane.epsilons, sb3.epsilons, rtol=0, atol=1e-15)
    assert len(lane.targets) == len(sb3.targets) > 5
    for mine, theirs in zip(lane.targets, sb3.targets, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-6, atol=1e-6)
    per_call = np.array(sb3.losses).reshape(len(lane.losses), h.updates_per_call())
    np.testing.assert_allclose(lane.losses, per_call.mean(axis=1), rtol=1e-6)
    for name in sb3.online:
        np.testing.assert_allclose(lane.online[name], sb3.online[name], rtol=1e-6, atol=1e-6)
    for name in sb3.target:
        np.testing.assert_allclose(lane.target[name], sb3.target[name], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_lane_does_what_stable_baselines3_does(case, monkeypatch):
    h = hyperparameters(CASES[case])
    initial, sb3 = trace_sb3(h, monkeypatch)
    compare(h, sb3, trace_lane(h, initial, sb3, monkeypatch))


@pytest.mark.slow
@pytest.mark.parametrize("quantiles", [9])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_lane_with_quantiles_does_what_sb3_contribs_qrdqn_does(case, quantiles, monkeypatch):
    h = hyperparameters(CASES[case] | {"quantiles": quantiles})
    initial, sb3 = trace_sb3(h, monkeypatch, QRDQN)
    compare(h, sb3, trace_lane(h, initial, sb3, monkeypatch))


def test_a_planted_off_by_one_in_the_target_update_is_caught(monkeypatch):
    h = hyperparameters(CASES["as many as collected"])
    initial, sb3 = trace_sb3(h, monkeypatch)
    observe = DQNStack.observe

    def late_by_one(self, lane, rows, ends):
        self.clock[lane] -= 1
        observe(self, lane, rows, ends)
        self.clock[lane] += 1

    monkeypatch.setattr(DQNStack, "observe", late_by_one)
    lane = trace_lane(h, initial, sb3, monkeypatch)
    with pytest.raises(AssertionError):
        compare(h, sb3, lane)
