"""Whole training calls, captured as graphs where a device has them, and acting beside a device.

No graph exists on a CPU: there a captured call runs its function again on the tensors that stay in place, so all that
is not CUDA's own is held here, bit for bit. The last test compares graphs with single launches on CUDA.
"""

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tuner.agents.dqn import acting, captured
from tuner.agents.dqn.acting import VectorActing
from tuner.agents.dqn.acting_device import DeviceActing
from tuner.agents.dqn.captured import CALLS_BEFORE, MOST_GRAPHS, TrainingCalls
from tuner.agents.dqn.stack import DQNStack
from tuner.envs.encoders import BoxEncoder, DiscreteEncoder
from tuner.hyperparameters import DQNHyperparameters
from tuner.replay.ring import Batch

SMALL = {"batch_size": 16, "net_arch": (16, 8), "train_freq": 8, "gradient_steps": 4, "max_grad_norm": 0.5}
VARIANTS = [
    {},
    {"double_q": True, "dueling": True, "n_steps": 3},
    {"loss": "mse", "optimizer": "rmsprop", "dueling": True},
    {"optimizer": "rmsprop", "double_q": True, "optimizer_eps": 1e-3},
    {"munchausen": True, "munchausen_tau": 0.2, "loss": "mse"},
    {"munchausen": True, "double_q": True, "layer_norm": True},
    {"quantiles": 4, "optimizer": "rmsprop"},
    {"quantiles": 3, "munchausen": True, "dueling": True, "double_q": True, "n_steps": 2},
    {"learning_rate_schedule": "linear", "normalize_rewards": True},
    {"normalize_rewards": True, "n_steps": 30},
]
CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device")


def filled(hyperparameters, lanes=3, device="cpu", encoder=None, each=None):
    """Return a stack of the torch path whose lanes hold some transitions."""
    stack = DQNStack(
        encoder or BoxEncoder(4), 3, hyperparameters, lanes=lanes, capacity=300, numeric_path="torch", device=device
    )
    for lane in range(lanes):
        rng = np.random.default_rng(lane)
        stack.start(lane, (each or {}).get(lane, hyperparameters), 10 + lane, 300)
        rows = stack.memory.blank(100 + lane)
        parts = stack.memory.unpack(rows)
        for part in (parts.observations, parts.next_observations):
            shape = (len(rows), 4) if encoder is None else (len(rows), 1)
            part[:, :-1] = rng.normal(size=shape) if encoder is None else rng.integers(0, 6, shape)
        parts.rewards[:], parts.actions[:] = rng.normal(size=len(rows)), rng.integers(0, 3, len(rows))
        parts.discounts[:] = np.where(rng.random(len(rows)) < 0.1, 0.0, 0.9)
        stack.remember(lane, rows)
    return stack


def calls_of(stack):
    return stack._update.step.calls


def learn(stack, lanes=(0, 1, 2)):
    """Do a training call eight steps after the last; targets move now and then."""
    found = stack.learn(list(lanes))
    for lane in lanes:
        stack.clock[lane] += 8
        if stack.clock[lane] % 16 == 0:
            stack.state.update_target(lane)
    return found


def assert_same_state(one, other, lanes=3):
    for lane in range(lanes):
        for name, values in one.state.snapshot(lane).items():
            np.testing.assert_array_equal(values, other.state.snapshot(lane)[name], err_msg=name)


@pytest.fixture
def replays(monkeypatch):
    """Let a CPU capture: nothing is done then, and replaying runs the function again. Returns what was captured."""
    functions = []

    def fake(run):
        functions.append(run)
        return run

    monkeypatch.setattr(captured, "capture", fake)
    monkeypatch.setattr(captured, "on_side_stream", lambda run: run())
    return functions


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_a_call_as_one_function_gives_the_bits_of_its_steps(variant, replays):
    hyperparameters = DQNHyperparameters(**{**SMALL, **variant})
    steps, whole, again = (filled(hyperparameters, device=device) for device in ("cpu", "cpu:0", "cpu:0"))
    assert steps._update.step.whole_call is None
    calls_of(again).captures = True
    for _ in range(CALLS_BEFORE + 3):
        seen = learn(steps)
        assert learn(whole) == seen
        assert learn(again) == seen
    assert len(replays) == 1
    assert not calls_of(whole)._graphs
    assert_same_state(steps, whole)
    assert_same_state(steps, again)


@pytest.mark.parametrize(
    ("fields", "others", "encoder"),
    [
        ({"prioritized": True}, {}, None),
        ({"noisy": True}, {}, None),
        ({}, {1: {"gradient_steps": 3}}, None),
        ({}, {}, DiscreteEncoder(6)),
    ],
    ids=["priorities", "noise", "different numbers of steps", "observations that are no input"],
)
def test_what_no_graph_can_hold_goes_step_by_step(fields, others, encoder, monkeypatch):
    def refuse(self, *arguments):
        raise AssertionError("taken as a whole")

    monkeypatch.setattr(TrainingCalls, "__call__", refuse)
    whole = {**SMALL, **fields}
    each = {lane: DQNHyperparameters(**{**whole, **more}) for lane, more in others.items()}
    plain, there = (
        filled(DQNHyperparameters(**whole), device=device, encoder=encoder, each=each) for device in ("cpu", "cpu:0")
    )
    for _ in range(3):
        assert learn(plain) == learn(there)
    assert_same_state(plain, there)


def test_a_group_is_captured_once_it_comes_again_and_the_least_recent_graph_goes(replays):
    lanes = MOST_GRAPHS + 1
    stack = filled(DQNHyperparameters(**SMALL), lanes=lanes, device="cpu:0")
    calls = calls_of(stack)
    calls.captures = True
    for _ in range(CALLS_BEFORE):
        learn(stack, [0])
        learn(stack, [1])
    assert replays == []
    learn(stack, [0])
    assert len(replays) == 1
    for lane in range(1, lanes):
        for _ in range(CALLS_BEFORE + 1):
            learn(stack, [lane])
            learn(stack, [0])  # always in use
    assert len(calls._graphs) == MOST_GRAPHS
    assert {group.first for group in calls._graphs} == {0, *range(2, lanes)}
    assert len(replays) == lanes
    learn(stack, range(lanes))
    assert len(replays) == lanes, "the first call of a group needs no graph"


def test_calls_of_one_step_are_warmed_up_for_longer(replays):
    stack = filled(DQNHyperparameters(**{**SMALL, "gradient_steps": 1}), device="cpu:0")
    calls_of(stack).captures = True
    seen = [len(replays) for _ in range(5) if learn(stack)]
    assert seen == [0, 0, 0, 1, 1]


def test_where_capturing_fails_steps_are_launched_one_by_one_and_the_numbers_stay(monkeypatch, replays, capsys):
    def fails(run):
        raise RuntimeError("operation not permitted\nwhen stream is capturing")

    monkeypatch.setattr(captured, "capture", fails)
    plain, there = (filled(DQNHyperparameters(**SMALL), device=device) for device in ("cpu", "cpu:0"))
    calls_of(there).captures = True
    for _ in range(CALLS_BEFORE + 3):
        assert learn(plain) == learn(there)
    assert_same_state(plain, there)
    assert not calls_of(there).captures
    assert capsys.readouterr().err == (
        "No CUDA graph can be captured here (operation not permitted): kernels are launched one by one.\n"
    )


class Elsewhere(TorchDispatchMode):
    """Insists that operations take from, and give to, a device of shapes without numbers alone."""

    operations = 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        found = operation(*args, **(kwargs or {}))
        tensors = [part for part in tree_leaves((args, kwargs, found)) if isinstance(part, torch.Tensor)]
        assert {part.device.type for part in tensors} <= {"meta"}, operation
        self.operations += 1
        return found


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_what_is_captured_neither_reads_a_number_nor_touches_the_host(variant):
    """Such tensors have no numbers to look at, so a branch on one, or a copy from or to the host, fails."""
    hyperparameters = DQNHyperparameters(**{**SMALL, **variant})
    stack = filled(hyperparameters, device="meta")
    calls, update = calls_of(stack), stack._update.step
    rows = [torch.empty(3, 4, 16, *width, device="meta") for width in ((5,), (5,), (), ())]
    actions = torch.empty(3, 4, 16, device="meta", dtype=torch.int64)
    results = torch.empty(2 + (hyperparameters.quantiles > 1), 3, 4, 16, device="meta")
    numbers = torch.empty(update._numbers(slice(0, 3), 4).shape, device="meta")
    with Elsewhere() as seen:
        calls._run(slice(0, 3), Batch(*rows, actions), numbers, results)
    assert seen.operations > 4 * 50


# -- acting beside a device -------------------------------------------------------------------------------------------


class Host:
    """The host's copy of the online networks; counts the transfers."""

    def __init__(self, shape):
        self.rows, self.transfers = np.zeros(shape, np.float32), 0

    def copy_(self, rows):
        self.rows[:] = rows.numpy()
        self.transfers += 1

    def numpy(self):
        return self.rows


def actions(stack, steps, seed=0):
    rng = np.random.default_rng(seed)
    explores, drawn = np.zeros(3, bool), np.zeros(3, np.int64)
    found = []
    for _ in range(steps):
        observations = np.append(rng.normal(size=(3, 4)), np.ones((3, 1)), axis=1).astype(np.float32)
        found.append(stack.act(slice(0, 3), observations, explores, drawn))
    return np.array(found)


def test_acting_takes_one_transfer_after_a_training_call_whatever_the_steps():
    hyperparameters = DQNHyperparameters(**SMALL)
    plain, there = (filled(hyperparameters, device=device) for device in ("cpu", "cpu:0"))
    there.state._host = host = Host(there.state.online.shape)
    inputs = np.random.default_rng(1).normal(size=(3, 20, 4)).astype(np.float32)
    for call in range(3):
        np.testing.assert_array_equal(actions(plain, 8, call), actions(there, 8, call))
        assert host.transfers == call + 1
        policies = [stack.greedy_policy([0, 1, 2]) for stack in (plain, there)]
        learn(plain)
        learn(there)
        np.testing.assert_array_equal(policies[0](inputs), policies[1](inputs))
    there.start(1, hyperparameters, 5, 300)
    plain.start(1, hyperparameters, 5, 300)
    np.testing.assert_array_equal(actions(plain, 2), actions(there, 2))
    assert host.transfers == 4
    there.restore(0, there.snapshot(2))
    plain.restore(0, plain.snapshot(2))
    np.testing.assert_array_equal(actions(plain, 2), actions(there, 2))


def test_large_stacks_and_noise_act_on_the_device_and_choose_the_same(monkeypatch):
    hyperparameters = DQNHyperparameters(**SMALL)
    plain, small = (filled(hyperparameters, device=device) for device in ("cpu", "cpu:0"))
    monkeypatch.setattr(acting, "HOST_PARAMETERS", small.state.online.numel() - 1)
    large = filled(hyperparameters, device="cpu:0")
    assert isinstance(small._acting, VectorActing)
    assert isinstance(large._acting, DeviceActing)
    np.testing.assert_array_equal(actions(plain, 20), actions(large, 20))
    assert large.state._host is None
    monkeypatch.undo()
    noisy = filled(DQNHyperparameters(**SMALL, noisy=True), device="cpu:0")
    assert isinstance(noisy._acting, VectorActing)
    assert isinstance(noisy._exploring.acting._acting, DeviceActing)


@CUDA
@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_a_graph_gives_the_bits_of_single_launches(variant):
    hyperparameters = DQNHyperparameters(**{**SMALL, **variant})
    steps, graph = (filled(hyperparameters, device="cuda") for _ in range(2))
    calls_of(steps).captures = False
    for _ in range(CALLS_BEFORE + 3):
        assert learn(graph) == learn(steps)
    assert len(calls_of(graph)._graphs) == 1, "nothing was captured"
    assert_same_state(steps, graph)
